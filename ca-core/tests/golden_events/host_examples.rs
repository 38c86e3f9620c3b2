//! What happens on and to hosts: the third part of the examples.

use ca_core::api::SessionEvent;
use ca_core::event::{
    Event, HostAcknowledged, HostCertificateIssued, HostEnrolled, HostRemoved, JoinTokenIssued,
    Person, SshSessionReported,
};
use ca_core::name::HostName;

use crate::examples::{NOW, SERIAL, at, digest, person, source};

const HOST: u64 = 30;
const FINGERPRINT: &str = "SHA256:uLd1q+cgSMNZDEMJR1TNVVAQ2fWWPAXlJhEHdZcXqcA";

fn names() -> Vec<HostName> {
    ["web1.prod.example.com", "web1"]
        .map(|name| name.parse().unwrap())
        .into()
}

fn token_issued(by: Option<Person>) -> Event {
    Event::JoinTokenIssued(JoinTokenIssued {
        judged: None,
        by,
        environment: "prod".parse().unwrap(),
        names: names(),
        token: digest("join token"),
        expires: at(NOW + 3600),
        source: source(),
    })
}

fn reported(happened: SessionEvent, from: Option<&str>, recorded: bool) -> Event {
    Event::SshSessionReported(Box::new(SshSessionReported {
        host: HOST,
        environment: "prod".parse().unwrap(),
        ssh_session: digest("boot, process, start"),
        happened,
        at: at(NOW + 5),
        serial: SERIAL,
        ca_fingerprint: FINGERPRINT.to_owned(),
        key_id: format!("alice@prod#{SERIAL}"),
        account: "deploy".parse().unwrap(),
        from: from.map(str::to_owned),
        recorded,
    }))
}

fn of_membership() -> Vec<(&'static str, Event)> {
    let environment = || "prod".parse().unwrap();
    let enrolled = HostEnrolled {
        host: HOST,
        environment: environment(),
        names: names(),
        public_key:
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
                .to_owned(),
        token: digest("join token"),
        credential: digest("host credential"),
        source: source(),
    };
    let issued = HostCertificateIssued {
        host: HOST,
        environment: environment(),
        names: names(),
        serial: SERIAL,
        key_id: format!("web1.prod.example.com@prod#{SERIAL}"),
        subject_key: FINGERPRINT.to_owned(),
        valid_after: NOW - 60,
        valid_before: NOW + 604_800,
    };
    let removed = HostRemoved {
        judged: None,
        host: HOST,
        by: person("carol"),
        environment: environment(),
        reason: "decommissioned".to_owned(),
        source: source(),
    };
    vec![
        ("join-token-issued", token_issued(None)),
        ("join-token-issued-by", token_issued(Some(person("carol")))),
        ("host-enrolled", Event::HostEnrolled(Box::new(enrolled))),
        (
            "host-certificate-issued",
            Event::HostCertificateIssued(Box::new(issued)),
        ),
        ("host-removed", Event::HostRemoved(removed)),
    ]
}

/// All of them.
pub(crate) fn all() -> Vec<(&'static str, Event)> {
    let acknowledged = HostAcknowledged {
        host: HOST,
        environment: "prod".parse().unwrap(),
        krl_version: 42,
    };
    let mut all = of_membership();
    all.extend([
        ("host-acknowledged", Event::HostAcknowledged(acknowledged)),
        (
            "ssh-session-reported",
            reported(SessionEvent::Began, None, true),
        ),
        (
            "ssh-session-reported-from",
            reported(SessionEvent::EndedAtExpiry, Some("198.51.100.4"), true),
        ),
        (
            "ssh-session-reported-closed",
            reported(SessionEvent::Closed, None, true),
        ),
        (
            "ssh-session-reported-ended-by-revocation",
            reported(SessionEvent::EndedByRevocation, None, true),
        ),
        (
            "ssh-session-reported-not-ended",
            reported(SessionEvent::NotEnded, None, true),
        ),
        (
            "ssh-session-reported-not-recorded",
            reported(SessionEvent::Began, Some("198.51.100.4"), false),
        ),
    ]);
    all
}
