//! Why bytes are not a revocation list.

use super::read::{ENTRIES_MAX, KRL_SIZE_MAX};
use super::section::AUTHORITIES_MAX;
use super::serials::SerialRangeError;
use crate::wire::WireError;

/// Why bytes are not a list that sshd of OpenSSH 9.2 reads. With such a list in place sshd refuses
/// every public key, so it must never be put there. Exceptions: [`KrlError::Empty`], the bounds, and
/// [`KrlError::Signature`] if it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KrlError {
    /// No byte at all. sshd takes this for a text without keys and revokes *nothing*.
    #[error("the revocation list is empty: sshd would revoke nothing")]
    Empty,
    /// More than [`KRL_SIZE_MAX`] bytes. sshd reads on, for seconds at every login.
    #[error("the revocation list is {0} bytes long, at most {KRL_SIZE_MAX} are read")]
    TooLong(usize),
    /// More than [`ENTRIES_MAX`] ranges of serials, key ids, keys and hashes.
    #[error("the revocation list has more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// More certificates sections than there are authorities anywhere.
    #[error("the revocation list has more than {AUTHORITIES_MAX} certificates sections")]
    TooManyAuthorities,
    /// Does not begin as one.
    #[error("not an OpenSSH key revocation list")]
    Magic,
    /// A format that nobody has defined yet.
    #[error("revocation list format {0} (known: 1)")]
    Format(u32),
    /// A field reaches past the end of the file or of its section.
    #[error("the revocation list ends inside a field")]
    Truncated,
    /// Bytes follow the last field of a section.
    #[error("{0} bytes follow the last field of a section of the revocation list")]
    Trailing(usize),
    /// A text with a NUL inside.
    #[error("a text in the revocation list contains NUL")]
    Nul,
    /// A section of the file that 9.2 does not know: extensions among others.
    #[error("unknown section {0} in the revocation list")]
    Section(u8),
    /// A section of certificates that 9.2 does not know.
    #[error("unknown certificates section {0:#04x} in the revocation list")]
    CertificatesSection(u8),
    /// A list with a signature inside. 9.2 takes it if anybody's key made it rightly and refuses it
    /// otherwise, later versions ignore it: it says nothing, and no list of ours has one.
    #[error("the revocation list has a signature inside, which no list should have")]
    Signature,
    /// A section is about certificates of something that is not a key.
    #[error("the authority of a certificates section is not a public key that OpenSSH reads")]
    Authority,
    /// The hash of a key has another length than its algorithm's.
    #[error("a key's hash in the revocation list has {0} bytes")]
    HashLength(usize),
    /// Serial 0, or a range that ends before it begins.
    #[error(transparent)]
    Serials(#[from] SerialRangeError),
    /// A bitmap with its sign bit set.
    #[error("a bitmap in the revocation list is a negative number")]
    BitmapNegative,
    /// A bitmap of more than 16,384 bits.
    #[error("a bitmap in the revocation list has more than 16384 bits")]
    BitmapTooLarge,
    /// A bitmap that goes on after serial 2^64-1.
    #[error("a bitmap in the revocation list goes beyond the largest serial")]
    BitmapWraps,
}

impl From<WireError> for KrlError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated => Self::Truncated,
            WireError::Trailing(bytes) => Self::Trailing(bytes),
        }
    }
}
