//! Deciding somebody else's access request: yes to exactly what was seen, perhaps to less, or no.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ca_core::digest::Digest;
use ca_core::event::{Judged, RequestApproved, RequestDenied};
use ca_core::time::Timestamp;

use super::request::{NotDecided, Rulebook, closed};
use super::{facts, judged, who};
use crate::authn::session::Actor;
use crate::policy::{
    self, Action, Approval, Decision, Denial, Facts, Missing, On, PolicySet, Question, SecondFactor,
};
use crate::state::{AccessRequest, State, Vote};

/// Most approvals of one request: each is judged again whenever the request is.
const VOTES_MAX: usize = 16;

/// Shortest window that an approver may allow, seconds.
const DURATION_SECONDS_MIN: u64 = 60;

/// Whether policy lets the actor decide this request now, and how it judged that.
///
/// # Errors
///
/// [`NotDecided::NotAllowed`]; [`NotDecided::Denied`], always for one's own request.
pub fn may_decide(
    actor: &Actor,
    request: &AccessRequest,
    book: Rulebook<'_>,
    (source, now): (IpAddr, Timestamp),
) -> Result<Judged, NotDecided> {
    let no = |sentence| Err(NotDecided::Denied(Denial::because(sentence)));
    if actor.person().may_be(&request.person) {
        return no("nobody decides their own request");
    }
    if actor.is_frozen() {
        let others = "others have to decide until it is lifted";
        return Err(NotDecided::Frozen(others.to_owned()));
    }
    if actor.is_break_glass() {
        return no("this session is good for break-glass only; sign in as usual");
    }
    let facts = facts(actor, source, book.on_call.has(actor), now);
    let asking = approving(request, who(actor), facts);
    match policy::ask(book.policies, &asking) {
        Decision::Permit { policies } => Ok(judged((actor, &asking), (policies, book.policies))),
        Decision::Deny(denial) => {
            let against = denial.reasons.iter().filter_map(|why| why.policy.clone());
            let judged = judged((actor, &asking), (against.collect(), book.policies));
            let judged = Box::new(judged);
            Err(NotDecided::NotAllowed { denial, judged })
        }
    }
}

fn approving(request: &AccessRequest, who: policy::Person, facts: Facts) -> Question {
    Question {
        who,
        action: Action::Approve,
        on: accounts(request),
        facts: Facts {
            duration: Duration::from_secs(request.asked.duration_seconds),
            reason: request.asked.reason.clone(),
            ticket: request.asked.ticket.clone(),
            holder: Some(request.person.subject.clone()),
            ..facts
        },
    }
}

fn accounts(request: &AccessRequest) -> On {
    On::Accounts {
        environment: request.asked.environment.clone(),
        principals: request.asked.principals.clone(),
    }
}

/// A yes to exactly what `seen` is the digest of, perhaps to a shorter window.
///
/// # Errors
///
/// [`NotDecided`]
pub fn approve(
    (state, actor): (&State, &Actor),
    request: &AccessRequest,
    (seen, duration_seconds): (Digest, Option<u64>),
    book: Rulebook<'_>,
    (source, now): (IpAddr, Timestamp),
) -> Result<RequestApproved, NotDecided> {
    let judged = may_decide(actor, request, book, (source, now))?;
    if !request.is_open(now) {
        return Err(closed(request));
    }
    if seen != request.digest {
        return Err(NotDecided::Changed("this is not the request that was seen"));
    }
    let voted = |vote: &Vote| vote.by.may_be(actor.person());
    if request.votes.iter().any(voted) {
        return Err(NotDecided::Already);
    }
    if counting(state, request, book, now).len() >= VOTES_MAX {
        let many = format!("has {VOTES_MAX} approvals already; no more are taken");
        return Err(NotDecided::Closed(many));
    }
    let duration_seconds = agreed(request.asked.duration_seconds, duration_seconds)?;
    let vote = Vote {
        by: actor.person().clone(),
        groups: actor.groups().clone(),
        duration_seconds,
        mfa_age_seconds: actor.mfa_age().as_secs(),
        second_factor: actor.second_factor(),
        source,
        at: now,
    };
    if !counts(state, request, &vote, book, now) {
        let changed = "your groups have changed since this session began: sign in again";
        return Err(NotDecided::Denied(Denial::because(changed)));
    }
    let mut votes = counting(state, request, book, now);
    votes.push(&vote);
    let missing = still_missing(request, &votes, book.policies, now);
    Ok(RequestApproved {
        request: request.number,
        digest: request.digest,
        requester: request.person.clone(),
        by: vote.by,
        groups: vote.groups,
        environment: request.asked.environment.clone(),
        duration_seconds,
        mfa_age_seconds: vote.mfa_age_seconds,
        second_factor: vote.second_factor,
        needs: missing.sentence,
        approvals_missing: u32::try_from(missing.count).unwrap_or(u32::MAX),
        policies: judged.policies,
        policy_digest: judged.policy_digest,
        token_bound: Some(judged.token_bound),
        on_call: Some(judged.on_call),
        source,
    })
}

fn agreed(asked: u64, given: Option<u64>) -> Result<u64, NotDecided> {
    let given = given.unwrap_or(asked);
    if (DURATION_SECONDS_MIN.min(asked)..=asked).contains(&given) {
        return Ok(given);
    }
    Err(NotDecided::Duration(format!(
        "{given} s is not allowed ({DURATION_SECONDS_MIN} s to the {asked} s that were asked for)"
    )))
}

/// A no, which closes the request whatever others said.
///
/// # Errors
///
/// [`NotDecided`]
pub fn deny(
    actor: &Actor,
    request: &AccessRequest,
    reason: String,
    book: Rulebook<'_>,
    (source, now): (IpAddr, Timestamp),
) -> Result<RequestDenied, NotDecided> {
    let judged = may_decide(actor, request, book, (source, now))?;
    if !request.is_open(now) {
        return Err(closed(request));
    }
    Ok(RequestDenied {
        request: request.number,
        requester: request.person.clone(),
        by: actor.person().clone(),
        environment: request.asked.environment.clone(),
        reason,
        policy_digest: judged.policy_digest,
        judged: Some(Box::new(judged)),
        source,
    })
}

/// The votes that still count: their givers are not frozen, still have the groups they voted with,
/// and policy as it is now would still let them approve.
#[must_use]
pub fn counting<'a>(
    state: &State,
    request: &'a AccessRequest,
    book: Rulebook<'_>,
    now: Timestamp,
) -> Vec<&'a Vote> {
    let counts = |vote: &&Vote| counts(state, request, vote, book, now);
    request.votes.iter().filter(counts).collect()
}

fn counts(
    state: &State,
    request: &AccessRequest,
    vote: &Vote,
    book: Rulebook<'_>,
    now: Timestamp,
) -> bool {
    let known = state.known(&vote.by.subject);
    let has_groups = known.is_some_and(|known| vote.groups.is_subset(&known.groups));
    let frozen = state
        .freeze(&vote.by, Some(&request.asked.environment))
        .is_some();
    let asking = approving(request, voter(vote), voted_with(vote, book, now));
    has_groups && !frozen && policy::ask(book.policies, &asking).is_permit()
}

fn voter(vote: &Vote) -> policy::Person {
    policy::Person {
        name: vote.by.user.clone(),
        subject: vote.by.subject.clone(),
        groups: vote.groups.clone(),
    }
}

/// The circumstances of a vote as they were: a rule about office hours was kept if it was then.
fn voted_with(vote: &Vote, book: Rulebook<'_>, now: Timestamp) -> Facts {
    Facts {
        duration: Duration::ZERO,
        second_factor: shown(vote.second_factor, vote.mfa_age_seconds),
        token_bound: true,
        approvals: Vec::new(),
        source: vote.source,
        now: vote.at.min(now),
        reason: None,
        ticket: None,
        on_call: book.on_call.includes(&vote.by.user, &vote.groups),
        holder: None,
        unreviewed: 0,
    }
}

/// What policy still wants of `request` with these votes, seen as it was when it was opened: the
/// requester's second factor is judged when they activate.
#[must_use]
pub fn still_missing(
    request: &AccessRequest,
    votes: &[&Vote],
    policies: &PolicySet,
    now: Timestamp,
) -> Missing {
    let question = as_asked(request, votes, now);
    if policy::ask(policies, &question).is_permit() {
        return Missing {
            sentence: String::new(),
            count: 0,
            policies: BTreeSet::new(),
        };
    }
    policy::approvals_missing(policies, &question).unwrap_or_else(|| Missing {
        sentence: "what no approval can give: policy has changed".to_owned(),
        count: 1,
        policies: BTreeSet::new(),
    })
}

fn as_asked(request: &AccessRequest, votes: &[&Vote], now: Timestamp) -> Question {
    let asked = &request.asked;
    Question {
        who: policy::Person {
            name: request.person.user.clone(),
            subject: request.person.subject.clone(),
            groups: asked.groups.clone(),
        },
        action: Action::Login,
        on: accounts(request),
        facts: Facts {
            duration: window(request, votes),
            second_factor: shown(asked.second_factor, asked.mfa_age_seconds),
            token_bound: asked.token_bound,
            approvals: approvals(votes),
            source: asked.source,
            now: request.not_before.unwrap_or(now).max(now),
            reason: asked.reason.clone(),
            ticket: asked.ticket.clone(),
            on_call: asked.on_call,
            holder: None,
            unreviewed: 0,
        },
    }
}

fn shown(kind: ca_core::api::SecondFactor, age_seconds: u64) -> SecondFactor {
    let age = Duration::from_secs(age_seconds);
    match kind {
        ca_core::api::SecondFactor::RecoveryCode => SecondFactor::Recovery(age),
        ca_core::api::SecondFactor::Totp => SecondFactor::Totp(age),
    }
}

pub(super) fn approvals(votes: &[&Vote]) -> Vec<Approval> {
    let approval = |vote: &&Vote| Approval {
        subject: vote.by.subject.clone(),
        groups: vote.groups.clone(),
    };
    votes.iter().map(approval).collect()
}

/// The longest window that everybody agreed to.
#[must_use]
pub fn window(request: &AccessRequest, votes: &[&Vote]) -> Duration {
    let agreed = votes.iter().map(|vote| vote.duration_seconds).min();
    let asked = request.asked.duration_seconds;
    Duration::from_secs(agreed.map_or(asked, |agreed| agreed.min(asked)))
}
