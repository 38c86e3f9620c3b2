//! Whether to believe a revocation list, and the bytes that sshd is given. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::SignedKrl;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::krl::{Certified, Contents, Krl, KrlError, Statement, StatementError};
use ca_core::name::Environment;
use ca_core::time::Timestamp;
use ca_core::tlog::note::VerifierKey;
use serde::{Deserialize, Serialize};

use crate::registration::Registration;
use crate::staleness::Standing;

/// Section of plain public keys (PROTOCOL.krl), which may follow any other section.
const EXPLICIT_KEYS: u8 = 2;

/// Where in a list's header the time of making is, bytes.
const TIME_FROM: usize = 20;
/// See [`TIME_FROM`].
const TIME_TO: usize = 28;

/// How new a list is. Ordered: version first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Its version.
    pub(crate) version: u64,
    /// When it was made.
    pub(crate) generated: Timestamp,
}

/// A list that is to be believed. Only [`accept`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct List {
    position: Position,
    bytes: Vec<u8>,
    read: Krl,
}

/// Why a list is not believed. The one before stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    /// The statement on it is not to be believed.
    #[error("the statement on the revocation list: {0}")]
    Statement(#[from] StatementError),
    /// Not base64.
    #[error("the revocation list is not base64")]
    Base64,
    /// Other bytes than the statement is about.
    #[error("the revocation list is not the one that its statement is about")]
    Digest,
    /// Of another environment.
    #[error("the revocation list is of environment {0}")]
    Environment(Environment),
    /// Older than one seen before.
    #[error(
        "the revocation list is older than one that was here before (version {found}, seen {seen})"
    )]
    Older {
        /// Its version.
        found: u64,
        /// The newest version seen.
        seen: u64,
    },
    /// Not one that sshd reads. With it in place sshd would refuse everybody, or nobody.
    #[error(transparent)]
    Krl(#[from] KrlError),
}

/// Checks a list: signed by the log key, of this environment, these bytes, readable by sshd, and
/// not older than `newest`.
///
/// # Errors
///
/// [`ListError`]
pub(crate) fn accept(
    signed: &SignedKrl,
    key: &VerifierKey,
    environment: &Environment,
    newest: Option<Position>,
) -> Result<List, ListError> {
    let statement = Statement::open(&signed.statement, key)?;
    if statement.environment != *environment {
        return Err(ListError::Environment(statement.environment));
    }
    let position = Position {
        version: statement.version,
        generated: statement.generated,
    };
    if let Some(newest) = newest.filter(|newest| position < *newest) {
        return Err(ListError::Older {
            found: position.version,
            seen: newest.version,
        });
    }
    let bytes = STANDARD
        .decode(&signed.krl)
        .map_err(|_| ListError::Base64)?;
    if Digest::of(&bytes) != statement.krl {
        return Err(ListError::Digest);
    }
    let read = Krl::read(&bytes)?;
    Ok(List {
        position,
        bytes,
        read,
    })
}

impl List {
    /// How new it is.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Whether the certificate that opened a session is revoked: sshd's verdict.
    pub(crate) fn revokes(&self, session: &Registration) -> bool {
        self.read.revokes(&Certified {
            authority: &session.authority,
            serial: session.serial,
            key_id: &session.key_id,
            subject_key: session.subject_key.blob(),
        })
    }

    /// What sshd is to read.
    pub(crate) fn file(&self, standing: Standing, authority: &AuthorityKey) -> Vec<u8> {
        match standing {
            Standing::AsSigned => self.bytes.clone(),
            Standing::WithoutAuthority => without_authority(&self.bytes, authority),
        }
    }
}

/// What sshd is to read before the first list came: nobody of the environment gets in.
pub(crate) fn before_the_first(authority: &AuthorityKey, now: Timestamp) -> Vec<u8> {
    let empty = Contents {
        version: 0,
        generated: now,
        comment: ca_core::krl::Comment::default(),
        certificates: Vec::new(),
        keys: vec![SubjectKey::from(authority.clone())],
    };
    ca_core::krl::write(&empty)
}

/// `list` with one more section, which revokes the authority's key and so all that it signed.
fn without_authority(list: &[u8], authority: &AuthorityKey) -> Vec<u8> {
    let key = string(authority.blob());
    let mut bytes = list.to_vec();
    bytes.push(EXPLICIT_KEYS);
    bytes.extend(string(&key));
    bytes
}

fn string(bytes: &[u8]) -> Vec<u8> {
    // A key has some hundred bytes, never 2^32.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// Whether two lists say the same, whenever they were made.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let before = |list: &[u8]| list.get(..TIME_FROM).map(<[u8]>::to_vec);
    let after = |list: &[u8]| list.get(TIME_TO..).map(<[u8]>::to_vec);
    before(one).is_some() && before(one) == before(other) && after(one) == after(other)
}

#[cfg(test)]
mod tests;
