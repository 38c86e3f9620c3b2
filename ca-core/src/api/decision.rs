//! Why something was decided as it was, for the person whom it was decided about.

use serde::{Deserialize, Serialize};

use super::{Hint, PolicyReason};
use crate::digest::Digest;
use crate::name::{Environment, Principal, UserName};
use crate::time::Timestamp;

/// `GET /v1/decisions/{number}` and `GET /v1/decisions/last`: one decision about access, as far as
/// whom it is about may see it. Which other policies there are stays with those who keep them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyDecided {
    /// Log index of its record.
    pub index: u64,
    /// When.
    pub time: Timestamp,
    /// Who asked.
    pub user: UserName,
    /// What was said.
    pub answer: Answer,
    /// Whether it was asked for as an emergency.
    pub break_glass: bool,
    /// Environment asked for.
    pub environment: Environment,
    /// Accounts asked for.
    pub principals: Vec<Principal>,
    /// Length of the window asked for.
    pub duration_seconds: u64,
    /// Deciding policies with their reasons.
    pub reasons: Vec<PolicyReason>,
    /// With [`Answer::Approval`]: who had to approve, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub needs: Option<String>,
    /// Whose approvals it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approvers: Vec<UserName>,
    /// Serial of the certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
    /// Digest of the set that decided.
    pub policy_digest: Digest,
    /// Whether another set is in force now.
    #[serde(default)]
    pub other_policies: bool,
    /// What the set in force says now to the same wish with the same facts; none for what rests on
    /// approvals.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub now: Option<Answer>,
    /// The nearest things that the set in force permits.
    pub hints: Vec<Hint>,
}

/// What policy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Once others have approved.
    Approval,
    /// No.
    Deny,
    /// Yes.
    Permit,
}
