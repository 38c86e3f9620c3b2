//! The public key of an environment's authority, and whether a signature is its.
//!
//! Fewer kinds than may be certified: Ed25519, and ECDSA on P-256 and P-384, for keys in hardware.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssh_key::public::KeyData;
use ssh_key::{PublicKey, Signature};

use super::subject_key::{KeyKind, SubjectKey, SubjectKeyError};
use crate::wire::{Fields, put_string};

/// The public key that signs an environment's certificates.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SubjectKey", into = "SubjectKey")]
pub struct AuthorityKey(SubjectKey);

/// Why a key cannot be an authority's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityKeyError {
    /// Not a sound key at all; a certificate among others, as there are no chains.
    #[error("the authority's key: {0}")]
    Key(#[from] SubjectKeyError),
    /// A sound key of a kind that does not sign certificates here.
    #[error(
        "an authority's key cannot be {0} (allowed: ssh-ed25519, ecdsa-sha2-nistp256, \
         ecdsa-sha2-nistp384)"
    )]
    Kind(&'static str),
}

/// The signature is not this authority's over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by the authority's key")]
pub struct WrongSignature;

impl AuthorityKey {
    /// The key in the binary form of RFC 4253 §6.6.
    ///
    /// # Errors
    ///
    /// [`AuthorityKeyError`] when it is no sound key or not of a kind that signs here.
    pub fn from_blob(blob: &[u8]) -> Result<Self, AuthorityKeyError> {
        SubjectKey::from_blob(blob)?.try_into()
    }

    /// The key in the binary form of RFC 4253 §6.6.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        self.0.blob()
    }

    /// Which kind of key it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.0.kind()
    }

    /// `SHA256:` and the unpadded base64 of the blob's SHA-256, as OpenSSH shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    /// Checks `signature_blob` (RFC 4253 §6.6: algorithm, signature) over `message`.
    ///
    /// # Errors
    ///
    /// [`WrongSignature`] whatever the reason: another key, other bytes, another algorithm, or
    /// bytes after the signature.
    pub fn verify(&self, message: &[u8], signature_blob: &[u8]) -> Result<(), WrongSignature> {
        let mut fields = Fields::new(signature_blob);
        let algorithm = fields.string().map_err(|_| WrongSignature)?;
        let signature = fields.string().map_err(|_| WrongSignature)?;
        fields.end().map_err(|_| WrongSignature)?;
        if algorithm != self.kind().name().as_bytes() {
            return Err(WrongSignature);
        }
        if self.kind() == KeyKind::Ed25519 {
            return self.verify_ed25519(message, signature);
        }
        let signature = Signature::try_from(signature_blob).map_err(|_| WrongSignature)?;
        let key = PublicKey::from_bytes(self.blob()).map_err(|_| WrongSignature)?;
        verify_ecdsa(key.key_data(), message, &signature)
    }

    fn verify_ed25519(&self, message: &[u8], signature: &[u8]) -> Result<(), WrongSignature> {
        let mut fields = Fields::new(self.0.fields());
        let point = fields.string().map_err(|_| WrongSignature)?;
        let point = point.try_into().map_err(|_| WrongSignature)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| WrongSignature)?;
        let signature = signature.try_into().map_err(|_| WrongSignature)?;
        key.verify_strict(message, &signature)
            .map_err(|_| WrongSignature)
    }
}

fn verify_ecdsa(key: &KeyData, message: &[u8], found: &Signature) -> Result<(), WrongSignature> {
    use ed25519_dalek::Verifier;
    Verifier::verify(key, message, found).map_err(|_| WrongSignature)
}

/// A raw Ed25519 signature as the blob that [`AuthorityKey::verify`] and certificates take.
#[must_use]
pub fn ed25519_signature_blob(signature: &[u8; 64]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(83);
    put_string(&mut blob, KeyKind::Ed25519.name().as_bytes());
    put_string(&mut blob, signature);
    blob
}

impl TryFrom<SubjectKey> for AuthorityKey {
    type Error = AuthorityKeyError;
    fn try_from(key: SubjectKey) -> Result<Self, AuthorityKeyError> {
        match key.kind() {
            KeyKind::Ed25519 | KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => Ok(Self(key)),
            other => Err(AuthorityKeyError::Kind(other.name())),
        }
    }
}

impl From<AuthorityKey> for SubjectKey {
    fn from(key: AuthorityKey) -> Self {
        key.0
    }
}

impl FromStr for AuthorityKey {
    type Err = AuthorityKeyError;
    fn from_str(text: &str) -> Result<Self, AuthorityKeyError> {
        text.parse::<SubjectKey>()?.try_into()
    }
}

impl fmt::Display for AuthorityKey {
    /// The OpenSSH line without a comment, as `TrustedUserCAKeys` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
