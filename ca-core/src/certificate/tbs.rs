//! Reads the bytes of a certificate, strictly where OpenSSH is lax.
//!
//! No byte may be left over anywhere, texts are UTF-8 without NUL (OpenSSH forgives one at the end,
//! so `alice\0` logs in as `alice`), option names increase strictly, the nonce has 32 bytes, the
//! reserved field is empty, and the CA key is no certificate. Judges no value: the lint does.

use super::options::RawOption;
use super::subject_key::KeyKind;
use super::{CERTIFICATE_SIZE_MAX, CERTIFICATE_SUFFIX};
use crate::wire::{Fields, WireError, put_string};

/// Most entries of any list in a certificate; OpenSSH's limit for principals.
const LIST_MAX: usize = 256;

/// The fields of a certificate up to the CA key, as they stand in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToBeSigned {
    /// Kind of the certified key.
    pub kind: KeyKind,
    /// The 32 random bytes.
    pub nonce: [u8; 32],
    /// The certified key as a plain key blob.
    pub subject_blob: Vec<u8>,
    /// The serial; 0 means none.
    pub serial: u64,
    /// 1 for users, 2 for hosts; anything else is not OpenSSH's.
    pub certificate_type: u32,
    /// The key id.
    pub key_id: String,
    /// The principals in order.
    pub principals: Vec<String>,
    /// First valid second, Unix time.
    pub valid_after: u64,
    /// First second no longer valid, Unix time.
    pub valid_before: u64,
    /// The critical options.
    pub critical_options: Vec<RawOption>,
    /// The extensions.
    pub extensions: Vec<RawOption>,
    /// The CA key's blob; not a certificate.
    pub authority_blob: Vec<u8>,
}

/// Why bytes are not a certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TbsError {
    /// Larger than any certificate of ours.
    #[error("the certificate is {0} bytes long, at most {CERTIFICATE_SIZE_MAX} are allowed")]
    TooLarge(usize),
    /// A field or list that ends early or is followed by more.
    #[error("certificate field {field}: {problem}")]
    Field {
        /// The field's name in draft-miller-ssh-cert.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Not a certificate, or of a key kind that is not certified here.
    #[error("{0:?} is not a certificate type that is issued here")]
    Type(String),
    /// Certificates do not chain.
    #[error("the CA key is itself a certificate")]
    NestedAuthority,
}

impl ToBeSigned {
    /// Reads exactly the bytes that are signed.
    ///
    /// # Errors
    ///
    /// [`TbsError`] names the first field that is not as it must be.
    pub fn parse(tbs: &[u8]) -> Result<Self, TbsError> {
        let (parsed, rest) = Self::parse_prefix(tbs)?;
        rest.end().map_err(|e| field("CA key", &e))?;
        Ok(parsed)
    }

    fn parse_prefix(bytes: &[u8]) -> Result<(Self, Fields<'_>), TbsError> {
        if bytes.len() > CERTIFICATE_SIZE_MAX {
            return Err(TbsError::TooLarge(bytes.len()));
        }
        let mut fields = Fields::new(bytes);
        let name = named("type", fields.string())?;
        let kind = KeyKind::by_certificate_name(name)
            .ok_or_else(|| TbsError::Type(String::from_utf8_lossy(name).into_owned()))?;
        let nonce = named("nonce", fields.string())?;
        let nonce = nonce
            .try_into()
            .map_err(|_| field("nonce", &"not 32 bytes"))?;
        let parsed = Self {
            kind,
            nonce,
            subject_blob: subject_blob(kind, &mut fields)?,
            serial: named("serial", fields.uint64())?,
            certificate_type: named("type", fields.uint32())?,
            key_id: text("key id", named("key id", fields.string())?)?,
            principals: principals(named("principals", fields.string())?)?,
            valid_after: named("valid after", fields.uint64())?,
            valid_before: named("valid before", fields.uint64())?,
            critical_options: options("critical options", &mut fields)?,
            extensions: options("extensions", &mut fields)?,
            authority_blob: {
                Fields::new(named("reserved", fields.string())?)
                    .end()
                    .map_err(|e| field("reserved", &e))?;
                authority_blob(named("CA key", fields.string())?)?
            },
        };
        Ok((parsed, fields))
    }
}

/// A certificate taken apart, nothing believed yet.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    /// The bytes that are signed.
    pub(crate) tbs: &'a [u8],
    /// The same, read.
    pub(crate) fields: ToBeSigned,
    /// The signature blob.
    pub(crate) signature: &'a [u8],
}

/// Splits a whole certificate into what is signed and the signature.
pub(crate) fn split(certificate: &[u8]) -> Result<Parts<'_>, TbsError> {
    let (fields, mut rest) = ToBeSigned::parse_prefix(certificate)?;
    let length = certificate.len().saturating_sub(rest.rest().len());
    let signature = named("signature", rest.string())?;
    rest.end().map_err(|e| field("signature", &e))?;
    Ok(Parts {
        tbs: certificate.get(..length).unwrap_or(certificate),
        fields,
        signature,
    })
}

fn field(field: &'static str, problem: &impl ToString) -> TbsError {
    TbsError::Field {
        field,
        problem: problem.to_string(),
    }
}

fn named<T>(name: &'static str, read: Result<T, WireError>) -> Result<T, TbsError> {
    read.map_err(|e| field(name, &e))
}

fn text(name: &'static str, bytes: &[u8]) -> Result<String, TbsError> {
    let text = std::str::from_utf8(bytes).map_err(|_| field(name, &"not UTF-8"))?;
    if text.contains('\0') {
        return Err(field(name, &"holds a NUL"));
    }
    Ok(text.to_owned())
}

fn subject_blob(kind: KeyKind, fields: &mut Fields<'_>) -> Result<Vec<u8>, TbsError> {
    let mut blob = Vec::new();
    put_string(&mut blob, kind.name().as_bytes());
    for _ in 0..kind.field_count() {
        put_string(&mut blob, named("public key", fields.string())?);
    }
    Ok(blob)
}

fn principals(section: &[u8]) -> Result<Vec<String>, TbsError> {
    let mut fields = Fields::new(section);
    let mut list = Vec::new();
    while !fields.is_empty() {
        list.push(text("principals", named("principals", fields.string())?)?);
        if list.len() > LIST_MAX {
            return Err(field("principals", &"more than 256"));
        }
    }
    Ok(list)
}

fn options(name: &'static str, fields: &mut Fields<'_>) -> Result<Vec<RawOption>, TbsError> {
    let mut section = Fields::new(named(name, fields.string())?);
    let mut list: Vec<RawOption> = Vec::new();
    while !section.is_empty() {
        let option = RawOption {
            name: text(name, named(name, section.string())?)?,
            data: named(name, section.string())?.to_vec(),
        };
        if list.last().is_some_and(|last| last.name >= option.name) {
            return Err(field(name, &"names do not increase"));
        }
        list.push(option);
        if list.len() > LIST_MAX {
            return Err(field(name, &"more than 256"));
        }
    }
    Ok(list)
}

fn authority_blob(blob: &[u8]) -> Result<Vec<u8>, TbsError> {
    let name = named("CA key", Fields::new(blob).string())?;
    if name.ends_with(CERTIFICATE_SUFFIX.as_bytes()) {
        return Err(TbsError::NestedAuthority);
    }
    Ok(blob.to_vec())
}

#[cfg(test)]
mod cases;
