//! OpenSSH key revocation lists, written and read (PROTOCOL.krl), and the log key's word on them.
//!
//! [`write()`] makes what sshd of OpenSSH 9.2 and later accepts; [`Krl`] reads what sshd of 9.2 reads
//! and gives the same verdicts. Neither asks whether a list is new enough or whose it is: the
//! [`Statement`] beside it says that.

pub use contents::{COMMENT_LENGTH_MAX, Comment, CommentError, Contents};
pub use error::KrlError;
pub use read::{Certified, ENTRIES_MAX, KRL_SIZE_MAX, Krl};
pub use serials::{SerialRange, SerialRangeError, Serials};
pub use statement::{Statement, StatementError};
pub use write::write;

mod contents;
mod error;
#[cfg(test)]
mod example;
mod foreign_key;
#[cfg(test)]
mod openssh_oracle;
mod packing;
#[cfg(test)]
mod properties;
mod read;
mod section;
mod serials;
mod statement;
mod write;

/// What every list begins with.
const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
/// The only format there is.
const FORMAT: u32 = 1;

/// Section: what is revoked of one authority's certificates.
const CERTIFICATES: u8 = 1;
/// Section: plain public keys.
const EXPLICIT_KEYS: u8 = 2;
/// Section: SHA-1 of plain public keys.
const SHA1_KEYS: u8 = 3;
/// Section: a signature. `ssh-keygen` never makes one; later versions do not look at it.
const SIGNATURE: u8 = 4;
/// Section: SHA-256 of plain public keys.
const SHA256_KEYS: u8 = 5;

/// In [`CERTIFICATES`]: serials one by one.
const SERIAL_LIST: u8 = 0x20;
/// In [`CERTIFICATES`]: exactly one range of serials.
const SERIAL_RANGE: u8 = 0x21;
/// In [`CERTIFICATES`]: an offset and a bit for each serial from there on.
const SERIAL_BITMAP: u8 = 0x22;
/// In [`CERTIFICATES`]: key ids.
const KEY_IDS: u8 = 0x23;

/// Most bits of a bitmap: the largest number that OpenSSH reads from an mpint.
const BITMAP_BITS_MAX: u64 = 16_384;
