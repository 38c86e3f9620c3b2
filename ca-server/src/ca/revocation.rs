//! Ending grants early: the holder gives back, others with the right take away.

use std::sync::Arc;

use ca_core::api::{Revoke, Revoked};
use ca_core::event::{Attempt, CertificatesRevoked, Event, Person, RevocationCause};
use ca_core::name::Environment;

use super::audit::permitted;
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::access;
use crate::authn::session::Actor;
use crate::ledger::{CommitError, Refusal, Turn};
use crate::policy::{Action, Facts, On, Question};
use crate::state::State;

/// Longest reason, bytes.
const REASON_BYTES_MAX: usize = 512;

/// What is to end.
#[derive(Clone, Debug)]
enum Target {
    Mine(Environment),
    Serial(u64),
}

impl Ca {
    /// Revokes. What is revoked already stays so and is no error.
    ///
    /// # Errors
    ///
    /// [`Failure`]; [`Failure::NotFound`] for a serial that is not live.
    pub async fn revoke(&self, caller: Caller, body: Revoke) -> Result<Revoked, Failure> {
        let target = self.target(&body)?;
        let reason = reason(body.reason)?;
        let policies = self.policies.current();
        let on_call = Arc::clone(&self.settings.on_call);
        let revoked = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Revocation).map_err(some)?;
            let (holder, environment, serials) = find(state, turn, &actor, &target)
                .map_err(|failure| refuse(&actor, caller, failure))?;
            let cause = if holder.subject == actor.person().subject {
                RevocationCause::Done
            } else {
                let question = Question {
                    who: access::who(&actor),
                    action: Action::Revoke,
                    on: On::Environment(environment),
                    facts: Facts {
                        holder: Some(holder.subject.clone()),
                        ..access::facts(&actor, caller.source, on_call.has(&actor), turn.now())
                    },
                };
                let attempt = (Attempt::Revocation, &actor, caller);
                permitted(&policies, &question, attempt).map_err(some)?;
                RevocationCause::Revoked
            };
            if serials.is_empty() {
                return Err(Refusal {
                    why: None,
                    record: None,
                });
            }
            Ok(Event::CertificatesRevoked(CertificatesRevoked {
                by: actor.person().clone(),
                holder,
                serials,
                cause,
                sessions: Vec::new(),
                reason,
                source: caller.source,
            }))
        });
        match revoked.await {
            Ok(recorded) => Ok(Revoked {
                index: Some(recorded.index()),
                serials: recorded.get().serials(),
            }),
            Err(CommitError::Refused(None)) => Ok(Revoked {
                serials: Vec::new(),
                index: None,
            }),
            Err(CommitError::Refused(Some(failure))) => Err(failure),
            Err(CommitError::Busy(why)) => Err(Failure::Busy(why)),
            Err(CommitError::Stopped) => Err(Failure::Stopped),
        }
    }

    fn target(&self, body: &Revoke) -> Result<Target, Failure> {
        match (body.serial, &body.mine) {
            (Some(serial), None) => Ok(Target::Serial(serial)),
            (None, Some(name)) => match self.environments.get_key_value(name.as_str()) {
                Some((environment, _)) => Ok(Target::Mine(environment.clone())),
                None => Err(Failure::NotFound("environment")),
            },
            _ => Err(Failure::Invalid {
                field: "serial",
                detail: "give exactly one of serial and mine".to_owned(),
            }),
        }
    }
}

/// Whose certificates these are, where, and which of them are not revoked yet.
fn find(
    state: &State,
    turn: Turn,
    actor: &Actor,
    target: &Target,
) -> Result<(Person, Environment, Vec<u64>), Failure> {
    match target {
        Target::Serial(serial) => {
            let live = state.certificate(*serial, turn.now());
            let live = live.ok_or(Failure::NotFound("live certificate of that serial"))?;
            let serials = Some(*serial).filter(|serial| !state.is_revoked(*serial));
            Ok((
                live.person.clone(),
                live.environment.clone(),
                serials.into_iter().collect(),
            ))
        }
        Target::Mine(environment) => {
            let serials = state
                .live_of(&actor.person().subject, turn.now())
                .filter(|(_, certificate)| certificate.environment == *environment)
                .map(|(serial, _)| serial)
                .collect();
            Ok((actor.person().clone(), environment.clone(), serials))
        }
    }
}

fn some(refusal: Refusal<Failure>) -> Refusal<Option<Failure>> {
    Refusal {
        why: Some(refusal.why),
        record: refusal.record,
    }
}

fn refuse(actor: &Actor, caller: Caller, failure: Failure) -> Refusal<Option<Failure>> {
    let mut record = refused(Attempt::Revocation, "not-live", &failure, caller.source);
    record.person = Some(actor.person().clone());
    Refusal {
        why: Some(failure),
        record: Some(Box::new(record)),
    }
}

fn reason(given: Option<String>) -> Result<Option<String>, Failure> {
    match given {
        Some(text) if text.len() > REASON_BYTES_MAX || text.chars().any(char::is_control) => {
            Err(Failure::Invalid {
                field: "reason",
                detail: format!("at most {REASON_BYTES_MAX} bytes without control characters"),
            })
        }
        other => Ok(other),
    }
}
