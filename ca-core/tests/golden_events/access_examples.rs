//! Access requests, freezes, emergencies and their review: the second part of the examples.

use ca_core::api::SecondFactor;
use ca_core::event::{
    BreakGlassKeyAdded, BreakGlassKeyRemoved, BreakGlassSessionOpened, CertificateIssued,
    CertificatesRevoked, Event, FreezeLifted, FreezeTarget, Frozen, RequestApproved, RequestDenied,
    RequestExpired, RequestOpened, RequestWithdrawn, ReviewClosed, RevocationCause,
};
use ca_core::time::Timestamp;

use crate::examples::{
    NOW, SERIAL, asked, at, certificate, digest, groups, person, revocation, source,
};

/// Number of the access request: entry 17 of epoch 1.
const REQUEST: u64 = (1 << 40) + 17;

const EMERGENCY_KEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIsAAAABHNzaDo=";
const FINGERPRINT: &str = "SHA256:uLd1q+cgSMNZDEMJR1TNVVAQ2fWWPAXlJhEHdZcXqcA";

fn request_opened(not_before: Option<Timestamp>) -> Event {
    let scheduled = not_before.is_some();
    Event::RequestOpened(Box::new(RequestOpened {
        request: REQUEST,
        person: person("alice"),
        session: digest("session token"),
        request_id: "0123456789abcdef".to_owned(),
        request_digest: digest("request body"),
        asked: asked(Some("the database is full"), None),
        not_before,
        digest: digest("request"),
        needs: if scheduled {
            String::new()
        } else {
            "1 of sre-leads and 1 of security".to_owned()
        },
        approvals_missing: if scheduled { 0 } else { 2 },
        policies: vec!["prod-root".to_owned()],
        policy_digest: digest("policies"),
        expires: at(NOW + 28_800),
    }))
}

fn request_approved(needs: &str, approvals_missing: u32) -> Event {
    Event::RequestApproved(Box::new(RequestApproved {
        token_bound: None,
        on_call: None,
        request: REQUEST,
        digest: digest("request"),
        requester: person("alice"),
        by: person("carol"),
        groups: groups(),
        environment: "prod".parse().unwrap(),
        duration_seconds: 1800,
        mfa_age_seconds: 12,
        second_factor: SecondFactor::Totp,
        needs: needs.to_owned(),
        approvals_missing,
        policies: vec!["approve-prod".to_owned()],
        policy_digest: digest("policies"),
        source: source(),
    }))
}

fn of_requests() -> Vec<(&'static str, Event)> {
    let environment = || "prod".parse().unwrap();
    let denied = RequestDenied {
        judged: None,
        request: REQUEST,
        requester: person("alice"),
        by: person("carol"),
        environment: environment(),
        reason: "not during the freeze".to_owned(),
        policy_digest: digest("policies"),
        source: source(),
    };
    let withdrawn = RequestWithdrawn {
        request: REQUEST,
        person: person("alice"),
        environment: environment(),
        source: source(),
    };
    let expired = RequestExpired {
        request: REQUEST,
        person: person("alice"),
        environment: environment(),
    };
    vec![
        ("request-opened", request_opened(None)),
        (
            "request-opened-not-before",
            request_opened(Some(at(NOW + 7200))),
        ),
        ("request-approved", request_approved("1 of security", 1)),
        ("request-approved-complete", request_approved("", 0)),
        ("request-denied", Event::RequestDenied(denied)),
        ("request-withdrawn", Event::RequestWithdrawn(withdrawn)),
        ("request-expired", Event::RequestExpired(expired)),
    ]
}

fn frozen(target: FreezeTarget) -> Event {
    Event::Frozen(Frozen {
        judged: None,
        target,
        by: person("carol"),
        reason: "laptop stolen".to_owned(),
        source: source(),
    })
}

fn lifted(target: FreezeTarget) -> Event {
    Event::FreezeLifted(FreezeLifted {
        judged: None,
        target,
        by: person("carol"),
        reason: "found again".to_owned(),
        source: source(),
    })
}

fn of_freezes() -> Vec<(&'static str, Event)> {
    let prod = || FreezeTarget::Environment("prod".parse().unwrap());
    let alice = || FreezeTarget::Person(person("alice"));
    vec![
        ("frozen-environment", frozen(prod())),
        ("frozen-person", frozen(alice())),
        ("freeze-lifted-environment", lifted(prod())),
        ("freeze-lifted-person", lifted(alice())),
    ]
}

fn of_emergencies() -> Vec<(&'static str, Event)> {
    let added = BreakGlassKeyAdded {
        person: person("alice"),
        public_key: EMERGENCY_KEY.to_owned(),
        fingerprint: FINGERPRINT.to_owned(),
        source: source(),
    };
    let removed = BreakGlassKeyRemoved {
        person: person("alice"),
        fingerprint: FINGERPRINT.to_owned(),
        source: source(),
    };
    let opened = BreakGlassSessionOpened {
        person: person("alice"),
        groups: groups(),
        session: digest("session token"),
        fingerprint: FINGERPRINT.to_owned(),
        totp_step: 60_000_002,
        expires: at(NOW + 3600),
        source: source(),
    };
    let closed = ReviewClosed {
        judged: None,
        serial: SERIAL,
        by: person("carol"),
        environment: "prod".parse().unwrap(),
        finding: "the disk was full, only deploy was used".to_owned(),
        source: source(),
    };
    vec![
        ("break-glass-key-added", Event::BreakGlassKeyAdded(added)),
        (
            "break-glass-key-removed",
            Event::BreakGlassKeyRemoved(removed),
        ),
        (
            "break-glass-session-opened",
            Event::BreakGlassSessionOpened(Box::new(opened)),
        ),
        ("review-closed", Event::ReviewClosed(closed)),
    ]
}

/// Fields that events of the first part got later.
fn with_later_fields() -> Vec<(&'static str, Event)> {
    let approved = CertificateIssued {
        request: Some(REQUEST),
        approvers: vec![person("bob"), person("carol")],
        ..certificate(asked(Some("the database is full"), None))
    };
    let emergency = CertificateIssued {
        break_glass: true,
        ..certificate(asked(Some("INC-42 db down"), None))
    };
    let everything = CertificatesRevoked {
        sessions: vec![digest("session token")],
        everything: false,
        requests: Vec::new(),
        ..revocation("carol", RevocationCause::Revoked, Some("laptop lost"))
    };
    vec![
        (
            "certificate-issued-approved",
            Event::CertificateIssued(Box::new(approved)),
        ),
        (
            "certificate-issued-break-glass",
            Event::CertificateIssued(Box::new(emergency)),
        ),
        (
            "certificates-revoked-sessions",
            Event::CertificatesRevoked(everything),
        ),
    ]
}

/// All of them.
pub(crate) fn all() -> Vec<(&'static str, Event)> {
    [
        of_requests(),
        of_freezes(),
        of_emergencies(),
        with_later_fields(),
    ]
    .concat()
}
