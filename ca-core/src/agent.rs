//! Messages to ssh-agent (RFC 9987): the few that jit-ssh sends, and their answers.
//!
//! Bytes only; the socket is elsewhere. Never sends a plain key, a lifetime of 0 (the agent would
//! drop the key at once), or an empty destination constraint (it would restrict nothing).

pub mod answer;
#[cfg(test)]
mod real_agent;

use std::fmt;
use std::num::NonZeroU32;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::certificate::subject_key::KeyKind;
use crate::certificate::tbs::split;
use crate::wire::put_string;

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const ADD_IDENTITY: u8 = 17;
const REMOVE_IDENTITY: u8 = 18;
const LOCK: u8 = 22;
const UNLOCK: u8 = 23;
const ADD_ID_CONSTRAINED: u8 = 25;
const CONSTRAIN_LIFETIME: u8 = 1;
const CONSTRAIN_CONFIRM: u8 = 2;

/// One framed message: `uint32` length, message number, fields. Wiped when dropped, as it may hold
/// a private key.
#[derive(Clone)]
pub struct Request(Zeroizing<Vec<u8>>);

/// An Ed25519 key with its certificate, for the agent to keep as one entry.
#[derive(Clone, Copy)]
pub struct CertificateEntry<'a> {
    /// The whole certificate.
    pub certificate: &'a [u8],
    /// The private key that it certifies.
    pub key: &'a SigningKey,
    /// Shown by `ssh-add -l` and in the confirmation dialog.
    pub comment: &'a str,
    /// After how many seconds the agent forgets the entry; `None` for never.
    pub lifetime_seconds: Option<NonZeroU32>,
    /// Whether the agent asks before each use. Needs `SSH_ASKPASS` in the agent's environment.
    pub confirm: bool,
}

/// Why an entry cannot be given to an agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not a certificate, or not one of an Ed25519 key.
    #[error("not a certificate of an ssh-ed25519 key")]
    NotEd25519Certificate,
    /// The agent would answer a bare failure.
    #[error("the certificate is of another key")]
    OtherKey,
    /// The comment is shown in a dialog that asks for consent.
    #[error("the comment holds a control character or is longer than 256 bytes")]
    Comment,
}

/// How an RSA key in the agent signs; other keys take [`SignFlags::Default`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignFlags {
    /// The key's own algorithm.
    #[default]
    Default,
    /// `rsa-sha2-256`.
    RsaSha256,
    /// `rsa-sha2-512`.
    RsaSha512,
}

impl SignFlags {
    const fn bits(self) -> u32 {
        match self {
            Self::Default => 0,
            Self::RsaSha256 => 2,
            Self::RsaSha512 => 4,
        }
    }
}

impl Request {
    /// Adds a certificate entry with its constraints (message 17, or 25 with any constraint).
    ///
    /// # Errors
    ///
    /// [`EntryError`] when certificate and key do not belong together or the comment is unfit.
    pub fn add(entry: &CertificateEntry<'_>) -> Result<Self, EntryError> {
        let printable = !entry.comment.chars().any(char::is_control);
        if !printable || entry.comment.len() > 256 {
            return Err(EntryError::Comment);
        }
        let found = split(entry.certificate).map_err(|_| EntryError::NotEd25519Certificate)?;
        if found.fields.kind != KeyKind::Ed25519 {
            return Err(EntryError::NotEd25519Certificate);
        }
        let public = entry.key.verifying_key();
        if !found.fields.subject_blob.ends_with(public.as_bytes()) {
            return Err(EntryError::OtherKey);
        }
        let constrained = entry.confirm || entry.lifetime_seconds.is_some();
        let number = if constrained {
            ADD_ID_CONSTRAINED
        } else {
            ADD_IDENTITY
        };
        let name = KeyKind::Ed25519.certificate_name();
        let pair = Zeroizing::new(entry.key.to_keypair_bytes());
        let comment = entry.comment.as_bytes();
        Ok(Self::build(
            number,
            |out| {
                put_string(out, name.as_bytes());
                put_string(out, entry.certificate);
                put_string(out, public.as_bytes());
                put_string(out, pair.as_slice());
                put_string(out, comment);
                if let Some(seconds) = entry.lifetime_seconds {
                    out.push(CONSTRAIN_LIFETIME);
                    out.extend_from_slice(&seconds.get().to_be_bytes());
                }
                if entry.confirm {
                    out.push(CONSTRAIN_CONFIRM);
                }
            },
            entry.certificate.len(),
        ))
    }

    /// Removes the entry whose blob is exactly `blob`; for a certificate entry the certificate.
    #[must_use]
    pub fn remove(blob: &[u8]) -> Self {
        Self::build(REMOVE_IDENTITY, |out| put_string(out, blob), blob.len())
    }

    /// Lists the entries.
    #[must_use]
    pub fn list() -> Self {
        Self::build(REQUEST_IDENTITIES, |_| (), 0)
    }

    /// Has the entry `blob` sign `data`.
    #[must_use]
    pub fn sign(blob: &[u8], data: &[u8], flags: SignFlags) -> Self {
        let fields = |out: &mut Vec<u8>| {
            put_string(out, blob);
            put_string(out, data);
            out.extend_from_slice(&flags.bits().to_be_bytes());
        };
        Self::build(SIGN_REQUEST, fields, blob.len().saturating_add(data.len()))
    }

    /// Locks the agent: it lists and signs nothing until unlocked.
    #[must_use]
    pub fn lock(passphrase: &[u8]) -> Self {
        Self::build(LOCK, |out| put_string(out, passphrase), passphrase.len())
    }

    /// Unlocks the agent.
    #[must_use]
    pub fn unlock(passphrase: &[u8]) -> Self {
        Self::build(UNLOCK, |out| put_string(out, passphrase), passphrase.len())
    }

    /// The bytes for the socket.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `variable` is the length of the fields without a bound of their own. With it the buffer
    /// never grows, which would leave a copy of the key behind, unwiped.
    fn build(number: u8, fields: impl FnOnce(&mut Vec<u8>), variable: usize) -> Self {
        let mut message = Zeroizing::new(Vec::with_capacity(variable.saturating_add(1024)));
        message.extend_from_slice(&[0; 4]);
        message.push(number);
        fields(&mut message);
        let length = u32::try_from(message.len().saturating_sub(4)).unwrap_or(u32::MAX);
        for (place, byte) in message.iter_mut().zip(length.to_be_bytes()) {
            *place = byte;
        }
        Self(message)
    }
}

impl fmt::Debug for Request {
    /// The length only: the content may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} bytes)", self.0.len())
    }
}

impl fmt::Debug for CertificateEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateEntry")
            .field("comment", &self.comment)
            .field("lifetime_seconds", &self.lifetime_seconds)
            .field("confirm", &self.confirm)
            .finish_non_exhaustive()
    }
}
