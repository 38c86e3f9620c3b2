//! A certificate before its signature, and the exact bytes to be signed.
//!
//! A draft cannot name a loose thing: its fields are types that were checked when they were made.
//! The rules over the finished bytes are the lint's; making a signature is the signer's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::authority_key::AuthorityKey;
use super::key_id::{KeyId, Mark};
use super::options::Options;
use super::principals::Principals;
use super::subject_key::SubjectKey;
use crate::name::{Environment, UserName};
use crate::serial::Serial;
use crate::time::Validity;
use crate::wire::{Fields, put_string};

/// The certificate type number of users; 2 would be hosts.
pub const TYPE_USER: u32 = 1;

/// Everything that a certificate will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Fresh random bytes, so that nobody can choose what is signed.
    pub nonce: [u8; 32],
    /// The key that is certified.
    pub subject_key: SubjectKey,
    /// Where the record is; also in the key id.
    pub serial: Serial,
    /// How it came to be; the end of the key id.
    pub mark: Mark,
    /// Who it is issued to, as shown to people.
    pub user: UserName,
    /// Where it is good for.
    pub environment: Environment,
    /// The login names.
    pub principals: Principals,
    /// The window, both ends in seconds.
    pub validity: Validity,
    /// What it permits and restricts.
    pub options: Options,
    /// The key that will sign it.
    pub authority_key: AuthorityKey,
}

impl Draft {
    /// `user@environment#serial`, marked if taken in an emergency.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId {
            user: self.user.clone(),
            environment: self.environment.clone(),
            serial: self.serial,
            mark: self.mark,
        }
    }

    /// The bytes that the authority signs: every field of draft-miller-ssh-cert §2 up to and
    /// including the CA key. The same draft always gives the same bytes.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let kind = self.subject_key.kind();
        put_string(&mut out, kind.certificate_name().as_bytes());
        put_string(&mut out, &self.nonce);
        out.extend_from_slice(self.subject_key.fields());
        out.extend_from_slice(&self.serial.get().to_be_bytes());
        out.extend_from_slice(&TYPE_USER.to_be_bytes());
        put_string(&mut out, self.key_id().to_string().as_bytes());
        let mut names = Vec::new();
        for principal in self.principals.as_slice() {
            put_string(&mut names, principal.as_str().as_bytes());
        }
        put_string(&mut out, &names);
        out.extend_from_slice(&self.validity.valid_after().to_be_bytes());
        out.extend_from_slice(&self.validity.valid_before().to_be_bytes());
        put_string(&mut out, &self.options.critical_section());
        put_string(&mut out, &self.options.extension_section());
        put_string(&mut out, b"");
        put_string(&mut out, self.authority_key.blob());
        out
    }
}

/// The finished certificate: what was signed, and the signature blob (algorithm, signature).
#[must_use]
pub fn assemble(tbs: &[u8], signature_blob: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(tbs.len().saturating_add(signature_blob.len() + 4));
    blob.extend_from_slice(tbs);
    put_string(&mut blob, signature_blob);
    blob
}

/// Why there is no line of text for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The blob does not begin with a type name.
    #[error("the certificate does not begin with a type name")]
    NoType,
    /// A comment that would break out of its line.
    #[error("the comment holds a control character")]
    Comment,
}

/// The certificate as one line of a `-cert.pub` file: type, base64, comment; no newline.
///
/// # Errors
///
/// [`LineError`] for a blob without a printable type name or a comment with control characters.
pub fn openssh_line(certificate: &[u8], comment: &str) -> Result<String, LineError> {
    let name = Fields::new(certificate)
        .string()
        .map_err(|_| LineError::NoType)?;
    let name = std::str::from_utf8(name).map_err(|_| LineError::NoType)?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LineError::NoType);
    }
    if comment.chars().any(char::is_control) {
        return Err(LineError::Comment);
    }
    let encoded = STANDARD.encode(certificate);
    let line = format!("{name} {encoded} {comment}");
    Ok(line.trim_end().to_owned())
}
