//! Reviews of emergencies: open until somebody else says what they found.

use std::sync::Arc;

use ca_core::api;
use ca_core::event::{Attempt, Event, ReviewClosed};
use ca_core::time::Timestamp;

use super::audit::permitted;
use super::text::written;
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::access;
use crate::authn::session::{Actor, actor};
use crate::ledger::Refusal;
use crate::policy::{self, Action, Denial, Facts, On, PolicySet, Question};
use crate::state::{Review, State};

impl Ca {
    /// Open reviews: the caller's own emergencies, and those the caller may judge; oldest first.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] above all.
    pub async fn reviews(self: Arc<Self>, caller: Caller) -> Result<api::Reviews, Failure> {
        let look = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            Some((actor, state.excerpt(std::iter::empty()), now))
        };
        let seen = self.ledger.read(look).await?;
        let (actor, state, now) = seen.ok_or(Failure::SessionRequired)?;
        let policies = self.policies.current();
        let reviews = self.reviews_seen(&state, &actor, &policies, (caller, now));
        Ok(api::Reviews { reviews })
    }

    pub(super) fn reviews_seen(
        &self,
        state: &State,
        actor: &Actor,
        policies: &PolicySet,
        (caller, now): (Caller, Timestamp),
    ) -> Vec<api::Review> {
        let mut seen: Vec<api::Review> = state
            .reviews()
            .filter_map(|(serial, review)| {
                let may_close = !is_own(actor, review)
                    && !actor.is_break_glass()
                    && policy::ask(policies, &self.judging(actor, review, (caller, now)))
                        .is_permit();
                let seen = may_close || is_own(actor, review);
                seen.then(|| shown(serial, review, may_close))
            })
            .collect();
        seen.sort_by_key(|review| review.opened_at);
        seen
    }

    fn judging(
        &self,
        actor: &Actor,
        review: &Review,
        (caller, now): (Caller, Timestamp),
    ) -> Question {
        let on_call = self.settings.on_call.has(actor);
        Question {
            who: access::who(actor),
            action: Action::Review,
            on: On::Environment(review.environment.clone()),
            facts: Facts {
                holder: review.subject.clone().or_else(|| by_name_only(review)),
                ..access::facts(actor, caller.source, on_call, now)
            },
        }
    }

    /// Closes a review with what was found. Never by the person who broke glass.
    ///
    /// # Errors
    ///
    /// [`Failure`]; refusals have their record.
    pub async fn close_review(
        self: Arc<Self>,
        caller: Caller,
        index: u64,
        body: api::CloseReview,
    ) -> Result<(), Failure> {
        let finding = written("finding", &body.finding)?;
        let (ca, policies) = (Arc::clone(&self), self.policies.current());
        let closed = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Review)?;
            let refuse = |code, why: Failure| {
                let mut record = refused(Attempt::Review, code, &why, caller.source);
                record.person = Some(actor.person().clone());
                Refusal {
                    why,
                    record: Some(Box::new(record)),
                }
            };
            // By number, else by the whole serial: an offline serial is chosen by its holders.
            let numbered = state.reviews().find(|(_, review)| review.index == index);
            let by_serial = || state.reviews().find(|(serial, _)| *serial == index);
            let found = numbered.or_else(by_serial);
            let none = || refuse("not-found", Failure::NotFound("open review"));
            let (serial, review) = found.ok_or_else(none)?;
            if is_own(&actor, review) {
                let own = Denial::because("nobody reviews their own emergency");
                let own = super::certificates::decide::denied_plainly(&own);
                return Err(refuse("denied", own));
            }
            let question = ca.judging(&actor, review, (caller, turn.now()));
            let attempt = (Attempt::Review, &actor, caller);
            let judged = permitted(&policies, &question, attempt)?;
            Ok(Event::ReviewClosed(ReviewClosed {
                serial,
                by: actor.person().clone(),
                environment: review.environment.clone(),
                finding,
                judged: Some(Box::new(judged)),
                source: caller.source,
            }))
        });
        closed.await.map_err(Failure::from)?;
        Ok(())
    }
}

/// Whether the actor broke that glass. Offline only a name is known, which is enough to say no.
fn is_own(actor: &Actor, review: &Review) -> bool {
    match &review.subject {
        Some(subject) => *subject == actor.person().subject || review.user == actor.person().user,
        None => review.user == actor.person().user,
    }
}

/// Stands for a holder of whom only the name is known: nobody's subject.
fn by_name_only(review: &Review) -> Option<ca_core::name::Subject> {
    ca_core::name::Subject::new("offline", review.user.as_str()).ok()
}

fn shown(serial: u64, review: &Review, may_close: bool) -> api::Review {
    api::Review {
        id: review.index,
        user: review.user.clone(),
        environment: review.environment.clone(),
        principals: review.principals.clone(),
        reason: review.reason.clone(),
        serial,
        offline: review.subject.is_none(),
        opened_at: review.opened,
        valid_before: review.valid_before,
        may_close,
    }
}
