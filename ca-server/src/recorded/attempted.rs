//! Records of what is no request for a certificate, seen alike: who did or tried what, and how
//! policy judged it.

use std::net::IpAddr;

use ca_core::event::{Attempt, Event, Judged, Person, RevocationCause};

use crate::policy::{Action, Verdict};

/// Something that policy was asked about.
pub(super) struct Attempted<'a> {
    pub(super) action: Action,
    pub(super) person: &'a Person,
    pub(super) verdict: Verdict,
    /// None in older records.
    pub(super) judged: Option<&'a Judged>,
    /// The access request that it was about, by its number.
    pub(super) request: Option<u64>,
    pub(super) source: IpAddr,
}

/// None for what policy was not asked about.
pub(super) fn attempted(event: &Event) -> Option<Attempted<'_>> {
    let (action, person, judged, source) = match event {
        Event::AuditRead(read) => {
            // The story of one request is also told to whom it concerns.
            let search = !read.query.starts_with("history ");
            let said = (Action::ReadAudit, &read.by, &read.judged, read.source);
            search.then_some(said)?
        }
        Event::CertificatesRevoked(revoked) => {
            let others = revoked.cause == RevocationCause::Revoked;
            let said = (Action::Revoke, &revoked.by, &revoked.judged, revoked.source);
            others.then_some(said)?
        }
        Event::FreezeLifted(lifted) => (Action::Revoke, &lifted.by, &lifted.judged, lifted.source),
        Event::Frozen(frozen) => (Action::Revoke, &frozen.by, &frozen.judged, frozen.source),
        Event::HostRemoved(removed) => (
            Action::Administer,
            &removed.by,
            &removed.judged,
            removed.source,
        ),
        Event::JoinTokenIssued(issued) => {
            let by = issued.by.as_ref()?;
            (Action::Administer, by, &issued.judged, issued.source)
        }
        Event::RequestDenied(denied) => {
            (Action::Approve, &denied.by, &denied.judged, denied.source)
        }
        Event::ReviewClosed(closed) => (Action::Review, &closed.by, &closed.judged, closed.source),
        Event::TicketIssued(issued) => (
            Action::Administer,
            &issued.by,
            &issued.judged,
            issued.source,
        ),
        Event::Refused(refused) => {
            // A digest stands for a policy that was asked.
            refused.policy_digest?;
            let person = refused.person.as_ref()?;
            (
                of(refused.attempt)?,
                person,
                &refused.judged,
                refused.source,
            )
        }
        _ => return None,
    };
    Some(Attempted {
        action,
        person,
        verdict: match event {
            Event::Refused(_) => Verdict::Deny,
            _ => Verdict::Permit,
        },
        judged: judged.as_deref(),
        request: match event {
            Event::RequestDenied(denied) => Some(denied.request),
            Event::Refused(refused) => refused.request,
            _ => None,
        },
        source,
    })
}

/// What policy is asked about for that attempt, other than an account.
const fn of(attempt: Attempt) -> Option<Action> {
    match attempt {
        Attempt::Approval => Some(Action::Approve),
        Attempt::Audit => Some(Action::ReadAudit),
        Attempt::Freeze | Attempt::Revocation => Some(Action::Revoke),
        Attempt::Host | Attempt::Ticket => Some(Action::Administer),
        Attempt::Review => Some(Action::Review),
        Attempt::BreakGlass
        | Attempt::Certificate
        | Attempt::Enrolment
        | Attempt::Session
        | Attempt::SignIn => None,
    }
}
