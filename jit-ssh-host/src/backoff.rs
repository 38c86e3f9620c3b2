//! How long to wait after a call failed. Pure: the random number is an argument.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait: how late a host at most notices that its authority is back.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// The wait after `failures` (at least 1) in a row: doubled each time, up to [`LONGEST`], and of
/// that between half and all by `random`, so that a fleet does not come back in step.
pub(crate) fn wait(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST
        .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
        .min(LONGEST);
    let half = whole / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
    half.saturating_add(Duration::from_millis(random % span.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_its_bound_and_is_never_less_than_half_of_it() {
        assert_eq!(wait(1, 0), Duration::from_millis(100));
        assert_eq!(wait(1, 100), Duration::from_millis(200));
        assert_eq!(wait(2, 0), Duration::from_millis(200));
        for failures in [6, 20, u32::MAX] {
            assert_eq!(wait(failures, 0), LONGEST / 2);
            for random in [1, 7_919, u64::MAX] {
                let found = wait(failures, random);
                assert!(LONGEST / 2 <= found && found <= LONGEST);
            }
        }
    }
}
