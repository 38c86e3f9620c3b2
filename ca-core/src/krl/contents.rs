//! What a revocation list of ours says.

use std::fmt;
use std::str::FromStr;

use super::serials::Serials;
use crate::certificate::authority_key::AuthorityKey;
use crate::certificate::subject_key::SubjectKey;
use crate::time::Timestamp;

/// Longest comment of ours in bytes.
pub const COMMENT_LENGTH_MAX: usize = 128;

/// What a list says, before it is bytes.
///
/// Nothing that OpenSSH would refuse or silently not understand fits in here: no serial 0, no
/// certificate in place of a key, no authority that stands for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// OpenSSH's `krl_version`. sshd ignores it; our hosts never go back.
    pub version: u64,
    /// When the list was made; written in whole seconds, rounded down.
    pub generated: Timestamp,
    /// For people who look with `ssh-keygen -Q -l`.
    pub comment: Comment,
    /// The revoked serials of each authority. Without any: a list that revokes nothing, which is
    /// what a healthy environment has.
    pub certificates: Vec<(AuthorityKey, Serials)>,
    /// Keys revoked altogether: as a subject in every certificate and without one, and as an
    /// authority with everything it ever signed.
    pub keys: Vec<SubjectKey>,
}

/// A text of at most [`COMMENT_LENGTH_MAX`] bytes of printable ASCII; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment(String);

/// The text is too long or has other characters than printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a revocation list's comment is at most {COMMENT_LENGTH_MAX} characters of printable ASCII"
)]
pub struct CommentError;

impl Comment {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Comment {
    type Err = CommentError;

    fn from_str(text: &str) -> Result<Self, CommentError> {
        let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if text.len() <= COMMENT_LENGTH_MAX && text.bytes().all(printable) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CommentError)
        }
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_short_and_printable() {
        for good in ["", "jit-ssh prod", &"x".repeat(COMMENT_LENGTH_MAX)] {
            assert_eq!(good.parse::<Comment>().unwrap().as_str(), good);
        }
        for bad in ["a\nb", "a\0", "é", &"x".repeat(COMMENT_LENGTH_MAX + 1)] {
            assert_eq!(bad.parse::<Comment>(), Err(CommentError));
        }
    }
}
