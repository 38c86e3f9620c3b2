//! Texts to be signed by break-glass keys: good once, for two minutes.
//!
//! Asking for one costs no memory, so nobody can use them up: a text carries its end and a MAC of
//! this process, and only those that an enrolled key signed are remembered as spent. After a restart
//! one asks for another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::digest::Digest;
use ca_core::time::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long a challenge is good.
pub(super) const LIFE: Duration = Duration::from_secs(120);

/// What every challenge begins with.
const LABEL: &str = "jit-ssh-break-glass";

/// Longest challenge that is looked at, bytes. Ours have 103.
const BYTES_MAX: usize = 160;

/// The key of this process, and what was spent.
#[derive(Debug)]
pub struct Challenges {
    key: Zeroizing<[u8; 32]>,
    spent: Mutex<HashMap<Digest, Timestamp>>,
}

impl Challenges {
    /// With a fresh random key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
            spent: Mutex::default(),
        }
    }

    fn mac(&self, text: &str) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).ok();
        mac.map(|mac| mac.chain_update(text.as_bytes()))
    }

    /// A text that is good until [`LIFE`] from now. None only if no MAC can be made.
    pub(super) fn make(&self, nonce: [u8; 16], now: Timestamp) -> Option<String> {
        let end = now.plus(LIFE).unix_milliseconds();
        let text = format!("{LABEL}.{end}.{}", URL_SAFE_NO_PAD.encode(nonce));
        let mac = self.mac(&text)?.finalize().into_bytes();
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac)))
    }

    /// Whether this process made `challenge` and it is not over at `now`.
    pub(super) fn is_open(&self, challenge: &str, now: Timestamp) -> bool {
        if challenge.len() > BYTES_MAX {
            return false;
        }
        let Some((text, mac)) = challenge.rsplit_once('.') else {
            return false;
        };
        let genuine = URL_SAFE_NO_PAD.decode(mac).ok().is_some_and(|mac| {
            let expected = self.mac(text);
            expected.is_some_and(|expected| expected.verify_slice(&mac).is_ok())
        });
        let end = text.split('.').nth(1).and_then(|end| end.parse().ok());
        let end = end.map(Timestamp::from_unix_milliseconds);
        genuine && end.is_some_and(|end| now < end)
    }

    /// Marks an open challenge as used. False if it was already.
    pub(super) fn spend(&self, challenge: &str, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, forgotten| now < *forgotten);
        let digest = Digest::of(challenge.as_bytes());
        spent.insert(digest, now.plus(LIFE)).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000)
    }

    #[test]
    fn a_challenge_is_good_once_and_for_two_minutes() {
        let challenges = Challenges::new([1; 32]);
        let made = challenges.make([2; 16], now()).unwrap();
        assert!(challenges.is_open(&made, now()));
        assert!(challenges.spend(&made, now()) && !challenges.spend(&made, now()));
        assert!(!challenges.is_open(&made, now().plus(LIFE)));
    }

    #[test]
    fn what_this_process_did_not_make_is_no_challenge() {
        let challenges = Challenges::new([1; 32]);
        let made = challenges.make([2; 16], now()).unwrap();
        assert!(!Challenges::new([3; 32]).is_open(&made, now()));
        let later = made.replace(".18000", ".19000");
        for bad in [
            later.as_str(),
            "",
            "a.b.c.d",
            made.trim_start_matches(|c| made.starts_with(c)),
            &format!("{made}x"),
        ] {
            assert!(!challenges.is_open(bad, now()), "{bad}");
        }
    }

    #[test]
    fn asking_for_challenges_takes_no_memory() {
        let challenges = Challenges::new([1; 32]);
        for nonce in 0..5000_u128 {
            challenges.make(nonce.to_be_bytes(), now()).unwrap();
        }
        assert!(challenges.spent.lock().unwrap().is_empty());
    }
}
