//! What the log key says about a revocation list: whose it is, which version, when, which bytes.
//!
//! A signature inside a list proves nothing (OpenSSH asks no one whose key made it, and newer
//! versions skip it), so ours travels beside the list: a signed note whose text is this statement.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::SigningKey;

use crate::digest::Digest;
use crate::name::Environment;
use crate::time::Timestamp;
use crate::tlog::note::{self, KeyName, NoteError, VerifierKey};

/// Separates statements from checkpoints and other notes of the same key.
const FIRST_LINE: &str = "jit-ssh/krl/v1";

/// Six lines: `jit-ssh/krl/v1`, the log's origin, environment, version, time of making in
/// milliseconds, SHA-256 of the list in base64; each ends in a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Name of the log that the list is a fold over.
    pub origin: KeyName,
    /// Whose hosts it is for.
    pub environment: Environment,
    /// Serial number of the record that last changed it; before the first one, that of record 0 of
    /// the log: never decreases, not even when a log is started anew.
    pub version: u64,
    /// When this list was made. A list of the same version may hold less, never more, than one made
    /// earlier: certificates that are over are dropped.
    pub generated: Timestamp,
    /// SHA-256 of the list's bytes.
    pub krl: Digest,
}

/// Why a note is not a statement of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not exactly the six lines.
    #[error("not a statement on a revocation list")]
    Malformed,
    /// The note is not to be believed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The right key, but the log has another name.
    #[error("the statement is of another log than its key")]
    Origin,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        writeln!(f, "{}", self.origin.as_str())?;
        writeln!(f, "{}", self.environment)?;
        writeln!(f, "{}", self.version)?;
        writeln!(f, "{}", self.generated.unix_milliseconds())?;
        writeln!(f, "{}", self.krl)
    }
}

impl FromStr for Statement {
    type Err = StatementError;

    fn from_str(text: &str) -> Result<Self, StatementError> {
        let lines: Vec<&str> = text.split_terminator('\n').take(7).collect();
        let [FIRST_LINE, origin, environment, version, generated, krl] = lines.as_slice() else {
            return Err(StatementError::Malformed);
        };
        let malformed = || StatementError::Malformed;
        let milliseconds = generated.parse().map_err(|_| malformed())?;
        let statement = Self {
            origin: origin.parse().map_err(|_| malformed())?,
            environment: environment.parse().map_err(|_| malformed())?,
            version: version.parse().map_err(|_| malformed())?,
            generated: Timestamp::from_unix_milliseconds(milliseconds),
            krl: Digest::try_from((*krl).to_owned()).map_err(|_| malformed())?,
        };
        // One spelling only: what is signed is what is read.
        if statement.to_string() == text {
            Ok(statement)
        } else {
            Err(malformed())
        }
    }
}

impl Statement {
    /// The signed note.
    ///
    /// # Errors
    ///
    /// [`StatementError::Note`] never happens for statements; it is passed on, not hidden.
    pub fn sign(&self, key: &SigningKey) -> Result<String, StatementError> {
        Ok(note::sign(&self.to_string(), &self.origin, key)?)
    }

    /// The statement in a note signed by `key`.
    ///
    /// # Errors
    ///
    /// [`StatementError`]
    pub fn open(signed: &str, key: &VerifierKey) -> Result<Self, StatementError> {
        let statement: Self = note::open(signed, std::slice::from_ref(key))?.parse()?;
        if statement.origin == *key.name() {
            Ok(statement)
        } else {
            Err(StatementError::Origin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            origin: "ca.example.com/2026a".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            version: (1 << 40) | 17,
            generated: Timestamp::from_unix_milliseconds(1_795_000_000_123),
            krl: Digest::of(b"list"),
        }
    }

    #[test]
    fn a_signed_statement_opens_with_its_key_and_no_other() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::new(statement().origin, key.verifying_key());
        let signed = statement().sign(&key).unwrap();
        assert_eq!(Statement::open(&signed, &verifier), Ok(statement()));
        let other = SigningKey::from_bytes(&[8; 32]);
        let other = VerifierKey::new(statement().origin, other.verifying_key());
        assert!(matches!(
            Statement::open(&signed, &other),
            Err(StatementError::Note(_))
        ));
        let changed = signed.replace("\nprod\n", "\nstaging\n");
        assert!(Statement::open(&changed, &verifier).is_err());
    }

    #[test]
    fn a_statement_has_one_spelling() {
        let good = statement().to_string();
        assert_eq!(good.parse(), Ok(statement()));
        for bad in [
            good.replace("v1", "v2"),
            good.replace("\n1099511627793\n", "\n01099511627793\n"),
            format!("{good}more\n"),
            good.trim_end().to_owned(),
            good.replace('\n', "\r\n"),
            String::new(),
        ] {
            assert_eq!(bad.parse::<Statement>(), Err(StatementError::Malformed));
        }
    }
}
