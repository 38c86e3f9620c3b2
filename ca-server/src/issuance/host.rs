//! Host certificates: prepared, recorded, signed, checked. Exactly the names the host joined with.

use std::time::Duration;

use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::draft::{self, LineError};
use ca_core::certificate::host::{
    HostCertificateError, HostDraft, HostNames, HostNamesError, verify_host,
};
use ca_core::certificate::lint::BACKDATED;
use ca_core::certificate::subject_key::{SubjectKey, SubjectKeyError};
use ca_core::event::{Event, HostCertificateIssued};
use ca_core::serial::Serial;
use ca_core::time::{Timestamp, Validity, ValidityError};

use crate::recordable::Recordable;
use crate::state::Host;

/// A host certificate before its record and its signature. Made only by [`prepare`].
#[derive(Clone, Debug)]
pub struct PreparedHost {
    to_be_signed: Vec<u8>,
    subject: Vec<u8>,
    life: Duration,
    issued: HostCertificateIssued,
}

/// Why there is no host certificate.
#[derive(Debug, thiserror::Error)]
pub enum HostIssueError {
    /// What came out is not what was decided.
    #[error(transparent)]
    Certificate(#[from] HostCertificateError),
    /// A recorded host key is none.
    #[error(transparent)]
    Key(#[from] SubjectKeyError),
    /// It cannot be written as a line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Recorded names are none.
    #[error(transparent)]
    Names(#[from] HostNamesError),
    /// The log has no room for another serial.
    #[error("no serial is left in this log")]
    NoSerial,
    /// The window is empty.
    #[error(transparent)]
    Window(#[from] ValidityError),
}

/// What will be signed for host number `number`.
///
/// # Errors
///
/// [`HostIssueError`]; nothing was recorded yet.
pub fn prepare(
    (number, host): (u64, &Host),
    (authority_key, life): (&AuthorityKey, Duration),
    nonce: [u8; 32],
    (serial, now): (Option<Serial>, Timestamp),
) -> Result<PreparedHost, HostIssueError> {
    let subject_key: SubjectKey = host.public_key.parse()?;
    let validity = Validity::new(
        now.minus(BACKDATED).unix_seconds(),
        now.plus(life).unix_seconds(),
    )?;
    let draft = HostDraft {
        nonce,
        subject_key,
        serial: serial.ok_or(HostIssueError::NoSerial)?,
        host: number,
        environment: host.environment.clone(),
        names: HostNames::new(host.names.clone())?,
        validity,
        authority_key: authority_key.clone(),
    };
    let issued = HostCertificateIssued {
        host: number,
        environment: host.environment.clone(),
        names: host.names.clone(),
        serial: draft.serial.get(),
        key_id: draft.key_id(),
        subject_key: draft.subject_key.fingerprint(),
        valid_after: validity.valid_after(),
        valid_before: validity.valid_before(),
    };
    Ok(PreparedHost {
        to_be_signed: draft.to_be_signed(),
        subject: draft.subject_key.blob().to_vec(),
        life,
        issued,
    })
}

impl PreparedHost {
    /// The bytes that the host CA key signs.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// What was decided.
    #[must_use]
    pub const fn issued(&self) -> &HostCertificateIssued {
        &self.issued
    }

    /// The certificate as one line, after checking signature and content.
    ///
    /// # Errors
    ///
    /// [`HostIssueError`]; it must not be released.
    pub(crate) fn finish(
        &self,
        signature_blob: &[u8],
        authority_key: &AuthorityKey,
        now: Timestamp,
    ) -> Result<String, HostIssueError> {
        let blob = draft::assemble(&self.to_be_signed, signature_blob);
        let expected = (self.subject.as_slice(), self.issued.names.as_slice());
        verify_host(&blob, authority_key, expected, (self.life, now))?;
        Ok(draft::openssh_line(&blob, &self.issued.key_id)?)
    }
}

impl Recordable for PreparedHost {
    fn event(&self) -> Event {
        Event::HostCertificateIssued(Box::new(self.issued.clone()))
    }

    fn precertificate(&self) -> Option<&[u8]> {
        Some(&self.to_be_signed)
    }
}
