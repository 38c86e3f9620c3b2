//! What emergencies need: break-glass keys, who is known with which groups, open reviews; and
//! freezes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ca_core::digest::Digest;
use ca_core::event::{
    BreakGlassImported, BreakGlassKeyAdded, CertificateIssued, FreezeTarget, Frozen, Person,
    ReviewClosed,
};
use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::pairs;

/// A person as of their last sign-in through a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The name shown.
    pub user: UserName,
    /// Groups that the provider named.
    pub groups: BTreeSet<String>,
    /// When that was.
    pub seen: Timestamp,
}

/// A key for the day when the identity provider is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassKey {
    /// Whose.
    pub person: Person,
    /// OpenSSH one-line text.
    pub public_key: String,
    /// When it was enrolled.
    pub added: Timestamp,
}

/// An emergency that nobody else has judged yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Log index of the emergency's record.
    pub index: u64,
    /// Who broke glass; the subject is none where only the name is known (offline).
    pub user: UserName,
    /// See `user`.
    pub subject: Option<Subject>,
    /// Environment.
    pub environment: Environment,
    /// Login names.
    pub principals: Vec<Principal>,
    /// Why.
    pub reason: String,
    /// When it was recorded.
    pub opened: Timestamp,
    /// End of the certificate.
    pub valid_before: Timestamp,
}

/// A freeze in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Who did it.
    pub by: Person,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Emergency {
    #[serde(with = "pairs")]
    pub(super) people: HashMap<Subject, Known>,
    #[serde(with = "pairs")]
    pub(super) keys: BTreeMap<String, BreakGlassKey>,
    /// By serial of the certificate.
    #[serde(with = "pairs")]
    pub(super) reviews: BTreeMap<u64, Review>,
    /// Certificates that were signed offline and whose records are here, for ever: serial,
    /// fingerprint of the key that signed, digest of the record.
    pub(super) imported: BTreeSet<(u64, String, Digest)>,
    /// The offline keys of those, with their environments.
    pub(super) authorities: BTreeSet<(Environment, String)>,
    #[serde(with = "pairs")]
    pub(super) freezes: BTreeMap<FreezeTarget, Freeze>,
}

impl Emergency {
    pub(super) fn key_added(&mut self, added: &BreakGlassKeyAdded, time: Timestamp) {
        let key = BreakGlassKey {
            person: added.person.clone(),
            public_key: added.public_key.clone(),
            added: time,
        };
        self.keys.insert(added.fingerprint.clone(), key);
    }

    pub(super) fn certificate_issued(
        &mut self,
        issued: &CertificateIssued,
        index: u64,
        time: Timestamp,
    ) {
        if !issued.break_glass {
            return;
        }
        let review = Review {
            index,
            user: issued.person.user.clone(),
            subject: Some(issued.person.subject.clone()),
            environment: issued.asked.environment.clone(),
            principals: issued.asked.principals.clone(),
            reason: issued.asked.reason.clone().unwrap_or_default(),
            opened: time,
            valid_before: Timestamp::from_unix_seconds(issued.valid_before),
        };
        self.reviews.insert(issued.serial, review);
    }

    pub(super) fn imported(&mut self, imported: &BreakGlassImported, index: u64, time: Timestamp) {
        let record = &imported.record;
        let (serial, key) = (record.serial.get(), &record.authority_key);
        self.imported
            .insert((serial, key.fingerprint(), imported.record_digest));
        self.authorities
            .insert((record.environment.clone(), key.to_string()));
        let review = Review {
            index,
            user: record.user.clone(),
            subject: None,
            environment: record.environment.clone(),
            principals: record.principals.as_slice().to_vec(),
            reason: record.reason.clone(),
            opened: time,
            valid_before: Timestamp::from_unix_seconds(record.valid_before),
        };
        self.reviews.insert(record.serial.get(), review);
    }

    pub(super) fn review_closed(&mut self, closed: &ReviewClosed) {
        self.reviews.remove(&closed.serial);
    }

    pub(super) fn frozen(&mut self, frozen: &Frozen, since: Timestamp) {
        let freeze = Freeze {
            by: frozen.by.clone(),
            reason: frozen.reason.clone(),
            since,
        };
        self.lifted(&frozen.target);
        self.freezes.insert(frozen.target.clone(), freeze);
    }

    pub(super) fn lifted(&mut self, target: &FreezeTarget) {
        // By identity: a person may have got another name since.
        self.freezes.retain(|frozen, _| !is_same(frozen, target));
    }
}

/// Whether two freezes are about the same environment or the same identity.
pub(super) fn is_same(a: &FreezeTarget, b: &FreezeTarget) -> bool {
    match (a, b) {
        (FreezeTarget::Environment(a), FreezeTarget::Environment(b)) => a == b,
        (FreezeTarget::Person(a), FreezeTarget::Person(b)) => a.subject == b.subject,
        _ => false,
    }
}
