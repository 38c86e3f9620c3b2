//! Folding what is about people: second factors, sessions, tickets.

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{
    BreakGlassImported, BreakGlassSessionOpened, Person, Refused, SessionOpened, TicketIssued,
    TotpConfirmed, TotpOffered,
};
use ca_core::name::Subject;
use ca_core::time::Timestamp;

use super::{Certificate, Ending, Known, LATE, Offer, Session, State, Ticket, counts_for_lockout};
use crate::authn::totp::Lockout;

impl State {
    pub(super) fn refused(&mut self, refused: &Refused, time: Timestamp) {
        let person = refused
            .person
            .as_ref()
            .filter(|_| counts_for_lockout(refused));
        if let Some(person) = person {
            let factor = self.factors.entry(person.subject.clone()).or_default();
            factor.lockout = factor.lockout.after_failure(time);
        }
    }

    pub(super) fn session_opened(&mut self, opened: &SessionOpened, time: Timestamp) {
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
                break_glass: false,
            },
        );
        let known = Known {
            user: opened.person.user.clone(),
            groups: opened.groups.clone(),
            seen: time,
        };
        self.emergency
            .people
            .insert(opened.person.subject.clone(), known);
    }

    pub(super) fn break_glass_session_opened(
        &mut self,
        opened: &BreakGlassSessionOpened,
        time: Timestamp,
    ) {
        let factor = self
            .factors
            .entry(opened.person.subject.clone())
            .or_default();
        factor.lockout = Lockout::default();
        factor.spend(Some(opened.totp_step), None);
        self.ends
            .insert((opened.expires, Ending::Session(opened.session)));
        self.sessions.insert(
            opened.session,
            Session {
                person: opened.person.clone(),
                groups: opened.groups.clone(),
                opened: time,
                expires: opened.expires,
                second_factor: SecondFactor::Totp,
                token_bound: true,
                source: opened.source,
                break_glass: true,
            },
        );
    }

    pub(super) fn ticket_issued(&mut self, issued: &TicketIssued) {
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

    pub(super) fn totp_offered(&mut self, offered: &TotpOffered) {
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

    pub(super) fn totp_confirmed(&mut self, confirmed: &TotpConfirmed) {
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

    pub(super) fn spend(&mut self, id_token: Digest, expires: Timestamp) {
        self.ends.insert((expires, Ending::IdToken(id_token)));
        self.spent_id_tokens.insert(id_token, expires);
    }

    pub(super) fn end_session(&mut self, token: &Digest) {
        if let Some(session) = self.sessions.remove(token) {
            self.ends
                .remove(&(session.expires, Ending::Session(*token)));
        }
    }

    /// A certificate that was signed offline can be revoked like any other once its record is here.
    pub(super) fn offline_imported(
        &mut self,
        imported: &BreakGlassImported,
        index: u64,
        time: Timestamp,
    ) {
        self.emergency.imported(imported, index, time);
        let record = &imported.record;
        let Ok(subject) = Subject::new(OFFLINE, record.user.as_str()) else {
            return;
        };
        let serial = record.serial.get();
        let valid_before = Timestamp::from_unix_seconds(record.valid_before);
        if valid_before <= time || self.certificates.contains_key(&serial) {
            return;
        }
        let forgotten = valid_before.plus(LATE);
        self.ends.insert((forgotten, Ending::Certificate(serial)));
        let certificate = Certificate {
            person: Person {
                subject,
                user: record.user.clone(),
            },
            environment: record.environment.clone(),
            principals: record.principals.as_slice().to_vec(),
            valid_before,
            request_id: String::new(),
            session: Digest::from_bytes([0; 32]),
            subject_key: record.subject_key.clone(),
            request: None,
        };
        self.certificates.insert(serial, certificate);
    }
}

/// Issuer of people of whom only a name is known: they were named offline, nobody signed in.
pub(crate) const OFFLINE: &str = "offline";
