//! Time-based codes (RFC 6238: SHA-1, six digits, 30 s, one step either side) and the lockout rule.
//!
//! Which step was accepted last and how many attempts failed is state and is passed in; where
//! seeds are kept is not decided here.

use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of one step, seconds (RFC 6238 §4.1).
pub const STEP_SECONDS: u64 = 30;

/// Random bytes in a seed: as long as the hash (RFC 4226 §4, R6).
pub const SEED_BYTES: usize = 20;

/// Wrong codes that cost nothing but the count.
pub const FREE_FAILURES: u32 = 5;

/// First wait after too many wrong codes.
const LOCK_FIRST: Duration = Duration::from_secs(30);

/// Longest wait.
const LOCK_MAX: Duration = Duration::from_secs(3600);

const DIGITS: usize = 6;

/// The shared secret of one person. Wiped when dropped; has no `Debug` on purpose.
#[expect(
    missing_debug_implementations,
    reason = "a secret must not be printable"
)]
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; SEED_BYTES]);

/// Exactly six ASCII digits. Wiped when dropped; has no `Debug` on purpose.
#[expect(
    missing_debug_implementations,
    reason = "a secret must not be printable"
)]
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Code([u8; DIGITS]);

/// Why a code is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// Not six ASCII digits.
    #[error("totp code is not six digits")]
    Malformed,
    /// A code of this or a later step was accepted before (RFC 6238 §5.2).
    #[error("totp code was used before")]
    Replayed,
    /// The issuer or account name cannot stand in an otpauth URI.
    #[error("issuer or account name does not fit into an otpauth uri")]
    Uri,
    /// Not the code of any accepted step.
    #[error("totp code does not match")]
    Wrong,
}

impl TotpError {
    /// Stable name for records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "totp-malformed",
            Self::Replayed => "totp-replayed",
            Self::Uri => "totp-uri",
            Self::Wrong => "totp-wrong",
        }
    }
}

impl Code {
    /// Exactly six ASCII digits: nothing is trimmed and no other script's digits count, so one
    /// code has one spelling.
    ///
    /// # Errors
    ///
    /// [`TotpError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TotpError> {
        let digits: [u8; DIGITS] = text
            .as_bytes()
            .try_into()
            .map_err(|_| TotpError::Malformed)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(TotpError::Malformed)
        }
    }
}

impl Seed {
    /// The seed made of these random bytes.
    #[must_use]
    pub const fn new(random: [u8; SEED_BYTES]) -> Self {
        Self(random)
    }

    /// The bytes, to be sealed and for nothing else.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    /// The `otpauth://totp/…` URI for an authenticator, with the seed in it: show it once, over
    /// TLS, to its owner only.
    ///
    /// # Errors
    ///
    /// [`TotpError::Uri`] when a name holds a colon or is empty.
    pub fn otpauth_uri(&self, issuer: &str, account: &str) -> Result<Zeroizing<String>, TotpError> {
        self.generator()
            .with_issuer(Some(issuer))
            .with_account_name(account)
            .build()
            .and_then(|totp| totp.to_url())
            .map(Zeroizing::new)
            .map_err(|_| TotpError::Uri)
    }

    fn generator(&self) -> totp_rs::Builder {
        totp_rs::Builder::new()
            .with_algorithm(totp_rs::Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(STEP_SECONDS)
            .with_secret(self.0.to_vec())
    }
}

/// The step in which `code` is right, of the current one and one either side; the latest if there
/// are several. All three are always computed and compared in constant time.
#[must_use]
pub fn matching_step(seed: &Seed, code: &Code, now: Timestamp) -> Option<u64> {
    let totp = seed.generator().build_noncompliant();
    let current = now.unix_seconds() / STEP_SECONDS;
    let mut matched = None;
    for step in current.saturating_sub(1)..=current.saturating_add(1) {
        let right = Zeroizing::new(totp.generate(step.saturating_mul(STEP_SECONDS)).to_string());
        if bool::from(right.as_bytes().ct_eq(&code.0)) {
            matched = Some(step);
        }
    }
    matched
}

/// The step to record, if `code` is right now and its step is later than `last_step`, the last one
/// accepted for this person.
///
/// # Errors
///
/// [`TotpError::Wrong`], or [`TotpError::Replayed`] when the step or a later one was used.
pub fn accept(
    seed: &Seed,
    code: &Code,
    last_step: Option<u64>,
    now: Timestamp,
) -> Result<u64, TotpError> {
    let step = matching_step(seed, code, now).ok_or(TotpError::Wrong)?;
    if last_step.is_some_and(|last| step <= last) {
        return Err(TotpError::Replayed);
    }
    Ok(step)
}

/// Consecutive wrong second factors of one identity. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockout {
    failures: u32,
    locked_until: Option<Timestamp>,
}

impl Lockout {
    /// The state after one more wrong code: five are free, then 30 s, doubling up to one hour.
    /// A success starts again from the default.
    #[must_use]
    pub fn after_failure(self, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let locked_until = failures.checked_sub(FREE_FAILURES + 1).map(|doublings| {
            // 2^7 half minutes already exceed the hour.
            now.plus((LOCK_FIRST * 2_u32.pow(doublings.min(7))).min(LOCK_MAX))
        });
        Self {
            failures,
            locked_until,
        }
    }

    /// Whether no code may be tried now, not even a right one.
    #[must_use]
    pub fn is_locked(self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// Wrong codes in a row.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failures
    }

    /// End of the wait, if one was ever imposed.
    #[must_use]
    pub const fn locked_until(self) -> Option<Timestamp> {
        self.locked_until
    }
}

#[cfg(test)]
mod tests;
