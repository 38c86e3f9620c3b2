//! Texts to be signed by break-glass keys: random, good once, for two minutes. Kept in memory: after
//! a restart one asks for another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ca_core::digest::Digest;
use ca_core::time::Timestamp;

/// How long a challenge is good.
pub(super) const LIFE: Duration = Duration::from_secs(120);

/// Challenges kept at once; asking for one costs nothing, so there must be a bound.
const KEPT_MAX: usize = 4096;

/// The open challenges.
#[derive(Debug, Default)]
pub struct Challenges {
    open: Mutex<HashMap<Digest, Timestamp>>,
}

impl Challenges {
    /// Remembers `text` until it is taken or over. False when there are too many.
    pub(super) fn remember(&self, text: &str, now: Timestamp) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= KEPT_MAX {
            open.retain(|_, expires| now < *expires);
        }
        if open.len() >= KEPT_MAX {
            return false;
        }
        open.insert(Digest::of(text.as_bytes()), now.plus(LIFE));
        true
    }

    /// Whether `text` is an open challenge. It is none any more.
    pub(super) fn take(&self, text: &str, now: Timestamp) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let expires = open.remove(&Digest::of(text.as_bytes()));
        expires.is_some_and(|expires| now < expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_once_and_for_two_minutes() {
        let challenges = Challenges::default();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        assert!(!challenges.take("a", now));
        assert!(challenges.remember("a", now) && challenges.remember("b", now));
        assert!(challenges.take("a", now));
        assert!(!challenges.take("a", now));
        assert!(!challenges.take("b", now.plus(LIFE)));
    }

    #[test]
    fn a_crowd_of_challenges_is_bounded_and_old_ones_make_room() {
        let challenges = Challenges::default();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let taken = (0..5000).filter(|n| challenges.remember(&n.to_string(), now));
        assert_eq!(taken.count(), KEPT_MAX);
        assert!(challenges.remember("later", now.plus(LIFE)));
    }
}
