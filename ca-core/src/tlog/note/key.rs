//! Names, ids and texts of note keys (C2SP signed-note, "Signatures"): `name+id+base64`.
//!
//! Only Ed25519 note keys (type 0x01). A cosigner's key (0x04) signs another message and is not
//! accepted in the place of one.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Signature type byte of Ed25519 over the note text.
const TYPE_ED25519: u8 = 0x01;

/// Name of a note key; for a log's key also the log's origin. A URL without scheme such as
/// `log.example/2026a`: 1 to 255 bytes, no Unicode space, no `+`, no control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// The text is not a key name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key name: expected 1 to 255 bytes without spaces, plus and control characters")]
pub struct KeyNameError;

impl KeyName {
    /// Longest name, bytes.
    pub const LENGTH_MAX: usize = 255;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a verifier accepts `text` as the name in a signature line.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !text.is_empty() && text.chars().all(allowed)
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        if text.len() > Self::LENGTH_MAX || !is_name(text) {
            return Err(KeyNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for KeyName {
    type Error = KeyNameError;

    fn try_from(text: String) -> Result<Self, KeyNameError> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The public half of a note key with its name: what hosts and auditors are given, as text
/// `name+hex(id)+base64(type, key)` ("vkey").
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    name: KeyName,
    id: [u8; 4],
    public: VerifyingKey,
}

/// Why a text is not a [`VerifierKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// A key of another signature type than Ed25519 note signatures.
    #[error("signature type {found:#04x} is not supported, expected 0x01 (Ed25519)")]
    Algorithm {
        /// The type byte found.
        found: u8,
    },
    /// The id does not belong to this name and key: one of them was changed or mistyped.
    #[error("the key id does not belong to this name and key")]
    Id,
    /// Not `name+id+base64` with eight lower-case hex digits and 33 bytes.
    #[error("not a verifier key: expected name+id+base64")]
    Malformed,
    /// The name is none.
    #[error(transparent)]
    Name(#[from] KeyNameError),
    /// Not a point of the curve, or one of the few that verify anything.
    #[error("not a usable Ed25519 public key")]
    Point,
}

impl VerifierKey {
    /// The key `public` under `name`; the id follows from both.
    #[must_use]
    pub fn new(name: KeyName, public: VerifyingKey) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', TYPE_ED25519])
            .chain_update(public.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        Self {
            name,
            id: [a, b, c, d],
            public,
        }
    }

    /// Name of the key.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// First four bytes of SHA-256(name, 0x0A, 0x01, public key).
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.public.verify_strict(message, signature).is_ok()
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        // The base64 part may itself contain a plus.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::Malformed);
        };
        let name: KeyName = name.parse()?;
        // Longer keys of other types are named as such; anything beyond is not decoded.
        if key.len() > 4096 {
            return Err(VerifierKeyError::Malformed);
        }
        let key = STANDARD
            .decode(key)
            .map_err(|_| VerifierKeyError::Malformed)?;
        let (found, key) = key.split_first().ok_or(VerifierKeyError::Malformed)?;
        if *found != TYPE_ED25519 {
            return Err(VerifierKeyError::Algorithm { found: *found });
        }
        let key = <[u8; 32]>::try_from(key).map_err(|_| VerifierKeyError::Malformed)?;
        let public = VerifyingKey::from_bytes(&key).map_err(|_| VerifierKeyError::Point)?;
        if public.is_weak() {
            return Err(VerifierKeyError::Point);
        }
        let verifier = Self::new(name, public);
        if hex(verifier.id) != id {
            return Err(VerifierKeyError::Id);
        }
        Ok(verifier)
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = VerifierKeyError;

    fn try_from(text: String) -> Result<Self, VerifierKeyError> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![TYPE_ED25519];
        key.extend_from_slice(self.public.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(self.id), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}
