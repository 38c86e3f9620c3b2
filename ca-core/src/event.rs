//! What the log records. The bytes of an event are written once, hashed into its leaf and never
//! re-encoded; this module reads every version that was ever written.
//!
//! An event carries the full facts of its decision, so that an auditor can decide it again. It
//! never carries a secret: tokens and recovery codes appear as SHA-256 digests only.

use serde::{Deserialize, Serialize};

pub use access::{
    BreakGlassKeyAdded, BreakGlassKeyRemoved, BreakGlassSessionOpened, FreezeLifted, FreezeTarget,
    Frozen, RequestApproved, RequestDenied, RequestExpired, RequestOpened, RequestWithdrawn,
    ReviewClosed,
};
pub use decided::{Asked, Judged};
pub use emergency::BreakGlassImported;
pub use facts::{
    Attempt, AuditRead, CaKeyAdded, CertificateIssued, CertificatesRevoked, LogCreated, Person,
    RefusalsSummarised, Refused, RevocationCause, SessionClosed, SessionOpened, TicketIssued,
    TotpConfirmed, TotpOffered,
};

pub use host::{
    HostAcknowledged, HostCertificateIssued, HostEnrolled, HostRemoved, JoinTokenIssued,
    SshSessionReported,
};
pub use policy::{PolicyCheck, PolicyLoaded, PolicyText};

mod about;
mod access;
mod decided;
mod emergency;
mod facts;
mod host;
mod policy;

/// One recorded fact. In JSON an object with `"v": 1` and a `"type"` in kebab case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody read the audit records through the API.
    AuditRead(AuditRead),
    /// The record of a certificate that was signed offline while the authority was down.
    BreakGlassImported(Box<BreakGlassImported>),
    /// A key was enrolled for the day when the identity provider is down.
    BreakGlassKeyAdded(BreakGlassKeyAdded),
    /// It was removed.
    BreakGlassKeyRemoved(BreakGlassKeyRemoved),
    /// Somebody signed in with a break-glass key and a TOTP code, without the identity provider.
    BreakGlassSessionOpened(Box<BreakGlassSessionOpened>),
    /// A signing key was first used for an environment.
    CaKeyAdded(CaKeyAdded),
    /// A user certificate was decided; it is signed only after this is durable.
    CertificateIssued(Box<CertificateIssued>),
    /// Certificates were given back or withdrawn before their end.
    CertificatesRevoked(CertificatesRevoked),
    /// A freeze ended.
    FreezeLifted(FreezeLifted),
    /// Nothing new is issued to a person, or in an environment, until it is lifted.
    Frozen(Frozen),
    /// A host has a version of the revocation list in force.
    HostAcknowledged(HostAcknowledged),
    /// A host certificate was decided; it is signed only after this is durable.
    HostCertificateIssued(Box<HostCertificateIssued>),
    /// A host joined.
    HostEnrolled(Box<HostEnrolled>),
    /// A host's credential was taken away.
    HostRemoved(HostRemoved),
    /// An administrator allowed one host to join.
    JoinTokenIssued(JoinTokenIssued),
    /// Index 0 of every log.
    LogCreated(LogCreated),
    /// A policy set came into force.
    PolicyLoaded(PolicyLoaded),
    /// A part of the text of a policy set that comes into force: all parts stand before its
    /// [`Event::PolicyLoaded`], so that whoever has the log can build what decided.
    PolicyText(PolicyText),
    /// Refusals beyond the recording limit, counted.
    RefusalsSummarised(RefusalsSummarised),
    /// An attempt that was not allowed.
    Refused(Box<Refused>),
    /// Somebody said yes to an access request.
    RequestApproved(Box<RequestApproved>),
    /// Somebody said no to an access request.
    RequestDenied(RequestDenied),
    /// An access request was not decided or not used in time.
    RequestExpired(RequestExpired),
    /// An access request waits for approvals, or for its time.
    RequestOpened(Box<RequestOpened>),
    /// The requester took an access request back.
    RequestWithdrawn(RequestWithdrawn),
    /// Somebody else judged an emergency access.
    ReviewClosed(ReviewClosed),
    /// A session at the CA ended before its time.
    SessionClosed(SessionClosed),
    /// Somebody signed in with both factors.
    SessionOpened(Box<SessionOpened>),
    /// A host told of an ssh session that began or ended.
    SshSessionReported(Box<SshSessionReported>),
    /// An administrator allowed one enrolment.
    TicketIssued(TicketIssued),
    /// A new TOTP seed was confirmed by a first code.
    TotpConfirmed(TotpConfirmed),
    /// A new TOTP seed was handed out and waits for its first code.
    TotpOffered(TotpOffered),
}

/// Why bytes are not an event that this program can read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON of the expected shape.
    #[error("event does not parse: {0}")]
    Shape(#[from] serde_json::Error),
    /// Written by a newer program.
    #[error("event has version {found}, this program reads up to {VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
}

const VERSION: u64 = 1;

#[derive(Serialize)]
struct Versioned<'a> {
    v: u64,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u64,
}

impl Event {
    /// The bytes that are hashed and stored: compact JSON, `v` first.
    ///
    /// # Errors
    ///
    /// [`EventError::Shape`] never happens for values of this type; it is passed on, not hidden.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EventError> {
        Ok(serde_json::to_vec(&Versioned {
            v: VERSION,
            event: self,
        })?)
    }

    /// Reads bytes written by [`Event::to_bytes`] of this or an earlier version.
    ///
    /// # Errors
    ///
    /// [`EventError`] when the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EventError> {
        if let Some(event) = Self::read_directly(bytes) {
            return event;
        }
        let VersionOnly { v } = serde_json::from_slice(bytes)?;
        if v != VERSION {
            return Err(EventError::Version { found: v });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Reads the commonest event without the copy that serde makes to look for its type: what
    /// [`Event::to_bytes`] wrote begins with version and type. None for all others.
    fn read_directly(bytes: &[u8]) -> Option<Result<Self, EventError>> {
        const CERTIFICATE: &[u8] = br#"{"v":1,"type":"certificate-issued","#;
        bytes.starts_with(CERTIFICATE).then(|| {
            let issued = serde_json::from_slice(bytes)?;
            Ok(Self::CertificateIssued(Box::new(issued)))
        })
    }
}
