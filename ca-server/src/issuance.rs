//! From a grant to a certificate: prepare and lint what will be signed, then, once it is recorded
//! and signed, check the product before anybody sees it.

use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::draft::{self, Draft, LineError};
use ca_core::certificate::key_id::Mark;
use ca_core::certificate::lint::{
    BACKDATED, Expectations, ExpectedPrincipals, ExpectedWindow, Finding, lint,
};
use ca_core::certificate::profile::Profile;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::certificate::tbs::ToBeSigned;
use ca_core::certificate::verify::{self, VerifyError};
use ca_core::digest::Digest;
use ca_core::event::{CertificateIssued, Event, EventError};
use ca_core::name::Environment;
use ca_core::serial::Serial;
use ca_core::time::{Timestamp, Validity, ValidityError};

use crate::access::{Basis, Grant};
use crate::environment::EnvironmentRules;
use crate::recordable::Recordable;

pub mod host;

/// A certificate before its record and its signature, linted. Made only by [`prepare`], and again
/// from its own record by the ledger.
#[derive(Clone, Debug)]
pub struct Prepared {
    to_be_signed: Vec<u8>,
    /// None when it was made again from its record.
    subject_key: Option<SubjectKey>,
    issued: CertificateIssued,
}

/// How a certificate is named by its requester, and the randomness it needs.
#[derive(Clone, Debug)]
pub struct Particulars {
    /// The key to be certified.
    pub subject_key: SubjectKey,
    /// The client's name for the request.
    pub request_id: String,
    /// Digest of what was asked under that name.
    pub request_digest: Digest,
    /// Fresh random bytes.
    pub nonce: [u8; 32],
}

/// A signed certificate whose signature and content were checked. Made only by
/// `Prepared::finish`.
#[derive(Clone, Debug)]
pub struct Certificate {
    line: String,
    issued: CertificateIssued,
}

/// Why a grant did not become a certificate.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The log has no room for another serial.
    #[error("no serial is left in this log")]
    NoSerial,
    /// The window is empty or open-ended.
    #[error(transparent)]
    Window(#[from] ValidityError),
    /// The bytes break a rule. A bug or a configuration that contradicts itself, never the
    /// requester's fault.
    #[error("what would be signed breaks a rule: {}", list(.0))]
    Lint(Vec<Finding>),
}

/// Why a signed product is not released.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The signature or the content is wrong: the CA must stop signing with this key.
    #[error("the CA's own product does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// It cannot be written as a line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// A recorded serial is none.
    #[error("the record's serial is none of this log")]
    Serial,
}

/// Why a record is not one of a certificate.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// The event does not parse.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Its opening was erased, or it is another kind of record.
    #[error("not the record of a certificate")]
    OtherKind,
}

/// What will be signed for `grant`, linted against the environment's profile.
///
/// # Errors
///
/// [`PrepareError`]; nothing was recorded yet.
pub fn prepare(
    grant: Grant,
    particulars: Particulars,
    rules: &EnvironmentRules,
    serial: Option<Serial>,
    now: Timestamp,
) -> Result<Prepared, PrepareError> {
    let serial = serial.ok_or(PrepareError::NoSerial)?;
    let wish = grant.wish();
    let validity = Validity::new(
        now.minus(BACKDATED).unix_seconds(),
        now.plus(wish.duration).unix_seconds(),
    )?;
    let draft = Draft {
        nonce: particulars.nonce,
        subject_key: particulars.subject_key,
        serial,
        mark: if *grant.basis() == Basis::BreakGlass {
            Mark::BreakGlass
        } else {
            Mark::Ordinary
        },
        user: grant.person().user.clone(),
        environment: rules.name.clone(),
        principals: wish.principals.clone(),
        validity,
        options: wish.options.clone(),
        authority_key: rules.authority_key.clone(),
    };
    let to_be_signed = draft.to_be_signed();
    let expected = expectations(&draft, &rules.profile);
    lint(&to_be_signed, &expected, now).map_err(PrepareError::Lint)?;
    let (request, approvers) = match grant.basis() {
        Basis::Request { number, approvers } => (Some(*number), approvers.clone()),
        Basis::Routine | Basis::BreakGlass => (None, Vec::new()),
    };
    let issued = CertificateIssued {
        person: grant.person().clone(),
        session: grant.session(),
        request_id: particulars.request_id,
        request_digest: particulars.request_digest,
        asked: grant.asked().clone(),
        policies: grant.policies().iter().cloned().collect(),
        policy_digest: grant.policy_digest(),
        serial: serial.get(),
        key_id: draft.key_id().to_string(),
        subject_key: draft.subject_key.fingerprint(),
        valid_after: validity.valid_after(),
        valid_before: validity.valid_before(),
        request,
        approvers,
        break_glass: *grant.basis() == Basis::BreakGlass,
    };
    Ok(Prepared {
        to_be_signed,
        subject_key: Some(draft.subject_key),
        issued,
    })
}

fn expectations<'a>(draft: &'a Draft, profile: &'a Profile) -> Expectations<'a> {
    Expectations {
        authority_key: &draft.authority_key,
        environment: &draft.environment,
        subject_key: Some(&draft.subject_key),
        principals: ExpectedPrincipals::Exactly(&draft.principals),
        window: ExpectedWindow::JustIssued {
            lifetime_max: std::time::Duration::from_secs(profile.max_duration_seconds.get().into()),
            skew: std::time::Duration::ZERO,
        },
        serial: Some(draft.serial),
        user: Some(&draft.user),
        profile: Some(profile),
        options: Some(&draft.options),
    }
}

fn list(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl Prepared {
    /// The bytes that the environment's key signs.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Whether these bytes name `key` as their authority.
    #[must_use]
    pub fn is_for(&self, key: &AuthorityKey) -> bool {
        let read = ToBeSigned::parse(&self.to_be_signed);
        read.is_ok_and(|read| read.authority_blob == key.blob())
    }

    /// Whose key signs.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.issued.asked.environment
    }

    /// A certificate prepared earlier, from its record. Only the ledger can call this; whatever it
    /// makes is inside a `Recorded`.
    pub(crate) fn recalled(
        event: &[u8],
        precertificate: Option<&[u8]>,
    ) -> Result<Self, RecallError> {
        match (Event::from_bytes(event)?, precertificate) {
            (Event::CertificateIssued(issued), Some(to_be_signed)) => Ok(Self {
                to_be_signed: to_be_signed.to_vec(),
                subject_key: None,
                issued: *issued,
            }),
            _ => Err(RecallError::OtherKind),
        }
    }

    /// The certificate, after checking that `signature_blob` is the environment's over exactly
    /// these bytes and that the finished certificate breaks no rule.
    ///
    /// # Errors
    ///
    /// [`FinishError`]; the certificate must not be released.
    pub(crate) fn finish(
        &self,
        signature_blob: &[u8],
        authority_key: &AuthorityKey,
        now: Timestamp,
    ) -> Result<Certificate, FinishError> {
        let blob = draft::assemble(&self.to_be_signed, signature_blob);
        let issued = &self.issued;
        let lifetime = issued.valid_before.saturating_sub(issued.valid_after);
        let principals =
            ca_core::certificate::principals::Principals::new(issued.asked.principals.clone())
                .map_err(|_| FinishError::Serial)?;
        let expected = Expectations {
            authority_key,
            environment: &issued.asked.environment,
            subject_key: self.subject_key.as_ref(),
            principals: ExpectedPrincipals::Exactly(&principals),
            window: ExpectedWindow::InUse {
                lifetime_max: std::time::Duration::from_secs(lifetime),
            },
            serial: Some(Serial::try_from(issued.serial).map_err(|_| FinishError::Serial)?),
            user: Some(&issued.person.user),
            profile: None,
            options: None,
        };
        verify::verify(&blob, &expected, now)?;
        let line = draft::openssh_line(&blob, &issued.key_id)?;
        Ok(Certificate {
            line,
            issued: issued.clone(),
        })
    }
}

impl Recordable for Prepared {
    fn event(&self) -> Event {
        Event::CertificateIssued(Box::new(self.issued.clone()))
    }

    fn precertificate(&self) -> Option<&[u8]> {
        Some(&self.to_be_signed)
    }
}

impl Certificate {
    /// The certificate as one OpenSSH line.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// What was recorded about it.
    #[must_use]
    pub const fn issued(&self) -> &CertificateIssued {
        &self.issued
    }
}
