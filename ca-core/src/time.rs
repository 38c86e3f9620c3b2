//! Moments and windows. Reads no clock: every question is asked about a given time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The half-open window `valid_after <= now < valid_before` in whole seconds, as in
/// draft-miller-ssh-cert. Never empty, never open-ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawValidity")]
pub struct Validity {
    valid_after: u64,
    valid_before: u64,
}

/// Why a window is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// The window contains no second.
    #[error("the validity window is empty")]
    Empty,
    /// The end lies beyond what every implementation can represent (2^53 seconds).
    #[error("the validity window is open-ended")]
    OpenEnded,
}

/// Largest second accepted in a certificate. OpenSSH reads up to 2^64-1, Go and RustCrypto do not;
/// below 2^53 nobody disagrees.
/// Last moment that RFC 3339 and our calendar can write, in milliseconds.
const TEXT_MAX: u64 = 253_402_207_200_000;
const SECOND_MAX: u64 = 1 << 53;

impl Timestamp {
    /// The moment `milliseconds` after the epoch.
    #[must_use]
    pub const fn from_unix_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The moment `seconds` after the epoch, at most the largest representable one.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn unix_milliseconds(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment plus `duration`, but never past the last one that has a text: what is written
    /// into a record must be read again.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let later = self.0.saturating_add(milliseconds(duration));
        Self(later.min(TEXT_MAX.max(self.0)))
    }

    /// This moment minus `duration`, at least the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds only where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match time {
            Some(time) => write!(f, "{time}"),
            None => write!(f, "{} ms after 1970", self.0),
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        u64::try_from(time.as_millisecond())
            .map(Self)
            .map_err(|_| TimestampError)
    }
}

/// The text is not an RFC 3339 moment since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339 such as 2026-11-22T09:30:00Z")]
pub struct TimestampError;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
struct RawValidity {
    valid_after: u64,
    valid_before: u64,
}

impl TryFrom<RawValidity> for Validity {
    type Error = ValidityError;
    fn try_from(raw: RawValidity) -> Result<Self, ValidityError> {
        Self::new(raw.valid_after, raw.valid_before)
    }
}

impl Validity {
    /// The window from `valid_after` until just before `valid_before`, Unix seconds.
    ///
    /// # Errors
    ///
    /// [`ValidityError::Empty`] if no second lies inside, [`ValidityError::OpenEnded`] if the end
    /// is beyond 2^53.
    pub const fn new(valid_after: u64, valid_before: u64) -> Result<Self, ValidityError> {
        if valid_before <= valid_after {
            return Err(ValidityError::Empty);
        }
        if valid_before > SECOND_MAX {
            return Err(ValidityError::OpenEnded);
        }
        Ok(Self {
            valid_after,
            valid_before,
        })
    }

    /// First second inside, Unix time.
    #[must_use]
    pub const fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// First second outside again, Unix time.
    #[must_use]
    pub const fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// Whether `now` is inside.
    #[must_use]
    pub const fn contains(&self, now: Timestamp) -> bool {
        let second = now.unix_seconds();
        self.valid_after <= second && second < self.valid_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_holds_its_first_second_and_ends_just_before_its_last() {
        let window = Validity::new(100, 200).unwrap();
        assert!(!window.contains(Timestamp::from_unix_milliseconds(99_999)));
        assert!(window.contains(Timestamp::from_unix_milliseconds(100_000)));
        assert!(window.contains(Timestamp::from_unix_milliseconds(199_999)));
        assert!(!window.contains(Timestamp::from_unix_milliseconds(200_000)));
    }

    #[test]
    fn empty_and_open_ended_windows_are_refused() {
        assert_eq!(Validity::new(5, 5), Err(ValidityError::Empty));
        assert_eq!(Validity::new(6, 5), Err(ValidityError::Empty));
        assert_eq!(Validity::new(0, u64::MAX), Err(ValidityError::OpenEnded));
        assert!(serde_json::from_str::<Validity>(r#"{"valid_after":2,"valid_before":1}"#).is_err());
    }

    #[test]
    fn timestamp_travels_as_rfc_3339_and_keeps_its_milliseconds() {
        let time = Timestamp::from_unix_milliseconds(1_700_000_000_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2023-11-14T22:13:20.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
    }

    #[test]
    fn a_time_far_ahead_is_still_one_that_is_read_again() {
        let last: Timestamp = serde_json::from_str("\"9999-12-30T21:59:59Z\"").unwrap();
        for ahead in [
            Duration::from_secs(3600),
            Duration::from_secs(1 << 40),
            Duration::MAX,
        ] {
            let later = last.plus(ahead);
            let text = serde_json::to_string(&later).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), later);
        }
    }

    #[test]
    fn arithmetic_at_the_bounds_saturates() {
        let end = Timestamp::from_unix_milliseconds(u64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(
            Timestamp::default().minus(Duration::from_secs(1)),
            Timestamp::default()
        );
    }
}
