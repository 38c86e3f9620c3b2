//! All that the CA knows: a fold over the log. Holds what is live, not history, so memory grows
//! with people and open grants, not with the log.
//!
//! Reads no clock: things end when an event with a later time is applied, or when a question
//! carries a later `now`. It decides nothing; it answers questions of those who decide.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ca_core::digest::Digest;
use ca_core::event::{
    Attempt, CaKeyAdded, CertificateIssued, CertificatesRevoked, Event, LogCreated, Refused,
};
use ca_core::name::{Environment, Subject};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;

pub use emergency::{BreakGlassKey, Freeze, Known, Review};
pub use hosts::{Host, JoinToken, SshSession};
pub use live::{Certificate, Factor, KrlVersion, Offer, Request, Session, Ticket};
pub use requests::{AccessRequest, Outcome, Vote};
pub use snapshot::{Snapshot, SnapshotError};

use emergency::Emergency;
use hosts::Hosts;
use requests::Requests;

mod answers;
mod emergency;
mod hosts;
mod live;
mod pairs;
mod people;
mod requests;
mod snapshot;
#[cfg(test)]
mod tests;

/// The fold. See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    epoch: u32,
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
    host_ca_keys: BTreeSet<(Environment, String)>,
    policy: Option<Digest>,
    krl: BTreeMap<Environment, KrlVersion>,
    requests: Requests,
    hosts: Hosts,
    emergency: Emergency,
    ends: BTreeSet<(Timestamp, Ending)>,
}

/// How long a certificate is remembered after its end: a host whose clock is behind must still find
/// it in the revocation list.
pub(crate) const LATE: std::time::Duration = std::time::Duration::from_secs(600);

/// What ends at a known time and is then forgotten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    AccessRequest(u64),
    Certificate(u64),
    IdToken(Digest),
    JoinToken(Digest),
    Session(Digest),
    SshSession(u64, Digest),
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

    /// Whether the log knows this CA key for this environment and use.
    #[must_use]
    pub fn knows_ca_key(&self, key: &CaKeyAdded) -> bool {
        let named = (key.environment.clone(), key.public_key.clone());
        self.ca_keys(key.hosts).contains(&named)
    }

    const fn ca_keys(&self, hosts: bool) -> &BTreeSet<(Environment, String)> {
        if hosts {
            &self.host_ca_keys
        } else {
            &self.ca_keys
        }
    }

    /// Digest of the policy set last recorded.
    #[must_use]
    pub const fn policy(&self) -> Option<Digest> {
        self.policy
    }

    /// How many things are held, for metrics and for spacing snapshots.
    #[must_use]
    pub fn live_items(&self) -> usize {
        self.factors.len()
            + self.sessions.len()
            + self.certificates.len()
            + self.tickets.len()
            + self.requests.all().count()
            + self
                .hosts
                .all()
                .map(|(_, host)| 1 + host.told())
                .sum::<usize>()
    }

    /// Live certificates and open sessions, for metrics.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let live = self.certificates.values();
        let live = live.filter(|certificate| self.time < certificate.valid_before);
        (live.count(), self.sessions.len())
    }

    /// Folds in the next record. `time` never decreases along the log.
    pub fn apply(&mut self, time: Timestamp, event: &Event) {
        let index = self.size;
        self.size += 1;
        self.time = time;
        self.forget_until(time);
        match event {
            Event::BreakGlassImported(imported) => self.offline_imported(imported, index, time),
            Event::BreakGlassKeyAdded(added) => self.emergency.key_added(added, time),
            Event::BreakGlassKeyRemoved(removed) => {
                self.emergency.keys.remove(&removed.fingerprint);
            }
            Event::BreakGlassSessionOpened(opened) => self.break_glass_session_opened(opened, time),
            Event::CaKeyAdded(key) => self.ca_key_added(key),
            Event::CertificateIssued(issued) => self.certificate_issued(issued, index, time),
            Event::CertificatesRevoked(revoked) => self.taken_away(revoked, index, time),
            Event::FreezeLifted(lifted) => self.emergency.lifted(&lifted.target),
            Event::Frozen(frozen) => self.emergency.frozen(frozen, time),
            Event::HostAcknowledged(_)
            | Event::HostCertificateIssued(_)
            | Event::HostEnrolled(_)
            | Event::HostRemoved(_)
            | Event::JoinTokenIssued(_)
            | Event::SshSessionReported(_) => self.apply_to_hosts(time, event),
            Event::LogCreated(LogCreated { epoch, .. }) => self.epoch = *epoch,
            Event::PolicyLoaded(policy) => self.policy = Some(policy.policy_digest),
            Event::Refused(refused) => self.refused(refused, time),
            Event::RequestApproved(approved) => self.requests.approved(approved, index, time),
            Event::RequestDenied(denied) => self.requests.denied(denied, index, time),
            Event::RequestExpired(expired) => self.requests.expired(expired, index),
            Event::RequestOpened(opened) => {
                let shown = opened.expires.plus(requests::SHOWN);
                self.ends.insert((shown, Ending::AccessRequest(index)));
                self.requests.opened(opened, index, time);
            }
            Event::RequestWithdrawn(withdrawn) => self.requests.withdrawn(withdrawn, index),
            Event::ReviewClosed(closed) => self.emergency.review_closed(closed),
            Event::SessionClosed(closed) => {
                self.end_session(&closed.session);
                self.revoke(&closed.serials, index, time);
            }
            Event::SessionOpened(opened) => self.session_opened(opened, time),
            Event::TicketIssued(ticket) => self.ticket_issued(ticket),
            Event::TotpConfirmed(confirmed) => self.totp_confirmed(confirmed),
            Event::TotpOffered(offered) => self.totp_offered(offered),
            Event::AuditRead(_) | Event::PolicyText(_) | Event::RefusalsSummarised(_) => {}
        }
    }

    /// Passes over a record whose content was erased: only its place and time are known.
    pub fn apply_erased(&mut self, time: Timestamp) {
        self.size += 1;
        self.time = time;
        self.forget_until(time);
    }

    fn ca_key_added(&mut self, key: &CaKeyAdded) {
        let named = (key.environment.clone(), key.public_key.clone());
        if key.hosts {
            self.host_ca_keys.insert(named);
        } else {
            self.ca_keys.insert(named);
        }
    }

    fn taken_away(&mut self, revoked: &CertificatesRevoked, index: u64, time: Timestamp) {
        for session in &revoked.sessions {
            self.end_session(session);
        }
        self.requests.revoked(revoked, index, time);
        if revoked.everything {
            let holder = &revoked.holder.subject;
            let keys = &mut self.emergency.keys;
            keys.retain(|_, key| key.person.subject != *holder);
        }
        self.revoke(&revoked.serials, index, time);
    }

    fn certificate_issued(&mut self, issued: &CertificateIssued, index: u64, time: Timestamp) {
        self.requests.activated(issued, index);
        self.emergency.certificate_issued(issued, index, time);
        let valid_before = Timestamp::from_unix_seconds(issued.valid_before);
        let forgotten = valid_before.plus(LATE);
        let subject = issued.person.subject.clone();
        self.request_ids.insert(
            (subject, issued.request_id.clone()),
            Request {
                digest: issued.request_digest,
                serial: issued.serial,
            },
        );
        self.ends
            .insert((forgotten, Ending::Certificate(issued.serial)));
        self.certificates.insert(
            issued.serial,
            Certificate {
                person: issued.person.clone(),
                environment: issued.asked.environment.clone(),
                principals: issued.asked.principals.clone(),
                valid_before,
                request_id: issued.request_id.clone(),
                session: issued.session,
                subject_key: issued.subject_key.clone(),
                request: issued.request,
            },
        );
    }

    /// Every environment whose revocation list this changes gets this record's number as version.
    fn revoke(&mut self, serials: &[u64], index: u64, changed: Timestamp) {
        let version = Serial::new(self.epoch, index).map_or(0, Serial::get);
        for serial in serials {
            let Some(certificate) = self.certificates.get(serial) else {
                continue;
            };
            if self
                .revoked
                .insert(*serial, certificate.valid_before)
                .is_none()
            {
                let list = KrlVersion { version, changed };
                self.krl.insert(certificate.environment.clone(), list);
            }
        }
    }

    /// Forgets what ended at or before `now`, in time proportional to what ended.
    fn forget_until(&mut self, now: Timestamp) {
        while self.ends.first().is_some_and(|(end, _)| *end <= now) {
            match self.ends.pop_first() {
                Some((_, Ending::AccessRequest(index))) => self.requests.forget(index),
                Some((_, Ending::JoinToken(digest))) => {
                    self.hosts.forget_token(&digest);
                }
                Some((_, Ending::SshSession(host, session))) => {
                    self.hosts.forget_session(host, &session);
                }
                Some((_, Ending::Certificate(serial))) => {
                    self.revoked.remove(&serial);
                    if let Some(over) = self.certificates.remove(&serial) {
                        let name = (over.person.subject, over.request_id);
                        // The name may have got another certificate since.
                        let own = self.request_ids.get(&name);
                        if own.is_some_and(|request| request.serial == serial) {
                            self.request_ids.remove(&name);
                        }
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
        && matches!(
            refused.attempt,
            Attempt::BreakGlass | Attempt::Enrolment | Attempt::SignIn
        )
        && COUNTED.contains(&refused.code.as_str())
}

const COUNTED: [&str; 3] = ["totp-wrong", "totp-replayed", "recovery-code-wrong"];
