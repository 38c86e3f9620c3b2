//! The log's entries: 82 bytes that commit to an event without telling it.
//!
//! The opening (event, salt, pre-certificate) is kept elsewhere and can be erased without touching
//! the tree. What an event contains and how it is spelled is decided in [`crate::event`].

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::time::Timestamp;

/// Format and version; separates this log's entries from those of any other.
const MAGIC: [u8; 8] = *b"jitsshT1";

/// Stands for the subject of an entry that is about no certificate.
pub const NO_SUBJECT: [u8; 32] = [0; 32];

/// One entry of the log.
///
/// | Offset | Bytes | Field |
/// |---|---|---|
/// | 0 | 8 | `jitsshT1` |
/// | 8 | 1 | kind |
/// | 9 | 1 | flags, zero |
/// | 10 | 8 | time, Unix milliseconds, big-endian |
/// | 18 | 32 | subject digest |
/// | 50 | 32 | context digest |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// What happened.
    pub kind: Kind,
    /// When it was decided; never decreases along a log.
    pub time: Timestamp,
    /// [`subject_digest`] of the certificate, [`NO_SUBJECT`] if there is none.
    pub subject_digest: [u8; 32],
    /// [`context_digest`] of the event.
    pub context_digest: [u8; 32],
}

/// Why 82 bytes are not an entry of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A flag this version does not know; ignoring it could mean ignoring what it changes.
    #[error("unknown flags {found:#04x}")]
    Flags {
        /// The byte found.
        found: u8,
    },
    /// A kind this version does not know.
    #[error("unknown kind of entry {found:#04x}")]
    Kind {
        /// The byte found.
        found: u8,
    },
    /// Not 82 bytes.
    #[error("an entry has {} bytes, found {found}", Leaf::LENGTH)]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// An entry of another log or of another version of this one.
    #[error("not an entry of this log")]
    Magic,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What an entry is about. In JSON in snake case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The byte in the entry.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The kind with this byte, if there is one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// A certificate for a person.
    UserCertificate = 0x01,
    /// A certificate for a host.
    HostCertificate = 0x02,
    /// A request refused, or a summary of several.
    Refusal = 0x10,
    /// A session began.
    SessionOpened = 0x11,
    /// A session ended.
    SessionClosed = 0x12,
    /// A second factor was enrolled, replaced or removed.
    SecondFactorChange = 0x13,
    /// A certificate was revoked.
    Revocation = 0x20,
    /// A person gave a grant back before its end.
    GrantGivenBack = 0x21,
    /// Nothing new is issued to somebody or somewhere, or again.
    Freeze = 0x22,
    /// The policy changed.
    PolicyChange = 0x30,
    /// A CA key was made, taken into use or retired.
    CaKeyEvent = 0x31,
    /// A log key or a witness changed.
    LogOrWitnessChange = 0x32,
    /// The opening of another entry was erased.
    Erasure = 0x40,
    /// Something else an administrator did.
    AdminAction = 0x41,
    /// Access outside the ordinary rules.
    BreakGlass = 0x50,
    /// Somebody asked for access that needs others or has to wait, or that ended.
    AccessRequest = 0x51,
    /// Somebody decided such a request.
    Approval = 0x52,
    /// An emergency access was judged.
    Review = 0x53,
    /// A host joined, left, or was allowed to join.
    HostChange = 0x60,
    /// A host acknowledged a revocation list or told of an ssh session.
    HostReport = 0x61,
    /// Nothing happened; hides how much does.
    Padding = 0xF0,
    /// The first entry of every log.
    LogCreation = 0xFF,
}

impl Leaf {
    /// Bytes in an entry.
    pub const LENGTH: usize = 82;

    /// The 82 bytes that are hashed into the tree.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let fields: [&[u8]; 5] = [
            &MAGIC,
            &[self.kind.code(), 0],
            &self.time.unix_milliseconds().to_be_bytes(),
            &self.subject_digest,
            &self.context_digest,
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// [`LeafError`]; see its variants.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        let found = bytes.len();
        let fields = || {
            let (magic, rest) = bytes.split_first_chunk::<8>()?;
            let ([kind, flags], rest) = rest.split_first_chunk::<2>()?;
            let (time, rest) = rest.split_first_chunk::<8>()?;
            let (subject, rest) = rest.split_first_chunk::<32>()?;
            let context = <&[u8; 32]>::try_from(rest).ok()?;
            Some((magic, *kind, *flags, time, subject, context))
        };
        let (magic, kind, flags, time, subject, context) =
            fields().ok_or(LeafError::Length { found })?;
        if *magic != MAGIC {
            return Err(LeafError::Magic);
        }
        if flags != 0 {
            return Err(LeafError::Flags { found: flags });
        }
        Ok(Self {
            kind: Kind::from_code(kind).ok_or(LeafError::Kind { found: kind })?,
            time: Timestamp::from_unix_milliseconds(u64::from_be_bytes(*time)),
            subject_digest: *subject,
            context_digest: *context,
        })
    }
}

/// Digest of a to-be-signed certificate without its proof extension:
/// SHA-256(`jit-ssh/precert/v1`, 0x00, bytes). The nonce inside hides it.
#[must_use]
pub fn subject_digest(precert: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"jit-ssh/precert/v1\0")
        .chain_update(precert)
        .finalize()
        .into()
}

/// Digest of an event: SHA-256(`jit-ssh/context/v1`, 0x00, salt, event bytes). The salt, random and
/// used once, hides it even where the event can be guessed.
#[must_use]
pub fn context_digest(salt: &[u8; 32], event: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"jit-ssh/context/v1\0")
        .chain_update(salt)
        .chain_update(event)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Leaf {
        Leaf {
            kind: Kind::UserCertificate,
            time: Timestamp::from_unix_milliseconds(0x0102_0304_0506_0708),
            subject_digest: [0xaa; 32],
            context_digest: [0xbb; 32],
        }
    }

    #[test]
    fn an_entry_has_exactly_the_documented_bytes() {
        let mut expected = b"jitsshT1\x01\x00\x01\x02\x03\x04\x05\x06\x07\x08".to_vec();
        expected.extend([0xaa; 32]);
        expected.extend([0xbb; 32]);
        assert_eq!(leaf().encode().as_slice(), expected);
        assert_eq!(Leaf::decode(&expected), Ok(leaf()));
    }

    #[test]
    fn every_kind_survives_and_every_other_byte_is_refused() {
        for code in 0..=u8::MAX {
            let mut bytes = leaf().encode();
            bytes[8] = code;
            match Leaf::decode(&bytes) {
                Ok(leaf) => {
                    assert_eq!(leaf.encode(), bytes);
                    assert!(Kind::ALL.contains(&leaf.kind));
                }
                Err(error) => {
                    assert_eq!(error, LeafError::Kind { found: code });
                    assert!(Kind::ALL.iter().all(|kind| kind.code() != code));
                }
            }
        }
        assert_eq!(Kind::ALL.len(), 22);
    }

    #[test]
    fn other_magic_flags_and_lengths_are_refused() {
        let good = leaf().encode();
        let mut magic = good;
        magic[7] = b'2';
        assert_eq!(Leaf::decode(&magic), Err(LeafError::Magic));
        let mut flags = good;
        flags[9] = 1;
        assert_eq!(Leaf::decode(&flags), Err(LeafError::Flags { found: 1 }));
        assert_eq!(
            Leaf::decode(&good[..81]),
            Err(LeafError::Length { found: 81 })
        );
        let long = [good.as_slice(), &[0]].concat();
        assert_eq!(Leaf::decode(&long), Err(LeafError::Length { found: 83 }));
        assert_eq!(Leaf::decode(&[]), Err(LeafError::Length { found: 0 }));
    }

    #[test]
    fn digests_are_separated_by_purpose_and_by_salt() {
        let plain = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
        assert_eq!(subject_digest(b"P"), plain(b"jit-ssh/precert/v1\0P"));
        let salted = [b"jit-ssh/context/v1\0".as_slice(), &[7; 32], b"event"].concat();
        assert_eq!(context_digest(&[7; 32], b"event"), plain(&salted));
        assert_ne!(
            context_digest(&[7; 32], b"event"),
            context_digest(&[8; 32], b"event")
        );
    }
}
