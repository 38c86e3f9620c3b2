//! What is decided about a wish on one state: a certificate, an access request, or a refusal with
//! its record.

use std::net::IpAddr;

use ca_core::digest::Digest;
use ca_core::event::{Attempt, Event, Person, Refused};
use ca_core::serial::Serial;

use super::super::requests::failure;
use super::super::{Ca, Failure, refused};
use super::wish::Parsed;
use super::{NotRecorded, reason};
use crate::access::request::{self, NotDecided, Rulebook};
use crate::access::{self, Denied, Grant, Wish};
use crate::authn::session::Actor;
use crate::environment::EnvironmentRules;
use crate::issuance::{self, Prepared};
use crate::ledger::{Refusal, Turn};
use crate::policy::{Denial, PolicySet};
use crate::recordable::Either;
use crate::state::{AccessRequest, State};

/// The decision, on one state: answered before, given back, frozen, denied, to wait, or prepared.
pub(super) fn decide(
    ca: &Ca,
    (state, turn): (&State, Turn),
    actor: &Actor,
    policies: &PolicySet,
    (mut parsed, nonce): (Parsed<'_>, [u8; 32]),
) -> Result<Either<Prepared, Event>, Refusal<NotRecorded>> {
    let source = parsed.wish.source;
    not_frozen(state, actor, &parsed.signing.rules, source)?;
    answered(state, turn, actor, &parsed)?;
    let book = Rulebook {
        rules: &parsed.signing.rules,
        policies,
        on_call: &ca.settings.on_call,
    };
    let refuse = |denied| refuse_denied(actor, policies, denied, source);
    let grant = if let Some(index) = parsed.access_request {
        activate((state, turn), actor, (index, &parsed.wish), book)?
    } else {
        opened_before(state, turn, actor, &parsed, book)?;
        schedule(&mut parsed.wish, turn).map_err(|failure| refuse_wish(actor, failure, source))?;
        let wish = parsed.wish.clone();
        if wish.not_before.is_some_and(|time| turn.now() < time) {
            let opened = open(ca, (state, turn), actor, &parsed, book)?;
            let refused = || refuse_later(actor, &parsed.wish, book, turn);
            return opened.map(Either::That).ok_or_else(refused);
        }
        let on_call = book.on_call.has(actor);
        match access::grant(actor, wish, (book.rules, policies), on_call, turn.now()) {
            Ok(grant) => grant,
            Err(denied) => {
                let opened = open(ca, (state, turn), actor, &parsed, book)?;
                return opened.map(Either::That).ok_or_else(|| refuse(denied));
            }
        }
    };
    prepare(actor, grant, (parsed, nonce), turn).map(Either::This)
}

/// The refusal of a wish for later that nothing would permit then.
fn refuse_later(
    actor: &Actor,
    wish: &Wish,
    book: Rulebook<'_>,
    turn: Turn,
) -> Refusal<NotRecorded> {
    let none = Denial::because("no approval could permit this at that time");
    let mut refusal = refuse_wish(actor, denied_plainly(&none), wish.source);
    let denied = request::denied_later(actor, wish, book, turn.now());
    if let (Some(record), Some(denied)) = (&mut refusal.record, denied) {
        tell_denied(record, book.policies, &denied);
        record.not_before = wish.not_before;
    }
    refusal.into()
}

/// A start that has passed is now; one far ahead is a mistake.
fn schedule(wish: &mut Wish, turn: Turn) -> Result<(), Failure> {
    wish.not_before = wish.not_before.filter(|start| turn.now() < *start);
    match wish.not_before {
        Some(start) if turn.now().plus(request::AHEAD_MAX) < start => Err(Failure::Invalid {
            field: "not_before",
            detail: "access is scheduled at most 30 days ahead".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The grant as a certificate to be signed.
pub(in super::super) fn prepare(
    actor: &Actor,
    grant: Grant,
    (parsed, nonce): (Parsed<'_>, [u8; 32]),
    turn: Turn,
) -> Result<Prepared, Refusal<NotRecorded>> {
    let source = parsed.wish.source;
    let particulars = issuance::Particulars {
        subject_key: parsed.subject_key,
        request_id: parsed.request_id,
        request_digest: parsed.request_digest,
        nonce,
    };
    let rules = &parsed.signing.rules;
    issuance::prepare(grant, particulars, rules, turn.serial(), turn.now()).map_err(|error| {
        tracing::error!(%error, "a granted certificate breaks a rule");
        refuse_wish(actor, Failure::Internal(error.to_string()), source).into()
    })
}

/// Nothing unless this very request was answered with a certificate before.
pub(in super::super) fn answered(
    state: &State,
    turn: Turn,
    actor: &Actor,
    parsed: &Parsed<'_>,
) -> Result<(), Refusal<NotRecorded>> {
    let subject = &actor.person().subject;
    let Some(answered) = state.answered(subject, &parsed.request_id, turn.now()) else {
        return Ok(());
    };
    let serial = Serial::try_from(answered.serial).ok();
    let same = answered.digest == parsed.request_digest && !state.is_revoked(answered.serial);
    Err(match serial.filter(|_| same) {
        Some(serial) => Refusal {
            why: NotRecorded::Answered(serial),
            record: None,
        },
        None => refuse_wish(actor, Failure::RequestIdReused, parsed.wish.source).into(),
    })
}

/// Nothing unless the person or the environment is frozen.
pub(in super::super) fn not_frozen(
    state: &State,
    actor: &Actor,
    rules: &EnvironmentRules,
    source: IpAddr,
) -> Result<(), Refusal<Failure>> {
    match state.freeze(actor.person(), Some(&rules.name)) {
        Some(freeze) => {
            let why = format!("by {}: {}", freeze.by.user, freeze.reason);
            Err(refuse_wish(actor, Failure::Frozen(why), source))
        }
        None => Ok(()),
    }
}

fn activate(
    (state, turn): (&State, Turn),
    actor: &Actor,
    (index, wish): (u64, &Wish),
    book: Rulebook<'_>,
) -> Result<Grant, Refusal<NotRecorded>> {
    let refuse = |why| Refusal::<NotRecorded>::from(refuse_wish(actor, why, wish.source));
    let mine = |request: &&AccessRequest| request.person.subject == actor.person().subject;
    let request = state.access_request(index).filter(mine);
    let request = request.ok_or_else(|| refuse(Failure::NotFound("access request")))?;
    request::activate((state, actor), request, wish.clone(), book, turn.now()).map_err(|why| {
        match why {
            NotDecided::NotGranted(denied) => {
                let counted = &denied.question.facts.approvals;
                let counted = |by: &Person| counted.iter().any(|one| one.subject == by.subject);
                let voters = request.votes.iter().map(|vote| &vote.by);
                let approvers = voters.filter(|by| counted(by)).cloned().collect();
                let mut refusal = refuse_denied(actor, book.policies, denied, wish.source);
                if let Some(record) = &mut refusal.record {
                    record.request = Some(request.number);
                    record.approvers = Some(approvers);
                }
                refusal
            }
            other => refuse(failure(other).1),
        }
    })
}

/// Nothing unless the same is asked for in an open access request.
fn opened_before(
    state: &State,
    turn: Turn,
    actor: &Actor,
    parsed: &Parsed<'_>,
    book: Rulebook<'_>,
) -> Result<(), Refusal<NotRecorded>> {
    let mut open = state.open_requests_of(&actor.person().subject, turn.now());
    let found = open.find(|request| {
        request.request_id == parsed.request_id
            || request::is_same(request, actor, &parsed.wish, book)
    });
    let Some(found) = found else {
        return Ok(());
    };
    let other_body = found.request_digest != parsed.request_digest;
    if found.request_id == parsed.request_id && other_body {
        return Err(refuse_wish(actor, Failure::RequestIdReused, parsed.wish.source).into());
    }
    Err(Refusal {
        why: NotRecorded::Waits(found.index),
        record: None,
    })
}

/// The record that opens an access request, if approvals or time are all that is missing.
fn open(
    ca: &Ca,
    (state, turn): (&State, Turn),
    actor: &Actor,
    parsed: &Parsed<'_>,
    book: Rulebook<'_>,
) -> Result<Option<Event>, Refusal<NotRecorded>> {
    let wish = &parsed.wish;
    if wish.principals.as_slice().len() > request::PRINCIPALS_MAX {
        return Ok(None);
    }
    let refuse = |why| Refusal::<NotRecorded>::from(refuse_wish(actor, why, wish.source));
    // Before anything costly: who has many requests is told so at once.
    let subject = &actor.person().subject;
    let open = state.open_requests_of(subject, turn.now()).count();
    let remembered = state.requests_of(subject).count();
    if open >= request::OPEN_MAX || remembered >= request::REMEMBERED_MAX {
        let sentence = format!(
            "you have {open} open requests and made {remembered} lately: withdraw some, or wait a day"
        );
        return Err(refuse(denied_plainly(&Denial::because(&sentence))));
    }
    let Some(missing) = request::needs(actor, wish, book, turn.now()) else {
        return Ok(None);
    };
    let expires = match wish.not_before {
        Some(start) => start.plus(wish.duration),
        None => turn.now().plus(ca.settings.request),
    };
    let serial = turn.serial();
    let serial = serial.ok_or_else(|| refuse(Failure::Internal("the log is full".to_owned())))?;
    let names = (missing, parsed.request_id.clone(), parsed.request_digest);
    let opened = request::open(actor, wish, names, book, (serial, expires));
    Ok(Some(Event::RequestOpened(Box::new(opened))))
}

/// A denial without hints.
pub(in super::super) fn denied_plainly(denial: &Denial) -> Failure {
    Failure::Denied {
        reasons: denial.reasons.iter().map(reason).collect(),
        hints: Vec::new(),
    }
}

/// A refusal of somebody known that policy was not asked about.
pub(in super::super) fn refuse_wish(
    actor: &Actor,
    failure: Failure,
    source: IpAddr,
) -> Refusal<Failure> {
    let code = match failure {
        Failure::RequestIdReused => "request-id-reused",
        Failure::Invalid { .. } => "invalid-request",
        Failure::Denied { .. } => "denied",
        Failure::Frozen(_) => "frozen",
        Failure::NotFound(_) => "not-found",
        Failure::NotYet(_) => "not-yet",
        Failure::RequestChanged(_) => "request-changed",
        Failure::RequestClosed(_) => "request-closed",
        _ => "not-issued",
    };
    let mut record = refused(Attempt::Certificate, code, &failure, source);
    record.person = Some(actor.person().clone());
    Refusal {
        why: failure,
        record: Some(Box::new(record)),
    }
}

pub(in super::super) fn refuse_denied(
    actor: &Actor,
    policies: &PolicySet,
    denied: Box<Denied>,
    source: IpAddr,
) -> Refusal<NotRecorded> {
    let reasons = &denied.denial.reasons;
    let sentences: Vec<&str> = reasons
        .iter()
        .map(|reason| reason.sentence.as_str())
        .collect();
    let mut record = refused(
        Attempt::Certificate,
        "denied",
        &sentences.join("; "),
        source,
    );
    record.person = Some(actor.person().clone());
    tell_denied(&mut record, policies, &denied);
    Refusal {
        why: NotRecorded::Denied(denied),
        record: Some(Box::new(record)),
    }
}

/// Puts the facts of the decision and the policies that made it into the record.
fn tell_denied(record: &mut Refused, policies: &PolicySet, denied: &Denied) {
    record.asked = Some(denied.asked.clone());
    let deciding = denied.denial.reasons.iter();
    record.policies = deciding
        .filter_map(|reason| reason.policy.clone())
        .collect();
    record.policy_digest = Some(Digest::from_bytes(policies.digest()));
    record.approvers = Some(Vec::new());
}
