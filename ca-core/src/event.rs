//! What the log records. The bytes of an event are written once, hashed into its leaf and never
//! re-encoded; this module reads every version that was ever written.
//!
//! An event carries the full facts of its decision, so that an auditor can decide it again. It
//! never carries a secret: tokens and recovery codes appear as SHA-256 digests only.

use serde::{Deserialize, Serialize};

use crate::name::{Environment, Principal};
use crate::tlog::leaf::Kind;

pub use facts::{
    Asked, Attempt, AuditRead, CaKeyAdded, CertificateIssued, CertificatesRevoked, LogCreated,
    Person, PolicyLoaded, RefusalsSummarised, Refused, RevocationCause, SessionClosed,
    SessionOpened, TicketIssued, TotpConfirmed, TotpOffered,
};

mod facts;

/// One recorded fact. In JSON an object with `"v": 1` and a `"type"` in kebab case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody read the audit records through the API.
    AuditRead(AuditRead),
    /// A signing key was first used for an environment.
    CaKeyAdded(CaKeyAdded),
    /// A user certificate was decided; it is signed only after this is durable.
    CertificateIssued(Box<CertificateIssued>),
    /// Certificates were given back or withdrawn before their end.
    CertificatesRevoked(CertificatesRevoked),
    /// Index 0 of every log.
    LogCreated(LogCreated),
    /// A policy set came into force.
    PolicyLoaded(PolicyLoaded),
    /// An attempt that was not allowed.
    Refused(Box<Refused>),
    /// Refusals beyond the recording limit, counted.
    RefusalsSummarised(RefusalsSummarised),
    /// A session at the CA ended before its time.
    SessionClosed(SessionClosed),
    /// Somebody signed in with both factors.
    SessionOpened(Box<SessionOpened>),
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
        // As every event of this version begins; spares reading the whole text for its version.
        if !bytes.starts_with(b"{\"v\":1,") {
            let VersionOnly { v } = serde_json::from_slice(bytes)?;
            if v != VERSION {
                return Err(EventError::Version { found: v });
            }
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The kind byte of its leaf.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::AuditRead(_) | Self::TicketIssued(_) => Kind::AdminAction,
            Self::CaKeyAdded(_) => Kind::CaKeyEvent,
            Self::CertificateIssued(_) => Kind::UserCertificate,
            Self::CertificatesRevoked(event) => match event.cause {
                RevocationCause::Done => Kind::GrantGivenBack,
                RevocationCause::Revoked => Kind::Revocation,
            },
            Self::LogCreated(_) => Kind::LogCreation,
            Self::PolicyLoaded(_) => Kind::PolicyChange,
            Self::Refused(_) | Self::RefusalsSummarised(_) => Kind::Refusal,
            Self::SessionClosed(_) => Kind::SessionClosed,
            Self::SessionOpened(_) => Kind::SessionOpened,
            Self::TotpConfirmed(_) | Self::TotpOffered(_) => Kind::SecondFactorChange,
        }
    }

    /// The type as written in JSON, for tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AuditRead(_) => "audit-read",
            Self::CaKeyAdded(_) => "ca-key-added",
            Self::CertificateIssued(_) => "certificate-issued",
            Self::CertificatesRevoked(_) => "certificates-revoked",
            Self::LogCreated(_) => "log-created",
            Self::PolicyLoaded(_) => "policy-loaded",
            Self::Refused(_) => "refused",
            Self::RefusalsSummarised(_) => "refusals-summarised",
            Self::SessionClosed(_) => "session-closed",
            Self::SessionOpened(_) => "session-opened",
            Self::TicketIssued(_) => "ticket-issued",
            Self::TotpConfirmed(_) => "totp-confirmed",
            Self::TotpOffered(_) => "totp-offered",
        }
    }

    /// The person it is about, where there is one.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::AuditRead(event) => Some(&event.by),
            Self::CertificateIssued(event) => Some(&event.person),
            Self::CertificatesRevoked(event) => Some(&event.holder),
            Self::Refused(event) => event.person.as_ref(),
            Self::SessionClosed(event) => Some(&event.person),
            Self::SessionOpened(event) => Some(&event.person),
            Self::TicketIssued(event) => Some(&event.by),
            Self::TotpConfirmed(event) => Some(&event.person),
            Self::TotpOffered(event) => Some(&event.person),
            Self::CaKeyAdded(_)
            | Self::LogCreated(_)
            | Self::PolicyLoaded(_)
            | Self::RefusalsSummarised(_) => None,
        }
    }

    /// The environment it is about, where there is one.
    #[must_use]
    pub fn environment(&self) -> Option<&Environment> {
        match self {
            Self::CaKeyAdded(event) => Some(&event.environment),
            Self::CertificateIssued(event) => Some(&event.asked.environment),
            Self::Refused(event) => event.asked.as_ref().map(|asked| &asked.environment),
            _ => None,
        }
    }

    /// The accounts it is about: principals of its environment.
    #[must_use]
    pub fn principals(&self) -> &[Principal] {
        match self {
            Self::CertificateIssued(event) => &event.asked.principals,
            Self::Refused(event) => event.asked.as_ref().map_or(&[], |asked| &asked.principals),
            _ => &[],
        }
    }

    /// The certificate serials it is about.
    #[must_use]
    pub fn serials(&self) -> &[u64] {
        match self {
            Self::CertificateIssued(event) => std::slice::from_ref(&event.serial),
            Self::CertificatesRevoked(event) => &event.serials,
            Self::SessionClosed(event) => &event.serials,
            _ => &[],
        }
    }
}
