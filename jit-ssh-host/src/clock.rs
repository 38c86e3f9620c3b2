//! The one place of this program that reads clocks. Everything else is given `now`.

use std::time::Instant;

use ca_core::time::Timestamp;

/// The moment of the call, by this machine's clock; the epoch if the clock is set before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the one file that may read the clock"
)]
pub(crate) fn now() -> Timestamp {
    let milliseconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
    Timestamp::from_unix_milliseconds(milliseconds)
}

/// A moment that no change of the clock moves: for waits and grace periods.
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
