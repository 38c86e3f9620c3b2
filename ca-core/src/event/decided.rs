//! What policy was asked and saw when it decided.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::api::SecondFactor;
use crate::digest::Digest;
use crate::name::{Environment, Principal, Subject};

/// What was asked for, as policy saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Environment asked for.
    pub environment: Environment,
    /// Accounts asked for, in the order asked.
    pub principals: Vec<Principal>,
    /// Length of the window asked for, seconds.
    pub duration_seconds: u64,
    /// Groups of the person at that time.
    pub groups: BTreeSet<String>,
    /// Age of the second factor, seconds.
    pub mfa_age_seconds: u64,
    /// Kind of the second factor.
    pub second_factor: SecondFactor,
    /// Whether the ID token was bound to the client's key.
    pub token_bound: bool,
    /// Whether the configuration counts the person as on call.
    pub on_call: bool,
    /// Why, in the person's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Ticket of another system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ticket: Option<String>,
    /// Emergencies of the person that nobody had reviewed yet, where glass was to be broken. Absent
    /// in older records, and where policy is told that there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unreviewed: Option<u64>,
    /// Client address.
    pub source: IpAddr,
}

/// How policy judged what is no request for a certificate: on which facts, by which policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Groups of the person at that time.
    pub groups: BTreeSet<String>,
    /// Age of the second factor, seconds.
    pub mfa_age_seconds: u64,
    /// Kind of the second factor.
    pub second_factor: SecondFactor,
    /// Whether the ID token was bound to the client's key.
    pub token_bound: bool,
    /// Whether the configuration counts the person as on call.
    pub on_call: bool,
    /// Whose request, grant or emergency it was about, where it was about somebody's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub holder: Option<Subject>,
    /// Each environment that policy was asked about, with the policies that decided (`@id`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub environments: BTreeMap<Environment, Vec<String>>,
    /// The policies that decided about the authority itself, or about a request.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
    /// Digest of the policy set that decided.
    pub policy_digest: Digest,
}
