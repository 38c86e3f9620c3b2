//! Certificate serials: where in the log the record of a certificate is.
//!
//! Does not hand them out; the ledger does, by deciding the log index.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const INDEX_BITS: u32 = 40;
/// Largest log index that fits a serial.
const INDEX_MAX: u64 = (1 << INDEX_BITS) - 1;
/// Largest epoch: 23 bits, so that a serial stays below 2^63 and out of every sign bit.
const EPOCH_MAX: u32 = (1 << 23) - 1;

/// A certificate's serial: log epoch (23 bits) `<< 40 |` log index (40 bits), index at least 1.
///
/// Never 0, which OpenSSH cannot revoke by serial, and below 2^63. In JSON a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Serial(NonZeroU64);

/// Why a number is not a serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// Entry 0 of a log is its creation and never a certificate.
    #[error("a serial's log index is at least 1")]
    IndexZero,
    /// More entries than 40 bits count.
    #[error("log index {0} does not fit a serial (at most 2^40-1)")]
    IndexTooLarge(u64),
    /// More epochs than 23 bits count; also any number from 2^63 on.
    #[error("epoch {0} does not fit a serial (at most 2^23-1)")]
    EpochTooLarge(u64),
    /// Not decimal digits in their shortest form.
    #[error("a serial is a decimal number without sign or leading zeros")]
    NotDecimal,
}

impl Serial {
    /// The epoch of serials that no log hands out: those signed with an offline break-glass key.
    pub const OFFLINE_EPOCH: u32 = EPOCH_MAX;

    /// Whether it was signed with an offline break-glass key.
    #[must_use]
    pub const fn is_offline(self) -> bool {
        self.0.get() >> INDEX_BITS == 0x7f_ffff
    }

    /// The serial of entry `index` in the log's `epoch`.
    ///
    /// # Errors
    ///
    /// [`SerialError`] when the index is 0 or either part does not fit its bits.
    pub fn new(epoch: u32, index: u64) -> Result<Self, SerialError> {
        if epoch > EPOCH_MAX {
            return Err(SerialError::EpochTooLarge(u64::from(epoch)));
        }
        if index > INDEX_MAX {
            return Err(SerialError::IndexTooLarge(index));
        }
        NonZeroU64::new(index)
            .map(|index| Self(index | (u64::from(epoch) << INDEX_BITS)))
            .ok_or(SerialError::IndexZero)
    }

    /// Which log, counted from 0.
    #[must_use]
    pub fn epoch(self) -> u32 {
        u32::try_from(self.0.get() >> INDEX_BITS).unwrap_or(EPOCH_MAX)
    }

    /// Which entry of that log, at least 1.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0.get() & INDEX_MAX
    }

    /// The number in the certificate.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl TryFrom<u64> for Serial {
    type Error = SerialError;
    fn try_from(number: u64) -> Result<Self, SerialError> {
        let epoch = number >> INDEX_BITS;
        let narrow = u32::try_from(epoch).map_err(|_| SerialError::EpochTooLarge(epoch))?;
        Self::new(narrow, number & INDEX_MAX)
    }
}

impl From<Serial> for u64 {
    fn from(serial: Serial) -> Self {
        serial.get()
    }
}

impl FromStr for Serial {
    type Err = SerialError;
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let number: u64 = text.parse().map_err(|_| SerialError::NotDecimal)?;
        if number.to_string() != text {
            return Err(SerialError::NotDecimal);
        }
        Self::try_from(number)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({} = {}:{})", self.0, self.epoch(), self.index())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_serial_is_never_zero_and_never_reaches_the_sign_bit() {
        assert_eq!(Serial::new(0, 0), Err(SerialError::IndexZero));
        assert_eq!(Serial::new(7, 0), Err(SerialError::IndexZero));
        assert_eq!(Serial::try_from(0), Err(SerialError::IndexZero));
        assert_eq!(Serial::try_from(1 << 40), Err(SerialError::IndexZero));
        let largest = Serial::new((1 << 23) - 1, (1 << 40) - 1).unwrap();
        assert_eq!(largest.get(), (1 << 63) - 1);
        assert!(Serial::try_from(1_u64 << 63 | 1).is_err());
        assert!(Serial::new(1 << 23, 1).is_err());
        assert!(Serial::new(0, 1 << 40).is_err());
    }

    #[test]
    fn the_first_epoch_reads_as_the_log_index() {
        assert_eq!(Serial::new(0, 42).unwrap().to_string(), "42");
        assert_eq!(Serial::new(1, 42).unwrap().get(), 1_099_511_627_818);
    }

    #[test]
    fn a_serial_has_one_spelling() {
        for text in ["", "0", "042", "+42", "-1", " 42", "42 ", "4e1", "0x2a"] {
            assert!(text.parse::<Serial>().is_err(), "{text:?} was accepted");
        }
        assert_eq!(
            serde_json::to_string(&"42".parse::<Serial>().unwrap()).unwrap(),
            "42"
        );
        assert!(serde_json::from_str::<Serial>("0").is_err());
        assert!(serde_json::from_str::<Serial>("\"42\"").is_err());
    }

    proptest! {
        #[test]
        fn epoch_and_index_come_back(epoch in 0_u32..1 << 23, index in 1_u64..1 << 40) {
            let serial = Serial::new(epoch, index).unwrap();
            prop_assert_eq!((serial.epoch(), serial.index()), (epoch, index));
            prop_assert_eq!(Serial::try_from(serial.get()), Ok(serial));
            prop_assert_eq!(serial.to_string().parse::<Serial>(), Ok(serial));
            let json = serde_json::to_string(&serial).unwrap();
            prop_assert_eq!(serde_json::from_str::<Serial>(&json).unwrap(), serial);
        }
    }
}
