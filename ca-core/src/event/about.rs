//! What an event is about: its kind, and the people, places and certificates it names. Search terms
//! and tables are made of these.

use super::{Event, FreezeTarget, Person, RevocationCause};
use crate::name::{Environment, Principal, UserName};
use crate::tlog::leaf::Kind;

impl Event {
    /// Every name that [`Event::name`] gives, in alphabetical order.
    pub const NAMES: [&str; 32] = [
        "audit-read",
        "break-glass-imported",
        "break-glass-key-added",
        "break-glass-key-removed",
        "break-glass-session-opened",
        "ca-key-added",
        "certificate-issued",
        "certificates-revoked",
        "freeze-lifted",
        "frozen",
        "host-acknowledged",
        "host-certificate-issued",
        "host-enrolled",
        "host-removed",
        "join-token-issued",
        "log-created",
        "policy-loaded",
        "policy-text",
        "refusals-summarised",
        "refused",
        "request-approved",
        "request-denied",
        "request-expired",
        "request-opened",
        "request-withdrawn",
        "review-closed",
        "session-closed",
        "session-opened",
        "ssh-session-reported",
        "ticket-issued",
        "totp-confirmed",
        "totp-offered",
    ];

    /// The kind byte of its leaf.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::AuditRead(_) | Self::TicketIssued(_) => Kind::AdminAction,
            Self::BreakGlassImported(_) => Kind::BreakGlass,
            Self::BreakGlassKeyAdded(_)
            | Self::BreakGlassKeyRemoved(_)
            | Self::TotpConfirmed(_)
            | Self::TotpOffered(_) => Kind::SecondFactorChange,
            Self::CaKeyAdded(_) => Kind::CaKeyEvent,
            Self::CertificateIssued(event) if event.break_glass => Kind::BreakGlass,
            Self::CertificateIssued(_) => Kind::UserCertificate,
            Self::CertificatesRevoked(event) => match event.cause {
                RevocationCause::Done => Kind::GrantGivenBack,
                RevocationCause::Revoked => Kind::Revocation,
            },
            Self::FreezeLifted(_) | Self::Frozen(_) => Kind::Freeze,
            Self::HostAcknowledged(_) | Self::SshSessionReported(_) => Kind::HostReport,
            Self::HostCertificateIssued(_) => Kind::HostCertificate,
            Self::HostEnrolled(_) | Self::HostRemoved(_) | Self::JoinTokenIssued(_) => {
                Kind::HostChange
            }
            Self::LogCreated(_) => Kind::LogCreation,
            Self::PolicyLoaded(_) | Self::PolicyText(_) => Kind::PolicyChange,
            Self::Refused(_) | Self::RefusalsSummarised(_) => Kind::Refusal,
            Self::RequestApproved(_) | Self::RequestDenied(_) => Kind::Approval,
            Self::RequestExpired(_) | Self::RequestOpened(_) | Self::RequestWithdrawn(_) => {
                Kind::AccessRequest
            }
            Self::ReviewClosed(_) => Kind::Review,
            Self::SessionClosed(_) => Kind::SessionClosed,
            Self::BreakGlassSessionOpened(_) | Self::SessionOpened(_) => Kind::SessionOpened,
        }
    }

    /// The type as written in JSON, for tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AuditRead(_) => "audit-read",
            Self::BreakGlassImported(_) => "break-glass-imported",
            Self::BreakGlassKeyAdded(_) => "break-glass-key-added",
            Self::BreakGlassKeyRemoved(_) => "break-glass-key-removed",
            Self::BreakGlassSessionOpened(_) => "break-glass-session-opened",
            Self::CaKeyAdded(_) => "ca-key-added",
            Self::CertificateIssued(_) => "certificate-issued",
            Self::CertificatesRevoked(_) => "certificates-revoked",
            Self::FreezeLifted(_) => "freeze-lifted",
            Self::Frozen(_) => "frozen",
            Self::HostAcknowledged(_) => "host-acknowledged",
            Self::HostCertificateIssued(_) => "host-certificate-issued",
            Self::HostEnrolled(_) => "host-enrolled",
            Self::HostRemoved(_) => "host-removed",
            Self::JoinTokenIssued(_) => "join-token-issued",
            Self::LogCreated(_) => "log-created",
            Self::PolicyLoaded(_) => "policy-loaded",
            Self::PolicyText(_) => "policy-text",
            Self::RefusalsSummarised(_) => "refusals-summarised",
            Self::Refused(_) => "refused",
            Self::RequestApproved(_) => "request-approved",
            Self::RequestDenied(_) => "request-denied",
            Self::RequestExpired(_) => "request-expired",
            Self::RequestOpened(_) => "request-opened",
            Self::RequestWithdrawn(_) => "request-withdrawn",
            Self::ReviewClosed(_) => "review-closed",
            Self::SessionClosed(_) => "session-closed",
            Self::SessionOpened(_) => "session-opened",
            Self::SshSessionReported(_) => "ssh-session-reported",
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
            Self::BreakGlassKeyAdded(event) => Some(&event.person),
            Self::BreakGlassKeyRemoved(event) => Some(&event.person),
            Self::BreakGlassSessionOpened(event) => Some(&event.person),
            Self::CertificateIssued(event) => Some(&event.person),
            Self::CertificatesRevoked(event) => Some(&event.holder),
            Self::FreezeLifted(event) => frozen_person(&event.target),
            Self::Frozen(event) => frozen_person(&event.target),
            Self::HostRemoved(event) => Some(&event.by),
            Self::JoinTokenIssued(event) => event.by.as_ref(),
            Self::Refused(event) => event.person.as_ref(),
            Self::RequestApproved(event) => Some(&event.requester),
            Self::RequestDenied(event) => Some(&event.requester),
            Self::RequestExpired(event) => Some(&event.person),
            Self::RequestOpened(event) => Some(&event.person),
            Self::RequestWithdrawn(event) => Some(&event.person),
            Self::ReviewClosed(event) => Some(&event.by),
            Self::SessionClosed(event) => Some(&event.person),
            Self::SessionOpened(event) => Some(&event.person),
            Self::TicketIssued(event) => Some(&event.by),
            Self::TotpConfirmed(event) => Some(&event.person),
            Self::TotpOffered(event) => Some(&event.person),
            Self::BreakGlassImported(_)
            | Self::CaKeyAdded(_)
            | Self::HostAcknowledged(_)
            | Self::HostCertificateIssued(_)
            | Self::HostEnrolled(_)
            | Self::LogCreated(_)
            | Self::PolicyLoaded(_)
            | Self::PolicyText(_)
            | Self::RefusalsSummarised(_)
            | Self::SshSessionReported(_) => None,
        }
    }

    /// The name of the person it is about, also where only that is known.
    #[must_use]
    pub fn user(&self) -> Option<&UserName> {
        match self {
            Self::BreakGlassImported(event) => Some(&event.record.user),
            _ => self.person().map(|person| &person.user),
        }
    }

    /// Who did it, where that is somebody else than the person it is about.
    #[must_use]
    pub const fn by(&self) -> Option<&Person> {
        match self {
            Self::CertificatesRevoked(event) => Some(&event.by),
            Self::FreezeLifted(event) => Some(&event.by),
            Self::Frozen(event) => Some(&event.by),
            Self::RequestApproved(event) => Some(&event.by),
            Self::RequestDenied(event) => Some(&event.by),
            _ => None,
        }
    }

    /// The environment it is about, where there is one.
    #[must_use]
    pub fn environment(&self) -> Option<&Environment> {
        match self {
            Self::BreakGlassImported(event) => Some(&event.record.environment),
            Self::CaKeyAdded(event) => Some(&event.environment),
            Self::CertificateIssued(event) => Some(&event.asked.environment),
            Self::FreezeLifted(event) => frozen_environment(&event.target),
            Self::Frozen(event) => frozen_environment(&event.target),
            Self::HostAcknowledged(event) => Some(&event.environment),
            Self::HostCertificateIssued(event) => Some(&event.environment),
            Self::HostEnrolled(event) => Some(&event.environment),
            Self::HostRemoved(event) => Some(&event.environment),
            Self::JoinTokenIssued(event) => Some(&event.environment),
            Self::Refused(event) => event.asked.as_ref().map(|asked| &asked.environment),
            Self::RequestApproved(event) => Some(&event.environment),
            Self::RequestDenied(event) => Some(&event.environment),
            Self::RequestExpired(event) => Some(&event.environment),
            Self::RequestOpened(event) => Some(&event.asked.environment),
            Self::RequestWithdrawn(event) => Some(&event.environment),
            Self::ReviewClosed(event) => Some(&event.environment),
            Self::SshSessionReported(event) => Some(&event.environment),
            _ => None,
        }
    }

    /// The accounts it is about: principals of its environment.
    #[must_use]
    pub fn principals(&self) -> &[Principal] {
        match self {
            Self::BreakGlassImported(event) => event.record.principals.as_slice(),
            Self::CertificateIssued(event) => &event.asked.principals,
            Self::Refused(event) => event.asked.as_ref().map_or(&[], |asked| &asked.principals),
            Self::RequestOpened(event) => &event.asked.principals,
            Self::SshSessionReported(event) => std::slice::from_ref(&event.account),
            _ => &[],
        }
    }

    /// The certificate serials it is about, and the number of the access request.
    #[must_use]
    pub fn serials(&self) -> Vec<u64> {
        match self {
            Self::BreakGlassImported(event) => vec![event.record.serial.get()],
            Self::CertificateIssued(event) => {
                let mut serials = vec![event.serial];
                serials.extend(event.request);
                serials
            }
            Self::CertificatesRevoked(event) => event.serials.clone(),
            Self::HostCertificateIssued(event) => vec![event.serial],
            Self::RequestApproved(event) => vec![event.request],
            Self::RequestDenied(event) => vec![event.request],
            Self::RequestExpired(event) => vec![event.request],
            Self::RequestOpened(event) => vec![event.request],
            Self::RequestWithdrawn(event) => vec![event.request],
            Self::ReviewClosed(event) => vec![event.serial],
            Self::SessionClosed(event) => event.serials.clone(),
            Self::SshSessionReported(event) => vec![event.serial],
            _ => Vec::new(),
        }
    }
}

const fn frozen_person(target: &FreezeTarget) -> Option<&Person> {
    match target {
        FreezeTarget::Environment(_) => None,
        FreezeTarget::Person(person) => Some(person),
    }
}

const fn frozen_environment(target: &FreezeTarget) -> Option<&Environment> {
    match target {
        FreezeTarget::Environment(environment) => Some(environment),
        FreezeTarget::Person(_) => None,
    }
}
