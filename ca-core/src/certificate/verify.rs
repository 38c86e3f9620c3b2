//! Whether to believe a certificate: the authority's signature, then every rule of the lint.
//!
//! Does not ask whether it was revoked or is in the log.

use super::key_id::KeyId;
use super::lint::{Expectations, Finding, lint_fields};
use super::options::Options;
use super::principals::Principals;
use super::subject_key::{SubjectKey, SubjectKeyError, read_line};
use super::tbs::{TbsError, split};
use crate::serial::Serial;
use crate::time::{Timestamp, Validity};

/// A certificate that its authority signed and that breaks no rule. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCertificate {
    key_id: KeyId,
    principals: Principals,
    validity: Validity,
    options: Options,
    subject_key: SubjectKey,
    tbs: Vec<u8>,
    blob: Vec<u8>,
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The text is not one line of an OpenSSH file.
    #[error("not a certificate line: {0}")]
    Line(SubjectKeyError),
    /// The line's first word and the certificate disagree.
    #[error("the line's type is not the certificate's")]
    TypeMismatch,
    /// The bytes are no certificate of ours.
    #[error("not a certificate of ours: {0}")]
    Encoding(#[from] TbsError),
    /// The authority did not sign this.
    #[error("the certificate was not signed by this environment's authority")]
    Signature,
    /// Signed by the authority, but against the rules.
    #[error("the certificate breaks a rule: {}", list(.0))]
    Rules(Vec<Finding>),
}

fn list(findings: &[Finding]) -> String {
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Checks a certificate blob: split, signature of the expected authority, rules.
///
/// # Errors
///
/// [`VerifyError`]; whatever it is, the certificate must not be used.
pub fn verify(
    certificate: &[u8],
    expected: &Expectations<'_>,
    now: Timestamp,
) -> Result<VerifiedCertificate, VerifyError> {
    let parts = split(certificate)?;
    expected
        .authority_key
        .verify(parts.tbs, parts.signature)
        .map_err(|_| VerifyError::Signature)?;
    let linted =
        lint_fields(&parts.fields, parts.tbs.len(), expected, now).map_err(VerifyError::Rules)?;
    Ok(VerifiedCertificate {
        key_id: linted.key_id,
        principals: linted.principals,
        validity: linted.validity,
        options: linted.options,
        subject_key: linted.subject_key,
        tbs: parts.tbs.to_vec(),
        blob: certificate.to_vec(),
    })
}

/// [`verify`] for one line of text, `type base64 [comment]`.
///
/// # Errors
///
/// [`VerifyError`]; whatever it is, the certificate must not be used.
pub fn verify_line(
    line: &str,
    expected: &Expectations<'_>,
    now: Timestamp,
) -> Result<VerifiedCertificate, VerifyError> {
    let (name, blob) = read_line(line).map_err(VerifyError::Line)?;
    let verified = verify(&blob, expected, now)?;
    if verified.subject_key.kind().certificate_name() != name {
        return Err(VerifyError::TypeMismatch);
    }
    Ok(verified)
}

impl VerifiedCertificate {
    /// Where its record is.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.key_id.serial
    }

    /// Who, where, which record.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The login names.
    #[must_use]
    pub const fn principals(&self) -> &Principals {
        &self.principals
    }

    /// The window.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// What it permits and restricts.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The certified key; its fingerprint is what `sshd` logs.
    #[must_use]
    pub const fn subject_key(&self) -> &SubjectKey {
        &self.subject_key
    }

    /// The bytes that the authority signed: what the log's subject digest is over.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.tbs
    }

    /// The whole certificate: what an agent is given and asked to remove.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }
}

#[cfg(test)]
mod cases;
