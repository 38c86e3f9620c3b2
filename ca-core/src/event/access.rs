//! Facts about access requests, freezes, emergency access and its review.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Asked, Judged, Person};
use crate::api::SecondFactor;
use crate::digest::Digest;
use crate::name::Environment;
use crate::time::Timestamp;

/// See [`super::Event::RequestOpened`]. The number of the request is the index of this record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestOpened {
    /// [`crate::serial::Serial`] number of this record: leads to all records about the request.
    pub request: u64,
    /// Who asks.
    pub person: Person,
    /// Through which session.
    pub session: Digest,
    /// The client's name for this request; the same name gives the same request.
    pub request_id: String,
    /// Digest of the request body.
    pub request_digest: Digest,
    /// What is asked for, as policy saw it.
    pub asked: Asked,
    /// The window cannot begin earlier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<Timestamp>,
    /// Digest of exactly what is asked for: what approvals name.
    pub digest: Digest,
    /// What policy wants before it permits, in words; empty when only the time has to come.
    pub needs: String,
    /// How many approvals that is, at least.
    pub approvals_missing: u32,
    /// Policies that wanted it (`@id`).
    pub policies: Vec<String>,
    /// Digest of the policy set that decided.
    pub policy_digest: Digest,
    /// Nothing can be decided or activated from then on.
    pub expires: Timestamp,
}

/// See [`super::Event::RequestApproved`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestApproved {
    /// See [`RequestOpened::request`].
    pub request: u64,
    /// Digest of exactly what was approved.
    pub digest: Digest,
    /// Who asked.
    pub requester: Person,
    /// Who approved.
    pub by: Person,
    /// Groups of the approver at that time.
    pub groups: BTreeSet<String>,
    /// Environment of the request.
    pub environment: Environment,
    /// The longest window that this approver agreed to, seconds.
    pub duration_seconds: u64,
    /// Age of the approver's second factor, seconds.
    pub mfa_age_seconds: u64,
    /// Its kind.
    pub second_factor: SecondFactor,
    /// What policy still wants, in words; empty when the request can be activated.
    pub needs: String,
    /// How many more approvals that is, at least.
    pub approvals_missing: u32,
    /// Policies that let this person approve (`@id`).
    pub policies: Vec<String>,
    /// Digest of the policy set that decided.
    pub policy_digest: Digest,
    /// Whether the approver's ID token was bound to their client's key. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token_bound: Option<bool>,
    /// Whether the configuration counts the approver as on call. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_call: Option<bool>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::RequestDenied`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDenied {
    /// See [`RequestOpened::request`].
    pub request: u64,
    /// Who asked.
    pub requester: Person,
    /// Who said no.
    pub by: Person,
    /// Environment of the request.
    pub environment: Environment,
    /// Why.
    pub reason: String,
    /// Digest of the policy set that decided.
    pub policy_digest: Digest,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::RequestWithdrawn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestWithdrawn {
    /// See [`RequestOpened::request`].
    pub request: u64,
    /// Who asked, and took it back.
    pub person: Person,
    /// Environment of the request.
    pub environment: Environment,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::RequestExpired`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestExpired {
    /// See [`RequestOpened::request`].
    pub request: u64,
    /// Who asked.
    pub person: Person,
    /// Environment of the request.
    pub environment: Environment,
}

/// Whom or what a freeze is about: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreezeTarget {
    /// Nothing is issued in it.
    Environment(Environment),
    /// Nothing is issued to them.
    Person(Person),
}

/// See [`super::Event::Frozen`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Whom or what.
    pub target: FreezeTarget,
    /// Who did it.
    pub by: Person,
    /// Why.
    pub reason: String,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::FreezeLifted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeLifted {
    /// Whom or what.
    pub target: FreezeTarget,
    /// Who did it.
    pub by: Person,
    /// Why.
    pub reason: String,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::BreakGlassKeyAdded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassKeyAdded {
    /// Whose.
    pub person: Person,
    /// OpenSSH one-line text without comment.
    pub public_key: String,
    /// `SHA256:…` of it.
    pub fingerprint: String,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::BreakGlassKeyRemoved`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassKeyRemoved {
    /// Whose.
    pub person: Person,
    /// `SHA256:…` of it.
    pub fingerprint: String,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::BreakGlassSessionOpened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassSessionOpened {
    /// Who signed in.
    pub person: Person,
    /// Groups at their last sign-in through a provider.
    pub groups: BTreeSet<String>,
    /// SHA-256 of the session token.
    pub session: Digest,
    /// `SHA256:…` of the break-glass key.
    pub fingerprint: String,
    /// The accepted TOTP step.
    pub totp_step: u64,
    /// End of the session.
    pub expires: Timestamp,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::ReviewClosed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewClosed {
    /// Serial of the certificate that was taken in the emergency.
    pub serial: u64,
    /// Who judged.
    pub by: Person,
    /// Environment.
    pub environment: Environment,
    /// What was found.
    pub finding: String,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}
