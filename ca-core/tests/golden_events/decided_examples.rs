//! Decisions with all facts that policy saw: fields that older records do not have.

use ca_core::api::SecondFactor;
use ca_core::event::{Event, Judged};

use crate::examples::{NOW, SERIAL, at, digest, groups, person};

/// Number of the access request: entry 17 of epoch 1.
const REQUEST: u64 = (1 << 40) + 17;

fn judged() -> Judged {
    Judged {
        groups: groups(),
        mfa_age_seconds: 12,
        second_factor: SecondFactor::Totp,
        token_bound: true,
        on_call: false,
        holder: None,
        environments: [].into(),
        policies: Vec::new(),
        policy_digest: digest("policies"),
    }
}

fn about_alice() -> Option<Box<Judged>> {
    let environments = ["prod", "staging"].map(|name| {
        let policies = vec!["security-revokes".to_owned()];
        (name.parse().unwrap(), policies)
    });
    Some(Box::new(Judged {
        holder: Some(person("alice").subject),
        environments: environments.into(),
        ..judged()
    }))
}

fn about_the_authority() -> Option<Box<Judged>> {
    Some(Box::new(Judged {
        policies: vec!["security-administers".to_owned()],
        ..judged()
    }))
}

/// The same event with what is recorded now.
fn told(event: Event) -> Event {
    match event {
        Event::CertificateIssued(mut issued) if issued.break_glass => {
            issued.asked.unreviewed = Some(0);
            Event::CertificateIssued(issued)
        }
        Event::Refused(mut refused) => {
            refused.request = Some(REQUEST);
            refused.approvers = Some(vec![person("carol")]);
            refused.not_before = Some(at(NOW + 7200));
            refused.judged = about_alice();
            Event::Refused(refused)
        }
        Event::RequestApproved(mut approved) => {
            (approved.token_bound, approved.on_call) = (Some(true), Some(false));
            Event::RequestApproved(approved)
        }
        Event::RequestDenied(mut denied) => {
            denied.judged = Some(Box::new(Judged {
                holder: Some(person("alice").subject),
                policies: vec!["approvers-approve".to_owned()],
                ..judged()
            }));
            Event::RequestDenied(denied)
        }
        Event::CertificatesRevoked(mut revoked) => {
            (revoked.judged, revoked.serials) = (about_alice(), vec![SERIAL]);
            Event::CertificatesRevoked(revoked)
        }
        Event::Frozen(mut frozen) => {
            frozen.judged = about_alice();
            Event::Frozen(frozen)
        }
        Event::FreezeLifted(mut lifted) => {
            lifted.judged = about_alice();
            Event::FreezeLifted(lifted)
        }
        Event::ReviewClosed(mut closed) => {
            closed.judged = about_alice();
            Event::ReviewClosed(closed)
        }
        Event::AuditRead(mut read) => {
            read.judged = about_the_authority();
            Event::AuditRead(read)
        }
        Event::TicketIssued(mut issued) => {
            issued.judged = about_the_authority();
            Event::TicketIssued(issued)
        }
        Event::JoinTokenIssued(mut issued) => {
            issued.judged = about_the_authority();
            Event::JoinTokenIssued(issued)
        }
        Event::HostRemoved(mut removed) => {
            removed.judged = about_the_authority();
            Event::HostRemoved(removed)
        }
        other => panic!("{other:?} is no decision"),
    }
}

/// Each is that earlier example with the new fields.
const OF: [(&str, &str); 12] = [
    ("audit-read-judged", "audit-read"),
    (
        "certificate-issued-unreviewed",
        "certificate-issued-break-glass",
    ),
    ("certificates-revoked-judged", "certificates-revoked"),
    ("freeze-lifted-judged", "freeze-lifted-person"),
    ("frozen-judged", "frozen-person"),
    ("host-removed-judged", "host-removed"),
    ("join-token-issued-judged", "join-token-issued-by"),
    ("refused-judged", "refused-denied"),
    ("request-approved-judged", "request-approved"),
    ("request-denied-judged", "request-denied"),
    ("review-closed-judged", "review-closed"),
    ("ticket-issued-judged", "ticket-issued"),
];

/// All of them.
pub(crate) fn all(earlier: &[(&'static str, Event)]) -> Vec<(&'static str, Event)> {
    let example = |(name, of): (&'static str, &str)| {
        let event = earlier.iter().find(|(known, _)| *known == of);
        (name, told(event.unwrap().1.clone()))
    };
    OF.map(example).into()
}
