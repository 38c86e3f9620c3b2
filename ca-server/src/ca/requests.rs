//! Access requests: shown, waited for, decided, withdrawn, and expired.

use std::sync::Arc;

use ca_core::api::{
    self, ApprovalGiven, Approve, DenialGiven, DenyRequest, RequestStatus, RequestsShown,
};
use ca_core::event::{Attempt, Event, RequestExpired, RequestWithdrawn};
use ca_core::time::Timestamp;

use super::certificates::reason;
use super::text::written;
use super::waiting::{Wait, Waiter};
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::access::request::{self, NotDecided, Rulebook};
use crate::access::vote;
use crate::authn::session::{Actor, actor};
use crate::ledger::{CommitError, Refusal, Turn};
use crate::policy::{Denial, PolicySet};
use crate::state::{AccessRequest, Outcome, State};

/// Most requests in one answer.
const LISTED_MAX: usize = 200;

/// Who looks at a request, by which policies.
struct Viewer<'a> {
    ca: &'a Ca,
    policies: &'a PolicySet,
    state: &'a State,
    actor: &'a Actor,
    caller: Caller,
    now: Timestamp,
}

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
        self.look(caller, move |viewer| {
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
        let mut waiter = Waiter::new(wait, self.ledger.news().requests, &self.stopping);
        loop {
            let look = move |viewer: &Viewer<'_>| {
                let request = viewer.state.access_request(index);
                request.and_then(|request| viewer.view(request))
            };
            let seen = Arc::clone(&self).look(caller, look).await?;
            let seen = seen.ok_or(Failure::NotFound("access request"))?;
            let open = matches!(
                seen.status,
                RequestStatus::Waiting | RequestStatus::Approved
            );
            let left = seen.expires_at.since(self.clock.now());
            let news = wait.after != Some(seen.revision) || !open;
            if news || !waiter.sleep(Some(left)).await {
                return Ok(seen);
            }
        }
    }

    /// Looks at the newest state with the eyes of the caller.
    async fn look<T: Send + 'static>(
        self: Arc<Self>,
        caller: Caller,
        look: impl FnOnce(&Viewer<'_>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let policies = self.policies.current();
        let ledger = self.ledger.clone();
        let seen = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            Some(look(&Viewer {
                ca: &self,
                policies: &policies,
                state,
                actor: &actor,
                caller,
                now,
            }))
        };
        ledger.read(seen).await?.ok_or(Failure::SessionRequired)
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
            if let Some(freeze) = state.freeze(actor.person(), Some(&request.asked.environment)) {
                let frozen = Failure::Frozen(freeze.reason.clone());
                return Err(some(refuse(&actor, caller, ("frozen", frozen))));
            }
            decide((state, turn), &actor, request, book).map_err(|why| match why {
                NotDecided::Already => Refusal {
                    why: None,
                    record: None,
                },
                other => some(refuse(&actor, caller, failure(other))),
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

/// What the caller is told, with the code of the record.
pub(super) fn failure(why: NotDecided) -> (&'static str, Failure) {
    match why {
        NotDecided::Already => ("approved-already", Failure::RequestClosed(why.to_string())),
        NotDecided::Changed(what) => ("request-changed", Failure::RequestChanged(what.to_owned())),
        NotDecided::Closed(_) => ("request-closed", Failure::RequestClosed(why.to_string())),
        NotDecided::Denied(denial) => ("denied", denied(&denial)),
        NotDecided::NotGranted(not) => ("denied", denied(&not.denial)),
        NotDecided::Duration(detail) => (
            "invalid-request",
            Failure::Invalid {
                field: "duration_seconds",
                detail,
            },
        ),
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

impl Viewer<'_> {
    /// The request as the viewer may see it: their own, and those they may decide.
    fn view(&self, request: &AccessRequest) -> Option<api::AccessRequest> {
        let book = self.ca.book(&request.asked.environment, self.policies)?;
        let at = (self.caller.source, self.now);
        let mine = request.person.subject == self.actor.person().subject;
        let may_decide = vote::may_decide(self.actor, request, book, at).is_ok();
        (mine || may_decide).then(|| self.shown(request, book, (mine, may_decide)))
    }

    fn shown(
        &self,
        request: &AccessRequest,
        book: Rulebook<'_>,
        (mine, may_decide): (bool, bool),
    ) -> api::AccessRequest {
        let votes = vote::counting(self.state, request, book, self.now);
        let open = request.is_open(self.now);
        // Asked again: a vote may count no more.
        let (needs, missing) = if open && votes.len() != request.votes.len() {
            let missing = vote::still_missing(request, &votes, self.policies, self.now);
            (
                missing.sentence,
                u32::try_from(missing.count).unwrap_or(u32::MAX),
            )
        } else {
            (request.needs.clone(), request.approvals_missing)
        };
        api::AccessRequest {
            id: request.index,
            revision: request.revision,
            status: status(request, &needs, open),
            user: request.person.user.clone(),
            environment: request.asked.environment.clone(),
            principals: request.asked.principals.clone(),
            duration_seconds: vote::window(request, &votes).as_secs(),
            not_before: request.not_before,
            reason: request.asked.reason.clone(),
            ticket: request.asked.ticket.clone(),
            digest: request.digest,
            opened_at: request.opened,
            expires_at: request.expires,
            needs,
            approvals_missing: missing,
            approvals: votes
                .iter()
                .map(|vote| ApprovalGiven {
                    user: vote.by.user.clone(),
                    at: vote.at,
                })
                .collect(),
            denied: denial(request),
            serial: match request.outcome {
                Some(Outcome::Activated(serial)) => Some(serial),
                _ => None,
            },
            mine,
            may_decide: may_decide && open,
        }
    }
}

fn status(request: &AccessRequest, needs: &str, open: bool) -> RequestStatus {
    match &request.outcome {
        Some(Outcome::Activated(_)) => RequestStatus::Activated,
        Some(Outcome::Denied { .. }) => RequestStatus::Denied,
        Some(Outcome::Withdrawn) => RequestStatus::Withdrawn,
        Some(Outcome::Expired) => RequestStatus::Expired,
        None if !open => RequestStatus::Expired,
        None if needs.is_empty() => RequestStatus::Approved,
        None => RequestStatus::Waiting,
    }
}

fn denial(request: &AccessRequest) -> Option<DenialGiven> {
    match &request.outcome {
        Some(Outcome::Denied { by, at, reason }) => Some(DenialGiven {
            user: by.user.clone(),
            at: *at,
            reason: reason.clone(),
        }),
        _ => None,
    }
}
