//! Ending grants early: the holder gives back, others with the right take away.

use std::collections::BTreeSet;
use std::sync::Arc;

use ca_core::api::{Revoke, Revoked};
use ca_core::digest::Digest;
use ca_core::event::{Attempt, CertificatesRevoked, Event, Judged, Person, RevocationCause};
use ca_core::name::Environment;
use ca_core::serial::Serial;

use super::audit::permitted;
use super::text::{REASON_BYTES_MAX, line};
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::access;
use crate::authn::session::Actor;
use crate::ledger::{CommitError, Refusal, Turn};
use crate::policy::{Action, Facts, On, PolicySet, Question};
use crate::state::{Certificate, State};

/// What is to end.
#[derive(Clone, Debug)]
enum Target {
    Key(String),
    Mine(Environment),
    Person(String),
    Request(u64),
    Serial(u64),
    SessionOf(u64),
}

/// What was found of it.
#[derive(Debug)]
struct Found {
    holder: Person,
    serials: Vec<u64>,
    environments: BTreeSet<Environment>,
    sessions: Vec<Digest>,
    requests: Vec<u64>,
    everything: bool,
}

impl Ca {
    /// Revokes. What is revoked already stays so and is no error.
    ///
    /// # Errors
    ///
    /// [`Failure`]; [`Failure::NotFound`] for what is not live.
    pub async fn revoke(self: Arc<Self>, caller: Caller, body: Revoke) -> Result<Revoked, Failure> {
        let target = self.target(&body)?;
        let reason = line("reason", body.reason.as_deref(), REASON_BYTES_MAX)?;
        let policies = self.policies.current();
        let ca = Arc::clone(&self);
        let revoked = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Revocation).map_err(some)?;
            let found = find(state, turn, &actor, &target)
                .map_err(|failure| refuse(&actor, caller, failure))?;
            let (cause, judged) = ca
                .cause(&actor, &found, &policies, (caller, turn))
                .map_err(some)?;
            let nothing =
                found.serials.is_empty() && found.sessions.is_empty() && found.requests.is_empty();
            if nothing {
                return Err(Refusal {
                    why: None,
                    record: None,
                });
            }
            Ok(Event::CertificatesRevoked(CertificatesRevoked {
                by: actor.person().clone(),
                holder: found.holder,
                serials: found.serials,
                cause,
                sessions: found.sessions,
                requests: found.requests,
                everything: found.everything,
                reason,
                judged: judged.map(Box::new),
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
        let mine = body.mine.as_deref().map(|name| {
            let known = self.environments.get_key_value(name);
            let known = known.ok_or(Failure::NotFound("environment"))?;
            Ok(Target::Mine(known.0.clone()))
        });
        let given = [
            body.serial.map(|serial| Ok(Target::Serial(serial))),
            mine,
            body.request.map(|index| Ok(Target::Request(index))),
            body.person.clone().map(|name| Ok(Target::Person(name))),
            body.session_of.map(|serial| Ok(Target::SessionOf(serial))),
            body.key.clone().map(|key| Ok(Target::Key(key))),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(target), None) => target,
            _ => Err(Failure::Invalid {
                field: "serial",
                detail: "give exactly one of serial, mine, request, person, session_of and key"
                    .to_owned(),
            }),
        }
    }

    /// Given back by the holder, or taken away by somebody whom policy lets in every environment
    /// concerned; without any, in all.
    fn cause(
        &self,
        actor: &Actor,
        found: &Found,
        policies: &PolicySet,
        (caller, turn): (Caller, Turn),
    ) -> Result<(RevocationCause, Option<Judged>), Refusal<Failure>> {
        if found.holder.subject == actor.person().subject {
            return Ok((RevocationCause::Done, None));
        }
        let everywhere = self.environments.keys().cloned().collect();
        // A session at the CA is good everywhere, so ending one is a matter of all environments.
        let environments = if found.environments.is_empty() || !found.sessions.is_empty() {
            &everywhere
        } else {
            &found.environments
        };
        let holder = Some(&found.holder);
        let judged = self.may_revoke((actor, policies), environments, holder, (caller, turn))?;
        Ok((RevocationCause::Revoked, judged))
    }

    /// How policy lets the actor `revoke` in all these environments; none if there are none.
    pub(super) fn may_revoke(
        &self,
        (actor, policies): (&Actor, &PolicySet),
        environments: &BTreeSet<Environment>,
        holder: Option<&Person>,
        (caller, turn): (Caller, Turn),
    ) -> Result<Option<Judged>, Refusal<Failure>> {
        let mut all: Option<Judged> = None;
        for environment in environments {
            let on_call = self.settings.on_call.has(actor);
            let question = Question {
                who: access::who(actor),
                action: Action::Revoke,
                on: On::Environment(environment.clone()),
                facts: Facts {
                    holder: holder.map(|holder| holder.subject.clone()),
                    ..access::facts(actor, caller.source, on_call, turn.now())
                },
            };
            let attempt = (Attempt::Revocation, actor, caller);
            let judged = permitted(policies, &question, attempt)?;
            match &mut all {
                Some(all) => all.environments.extend(judged.environments),
                None => all = Some(judged),
            }
        }
        Ok(all)
    }
}

/// Whose certificates these are, where, and which of them are not revoked yet.
fn find(state: &State, turn: Turn, actor: &Actor, target: &Target) -> Result<Found, Failure> {
    let now = turn.now();
    match target {
        Target::Serial(serial) => {
            let live = state.certificate(*serial, now);
            let live = live.ok_or(Failure::NotFound("live certificate of that serial"))?;
            Ok(found(state, live.person.clone(), [(*serial, live)]))
        }
        Target::Mine(environment) => {
            let person = actor.person();
            let live = state.live_of(&person.subject, now);
            let mine = live.filter(|(_, certificate)| certificate.environment == *environment);
            Ok(found(state, person.clone(), mine))
        }
        Target::Request(index) => {
            let number = Serial::new(turn.epoch(), *index).map_or(0, Serial::get);
            let request = state.access_request(*index);
            if let Some(open) = request.filter(|request| request.is_open(now)) {
                return Ok(Found {
                    requests: vec![open.number],
                    environments: BTreeSet::from([open.asked.environment.clone()]),
                    ..found(state, open.person.clone(), [])
                });
            }
            let of_request = move |certificate: &Certificate| certificate.request == Some(number);
            held_by_one(state, turn, of_request, "live certificate of that request")
        }
        Target::Key(key) => held_by_one(
            state,
            turn,
            |certificate| certificate.subject_key == *key,
            "live certificate of that key",
        ),
        Target::Person(name) => {
            let person = one_person(state, name)?;
            let sessions = state.sessions(now);
            let sessions = sessions.filter(|(_, session)| session.person.subject == person.subject);
            let sessions = sessions.map(|(digest, _)| *digest).collect();
            let open = state.open_requests_of(&person.subject, now);
            let requests = open.map(|request| request.number).collect();
            let live = state.live_of(&person.subject, now);
            Ok(Found {
                sessions,
                requests,
                everything: true,
                ..found(state, person.clone(), live)
            })
        }
        Target::SessionOf(serial) => {
            let live = state.certificate(*serial, now);
            let live = live.ok_or(Failure::NotFound("live certificate of that serial"))?;
            let through = state.live_of(&live.person.subject, now);
            let through = through.filter(|(_, other)| other.session == live.session);
            let open = state.session(&live.session, now).map(|_| live.session);
            Ok(Found {
                sessions: open.into_iter().collect(),
                ..found(state, live.person.clone(), through)
            })
        }
    }
}

fn found<'a>(
    state: &State,
    holder: Person,
    certificates: impl IntoIterator<Item = (u64, &'a Certificate)>,
) -> Found {
    let mut found = Found {
        holder,
        serials: Vec::new(),
        environments: BTreeSet::new(),
        sessions: Vec::new(),
        requests: Vec::new(),
        everything: false,
    };
    for (serial, certificate) in certificates {
        found.environments.insert(certificate.environment.clone());
        if !state.is_revoked(serial) {
            found.serials.push(serial);
        }
    }
    found
}

fn held_by_one(
    state: &State,
    turn: Turn,
    wanted: impl Fn(&Certificate) -> bool,
    what: &'static str,
) -> Result<Found, Failure> {
    let live = state.live(turn.now());
    let live: Vec<_> = live
        .filter(|(_, certificate)| wanted(certificate))
        .collect();
    let holders: BTreeSet<&Person> = live.iter().map(|(_, found)| &found.person).collect();
    match holders.first() {
        None => Err(Failure::NotFound(what)),
        Some(holder) if holders.len() == 1 => Ok(found(state, (*holder).clone(), live)),
        Some(_) => Err(Failure::Invalid {
            field: "key",
            detail: "several people hold certificates of it: revoke by person".to_owned(),
        }),
    }
}

/// The one person of that name or identity.
pub(super) fn one_person(state: &State, name: &str) -> Result<Person, Failure> {
    let mut people = state.people_called(name);
    match (people.next(), people.next()) {
        (Some(person), None) => Ok(person),
        (None, _) => Err(Failure::NotFound("person; who never signed in has nothing")),
        (Some(_), Some(_)) => Err(Failure::Invalid {
            field: "person",
            detail: "several people have this name: give issuer#sub".to_owned(),
        }),
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
