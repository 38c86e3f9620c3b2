//! Which ssh session ends now and which is warned. Pure: a session's end, the list and the time.

use ca_core::api::SessionEvent;
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long before the end the last warning appears, seconds.
pub(crate) const LAST_WARNING: u64 = 60;

/// Why a session is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// The grant's window is over.
    Expiry,
    /// Revoked or given back.
    Revocation,
}

impl Reason {
    /// What is reported once it has ended.
    pub(crate) const fn event(self) -> SessionEvent {
        match self {
            Self::Expiry => SessionEvent::EndedAtExpiry,
            Self::Revocation => SessionEvent::EndedByRevocation,
        }
    }
}

/// Whether a session ends now. `valid_before` is the first second outside its grant, Unix time.
pub(crate) fn due(valid_before: u64, revoked: bool, now: Timestamp) -> Option<Reason> {
    if now.unix_seconds() >= valid_before {
        // A list may have dropped a certificate that is over: expiry is what stays true.
        Some(Reason::Expiry)
    } else {
        revoked.then_some(Reason::Revocation)
    }
}

/// What a session has been told, and since when it can be told anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Warned {
    /// When it began.
    pub(crate) began: Timestamp,
    /// The warning that appeared last: seconds before the end.
    pub(crate) last: Option<u64>,
}

/// The warning that is due: how many seconds before the end it stands for. None if that or a
/// later one has appeared, or its moment had passed when the session began. `before` in any order.
pub(crate) fn warning(
    valid_before: u64,
    before: &[u64],
    warned: Warned,
    now: Timestamp,
) -> Option<u64> {
    let left = valid_before.checked_sub(now.unix_seconds())?;
    let left_at_start = valid_before.saturating_sub(warned.began.unix_seconds());
    let moments = before.iter().copied().chain([LAST_WARNING]);
    let reached = moments.filter(|moment| left <= *moment && *moment <= left_at_start);
    let latest = reached.min()?;
    let news = left > 0 && warned.last.is_none_or(|last| latest < last);
    news.then_some(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    #[test]
    fn a_session_ends_in_the_first_second_outside_its_grant_and_not_before() {
        assert_eq!(due(1000, false, at(999)), None);
        assert_eq!(due(1000, false, at(1000)), Some(Reason::Expiry));
        assert_eq!(due(1000, true, at(999)), Some(Reason::Revocation));
        assert_eq!(due(1000, true, at(1000)), Some(Reason::Expiry));
        assert_eq!(due(u64::MAX, false, at(1 << 40)), None);
    }

    #[test]
    fn each_warning_appears_once_and_the_last_one_a_minute_before_the_end() {
        let mut warned = Warned {
            began: at(0),
            last: None,
        };
        let mut seen = Vec::new();
        for second in 0..1100 {
            if let Some(moment) = warning(1000, &[600, 300], warned, at(second)) {
                seen.push((second, moment));
                warned.last = Some(moment);
            }
        }
        assert_eq!(seen, [(400, 600), (700, 300), (940, 60)]);
    }

    #[test]
    fn a_daemon_that_slept_through_two_warnings_gives_the_later_one() {
        let warned = Warned {
            began: at(0),
            last: None,
        };
        assert_eq!(warning(1000, &[600, 300], warned, at(750)), Some(300));
    }

    #[test]
    fn a_session_that_began_after_a_warning_was_due_is_not_given_it() {
        let warned = Warned {
            began: at(970),
            last: None,
        };
        assert_eq!(warning(1000, &[600], warned, at(980)), None);
        assert_eq!(warning(1000, &[600], warned, at(1000)), None);
    }
}
