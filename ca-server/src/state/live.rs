//! What is live: factors, sessions, certificates, answered requests, tickets.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::Person;
use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::time::Timestamp;

use crate::authn::totp::Lockout;

/// A person's second factor.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Factor {
    /// Seed in force, none before the first confirmation.
    pub confirmed: Option<u32>,
    /// Seed that waits for its first code.
    pub offered: Option<Offer>,
    /// Seeds handed out so far.
    pub generations: u32,
    /// Last accepted TOTP step: this one and all before are spent.
    pub last_step: Option<u64>,
    /// Recovery codes not used yet.
    pub recovery_codes: BTreeSet<Digest>,
    /// Failed attempts since the last success, and the resulting wait.
    pub lockout: Lockout,
}

/// A seed that counts once its first code is shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Offer {
    /// Which seed of the person's.
    pub generation: u32,
    /// The ID token that asked for it.
    pub id_token: Digest,
    /// The tickets that entitled to it, spent by its confirmation.
    pub tickets: Vec<Digest>,
}

/// A session at the CA.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// Groups at sign-in.
    pub groups: BTreeSet<String>,
    /// When the second factor was shown.
    pub opened: Timestamp,
    /// First moment outside.
    pub expires: Timestamp,
    /// Which second factor.
    pub second_factor: SecondFactor,
    /// Whether the ID token committed to the client's key.
    pub token_bound: bool,
    /// Where it was opened from.
    pub source: IpAddr,
    /// Whether it was opened with a break-glass key: good for emergencies only.
    pub break_glass: bool,
}

/// A certificate whose window is not over, revoked or not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Certificate {
    /// Who holds it.
    pub person: Person,
    /// Where it opens doors.
    pub environment: Environment,
    /// As whom.
    pub principals: Vec<Principal>,
    /// First moment outside.
    pub valid_before: Timestamp,
    /// The client's name for its request.
    pub request_id: String,
    /// The session it was issued through.
    pub session: Digest,
    /// `SHA256:…` fingerprint of its subject key.
    pub subject_key: String,
    /// The access request it activated, by the number of its record.
    pub request: Option<u64>,
}

/// The newest revocation list of an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KrlVersion {
    /// Number of the record that changed it; 0 when none ever did.
    pub version: u64,
    /// When.
    pub changed: Timestamp,
}

/// A request that was already answered with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// Digest of its body.
    pub digest: Digest,
    /// Serial of the certificate.
    pub serial: u64,
}

/// An administrator's permission to enrol.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ticket {
    /// For whom.
    pub user: UserName,
    /// Who issued it.
    pub by: Subject,
    /// Who was offered a seed for it: nobody else may use it any more. They may, until a seed is
    /// confirmed.
    pub offered_to: Option<Subject>,
    /// Last moment of use.
    pub expires: Timestamp,
}

impl Factor {
    /// Marks what was shown as used.
    pub(super) fn spend(&mut self, totp_step: Option<u64>, recovery_code: Option<&Digest>) {
        if let Some(step) = totp_step {
            self.last_step = Some(self.last_step.map_or(step, |last| last.max(step)));
        }
        if let Some(code) = recovery_code {
            self.recovery_codes.remove(code);
        }
    }
}
