//! Access requests: opened when approvals (or the time) are missing, activated once by the
//! requester. Deciding them is [`super::vote`].
//!
//! No state of its own: each function answers on (state, input, now). What it answers is recorded,
//! and the record changes the state.

use std::time::Duration;

use ca_core::digest::Digest;
use ca_core::event::{Asked, Judged, Person, RequestOpened};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use serde_json::json;

use super::vote::{approvals, counting, window};
use super::{Basis, Denied, Grant, OnCall, Wish, asked, granted, question};
use crate::authn::session::Actor;
use crate::environment::EnvironmentRules;
use crate::policy::{self, Decision, Denial, Missing, PolicySet};
use crate::state::{AccessRequest, Outcome, State};

/// Open requests that one person may have.
pub const OPEN_MAX: usize = 16;

/// Requests of one person that are remembered, over or not: each costs a record and memory.
pub const REMEMBERED_MAX: usize = 64;

/// Most login names of one request: policy is asked about each, many times.
pub const PRINCIPALS_MAX: usize = 8;

/// How far ahead access can be scheduled.
pub const AHEAD_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What decisions are made by.
#[derive(Clone, Copy, Debug)]
pub struct Rulebook<'a> {
    /// Ceiling and names of the environment.
    pub rules: &'a EnvironmentRules,
    /// The set in force.
    pub policies: &'a PolicySet,
    /// Who is on call.
    pub on_call: &'a OnCall,
}

/// Why nothing was decided about a request.
#[derive(Debug, thiserror::Error)]
pub enum NotDecided {
    /// The person said the same before; nothing to record.
    #[error("you have approved this already")]
    Already,
    /// The digest is of another request, or other terms than it was opened with.
    #[error("{0}")]
    Changed(&'static str),
    /// It is over.
    #[error("the request {0}")]
    Closed(String),
    /// Nobody may, whatever policy says.
    #[error("denied")]
    Denied(Denial),
    /// A window that cannot be.
    #[error("{0}")]
    Duration(String),
    /// The environment or the person is frozen.
    #[error("frozen: {0}")]
    Frozen(String),
    /// Policy does not let this person decide.
    #[error("denied")]
    NotAllowed {
        /// Why not.
        denial: Denial,
        /// For the record.
        judged: Box<Judged>,
    },
    /// Policy said no to the requester's own certificate.
    #[error("denied")]
    NotGranted(Box<Denied>),
    /// Its time has not come.
    #[error("not before {0}")]
    NotYet(Timestamp),
    /// Policy still wants approvals.
    #[error("still needs {0}")]
    StillNeeds(String),
}

/// Whether a wish has to become a request: its approvals are missing, or its time has not come.
/// None when policy permits it now, or when no approval could make it permit it.
#[must_use]
pub fn needs(actor: &Actor, wish: &Wish, book: Rulebook<'_>, now: Timestamp) -> Option<Missing> {
    let later = wish.not_before.filter(|time| now < *time);
    let at = later.unwrap_or(now);
    let question = question(actor, wish, book.rules, book.on_call.has(actor), at);
    if actor.is_break_glass() {
        return None;
    }
    match (policy::ask(book.policies, &question), later) {
        (Decision::Permit { .. }, None) => None,
        (Decision::Permit { policies }, Some(_)) => Some(Missing {
            sentence: String::new(),
            count: 0,
            policies,
        }),
        (Decision::Deny(_), _) => policy::approvals_missing(book.policies, &question),
    }
}

/// What policy says against a wish for later, at that time; none where it was not asked.
#[must_use]
pub fn denied_later(
    actor: &Actor,
    wish: &Wish,
    book: Rulebook<'_>,
    now: Timestamp,
) -> Option<Denied> {
    let at = wish.not_before.filter(|time| now < *time)?;
    if actor.is_break_glass() || wish.principals.as_slice().len() > PRINCIPALS_MAX {
        return None;
    }
    let on_call = book.on_call.has(actor);
    let question = question(actor, wish, book.rules, on_call, at);
    let Decision::Deny(denial) = policy::ask(book.policies, &question) else {
        return None;
    };
    Some(Denied {
        denial,
        asked: asked(actor, wish, book.rules, on_call),
        question,
        wish: wish.clone(),
    })
}

/// The record that opens a request as number `serial`.
#[must_use]
pub fn open(
    actor: &Actor,
    wish: &Wish,
    (missing, request_id, request_digest): (Missing, String, Digest),
    book: Rulebook<'_>,
    (serial, expires): (Serial, Timestamp),
) -> RequestOpened {
    let asked = asked(actor, wish, book.rules, book.on_call.has(actor));
    let person = actor.person().clone();
    RequestOpened {
        request: serial.get(),
        session: actor.session(),
        digest: digest(serial.get(), &person, &asked, wish.not_before),
        person,
        request_id,
        request_digest,
        asked,
        not_before: wish.not_before,
        needs: missing.sentence,
        approvals_missing: u32::try_from(missing.count).unwrap_or(u32::MAX),
        policies: missing.policies.into_iter().collect(),
        policy_digest: Digest::from_bytes(book.policies.digest()),
        expires,
    }
}

/// Digest of exactly what is asked for, by whom, in which request: what approvals name.
fn digest(number: u64, person: &Person, asked: &Asked, not_before: Option<Timestamp>) -> Digest {
    // An array: its order cannot change, whatever the JSON library does with objects.
    let exact = json!([
        "jit-ssh/request/v1",
        number,
        person.subject.issuer(),
        person.subject.sub(),
        asked.environment,
        asked.principals,
        asked.duration_seconds,
        asked.reason,
        asked.ticket,
        not_before,
    ]);
    Digest::of(exact.to_string().as_bytes())
}

/// Whether the same thing is asked for as in `request`.
#[must_use]
pub fn is_same(request: &AccessRequest, actor: &Actor, wish: &Wish, book: Rulebook<'_>) -> bool {
    let again = asked(actor, wish, book.rules, false);
    digest(request.number, actor.person(), &again, wish.not_before) == request.digest
}

/// Why a request that is over is over.
pub(super) fn closed(request: &AccessRequest) -> NotDecided {
    NotDecided::Closed(match &request.outcome {
        Some(Outcome::Activated(serial)) => format!("was used for certificate {serial}"),
        Some(Outcome::Denied { by, .. }) => format!("was denied by {}", by.user),
        Some(Outcome::Withdrawn) => "was withdrawn".to_owned(),
        Some(Outcome::Expired) | None => format!("expired at {}", request.expires),
    })
}

/// That the requester may take it back.
///
/// # Errors
///
/// [`NotDecided`]
pub fn withdraw(actor: &Actor, request: &AccessRequest, now: Timestamp) -> Result<(), NotDecided> {
    if actor.person().subject != request.person.subject {
        let other = Denial::because("only the requester withdraws a request; others deny it");
        return Err(NotDecided::Denied(other));
    }
    if request.is_open(now) {
        Ok(())
    } else {
        Err(closed(request))
    }
}

/// The grant of a request that has what it needs: policy is asked again, now, with the votes that
/// still count. The window begins now and ends no later than the scheduled one.
///
/// # Errors
///
/// [`NotDecided`]
pub fn activate(
    (state, actor): (&State, &Actor),
    request: &AccessRequest,
    mut wish: Wish,
    book: Rulebook<'_>,
    now: Timestamp,
) -> Result<Grant, NotDecided> {
    if actor.person().subject != request.person.subject {
        let other = Denial::because("only the requester activates a request");
        return Err(NotDecided::Denied(other));
    }
    if !request.is_open(now) {
        return Err(closed(request));
    }
    if !is_same(request, actor, &wish, book) {
        return Err(NotDecided::Changed(
            "what is asked for is not what the request was opened for",
        ));
    }
    if let Some(not_before) = request.not_before.filter(|time| now < *time) {
        return Err(NotDecided::NotYet(not_before));
    }
    let votes = counting(state, request, book, now);
    wish.duration = window(request, &votes).min(rest_of_schedule(request, now));
    if wish.duration.as_secs() == 0 {
        return Err(NotDecided::Closed("has less than a second left".to_owned()));
    }
    let on_call = book.on_call.has(actor);
    let mut question = question(actor, &wish, book.rules, on_call, now);
    question.facts.approvals = approvals(&votes);
    let asked_again = question.clone();
    let basis = Basis::Request {
        number: request.number,
        approvers: votes.iter().map(|vote| vote.by.clone()).collect(),
    };
    granted(actor, wish, (book.rules, book.policies), question, basis).map_err(|denied| {
        match policy::approvals_missing(book.policies, &asked_again) {
            Some(missing) if !actor.is_break_glass() => NotDecided::StillNeeds(missing.sentence),
            _ => NotDecided::NotGranted(denied),
        }
    })
}

/// How much of a scheduled window is left; all of it when nothing was scheduled.
fn rest_of_schedule(request: &AccessRequest, now: Timestamp) -> Duration {
    let asked = Duration::from_secs(request.asked.duration_seconds);
    let end = request.not_before.map(|start| start.plus(asked));
    end.map_or(asked, |end| end.since(now))
}
