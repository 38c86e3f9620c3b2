//! Why was I told yes or no? One's own decisions, explained from their records.

use std::sync::Arc;
use std::time::Duration;

use ca_core::api::{self, PolicyReason, WhyDecided};
use ca_core::digest::Digest;
use ca_core::event::{Attempt, Event, Person};
use ca_core::name::{Environment, Principal, Subject};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::certificates::reason;
use super::history::read;
use super::{Ca, Caller, Failure, refused};
use crate::authn::session::actor;
use crate::ledger::Ledger;
use crate::policy::{self, Action, On, PolicySet, Question, Verdict};
use crate::policy_record;
use crate::recorded::{self, Decision};
use crate::state::State;
use crate::store::{Search, StoreError};

/// Records that are looked through first for somebody's newest decision, from the end of the log.
const NEWEST: u64 = 4096;
/// Records found together.
const PAGE: usize = 1000;

/// Looking one up reads the log and may build an older set: a few at a time, so that asking is no way
/// to keep the machine busy.
static PLACES: Semaphore = Semaphore::const_new(2);
const PLACE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Records of somebody that are opened in search of their newest decision.
const OPENED_MAX: usize = 2_000;

/// A decision with what its record says besides.
struct Found {
    decision: Decision,
    environment: Environment,
    principals: Vec<Principal>,
    serial: Option<u64>,
    approvers: Vec<Person>,
}

impl Ca {
    /// Why something was decided about the caller: `number` is that of its request, the serial of
    /// its certificate, or the index of its record; without one it is the newest.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] also for decisions about somebody else.
    pub async fn why(
        self: Arc<Self>,
        caller: Caller,
        number: Option<u64>,
    ) -> Result<WhyDecided, Failure> {
        let look = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            Some((actor.person().clone(), now))
        };
        let asking = self.ledger.read(look).await?;
        let (person, now) = asking.ok_or(Failure::SessionRequired)?;
        let (ca, subject) = (Arc::clone(&self), person.subject.clone());
        let Ok(Ok(_place)) = tokio::time::timeout(PLACE_WAIT_MAX, PLACES.acquire()).await else {
            return Err(Failure::Busy("many ask why; try again"));
        };
        let found = tokio::task::spawn_blocking(move || {
            let found = find(&ca.ledger, &subject, number)?;
            let set = found
                .as_ref()
                .map(|found| ca.set_of(found.decision.policy_digest));
            Ok::<_, StoreError>(found.zip(set))
        });
        let found = found.await.map_err(|error| internal(&error))?;
        let Some((found, then)) = found.map_err(|error| internal(&error))? else {
            let mut record = refused(Attempt::Audit, "not-found", &"why", caller.source);
            record.person = Some(person);
            let none = Failure::NotFound("decision about access of yours");
            return Err(self.record_refusal(record, none).await);
        };
        let mut why = told(&found, then.as_deref());
        let alone =
            found.approvers.is_empty() && found.decision.question.facts.approvals.is_empty();
        if alone && found.decision.lacking.is_empty() {
            self.compare(&mut why, found.decision.question, now).await;
        }
        Ok(why)
    }

    /// The set of this digest: in force, or built again from the log. None if it cannot be.
    fn set_of(&self, digest: Digest) -> Option<Arc<PolicySet>> {
        let current = self.policies.current();
        if current.digest() == *digest.as_bytes() {
            return Some(current);
        }
        let rebuilt = policy_record::rebuild(self.store.as_ref(), digest);
        let rebuilt = rebuilt.inspect_err(|error| tracing::warn!(%error, "older policies"));
        rebuilt.ok().flatten().map(Arc::new)
    }

    /// What the set in force says now.
    async fn compare(&self, why: &mut WhyDecided, mut question: Question, now: Timestamp) {
        question.facts.now = now;
        let policies = self.policies.current();
        let verdict = policy::judge(&policies, &question).verdict;
        why.now = Some(answer(verdict));
        why.other_policies = *why.policy_digest.as_bytes() != policies.digest();
        if verdict != Verdict::Permit {
            why.hints = self.hints(policies, question).await;
        }
    }
}

fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::Internal(error.to_string())
}

const fn answer(verdict: Verdict) -> api::Answer {
    match verdict {
        Verdict::Approval => api::Answer::Approval,
        Verdict::Deny => api::Answer::Deny,
        Verdict::Permit => api::Answer::Permit,
    }
}

/// The record's own words, with the reasons of the set that decided `then`.
fn told(found: &Found, then: Option<&PolicySet>) -> WhyDecided {
    let decision = &found.decision;
    let question = &decision.question;
    let told_whole = decision.lacking.is_empty();
    let judgement = then.filter(|_| told_whole).map(|set| decision.judge(set));
    let judgement = judgement.filter(|judgement| judgement.verdict == decision.verdict);
    let denial = judgement.as_ref().and_then(|found| found.denial.as_ref());
    let named = |id: &String| PolicyReason {
        policy: Some(id.clone()),
        sentence: then.and_then(|set| set.policies().get(id)).map_or_else(
            || "its text is not in the log".to_owned(),
            |p| p.reason.clone(),
        ),
    };
    let approvers = found.approvers.iter().map(|person| person.user.clone());
    WhyDecided {
        index: decision.index,
        time: decision.time,
        user: decision.person.user.clone(),
        answer: answer(decision.verdict),
        break_glass: question.action == Action::BreakGlass,
        environment: found.environment.clone(),
        principals: found.principals.clone(),
        duration_seconds: question.facts.duration.as_secs(),
        reasons: denial.map_or_else(
            || decision.policies.iter().map(named).collect(),
            |denial| denial.reasons.iter().map(reason).collect(),
        ),
        needs: judgement.and_then(|judgement| judgement.obligation),
        approvers: approvers.collect(),
        serial: found.serial,
        policy_digest: decision.policy_digest,
        other_policies: false,
        now: None,
        hints: Vec::new(),
    }
}

/// The decision asked for, if it is one about access of `subject`. Blocks.
fn find(
    ledger: &Ledger,
    subject: &Subject,
    number: Option<u64>,
) -> Result<Option<Found>, StoreError> {
    match number {
        // Requests and certificates are numbered by their records.
        Some(number) => {
            let index = Serial::try_from(number).map_or(number, Serial::index);
            about(ledger, subject, index)
        }
        None => newest(ledger, subject),
    }
}

/// What the record of `index` decided, if that was about access of `subject`.
fn about(ledger: &Ledger, subject: &Subject, index: u64) -> Result<Option<Found>, StoreError> {
    let Some((time, event)) = read(ledger, index)? else {
        return Ok(None);
    };
    let decisions = recorded::alone(index, time, &event).into_iter();
    let mut own = decisions.filter(|decision| decision.person.subject == *subject);
    let (serial, approvers) = match event {
        Event::CertificateIssued(issued) => (Some(issued.serial), issued.approvers),
        _ => (None, Vec::new()),
    };
    Ok(own.find_map(|decision| {
        let action = decision.question.action;
        let On::Accounts {
            environment,
            principals,
        } = decision.question.on.clone()
        else {
            return None;
        };
        matches!(action, Action::Login | Action::BreakGlass).then(|| Found {
            decision,
            environment,
            principals,
            serial,
            approvers: approvers.clone(),
        })
    }))
}

/// The newest decision about access of `subject`: looked for backwards, in ever larger steps.
fn newest(ledger: &Ledger, subject: &Subject) -> Result<Option<Found>, StoreError> {
    let (mut end, mut width) = (ledger.size(), NEWEST);
    let mut left = OPENED_MAX;
    while end > 0 {
        let start = end.saturating_sub(width);
        for index in indexes(ledger, subject, start..end)?.into_iter().rev() {
            if let Some(found) = about(ledger, subject, index)? {
                return Ok(Some(found));
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(None);
            }
        }
        (end, width) = (start, width.saturating_mul(8));
    }
    Ok(None)
}

/// Every record about `subject` in `range`, ascending.
fn indexes(
    ledger: &Ledger,
    subject: &Subject,
    range: std::ops::Range<u64>,
) -> Result<Vec<u64>, StoreError> {
    let (mut all, mut from) = (Vec::new(), range.start);
    loop {
        let found = ledger.search(&Search {
            terms: vec![format!("subject={subject}")],
            from,
            limit: PAGE,
            ..Search::default()
        })?;
        let before = |index: &u64| *index < range.end;
        let beyond = found.indexes.iter().any(|index| !before(index));
        all.extend(found.indexes.into_iter().filter(before));
        match found.next {
            Some(next) if !beyond && next < range.end => from = next,
            _ => return Ok(all),
        }
    }
}
