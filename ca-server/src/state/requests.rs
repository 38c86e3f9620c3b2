//! Access requests: those that are open, and for a day those that are over, so that whoever waits
//! learns how they ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca_core::digest::Digest;
use ca_core::event::{
    Asked, CertificateIssued, CertificatesRevoked, Person, RequestApproved, RequestDenied,
    RequestExpired, RequestOpened, RequestWithdrawn,
};
use ca_core::name::Subject;
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How long a request that is over is still shown.
pub(super) const SHOWN: Duration = Duration::from_secs(24 * 3600);

/// An access request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Log index of its record: its number.
    pub index: u64,
    /// Log index of what happened to it last.
    pub revision: u64,
    /// The number that its records carry.
    pub number: u64,
    /// Who asks.
    pub person: Person,
    /// The client's name for it.
    pub request_id: String,
    /// Digest of the body that opened it.
    pub request_digest: Digest,
    /// What is asked for, as policy saw it.
    pub asked: Asked,
    /// The window cannot begin earlier.
    pub not_before: Option<Timestamp>,
    /// Digest of exactly what is asked for.
    pub digest: Digest,
    /// What policy still wants, in words; empty when nothing.
    pub needs: String,
    /// How many approvals that is, at least.
    pub approvals_missing: u32,
    /// When it was opened.
    pub opened: Timestamp,
    /// Nothing can be decided or activated from then on.
    pub expires: Timestamp,
    /// Yeses, in order.
    pub votes: Vec<Vote>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub by: Person,
    /// Groups at that time.
    pub groups: BTreeSet<String>,
    /// The longest window agreed to, seconds.
    pub duration_seconds: u64,
    /// Age of the second factor then, seconds.
    pub mfa_age_seconds: u64,
    /// Its kind.
    pub second_factor: ca_core::api::SecondFactor,
    /// Client address.
    pub source: std::net::IpAddr,
    /// When.
    pub at: Timestamp,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its certificate was issued.
    Activated(u64),
    /// Somebody said no.
    Denied {
        /// Who.
        by: Person,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Not used in time.
    Expired,
    /// Taken back.
    Withdrawn,
}

impl AccessRequest {
    /// Whether it can still be decided and activated at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.outcome.is_none() && now < self.expires
    }
}

/// All of them, by log index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Requests {
    by_index: BTreeMap<u64, AccessRequest>,
    /// Log index of the newest change to any of them.
    changed: u64,
}

impl FromIterator<AccessRequest> for Requests {
    fn from_iter<I: IntoIterator<Item = AccessRequest>>(requests: I) -> Self {
        Self {
            by_index: requests.into_iter().map(|r| (r.index, r)).collect(),
            changed: 0,
        }
    }
}

impl Requests {
    pub(super) fn get(&self, index: u64) -> Option<&AccessRequest> {
        self.by_index.get(&index)
    }

    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &AccessRequest> {
        self.by_index.values()
    }

    pub(super) fn open_of<'a>(
        &'a self,
        subject: &'a Subject,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a AccessRequest> {
        self.by_index
            .values()
            .filter(move |request| request.person.subject == *subject && request.is_open(now))
    }

    pub(super) const fn changed(&self) -> u64 {
        self.changed
    }

    pub(super) fn opened(&mut self, opened: &RequestOpened, index: u64, time: Timestamp) {
        self.changed = index;
        self.by_index.insert(
            index,
            AccessRequest {
                index,
                revision: index,
                number: opened.request,
                person: opened.person.clone(),
                request_id: opened.request_id.clone(),
                request_digest: opened.request_digest,
                asked: opened.asked.clone(),
                not_before: opened.not_before,
                digest: opened.digest,
                needs: opened.needs.clone(),
                approvals_missing: opened.approvals_missing,
                opened: time,
                expires: opened.expires,
                votes: Vec::new(),
                outcome: None,
            },
        );
    }

    pub(super) fn approved(&mut self, approved: &RequestApproved, index: u64, at: Timestamp) {
        let Some(request) = self.changing(approved.request, index) else {
            return;
        };
        request.needs.clone_from(&approved.needs);
        request.approvals_missing = approved.approvals_missing;
        request.votes.push(Vote {
            by: approved.by.clone(),
            groups: approved.groups.clone(),
            duration_seconds: approved.duration_seconds,
            mfa_age_seconds: approved.mfa_age_seconds,
            second_factor: approved.second_factor,
            source: approved.source,
            at,
        });
    }

    pub(super) fn denied(&mut self, denied: &RequestDenied, index: u64, at: Timestamp) {
        let outcome = Outcome::Denied {
            by: denied.by.clone(),
            at,
            reason: denied.reason.clone(),
        };
        self.end(denied.request, index, outcome);
    }

    /// Everything of a person was taken away, what they asked for included.
    pub(super) fn revoked(&mut self, revoked: &CertificatesRevoked, index: u64, at: Timestamp) {
        if revoked.everything {
            let holder = &revoked.holder.subject;
            for request in self.by_index.values_mut() {
                if request.outcome.is_none()
                    && request.votes.iter().any(|v| v.by.subject == *holder)
                {
                    request.votes.retain(|vote| vote.by.subject != *holder);
                    "another approval: one that was given was revoked"
                        .clone_into(&mut request.needs);
                    request.approvals_missing = request.approvals_missing.max(1);
                    request.revision = index;
                    self.changed = index;
                }
            }
        }
        for number in &revoked.requests {
            let reason = revoked.reason.clone();
            let outcome = Outcome::Denied {
                by: revoked.by.clone(),
                at,
                reason: reason.unwrap_or_else(|| "everything was revoked".to_owned()),
            };
            self.end(*number, index, outcome);
        }
    }

    pub(super) fn withdrawn(&mut self, withdrawn: &RequestWithdrawn, index: u64) {
        self.end(withdrawn.request, index, Outcome::Withdrawn);
    }

    pub(super) fn expired(&mut self, expired: &RequestExpired, index: u64) {
        self.end(expired.request, index, Outcome::Expired);
    }

    pub(super) fn activated(&mut self, issued: &CertificateIssued, index: u64) {
        if let Some(number) = issued.request {
            self.end(number, index, Outcome::Activated(issued.serial));
        }
    }

    pub(super) fn forget(&mut self, index: u64) {
        self.by_index.remove(&index);
    }

    /// The first outcome stands: what is over stays as it ended.
    fn end(&mut self, number: u64, index: u64, outcome: Outcome) {
        if let Some(request) = self.changing(number, index) {
            request.outcome.get_or_insert(outcome);
        }
    }

    fn changing(&mut self, number: u64, index: u64) -> Option<&mut AccessRequest> {
        self.changed = index;
        let at = Serial::try_from(number).ok()?.index();
        let request = self.by_index.get_mut(&at)?;
        request.revision = index;
        Some(request)
    }
}
