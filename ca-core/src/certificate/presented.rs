//! What a host reads of a user certificate that its sshd has let in.
//!
//! Wider than [`super::verify`]: sshd has already checked principal, window and options, and a
//! certificate that opened a door must be watched even if it breaks a rule of ours. The signature
//! is checked again, so that a text from elsewhere cannot stand in for what sshd saw.

use super::authority_key::AuthorityKey;
use super::draft::TYPE_USER;
use super::subject_key::{SubjectKey, SubjectKeyError};
use super::tbs::{TbsError, split};

/// A user certificate with a good signature of one of the given authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// The serial; 0 means none.
    pub serial: u64,
    /// The key id, any text without NUL.
    pub key_id: String,
    /// First second no longer valid, Unix time; 2^64-1 means never.
    pub valid_before: u64,
    /// Which authority signed it.
    pub authority: AuthorityKey,
    /// The certified key.
    pub subject_key: SubjectKey,
}

/// Why a certificate is not one to watch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresentedError {
    /// The bytes are no certificate of a kind issued here.
    #[error(transparent)]
    Encoding(#[from] TbsError),
    /// A host certificate, or a type that nobody has defined.
    #[error("not a user certificate")]
    Type,
    /// The certified key is not sound.
    #[error("the certified key: {0}")]
    Key(#[from] SubjectKeyError),
    /// None of the authorities signed it.
    #[error("not signed by an authority of this host")]
    Authority,
}

/// Reads the certificate `blob` if one of `authorities` signed it.
///
/// # Errors
///
/// [`PresentedError`]
pub fn read_presented(
    blob: &[u8],
    authorities: &[AuthorityKey],
) -> Result<PresentedCertificate, PresentedError> {
    let parts = split(blob)?;
    if parts.fields.certificate_type != TYPE_USER {
        return Err(PresentedError::Type);
    }
    let authority = authorities
        .iter()
        .find(|key| key.blob() == parts.fields.authority_blob)
        .filter(|key| key.verify(parts.tbs, parts.signature).is_ok())
        .ok_or(PresentedError::Authority)?;
    Ok(PresentedCertificate {
        serial: parts.fields.serial,
        key_id: parts.fields.key_id,
        valid_before: parts.fields.valid_before,
        authority: authority.clone(),
        subject_key: SubjectKey::from_blob(&parts.fields.subject_blob)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::example;

    #[test]
    fn only_a_certificate_that_a_known_authority_signed_is_read() {
        let certificate = example::sign(&example::draft().to_be_signed());
        let ours = example::authority_key();
        let read = read_presented(&certificate, std::slice::from_ref(&ours)).unwrap();
        assert_eq!(read.authority, ours);
        assert_eq!(
            read_presented(&certificate, &[]),
            Err(PresentedError::Authority)
        );
        let mut changed = certificate.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(
            read_presented(&changed, &[ours]),
            Err(PresentedError::Authority)
        );
        assert!(matches!(
            read_presented(b"", &[]),
            Err(PresentedError::Encoding(_))
        ));
    }
}
