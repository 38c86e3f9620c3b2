//! Access requests: shown, waited for, decided, withdrawn, and expired.

use std::sync::Arc;

use ca_core::api::{self, Approve, DenyRequest, RequestStatus, RequestsShown};
use ca_core::event::{Attempt, Event, RequestExpired, RequestWithdrawn};
use ca_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::certificates::reason;
use super::text::written;
use super::waiting::Wait;
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::access::request::{self, NotDecided, Rulebook};
use crate::access::vote;
use crate::authn::session::{Actor, actor};
use crate::ledger::{CommitError, Refusal, Revisions, Turn};
use crate::policy::{Denial, PolicySet};
use crate::state::{AccessRequest, State};

use view::Viewer;

mod view;

/// Most requests in one answer.
const LISTED_MAX: usize = 200;
/// Calls that ask policy about requests at once.
static JUDGING: Semaphore = Semaphore::const_new(2);
/// Most requests that one call asks policy about.
pub(super) const JUDGED_MAX: usize = 1000;

impl Ca {
    /// What decisions in the environment of `request` are made by; none if it is configured no more.
    pub(super) fn book<'a>(
        &'a self,
        environment: &ca_core::name::Environment,
        policies: &'a PolicySet,
    ) -> Option<Rulebook<'a>> {
        let signing = self.environments.get(environment)?;
        Some(Rulebook {
            rules: &signing.rules,
            policies,
            on_call: &self.settings.on_call,
        })
    }

    /// The requests that concern the caller, newest first. Decides nothing, so nothing is recorded.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] above all.
    pub async fn requests(
        self: Arc<Self>,
        caller: Caller,
        show: RequestsShown,
    ) -> Result<Vec<api::AccessRequest>, Failure> {
        // Of others only what can be decided: what is over is told to its requester alone.
        let wanted = |request: &AccessRequest, actor: &Actor, now: Timestamp| {
            request.is_open(now) || request.person.subject == actor.person().subject
        };
        self.look(caller, wanted, move |viewer| {
            let all = viewer.state.access_requests().rev();
            let seen = all.filter_map(|request| viewer.view(request));
            let wanted = seen.filter(|view| match show {
                RequestsShown::All => true,
                RequestsShown::Mine => view.mine,
                RequestsShown::ToApprove => {
                    view.may_decide && view.status == RequestStatus::Waiting
                }
            });
            wanted.take(LISTED_MAX).collect()
        })
        .await
    }

    /// The actor's requests that wait or can be activated, and how many wait for their decision.
    pub(super) fn concerning(
        &self,
        (state, actor): (&State, &Actor),
        policies: &PolicySet,
        (caller, now): (Caller, Timestamp),
    ) -> (Vec<api::AccessRequest>, u32) {
        let viewer = Viewer {
            ca: self,
            policies,
            state,
            actor,
            caller,
            now,
        };
        let open = state
            .access_requests()
            .filter(|request| request.is_open(now));
        let seen: Vec<api::AccessRequest> = open.filter_map(|r| viewer.view(r)).collect();
        let waits =
            |view: &&api::AccessRequest| view.may_decide && view.status == RequestStatus::Waiting;
        let to_approve = u32::try_from(seen.iter().filter(waits).count()).unwrap_or(u32::MAX);
        let mine = seen.into_iter().filter(|view| view.mine).collect();
        (mine, to_approve)
    }

    /// One request, as soon as its revision is another than the one seen or the wait is over.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] also for requests that do not concern the caller.
    pub async fn request(
        self: Arc<Self>,
        caller: Caller,
        index: u64,
        wait: Wait,
    ) -> Result<api::AccessRequest, Failure> {
        let mut waiter = self.waiting.begin(wait, caller.session);
        let mut told = self.ledger.news().requests;
        loop {
            let look = move |viewer: &Viewer<'_>| {
                let request = viewer.state.access_request(index);
                request.and_then(|request| viewer.view(request))
            };
            let wanted =
                move |request: &AccessRequest, _: &Actor, _: Timestamp| request.index == index;
            // Apart: while it waits, it must not have the size of this.
            let seen = Box::pin(Arc::clone(&self).look(caller, wanted, look)).await?;
            let seen = seen.ok_or(Failure::NotFound("access request"))?;
            let open = matches!(
                seen.status,
                RequestStatus::Waiting | RequestStatus::Approved
            );
            if wait.after != Some(seen.revision) || !open {
                return Ok(seen);
            }
            let left = seen.expires_at.since(self.clock.now());
            let is_news = |told: &Revisions| told.get(&index) != Some(&seen.revision);
            if !waiter.sleep(&mut told, is_news, Some(left)).await {
                return Ok(seen);
            }
        }
    }

    /// Looks at the wanted requests with the eyes of the caller. Policy is asked about each on a
    /// thread of its own, not while everybody waits for the ledger.
    async fn look<T: Send + 'static>(
        self: Arc<Self>,
        caller: Caller,
        wanted: impl Fn(&AccessRequest, &Actor, Timestamp) -> bool + Send + 'static,
        look: impl FnOnce(&Viewer<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let policies = self.policies.current();
        let seen = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            // The newest ones: what is not listed anyway need not be judged.
            let all = state
                .access_requests()
                .rev()
                .filter(|request| wanted(request, &actor, now));
            let excerpt = state.excerpt(all.take(JUDGED_MAX));
            Some((actor, excerpt, now))
        };
        let seen = self.ledger.read(seen).await?;
        let (actor, state, now) = seen.ok_or(Failure::SessionRequired)?;
        let looked = move || {
            look(&Viewer {
                ca: &self,
                policies: &policies,
                state: &state,
                actor: &actor,
                caller,
                now,
            })
        };
        // Few at once: looking must not be a way to keep the machine busy.
        let _place = JUDGING.acquire().await;
        let looked = tokio::task::spawn_blocking(looked).await;
        looked.map_err(|error| Failure::Internal(error.to_string()))
    }

    /// Says yes to exactly what the caller saw. Saying it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Failure`]; refusals have their record.
    pub async fn approve(
        self: Arc<Self>,
        caller: Caller,
        index: u64,
        body: Approve,
    ) -> Result<api::AccessRequest, Failure> {
        let decided = self.decide(caller, index, move |(state, turn), actor, request, book| {
            let environment = Some(&request.asked.environment);
            if let Some(freeze) = state.freeze(actor.person(), environment) {
                return Err(NotDecided::Frozen(freeze.reason.clone()));
            }
            let seen = (body.digest, body.duration_seconds);
            let at = (caller.source, turn.now());
            let approved = vote::approve((state, actor), request, seen, book, at)?;
            Ok(Event::RequestApproved(Box::new(approved)))
        });
        decided.await?;
        self.request(caller, index, Wait::default()).await
    }

    /// Says no, which closes the request.
    ///
    /// # Errors
    ///
    /// [`Failure`]; refusals have their record.
    pub async fn deny(
        self: Arc<Self>,
        caller: Caller,
        index: u64,
        body: DenyRequest,
    ) -> Result<api::AccessRequest, Failure> {
        let reason = written("reason", &body.reason)?;
        let decided = self.decide(caller, index, move |(_, turn), actor, request, book| {
            let at = (caller.source, turn.now());
            vote::deny(actor, request, reason, book, at).map(Event::RequestDenied)
        });
        decided.await?;
        self.request(caller, index, Wait::default()).await
    }

    /// Takes the caller's own request back.
    ///
    /// # Errors
    ///
    /// [`Failure`]; refusals have their record.
    pub async fn withdraw(
        self: Arc<Self>,
        caller: Caller,
        index: u64,
    ) -> Result<api::AccessRequest, Failure> {
        let decided = self.decide(caller, index, move |(_, turn), actor, request, _| {
            request::withdraw(actor, request, turn.now())?;
            Ok(Event::RequestWithdrawn(RequestWithdrawn {
                request: request.number,
                person: request.person.clone(),
                environment: request.asked.environment.clone(),
                source: caller.source,
            }))
        });
        decided.await?;
        self.request(caller, index, Wait::default()).await
    }

    async fn decide(
        self: &Arc<Self>,
        caller: Caller,
        index: u64,
        decide: impl FnOnce(
            (&State, Turn),
            &Actor,
            &AccessRequest,
            Rulebook<'_>,
        ) -> Result<Event, NotDecided>
        + Send
        + 'static,
    ) -> Result<(), Failure> {
        let (ca, policies) = (Arc::clone(self), self.policies.current());
        let decided = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Approval).map_err(some)?;
            let environment = |request: &&AccessRequest| request.asked.environment.clone();
            let request = state.access_request(index);
            let book = request
                .as_ref()
                .and_then(|r| ca.book(&environment(r), &policies));
            let (Some(request), Some(book)) = (request, book) else {
                let unknown = Failure::NotFound("access request");
                return Err(some(refuse(&actor, caller, ("not-found", unknown))));
            };
            decide((state, turn), &actor, request, book).map_err(|why| match why {
                NotDecided::Already => Refusal {
                    why: None,
                    record: None,
                },
                other => some(refuse_deciding(&actor, caller, request, other)),
            })
        });
        match decided.await {
            Ok(_) | Err(CommitError::Refused(None)) => Ok(()),
            Err(CommitError::Refused(Some(failure))) => Err(failure),
            Err(CommitError::Busy(why)) => Err(Failure::Busy(why)),
            Err(CommitError::Stopped) => Err(Failure::Stopped),
        }
    }

    /// Records the end of requests whose time is over. What may be decided does not hang on it:
    /// every decision looks at the time itself.
    ///
    /// # Errors
    ///
    /// [`Failure`] when it could not be recorded; the next call finds them again.
    pub async fn expire_requests(&self) -> Result<(), Failure> {
        let over =
            |request: &&AccessRequest, now| request.outcome.is_none() && !request.is_open(now);
        let look = move |state: &State, now: Timestamp| -> Vec<u64> {
            let requests = state.access_requests();
            requests
                .filter(|request| over(request, now))
                .map(|request| request.index)
                .collect()
        };
        for index in self.ledger.read(look).await? {
            let expired = self.ledger.commit(move |state, turn| {
                let request = state.access_request(index);
                let Some(request) = request.filter(|request| over(request, turn.now())) else {
                    return Err(Refusal {
                        why: (),
                        record: None,
                    });
                };
                Ok(Event::RequestExpired(RequestExpired {
                    request: request.number,
                    person: request.person.clone(),
                    environment: request.asked.environment.clone(),
                }))
            });
            super::ignore_refusal(expired.await)?;
        }
        Ok(())
    }
}

fn some(refusal: Refusal<Failure>) -> Refusal<Option<Failure>> {
    Refusal {
        why: Some(refusal.why),
        record: refusal.record,
    }
}

fn refuse(actor: &Actor, caller: Caller, (code, why): (&str, Failure)) -> Refusal<Failure> {
    let mut record = refused(Attempt::Approval, code, &why, caller.source);
    record.person = Some(actor.person().clone());
    if let Failure::Denied { reasons, .. } = &why {
        let sentences: Vec<&str> = reasons.iter().map(|r| r.sentence.as_str()).collect();
        record.detail = sentences.join("; ");
        record.policies = reasons.iter().filter_map(|r| r.policy.clone()).collect();
    }
    Refusal {
        why,
        record: Some(Box::new(record)),
    }
}

/// The same with what policy said, if it was asked.
fn refuse_deciding(
    actor: &Actor,
    caller: Caller,
    request: &AccessRequest,
    why: NotDecided,
) -> Refusal<Failure> {
    let judged = match &why {
        NotDecided::NotAllowed { judged, .. } => Some(judged.clone()),
        _ => None,
    };
    let mut refusal = refuse(actor, caller, failure(why));
    if let (Some(record), Some(judged)) = (&mut refusal.record, judged) {
        record.request = Some(request.number);
        record.policy_digest = Some(judged.policy_digest);
        record.judged = Some(judged);
    }
    refusal
}

/// What the caller is told, with the code of the record.
pub(super) fn failure(why: NotDecided) -> (&'static str, Failure) {
    match why {
        NotDecided::Already => ("approved-already", Failure::RequestClosed(why.to_string())),
        NotDecided::Changed(what) => ("request-changed", Failure::RequestChanged(what.to_owned())),
        NotDecided::Closed(_) => ("request-closed", Failure::RequestClosed(why.to_string())),
        NotDecided::Denied(denial) | NotDecided::NotAllowed { denial, .. } => {
            ("denied", denied(&denial))
        }
        NotDecided::NotGranted(not) => ("denied", denied(&not.denial)),
        NotDecided::Duration(detail) => (
            "invalid-request",
            Failure::Invalid {
                field: "duration_seconds",
                detail,
            },
        ),
        NotDecided::Frozen(reason) => ("frozen", Failure::Frozen(reason)),
        NotDecided::NotYet(time) => ("not-yet", Failure::NotYet(time)),
        NotDecided::StillNeeds(_) => ("denied", denied(&Denial::because(&why.to_string()))),
    }
}

fn denied(denial: &Denial) -> Failure {
    Failure::Denied {
        reasons: denial.reasons.iter().map(reason).collect(),
        hints: Vec::new(),
    }
}
