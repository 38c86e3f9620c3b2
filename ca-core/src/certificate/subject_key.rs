//! Public keys that may be certified, read strictly: one spelling of one key is accepted.
//!
//! Refuses certificates in place of keys, keys too weak to certify, and points that are on no
//! curve. Says nothing about whose key it is.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::CERTIFICATE_SUFFIX;
use crate::wire::{Fields, WireError, put_string};

/// Smallest RSA modulus, in bits.
pub const RSA_BITS_MIN: usize = 3072;
/// Largest RSA modulus, in bits: what OpenSSH reads.
const RSA_BITS_MAX: usize = 16_384;
/// Longest line of text read as a key; an RSA key of 16,384 bits needs 2,800.
const LINE_MAX: usize = 8 * 1024;

/// The kinds of key that are certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Ed25519 (RFC 8709).
    Ed25519,
    /// Ed25519 in a security key.
    SkEd25519,
    /// ECDSA on P-256 (RFC 5656).
    EcdsaP256,
    /// ECDSA on P-384 (RFC 5656).
    EcdsaP384,
    /// ECDSA on P-256 in a security key.
    SkEcdsaP256,
    /// RSA of at least [`RSA_BITS_MIN`] bits (RFC 4253).
    Rsa,
}

/// A public key that may be certified, as its canonical blob.
///
/// In JSON its OpenSSH line without a comment.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectKey {
    kind: KeyKind,
    blob: Vec<u8>,
}

/// Why bytes or a text are not a key that may be certified. Each says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectKeyError {
    /// Another number of lines than one, or a line without a type and base64 text.
    #[error("a public key is one line: its type, base64, and perhaps a comment")]
    NotOneLine,
    /// Longer than any key.
    #[error("the public key is {0} bytes long, at most {LINE_MAX} are allowed")]
    TooLong(usize),
    /// The second word is not padded standard base64.
    #[error("the public key's base64 is not valid")]
    Base64,
    /// The first word and the encoded key disagree.
    #[error("the line says {line:?}, the key inside says {inside:?}")]
    TypeMismatch {
        /// The type that the line begins with.
        line: String,
        /// The type in the encoded key.
        inside: String,
    },
    /// A certificate cannot be certified again.
    #[error("{0:?} is a certificate; give the plain public key")]
    Certificate(String),
    /// DSA, P-521 and whatever else there is.
    #[error(
        "key type {0:?} is not accepted (allowed: ssh-ed25519, sk-ssh-ed25519@openssh.com, \
         ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, sk-ecdsa-sha2-nistp256@openssh.com, \
         ssh-rsa of at least {RSA_BITS_MIN} bits)"
    )]
    Type(String),
    /// An RSA modulus out of bounds.
    #[error("RSA key of {0} bits (allowed: {RSA_BITS_MIN} to {RSA_BITS_MAX}); better: ssh-ed25519")]
    RsaSize(usize),
    /// Missing fields, bytes after the last, a field of the wrong length or in another spelling.
    #[error("the {kind} key is malformed: {problem}")]
    Malformed {
        /// The type of the key.
        kind: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Not a point of the curve, or one of so small an order that anybody can sign for it.
    #[error("the {0} key is not a sound point of its curve")]
    Point(&'static str),
}

impl KeyKind {
    const ALL: [Self; 6] = [
        Self::Ed25519,
        Self::SkEd25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::SkEcdsaP256,
        Self::Rsa,
    ];

    /// The type name of the plain key.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::Rsa => "ssh-rsa",
        }
    }

    /// The type name of its certificates.
    #[must_use]
    pub fn certificate_name(self) -> String {
        let name = self.name();
        let stem = name.strip_suffix("@openssh.com").unwrap_or(name);
        format!("{stem}{CERTIFICATE_SUFFIX}")
    }

    pub(crate) fn by_certificate_name(name: &[u8]) -> Option<Self> {
        let found = |kind: &Self| kind.certificate_name().as_bytes() == name;
        Self::ALL.into_iter().find(found)
    }

    /// Whether the private key is in a security key (FIDO).
    #[must_use]
    pub const fn is_security_key(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
    }

    /// How many `string` or `mpint` fields follow the type name.
    pub(crate) const fn field_count(self) -> usize {
        match self {
            Self::Ed25519 => 1,
            Self::SkEd25519 | Self::EcdsaP256 | Self::EcdsaP384 | Self::Rsa => 2,
            Self::SkEcdsaP256 => 3,
        }
    }
}

impl SubjectKey {
    /// The key in the binary form of RFC 4253 §6.6.
    ///
    /// # Errors
    ///
    /// [`SubjectKeyError`] says what is wrong and what is allowed.
    pub fn from_blob(blob: &[u8]) -> Result<Self, SubjectKeyError> {
        if blob.len() > LINE_MAX {
            return Err(SubjectKeyError::TooLong(blob.len()));
        }
        let mut fields = Fields::new(blob);
        let name = fields.string().map_err(|_| SubjectKeyError::NotOneLine)?;
        let kind = kind_named(name)?;
        check_fields(kind, &mut fields)?;
        fields.end().map_err(|e| malformed(kind, &e))?;
        Ok(Self {
            kind,
            blob: blob.to_vec(),
        })
    }

    /// Which kind of key it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key in the binary form of RFC 4253 §6.6.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The fields after the type name: what a certificate repeats.
    pub(crate) fn fields(&self) -> &[u8] {
        let mut fields = Fields::new(&self.blob);
        fields.string().map_or(&[], |_| fields.rest())
    }

    /// `SHA256:` and the unpadded base64 of the blob's SHA-256, as OpenSSH shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }
}

/// OpenSSH's SHA-256 fingerprint of a key blob.
pub(crate) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

fn kind_named(name: &[u8]) -> Result<KeyKind, SubjectKeyError> {
    if let Some(kind) = KeyKind::ALL
        .into_iter()
        .find(|kind| kind.name().as_bytes() == name)
    {
        return Ok(kind);
    }
    let shown: String = String::from_utf8_lossy(name).chars().take(64).collect();
    Err(if shown.contains("-cert-v") {
        SubjectKeyError::Certificate(shown)
    } else {
        SubjectKeyError::Type(shown)
    })
}

fn malformed(kind: KeyKind, problem: &impl ToString) -> SubjectKeyError {
    SubjectKeyError::Malformed {
        kind: kind.name(),
        problem: problem.to_string(),
    }
}

fn check_fields(kind: KeyKind, fields: &mut Fields<'_>) -> Result<(), SubjectKeyError> {
    let mut next = || fields.string().map_err(|e: WireError| malformed(kind, &e));
    match kind {
        KeyKind::Ed25519 => check_ed25519(kind, next()?),
        KeyKind::SkEd25519 => {
            check_ed25519(kind, next()?)?;
            check_application(kind, next()?)
        }
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => check_ecdsa(kind, next()?, next()?),
        KeyKind::SkEcdsaP256 => {
            check_ecdsa(kind, next()?, next()?)?;
            check_application(kind, next()?)
        }
        KeyKind::Rsa => check_rsa(next()?, next()?),
    }
}

fn check_ed25519(kind: KeyKind, point: &[u8]) -> Result<(), SubjectKeyError> {
    let unsound = || SubjectKeyError::Point(kind.name());
    let bytes = <&[u8; 32]>::try_from(point).map_err(|_| malformed(kind, &"not 32 bytes"))?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| unsound())?;
    let canonical = key.to_edwards().compress().to_bytes() == *bytes;
    if key.is_weak() || !canonical {
        return Err(unsound());
    }
    Ok(())
}

fn check_ecdsa(kind: KeyKind, curve: &[u8], point: &[u8]) -> Result<(), SubjectKeyError> {
    let (expected, length) = match kind {
        KeyKind::EcdsaP384 => (&b"nistp384"[..], 97),
        _ => (&b"nistp256"[..], 65),
    };
    if curve != expected {
        return Err(malformed(kind, &"the curve does not match the type"));
    }
    if point.len() != length || point.first() != Some(&4) {
        return Err(malformed(kind, &"not an uncompressed point"));
    }
    let on_curve = match kind {
        KeyKind::EcdsaP384 => p384::PublicKey::from_sec1_bytes(point).is_ok(),
        _ => p256::PublicKey::from_sec1_bytes(point).is_ok(),
    };
    if on_curve {
        Ok(())
    } else {
        Err(SubjectKeyError::Point(kind.name()))
    }
}

fn check_application(kind: KeyKind, application: &[u8]) -> Result<(), SubjectKeyError> {
    let printable = application.iter().all(u8::is_ascii_graphic);
    if (1..=256).contains(&application.len()) && printable {
        Ok(())
    } else {
        Err(malformed(kind, &"the application is not a printable name"))
    }
}

fn check_rsa(exponent: &[u8], modulus: &[u8]) -> Result<(), SubjectKeyError> {
    let bad = |problem: &str| malformed(KeyKind::Rsa, &problem);
    let exponent = magnitude(exponent).ok_or_else(|| bad("exponent is not a positive mpint"))?;
    let modulus = magnitude(modulus).ok_or_else(|| bad("modulus is not a positive mpint"))?;
    let bits = bit_length(modulus);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(SubjectKeyError::RsaSize(bits));
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    if !odd(exponent) || !(2..=64).contains(&bit_length(exponent)) {
        return Err(bad("exponent is even, 1 or longer than 64 bits"));
    }
    if !odd(modulus) {
        return Err(bad("modulus is even"));
    }
    Ok(())
}

/// The bytes of a positive `mpint` in its shortest form, without the sign byte.
fn magnitude(mpint: &[u8]) -> Option<&[u8]> {
    match mpint {
        [0, second, ..] if second & 0x80 != 0 => mpint.get(1..),
        [first, ..] if *first != 0 && first & 0x80 == 0 => Some(mpint),
        _ => None,
    }
}

fn bit_length(magnitude: &[u8]) -> usize {
    let unused = magnitude.first().map_or(0, |first| first.leading_zeros());
    let unused = usize::try_from(unused).unwrap_or(0);
    magnitude.len().saturating_mul(8).saturating_sub(unused)
}

impl FromStr for SubjectKey {
    type Err = SubjectKeyError;
    /// One line as in a `.pub` file: type, base64, perhaps a comment, perhaps a final newline.
    fn from_str(text: &str) -> Result<Self, SubjectKeyError> {
        let (name, blob) = read_line(text)?;
        let key = Self::from_blob(&blob)?;
        if key.kind.name() != name {
            return Err(SubjectKeyError::TypeMismatch {
                line: name.chars().take(64).collect(),
                inside: key.kind.name().to_owned(),
            });
        }
        Ok(key)
    }
}

/// Splits a line as in a `.pub` file into its type and the decoded blob.
pub(crate) fn read_line(text: &str) -> Result<(&str, Vec<u8>), SubjectKeyError> {
    if text.len() > LINE_MAX.saturating_mul(2) {
        return Err(SubjectKeyError::TooLong(text.len()));
    }
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(SubjectKeyError::NotOneLine);
    }
    let mut words = line.split([' ', '\t']);
    let (Some(name), Some(encoded)) = (words.next(), words.next()) else {
        return Err(SubjectKeyError::NotOneLine);
    };
    if name.is_empty() || encoded.is_empty() {
        return Err(SubjectKeyError::NotOneLine);
    }
    let blob = STANDARD
        .decode(encoded)
        .map_err(|_| SubjectKeyError::Base64)?;
    Ok((name, blob))
}

impl TryFrom<String> for SubjectKey {
    type Error = SubjectKeyError;
    fn try_from(text: String) -> Result<Self, SubjectKeyError> {
        text.parse()
    }
}

impl From<SubjectKey> for String {
    fn from(key: SubjectKey) -> Self {
        key.to_string()
    }
}

impl From<&ed25519_dalek::VerifyingKey> for SubjectKey {
    /// The key that a client has just made. Not checked again: made keys are sound.
    fn from(key: &ed25519_dalek::VerifyingKey) -> Self {
        let mut blob = Vec::new();
        put_string(&mut blob, KeyKind::Ed25519.name().as_bytes());
        put_string(&mut blob, key.as_bytes());
        Self {
            kind: KeyKind::Ed25519,
            blob,
        }
    }
}

impl fmt::Display for SubjectKey {
    /// The OpenSSH line without a comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), STANDARD.encode(&self.blob))
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.fingerprint())
    }
}

#[cfg(test)]
mod cases;
