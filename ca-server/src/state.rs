//! All that the CA knows: a fold over the log. Holds what is live, not history, so memory grows
//! with people and open grants, not with the log.
//!
//! Reads no clock: things end when an event with a later time is applied, or when a question
//! carries a later `now`. It decides nothing; it answers questions of those who decide.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ca_core::digest::Digest;
use ca_core::event::{
    Attempt, CertificateIssued, CertificatesRevoked, Event, Refused, SessionOpened, TicketIssued,
    TotpConfirmed, TotpOffered,
};
use ca_core::name::{Environment, Subject};
use ca_core::time::Timestamp;

use crate::authn::totp::Lockout;

pub use live::{Certificate, Factor, Offer, Request, Session, Ticket};
pub use snapshot::{Snapshot, SnapshotError};

mod live;
mod snapshot;
#[cfg(test)]
mod tests;

/// The fold. See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    size: u64,
    time: Timestamp,
    factors: HashMap<Subject, Factor>,
    sessions: HashMap<Digest, Session>,
    certificates: BTreeMap<u64, Certificate>,
    revoked: BTreeMap<u64, Timestamp>,
    request_ids: HashMap<(Subject, String), Request>,
    spent_id_tokens: HashMap<Digest, Timestamp>,
    tickets: HashMap<Digest, Ticket>,
    ca_keys: BTreeSet<(Environment, String)>,
    policy: Option<Digest>,
    ends: BTreeSet<(Timestamp, Ending)>,
}

/// What ends at a known time and is then forgotten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Certificate(u64),
    IdToken(Digest),
    Session(Digest),
    Ticket(Digest),
}

impl State {
    /// Number of records folded in.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Time of the newest record.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The person's second factor, if they ever began to enrol or failed to.
    #[must_use]
    pub fn factor(&self, subject: &Subject) -> Option<&Factor> {
        self.factors.get(subject)
    }

    /// The session of that token digest, if it is open at `now`.
    #[must_use]
    pub fn session(&self, token: &Digest, now: Timestamp) -> Option<&Session> {
        self.sessions
            .get(token)
            .filter(|session| now < session.expires)
    }

    /// Whether this ID token has opened a session or confirmed an enrolment before.
    #[must_use]
    pub fn is_spent(&self, id_token: &Digest) -> bool {
        self.spent_id_tokens.contains_key(id_token)
    }

    /// The enrolment ticket of that digest, if it is good at `now`.
    #[must_use]
    pub fn ticket(&self, ticket: &Digest, now: Timestamp) -> Option<&Ticket> {
        self.tickets
            .get(ticket)
            .filter(|ticket| now < ticket.expires)
    }

    /// How this person's request of that name was answered, while its certificate lives at `now`.
    /// What is over is forgotten with the next record only, so it is looked at here, too.
    #[must_use]
    pub fn answered(
        &self,
        subject: &Subject,
        request_id: &str,
        now: Timestamp,
    ) -> Option<&Request> {
        self.request_ids
            .get(&(subject.clone(), request_id.to_owned()))
            .filter(|request| self.certificate(request.serial, now).is_some())
    }

    /// A certificate whose window is not over, revoked or not.
    #[must_use]
    pub fn certificate(&self, serial: u64, now: Timestamp) -> Option<&Certificate> {
        self.certificates
            .get(&serial)
            .filter(|certificate| now < certificate.valid_before)
    }

    /// Whether a live certificate was revoked.
    #[must_use]
    pub fn is_revoked(&self, serial: u64) -> bool {
        self.revoked.contains_key(&serial)
    }

    /// Live, unrevoked certificates of a person, by serial.
    pub fn live_of<'a>(
        &'a self,
        subject: &'a Subject,
        now: Timestamp,
    ) -> impl Iterator<Item = (u64, &'a Certificate)> {
        self.certificates
            .iter()
            .map(|(serial, certificate)| (*serial, certificate))
            .filter(move |(serial, certificate)| {
                now < certificate.valid_before
                    && certificate.person.subject == *subject
                    && !self.is_revoked(*serial)
            })
    }

    /// Whether the log knows this CA key for this environment.
    #[must_use]
    pub fn knows_ca_key(&self, environment: &Environment, public_key: &str) -> bool {
        self.ca_keys
            .contains(&(environment.clone(), public_key.to_owned()))
    }

    /// Digest of the policy set last recorded.
    #[must_use]
    pub const fn policy(&self) -> Option<Digest> {
        self.policy
    }

    /// How many things are held, for metrics and for spacing snapshots.
    #[must_use]
    pub fn live_items(&self) -> usize {
        self.factors.len() + self.sessions.len() + self.certificates.len() + self.tickets.len()
    }

    /// Live certificates and open sessions, for metrics.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.certificates.len(), self.sessions.len())
    }

    /// Folds in the next record. `time` never decreases along the log.
    pub fn apply(&mut self, time: Timestamp, event: &Event) {
        self.size += 1;
        self.time = time;
        self.forget_until(time);
        match event {
            Event::CaKeyAdded(key) => {
                self.ca_keys
                    .insert((key.environment.clone(), key.public_key.clone()));
            }
            Event::CertificateIssued(issued) => self.certificate_issued(issued),
            Event::CertificatesRevoked(CertificatesRevoked { serials, .. }) => {
                self.revoke(serials);
            }
            Event::PolicyLoaded(policy) => self.policy = Some(policy.policy_digest),
            Event::Refused(refused) => self.refused(refused, time),
            Event::SessionClosed(closed) => {
                self.end_session(&closed.session);
                self.revoke(&closed.serials);
            }
            Event::SessionOpened(opened) => self.session_opened(opened, time),
            Event::TicketIssued(ticket) => self.ticket_issued(ticket),
            Event::TotpConfirmed(confirmed) => self.totp_confirmed(confirmed),
            Event::TotpOffered(offered) => self.totp_offered(offered),
            _ => {}
        }
    }

    fn certificate_issued(&mut self, issued: &CertificateIssued) {
        let valid_before = Timestamp::from_unix_seconds(issued.valid_before);
        let subject = issued.person.subject.clone();
        self.request_ids.insert(
            (subject, issued.request_id.clone()),
            Request {
                digest: issued.request_digest,
                serial: issued.serial,
            },
        );
        self.ends
            .insert((valid_before, Ending::Certificate(issued.serial)));
        self.certificates.insert(
            issued.serial,
            Certificate {
                person: issued.person.clone(),
                environment: issued.asked.environment.clone(),
                principals: issued.asked.principals.clone(),
                valid_before,
                request_id: issued.request_id.clone(),
                session: issued.session,
            },
        );
    }

    fn revoke(&mut self, serials: &[u64]) {
        for serial in serials {
            if let Some(certificate) = self.certificates.get(serial) {
                self.revoked.insert(*serial, certificate.valid_before);
            }
        }
    }

    fn refused(&mut self, refused: &Refused, time: Timestamp) {
        let person = refused
            .person
            .as_ref()
            .filter(|_| counts_for_lockout(refused));
        if let Some(person) = person {
            let factor = self.factors.entry(person.subject.clone()).or_default();
            factor.lockout = factor.lockout.after_failure(time);
        }
    }

    fn session_opened(&mut self, opened: &SessionOpened, time: Timestamp) {
        let factor = self
            .factors
            .entry(opened.person.subject.clone())
            .or_default();
        factor.lockout = Lockout::default();
        factor.spend(opened.totp_step, opened.recovery_code.as_ref());
        self.spend(opened.id_token, opened.id_token_expires);
        self.ends
            .insert((opened.expires, Ending::Session(opened.session)));
        self.sessions.insert(
            opened.session,
            Session {
                person: opened.person.clone(),
                groups: opened.groups.clone(),
                opened: time,
                expires: opened.expires,
                second_factor: opened.second_factor,
                token_bound: opened.token_bound,
                source: opened.source,
            },
        );
    }

    fn ticket_issued(&mut self, issued: &TicketIssued) {
        self.ends
            .insert((issued.expires, Ending::Ticket(issued.ticket)));
        self.tickets.insert(
            issued.ticket,
            Ticket {
                user: issued.user.clone(),
                by: issued.by.subject.clone(),
                offered_to: None,
                expires: issued.expires,
            },
        );
    }

    fn totp_offered(&mut self, offered: &TotpOffered) {
        let factor = self
            .factors
            .entry(offered.person.subject.clone())
            .or_default();
        factor.offered = Some(Offer {
            generation: offered.generation,
            id_token: offered.id_token,
            tickets: offered.tickets.clone(),
        });
        factor.generations = offered.generation;
        factor.spend(offered.totp_step, offered.recovery_code.as_ref());
        for ticket in &offered.tickets {
            let ticket = self.tickets.get_mut(ticket);
            if let Some(ticket) = ticket.filter(|ticket| ticket.user == offered.person.user) {
                let subject = || offered.person.subject.clone();
                ticket.offered_to.get_or_insert_with(subject);
            }
        }
    }

    fn totp_confirmed(&mut self, confirmed: &TotpConfirmed) {
        let factor = self
            .factors
            .entry(confirmed.person.subject.clone())
            .or_default();
        factor.confirmed = Some(confirmed.generation);
        let offer = factor.offered.take();
        factor.last_step = Some(confirmed.totp_step);
        factor.recovery_codes = confirmed.recovery_codes.iter().copied().collect();
        factor.lockout = Lockout::default();
        for digest in offer.into_iter().flat_map(|offer| offer.tickets) {
            let subject = Some(&confirmed.person.subject);
            let ticket = self.tickets.get(&digest);
            if let Some(expires) = ticket
                .filter(|ticket| ticket.offered_to.as_ref() == subject)
                .map(|ticket| ticket.expires)
            {
                self.tickets.remove(&digest);
                self.ends.remove(&(expires, Ending::Ticket(digest)));
            }
        }
    }

    fn spend(&mut self, id_token: Digest, expires: Timestamp) {
        self.ends.insert((expires, Ending::IdToken(id_token)));
        self.spent_id_tokens.insert(id_token, expires);
    }

    fn end_session(&mut self, token: &Digest) {
        if let Some(session) = self.sessions.remove(token) {
            self.ends
                .remove(&(session.expires, Ending::Session(*token)));
        }
    }

    /// Forgets what ended at or before `now`, in time proportional to what ended.
    fn forget_until(&mut self, now: Timestamp) {
        while self.ends.first().is_some_and(|(end, _)| *end <= now) {
            match self.ends.pop_first() {
                Some((_, Ending::Certificate(serial))) => {
                    self.revoked.remove(&serial);
                    if let Some(over) = self.certificates.remove(&serial) {
                        self.request_ids
                            .remove(&(over.person.subject, over.request_id));
                    }
                }
                Some((_, Ending::IdToken(digest))) => {
                    self.spent_id_tokens.remove(&digest);
                }
                Some((_, Ending::Session(digest))) => {
                    self.sessions.remove(&digest);
                }
                Some((_, Ending::Ticket(digest))) => {
                    self.tickets.remove(&digest);
                }
                None => {}
            }
        }
    }
}

/// Whether a refusal counts towards the lockout: a known person's second factor was evaluated and
/// was wrong.
#[must_use]
pub fn counts_for_lockout(refused: &Refused) -> bool {
    refused.person.is_some()
        && matches!(refused.attempt, Attempt::SignIn | Attempt::Enrolment)
        && COUNTED.contains(&refused.code.as_str())
}

const COUNTED: [&str; 3] = ["totp-wrong", "totp-replayed", "recovery-code-wrong"];
