//! Reads a certificate for showing, without asking who signed it.
//!
//! For `status`, pruning and error messages. Nothing here may decide an access.

use super::subject_key::{SubjectKeyError, fingerprint, read_line};
use super::tbs::{TbsError, split};

/// What a certificate claims. Nobody has checked any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrustedCertificate {
    /// The whole certificate: what names it in an agent.
    pub blob: Vec<u8>,
    /// 1 for users, 2 for hosts.
    pub certificate_type: u32,
    /// The serial; 0 means none.
    pub serial: u64,
    /// The key id, any text without NUL.
    pub key_id: String,
    /// The principals, any texts without NUL.
    pub principals: Vec<String>,
    /// First valid second, Unix time.
    pub valid_after: u64,
    /// First second no longer valid, Unix time; 2^64-1 means never.
    pub valid_before: u64,
    /// Names of the critical options.
    pub critical_options: Vec<String>,
    /// Names of the extensions.
    pub extensions: Vec<String>,
    /// OpenSSH's fingerprint of the certified key.
    pub fingerprint: String,
    /// OpenSSH's fingerprint of the key that is said to have signed it.
    pub authority_fingerprint: String,
}

/// Why a text or bytes are not even the shape of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UntrustedError {
    /// The text is not one line of an OpenSSH file.
    #[error("not a certificate line: {0}")]
    Line(SubjectKeyError),
    /// The bytes are no certificate of a kind issued here.
    #[error(transparent)]
    Encoding(#[from] TbsError),
}

/// What the certificate in `line` (`type base64 [comment]`) claims.
///
/// # Errors
///
/// [`UntrustedError`] when it has not even the shape of one.
pub fn read_untrusted(line: &str) -> Result<UntrustedCertificate, UntrustedError> {
    let (_, blob) = read_line(line).map_err(UntrustedError::Line)?;
    read_untrusted_blob(&blob)
}

/// What the certificate `blob` claims, for example one that an agent lists.
///
/// # Errors
///
/// [`UntrustedError`] when it has not even the shape of one.
pub fn read_untrusted_blob(blob: &[u8]) -> Result<UntrustedCertificate, UntrustedError> {
    let fields = split(blob)?.fields;
    let names = |list: Vec<super::options::RawOption>| list.into_iter().map(|o| o.name).collect();
    Ok(UntrustedCertificate {
        blob: blob.to_vec(),
        certificate_type: fields.certificate_type,
        serial: fields.serial,
        key_id: fields.key_id,
        principals: fields.principals,
        valid_after: fields.valid_after,
        valid_before: fields.valid_before,
        critical_options: names(fields.critical_options),
        extensions: names(fields.extensions),
        fingerprint: fingerprint(&fields.subject_blob),
        authority_fingerprint: fingerprint(&fields.authority_blob),
    })
}
