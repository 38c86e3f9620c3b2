//! Enrolling a second factor: offered, then confirmed by its first code.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ca_core::api::{
    self, BeginEnrolment, ConfirmEnrolment, EnrolmentBegun, EnrolmentConfirmed, IssueTicket,
};
use ca_core::digest::Digest;
use ca_core::event::{Attempt, Event, Person, TicketIssued, TotpConfirmed, TotpOffered};
use ca_core::time::Timestamp;
use zeroize::Zeroizing;

use super::factor::{Evaluated, Spent, accept, refuse, seed_name};
use super::login::{random, random_token, unspent};
use super::{Ca, Caller, Enrolment, Failure, actor_or_refuse};
use crate::access;
use crate::authn::{Identity, recovery, totp};
use crate::ledger::Refusal;
use crate::policy::{Action, On, Question};
use crate::state::State;

/// How long an enrolment ticket is good, if no enrolment with it is confirmed.
const TICKET_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Tickets looked at in one request.
const TICKETS_MAX: usize = 4;
/// Recovery codes made with each seed.
const RECOVERY_CODES: usize = 10;

/// What entitles somebody to a new seed.
struct Entitled {
    spent: Option<Spent>,
    tickets: Vec<Digest>,
}

impl Ca {
    /// A new seed, sealed and offered. It counts once its first code is shown.
    ///
    /// # Errors
    ///
    /// [`Failure`]; a person who has a factor must show it, or two administrators' tickets.
    pub async fn begin_enrolment(
        &self,
        body: BeginEnrolment,
        source: IpAddr,
    ) -> Result<EnrolmentBegun, Failure> {
        let now = self.clock.now();
        let key = &body.session_public_key;
        let identity = self
            .identify(Attempt::Enrolment, (&body.id_token, key), source)
            .await?;
        let person = identity.person().clone();
        let shown = (body.totp.as_deref(), body.recovery_code.as_deref());
        let evaluated = self.evaluate(&person, shown, None, now).await?;
        let tickets: Vec<Digest> = body
            .tickets
            .iter()
            .take(TICKETS_MAX)
            .map(|t| Digest::of(t.as_bytes()))
            .collect();
        let seed = totp::Seed::new(random()?);
        let otpauth_uri = seed
            .otpauth_uri(&self.settings.totp_issuer, person.user.as_str())
            .map_err(|error| Failure::Internal(error.to_string()))?;
        let open = self.settings.enrolment == Enrolment::Open
            || self.settings.administrators.contains(&person.user);
        let offered = self.ledger.commit(move |state, turn| {
            let who = (Attempt::Enrolment, &person, source);
            let now = turn.now();
            let entitled = unspent(state, &identity, now)
                .and_then(|()| first_offer(state, &identity))
                .and_then(|()| entitled(state, &person, (&evaluated, &tickets), open, now))
                .map_err(|why| refuse(who, why))?;
            // Counted here, so that two enrolments at once never share a seed's name.
            let generation = state.factor(&person.subject).map_or(0, |f| f.generations) + 1;
            Ok::<_, Refusal<Failure>>(Event::TotpOffered(TotpOffered {
                person: person.clone(),
                generation,
                id_token: identity.id_token(),
                tickets: entitled.tickets,
                totp_step: entitled.spent.and_then(|spent| spent.totp_step),
                recovery_code: entitled.spent.and_then(|spent| spent.recovery_code),
                source,
            }))
        });
        let Event::TotpOffered(offered) = offered.await?.into_inner() else {
            return Err(Failure::Internal("another event than decided".to_owned()));
        };
        // A crash before this line leaves an offer without a seed: it can never be confirmed.
        self.seal(&seed, &offered.person, offered.generation)?;
        Ok(EnrolmentBegun {
            otpauth_uri: otpauth_uri.to_string(),
        })
    }

    /// The first code of an offered seed: from now on it is the person's factor.
    ///
    /// # Errors
    ///
    /// [`Failure::LoginRefused`] for a wrong code or another enrolment's ID token; counted.
    pub async fn confirm_enrolment(
        &self,
        body: ConfirmEnrolment,
        source: IpAddr,
    ) -> Result<EnrolmentConfirmed, Failure> {
        let now = self.clock.now();
        let key = &body.session_public_key;
        let identity = self
            .identify(Attempt::Enrolment, (&body.id_token, key), source)
            .await?;
        let person = identity.person().clone();
        let subject = person.subject.clone();
        let look = move |state: &State, _| {
            let offer = state.factor(&subject)?.offered.as_ref();
            offer.map(|offer| offer.generation)
        };
        let offered = self.ledger.read(look).await?;
        let evaluated = match offered {
            Some(generation) => {
                let shown = (Some(body.totp.as_str()), None);
                self.evaluate(&person, shown, Some(generation), now).await?
            }
            None => Evaluated::Nothing,
        };
        let codes = recovery_codes()?;
        let digests = codes
            .iter()
            .filter_map(|code| recovery::digest(code).ok())
            .collect();
        let confirmed = self.ledger.commit(move |state, turn| {
            let who = (Attempt::Enrolment, &person, source);
            let (now, offer) = (turn.now(), (identity.id_token(), &evaluated));
            let (generation, totp_step) = unspent(state, &identity, now)
                .and_then(|()| confirmed(state, &person, offer, now))
                .map_err(|why| refuse(who, why))?;
            let person = person.clone();
            let recovery_codes = digests;
            let event = TotpConfirmed {
                person,
                generation,
                totp_step,
                recovery_codes,
                source,
            };
            Ok::<_, Refusal<Failure>>(Event::TotpConfirmed(event))
        });
        confirmed.await?;
        let recovery_codes = codes.iter().map(|code| code.to_string()).collect();
        Ok(EnrolmentConfirmed { recovery_codes })
    }

    /// An administrator lets somebody enrol.
    ///
    /// # Errors
    ///
    /// [`Failure::Denied`] unless policy lets the caller `administer`.
    pub async fn issue_ticket(
        &self,
        caller: Caller,
        body: IssueTicket,
    ) -> Result<api::TicketIssued, Failure> {
        let ticket = random_token()?;
        let digest = Digest::of(ticket.as_bytes());
        let policies = self.policies.current();
        let on_call = Arc::clone(&self.settings.on_call);
        let issued = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Ticket)?;
            let on_call = on_call.has(&actor);
            let question = Question {
                who: access::who(&actor),
                action: Action::Administer,
                on: On::Authority,
                facts: access::facts(&actor, caller.source, on_call, turn.now()),
            };
            let attempt = (Attempt::Ticket, &actor, caller);
            let judged = super::audit::permitted(&policies, &question, attempt)?;
            Ok::<_, Refusal<Failure>>(Event::TicketIssued(TicketIssued {
                by: actor.person().clone(),
                user: body.user.clone(),
                ticket: digest,
                expires: turn.now().plus(TICKET_LIFE),
                judged: Some(Box::new(judged)),
                source: caller.source,
            }))
        });
        let expires_at = issued.await?.time().plus(TICKET_LIFE);
        Ok(api::TicketIssued {
            ticket: ticket.to_string(),
            expires_at,
        })
    }

    fn seal(&self, seed: &totp::Seed, person: &Person, generation: u32) -> Result<(), Failure> {
        let sealed = self
            .seal_key
            .seal(seed, &person.subject, generation, random()?)
            .map_err(|error| Failure::Internal(error.to_string()))?;
        self.store
            .put_secret(&seed_name(person, generation), &sealed)
            .map_err(|error| match error {
                crate::store::StoreError::Full { .. } => Failure::Busy("no room left"),
                other => Failure::Internal(other.to_string()),
            })
    }

    /// Enrols without a network: only for `dev`, which makes its people up.
    ///
    /// # Errors
    ///
    /// [`Failure`] when it cannot be recorded.
    pub(crate) async fn enrol_directly(
        &self,
        person: Person,
        seed: &totp::Seed,
        source: IpAddr,
    ) -> Result<(), Failure> {
        self.seal(seed, &person, 1)?;
        let enrolled = self.ledger.commit(move |_, _| {
            Ok::<_, Refusal<Failure>>(Event::TotpConfirmed(TotpConfirmed {
                person,
                generation: 1,
                totp_step: 0,
                recovery_codes: Vec::new(),
                source,
            }))
        });
        enrolled.await?;
        Ok(())
    }
}

/// That this sign-in has not been given a seed yet. Each seed is a record and a sealed secret that
/// stay, so somebody without a factor could fill the disk with one sign-in.
fn first_offer(state: &State, identity: &Identity) -> Result<(), (Failure, &'static str)> {
    let offered = state
        .factor(&identity.person().subject)
        .and_then(|factor| factor.offered.as_ref());
    match offered {
        Some(offer) if offer.id_token == identity.id_token() => {
            Err((Failure::LoginRefused, "enrolment-begun-before"))
        }
        _ => Ok(()),
    }
}

/// Whether this person may have a new seed: a first one by the enrolment mode, another one with the
/// old factor or with tickets of two administrators, neither of whom is this person.
fn entitled(
    state: &State,
    person: &Person,
    (evaluated, tickets): (&Evaluated, &[Digest]),
    open: bool,
    now: Timestamp,
) -> Result<Entitled, (Failure, &'static str)> {
    let factor = state.factor(&person.subject);
    let administrators: BTreeSet<_> = tickets
        .iter()
        .filter_map(|digest| state.ticket(digest, now))
        .filter(|ticket| ticket.user == person.user && ticket.by != person.subject)
        // A name may exist at two issuers: the first to be offered a seed keeps the ticket.
        .filter(|ticket| {
            let offered_to = ticket.offered_to.as_ref();
            offered_to.is_none_or(|subject| *subject == person.subject)
        })
        .map(|ticket| &ticket.by)
        .collect();
    let by_ticket = || Entitled {
        spent: None,
        tickets: tickets.to_vec(),
    };
    match factor.filter(|factor| factor.confirmed.is_some()) {
        Some(_) if administrators.len() >= 2 => Ok(by_ticket()),
        Some(factor) => accept(factor, evaluated, now).map(|spent| Entitled {
            spent: Some(spent),
            tickets: Vec::new(),
        }),
        None if !administrators.is_empty() => Ok(by_ticket()),
        None if open => Ok(Entitled {
            spent: None,
            tickets: Vec::new(),
        }),
        None => Err((Failure::TotpRequired, "enrolment-ticket-missing")),
    }
}

/// The generation and step that this confirmation puts into force.
fn confirmed(
    state: &State,
    person: &Person,
    (id_token, evaluated): (Digest, &Evaluated),
    now: Timestamp,
) -> Result<(u32, u64), (Failure, &'static str)> {
    let factor = state.factor(&person.subject).cloned().unwrap_or_default();
    let Some(offer) = &factor.offered else {
        return Err((Failure::NotFound("enrolment"), "enrolment-not-begun"));
    };
    let generation = offer.generation;
    if offer.id_token != id_token {
        return Err((Failure::LoginRefused, "enrolment-other-sign-in"));
    }
    // The offered seed has spent no step yet, whatever the old one has.
    let fresh = crate::state::Factor {
        confirmed: Some(generation),
        last_step: None,
        ..factor
    };
    let spent = accept(&fresh, evaluated, now)?;
    spent
        .totp_step
        .map(|step| (generation, step))
        .ok_or((Failure::TotpRequired, "totp-required"))
}

fn recovery_codes() -> Result<Vec<Zeroizing<String>>, Failure> {
    (0..RECOVERY_CODES)
        .map(|_| Ok(recovery::code(&random()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use ca_core::event::TicketIssued;

    use super::*;

    fn person(issuer: &str) -> Person {
        Person {
            subject: ca_core::name::Subject::new(issuer, "1").unwrap(),
            user: "alice".parse().unwrap(),
        }
    }

    fn source() -> IpAddr {
        [127, 0, 0, 1].into()
    }

    fn offer(person: &Person, generation: u32, ticket: Digest) -> Event {
        Event::TotpOffered(TotpOffered {
            person: person.clone(),
            generation,
            id_token: Digest::of(b"id token"),
            tickets: vec![ticket],
            totp_step: None,
            recovery_code: None,
            source: source(),
        })
    }

    #[test]
    fn a_ticket_entitles_the_same_person_again_until_a_seed_is_confirmed_and_nobody_else() {
        let (alice, namesake) = (person("https://one.example"), person("https://two.example"));
        let (ticket, now) = (Digest::of(b"ticket"), Timestamp::from_unix_seconds(1));
        let mut state = State::default();
        let issued = TicketIssued {
            judged: None,
            by: person("https://administrators.example"),
            user: alice.user.clone(),
            ticket,
            expires: now.plus(TICKET_LIFE),
            source: source(),
        };
        state.apply(now, &Event::TicketIssued(issued));
        let may = |state: &State, who: &Person| {
            entitled(state, who, (&Evaluated::Nothing, &[ticket]), false, now).is_ok()
        };
        assert!(may(&state, &alice) && may(&state, &namesake));
        state.apply(now, &offer(&alice, 1, ticket));
        assert!(may(&state, &alice) && !may(&state, &namesake));
        state.apply(now, &offer(&alice, 2, ticket));
        let confirmed = TotpConfirmed {
            person: alice.clone(),
            generation: 2,
            totp_step: 1,
            recovery_codes: Vec::new(),
            source: source(),
        };
        state.apply(now, &Event::TotpConfirmed(confirmed));
        assert!(state.ticket(&ticket, now).is_none());
        assert!(!may(&state, &namesake));
    }
}
