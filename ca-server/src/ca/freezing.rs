//! Freezes: nothing new is issued to a person, or in an environment, until the freeze is lifted.
//! What was issued lives on; `revoke` ends that.

use std::collections::BTreeSet;
use std::sync::Arc;

use ca_core::api;
use ca_core::event::{Attempt, Event, FreezeLifted, FreezeTarget, Frozen};
use ca_core::time::Timestamp;

use super::revocation::one_person;
use super::text::written;
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::authn::session::{Actor, actor};
use crate::ledger::{CommitError, Refusal};
use crate::state::State;

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Freeze.
    On,
    /// Lift it.
    Off,
}

impl Ca {
    /// Freezes or lifts, for people whom policy lets `revoke` there (for a person: everywhere).
    /// What is so already stays so and is no error.
    ///
    /// # Errors
    ///
    /// [`Failure`]; refusals have their record.
    pub async fn freeze(
        self: Arc<Self>,
        caller: Caller,
        (body, switch): (api::Freeze, Switch),
    ) -> Result<api::Freezes, Failure> {
        let reason = written("reason", &body.reason)?;
        let (ca, policies) = (Arc::clone(&self), self.policies.current());
        let done = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Freeze).map_err(some)?;
            let target = ca
                .frozen(state, &body)
                .map_err(|failure| some(refuse(&actor, caller, failure)))?;
            let (environments, holder) = match &target {
                FreezeTarget::Environment(name) => (BTreeSet::from([name.clone()]), None),
                FreezeTarget::Person(person) => {
                    (ca.environments.keys().cloned().collect(), Some(person))
                }
            };
            let at = (caller, turn);
            let judged = ca
                .may_revoke((&actor, &policies), &environments, holder, at)
                .map_err(|refusal| some(of_freezing(refusal)))?;
            let own = holder.is_some_and(|held| held.subject == actor.person().subject);
            if own && switch == Switch::Off {
                let own = Failure::Frozen("somebody else has to lift it".to_owned());
                return Err(some(refuse(&actor, caller, own)));
            }
            if state.is_frozen(&target) == (switch == Switch::On) {
                return Err(Refusal {
                    why: None,
                    record: None,
                });
            }
            let (by, source) = (actor.person().clone(), caller.source);
            let judged = judged.map(Box::new);
            Ok(match switch {
                Switch::On => Event::Frozen(Frozen {
                    target,
                    by,
                    reason,
                    judged,
                    source,
                }),
                Switch::Off => Event::FreezeLifted(FreezeLifted {
                    target,
                    by,
                    reason,
                    judged,
                    source,
                }),
            })
        });
        match done.await {
            Ok(_) | Err(CommitError::Refused(None)) => self.freezes(caller).await,
            Err(CommitError::Refused(Some(failure))) => Err(failure),
            Err(CommitError::Busy(why)) => Err(Failure::Busy(why)),
            Err(CommitError::Stopped) => Err(Failure::Stopped),
        }
    }

    fn frozen(&self, state: &State, body: &api::Freeze) -> Result<FreezeTarget, Failure> {
        match (&body.user, &body.environment) {
            (Some(user), None) => one_person(state, user).map(FreezeTarget::Person),
            (None, Some(name)) => {
                let known = self.environments.get_key_value(name.as_str());
                let known = known.ok_or(Failure::NotFound("environment"))?;
                Ok(FreezeTarget::Environment(known.0.clone()))
            }
            _ => Err(Failure::Invalid {
                field: "user",
                detail: "give exactly one of user and environment".to_owned(),
            }),
        }
    }

    /// What is frozen now, for everybody who is signed in: it explains why nothing is issued.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] above all.
    pub async fn freezes(&self, caller: Caller) -> Result<api::Freezes, Failure> {
        let look = move |state: &State, now: Timestamp| {
            actor(state, caller.session, now).ok()?;
            let mut freezes: Vec<api::Frozen> = state
                .freezes()
                .map(|(target, freeze)| {
                    let (user, environment) = match target {
                        FreezeTarget::Environment(name) => (None, Some(name.clone())),
                        FreezeTarget::Person(person) => (Some(person.user.clone()), None),
                    };
                    api::Frozen {
                        user,
                        environment,
                        reason: freeze.reason.clone(),
                        by: freeze.by.user.clone(),
                        since: freeze.since,
                    }
                })
                .collect();
            freezes.sort_by_key(|frozen| frozen.since);
            Some(api::Freezes { freezes })
        };
        self.ledger
            .read(look)
            .await?
            .ok_or(Failure::SessionRequired)
    }
}

fn some(refusal: Refusal<Failure>) -> Refusal<Option<Failure>> {
    Refusal {
        why: Some(refusal.why),
        record: refusal.record,
    }
}

/// The same refusal, recorded as one of a freeze.
fn of_freezing(mut refusal: Refusal<Failure>) -> Refusal<Failure> {
    if let Some(record) = &mut refusal.record {
        record.attempt = Attempt::Freeze;
    }
    refusal
}

fn refuse(actor: &Actor, caller: Caller, failure: Failure) -> Refusal<Failure> {
    let mut record = refused(Attempt::Freeze, "not-frozen", &failure, caller.source);
    record.person = Some(actor.person().clone());
    Refusal {
        why: failure,
        record: Some(Box::new(record)),
    }
}
