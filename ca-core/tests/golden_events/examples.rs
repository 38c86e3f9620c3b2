//! One event of every type, and of every type with optional fields one without and one with them.

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{
    Asked, Attempt, AuditRead, CaKeyAdded, CertificateIssued, CertificatesRevoked, Event,
    LogCreated, Person, PolicyCheck, PolicyLoaded, PolicyText, RefusalsSummarised, Refused,
    RevocationCause, SessionClosed, SessionOpened, TicketIssued, TotpConfirmed, TotpOffered,
};
use ca_core::name::Subject;
use ca_core::time::Timestamp;

use crate::{access_examples, decided_examples, emergency_examples, host_examples};

/// Stands for the bytes of a certificate to be signed.
pub(crate) const PRECERTIFICATE: &[u8] = b"to be signed";

pub(crate) const NOW: u64 = 1_800_000_000;
/// Serial of entry 42 in epoch 1.
pub(crate) const SERIAL: u64 = (1 << 40) + 42;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

pub(crate) fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

pub(crate) fn person(name: &str) -> Person {
    Person {
        subject: Subject::new("https://id.example.com", &format!("sub-{name}")).unwrap(),
        user: name.parse().unwrap(),
    }
}

pub(crate) fn groups() -> std::collections::BTreeSet<String> {
    ["engineering", "sre"].map(str::to_owned).into()
}

pub(crate) fn source() -> std::net::IpAddr {
    "192.0.2.7".parse().unwrap()
}

pub(crate) fn asked(reason: Option<&str>, ticket: Option<&str>) -> Asked {
    Asked {
        unreviewed: None,
        environment: "prod".parse().unwrap(),
        principals: vec!["deploy".parse().unwrap(), "app".parse().unwrap()],
        duration_seconds: 3600,
        groups: groups(),
        mfa_age_seconds: 12,
        second_factor: SecondFactor::Totp,
        token_bound: true,
        on_call: false,
        reason: reason.map(str::to_owned),
        ticket: ticket.map(str::to_owned),
        source: source(),
    }
}

fn issued(asked: Asked) -> Event {
    Event::CertificateIssued(Box::new(certificate(asked)))
}

pub(crate) fn certificate(asked: Asked) -> CertificateIssued {
    CertificateIssued {
        person: person("alice"),
        session: digest("session token"),
        request_id: "0123456789abcdef".to_owned(),
        request_digest: digest("request body"),
        asked,
        policies: vec!["prod-deploy".to_owned()],
        policy_digest: digest("policies"),
        serial: SERIAL,
        key_id: format!("alice@prod#{SERIAL}"),
        subject_key: "SHA256:uLd1q+cgSMNZDEMJR1TNVVAQ2fWWPAXlJhEHdZcXqcA".to_owned(),
        valid_after: NOW - 60,
        valid_before: NOW + 3600,
        request: None,
        approvers: vec![],
        break_glass: false,
    }
}

fn opened(kind: SecondFactor, totp_step: Option<u64>, recovery_code: Option<Digest>) -> Event {
    Event::SessionOpened(Box::new(SessionOpened {
        person: person("alice"),
        groups: groups(),
        session: digest("session token"),
        id_token: digest("id token"),
        id_token_expires: at(NOW + 300),
        token_bound: true,
        second_factor: kind,
        totp_step,
        recovery_code,
        expires: at(NOW + 36_000),
        source: "2001:db8::7".parse().unwrap(),
    }))
}

fn offered(tickets: Vec<Digest>, totp_step: Option<u64>, recovery_code: Option<Digest>) -> Event {
    Event::TotpOffered(TotpOffered {
        person: person("alice"),
        generation: 1,
        id_token: digest("id token"),
        tickets,
        totp_step,
        recovery_code,
        source: source(),
    })
}

fn revoked(by: &str, cause: RevocationCause, reason: Option<&str>) -> Event {
    Event::CertificatesRevoked(revocation(by, cause, reason))
}

pub(crate) fn revocation(
    by: &str,
    cause: RevocationCause,
    reason: Option<&str>,
) -> CertificatesRevoked {
    CertificatesRevoked {
        judged: None,
        by: person(by),
        holder: person("alice"),
        serials: vec![SERIAL, SERIAL + 1],
        cause,
        sessions: vec![],
        everything: false,
        requests: Vec::new(),
        reason: reason.map(str::to_owned),
        source: source(),
    }
}

fn refused(asked: Option<Asked>) -> Event {
    let known = asked.is_some();
    Event::Refused(Box::new(Refused {
        approvers: None,
        request: None,
        not_before: None,
        judged: None,
        attempt: if known {
            Attempt::Certificate
        } else {
            Attempt::SignIn
        },
        code: if known { "denied" } else { "id-token-nonce" }.to_owned(),
        detail: "in words, with \"quotes\" and \u{e9}".to_owned(),
        person: known.then(|| person("alice")),
        asked,
        policies: if known {
            vec!["prod-root".to_owned()]
        } else {
            vec![]
        },
        policy_digest: known.then(|| digest("policies")),
        source: source(),
    }))
}

/// Who did what: the first part.
fn of_people() -> Vec<(&'static str, Event)> {
    let confirmed = TotpConfirmed {
        person: person("alice"),
        generation: 1,
        totp_step: 60_000_000,
        recovery_codes: vec![digest("code 1"), digest("code 2")],
        source: source(),
    };
    let closed = SessionClosed {
        person: person("alice"),
        session: digest("session token"),
        serials: vec![SERIAL],
    };
    let ticket = TicketIssued {
        judged: None,
        by: person("carol"),
        user: "alice".parse().unwrap(),
        ticket: digest("ticket"),
        expires: at(NOW + 86_400),
        source: source(),
    };
    let read = AuditRead {
        judged: None,
        by: person("carol"),
        query: r#"{"environment":"prod"}"#.to_owned(),
        source: source(),
    };
    let code = Some(digest("recovery code"));
    vec![
        ("ticket-issued", Event::TicketIssued(ticket)),
        ("totp-offered", offered(vec![], None, None)),
        (
            "totp-offered-ticket",
            offered(vec![digest("ticket")], None, None),
        ),
        (
            "totp-offered-old-factor",
            offered(vec![], Some(59_999_000), None),
        ),
        ("totp-offered-recovery-code", offered(vec![], None, code)),
        ("totp-confirmed", Event::TotpConfirmed(confirmed)),
        (
            "session-opened",
            opened(SecondFactor::Totp, Some(60_000_001), None),
        ),
        (
            "session-opened-recovery-code",
            opened(SecondFactor::RecoveryCode, None, code),
        ),
        ("session-closed", Event::SessionClosed(closed)),
        ("audit-read", Event::AuditRead(read)),
    ]
}

/// The names of the files, and the events in them. New ones go to the end: the first twenty are the
/// log of `log.txt`.
pub(crate) fn examples() -> Vec<(&'static str, Event)> {
    let created = LogCreated {
        origin: "ca.example.com/2027a".to_owned(),
        epoch: 1,
        log_key: "ca.example.com/2027a+d0245b1d+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
            .to_owned(),
    };
    let key = CaKeyAdded {
        hosts: false,
        environment: "prod".parse().unwrap(),
        public_key:
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
                .to_owned(),
    };
    let policy = PolicyLoaded {
        policy_digest: digest("policies"),
        policies: 7,
        passed: [].into(),
        checks: None,
        failed: [].into(),
        accepted: None,
    };
    let summary = RefusalsSummarised {
        since: at(NOW),
        count: 120,
        by_code: [("session/session-unknown".to_owned(), 120)].into(),
        sources: 3,
    };
    let mut all = vec![
        ("log-created", Event::LogCreated(created)),
        ("policy-loaded", Event::PolicyLoaded(policy)),
        ("certificate-issued", issued(asked(None, None))),
        (
            "certificate-issued-reason",
            issued(asked(Some("the database is full"), Some("OPS-17"))),
        ),
        ("ca-key-added", Event::CaKeyAdded(key)),
        (
            "certificates-revoked-done",
            revoked("alice", RevocationCause::Done, None),
        ),
        (
            "certificates-revoked",
            revoked("carol", RevocationCause::Revoked, Some("laptop lost")),
        ),
        ("refused-unknown", refused(None)),
        ("refused-denied", refused(Some(asked(None, None)))),
        ("refusals-summarised", Event::RefusalsSummarised(summary)),
    ];
    all.extend(of_people());
    all.extend(access_examples::all());
    all.extend(host_examples::all());
    all.extend(emergency_examples::all());
    all.extend(of_policies());
    all.extend(decided_examples::all(&all));
    all
}

/// How policy sets come into force: what came after the first logs.
fn of_policies() -> Vec<(&'static str, Event)> {
    let accepted = PolicyLoaded {
        passed: [PolicyCheck::Cases].into(),
        checks: Some(digest("cases")),
        failed: [PolicyCheck::BreakGlass, PolicyCheck::Proofs].into(),
        accepted: Some("the solver hangs, incident OPS-17".to_owned()),
        policy_digest: digest("policies"),
        policies: 7,
    };
    let text = PolicyText {
        policy_digest: digest("policies"),
        file: "baseline.cedar".to_owned(),
        part: 1,
        parts: 9,
        text: "@id(\"everyone\")\npermit (principal, action, resource);\n".to_owned(),
    };
    vec![
        ("policy-loaded-accepted", Event::PolicyLoaded(accepted)),
        ("policy-text", Event::PolicyText(text)),
    ]
}
