//! Problem documents (RFC 9457): the one shape of every error answer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// An error answer, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code; clients act on this and on nothing else.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// HTTP status.
    pub status: u16,
    /// One sentence about this kind of problem.
    pub title: String,
    /// What was wrong this time, and what is allowed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The request field at fault.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// Why policy said no: policy id and sentence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reasons: Vec<PolicyReason>,
    /// The nearest things that are allowed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hints: Vec<Hint>,
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_seconds: Option<u64>,
}

/// A policy and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReason {
    /// `@id` of the policy; none when simply no policy permits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// One sentence.
    pub sentence: String,
}

/// A way to a permit: all of these changes together. `sentence` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// What to change; at least one.
    pub changes: Vec<HintChange>,
    /// In words: `allowed for at most 1 h`.
    pub sentence: String,
}

/// See [`Hint::changes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum HintChange {
    /// So many approvals, perhaps from a group.
    Approvals {
        /// How many different people.
        count: u32,
        /// Every one of these groups must be among the groups of the approvers.
        #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
        groups: BTreeSet<String>,
    },
    /// Sign in through a browser on this machine, so that the token is bound to the client's key.
    BoundToken,
    /// Show the second factor again (`--fresh`).
    FreshSecondFactor,
    /// Another login name (`--as`).
    OtherAccount {
        /// The login name.
        principal: crate::name::Principal,
    },
    /// Give a reason (`--reason`).
    Reason,
    /// Approvals of certain people, as the policies' table of requirements has it.
    Requirement {
        /// The least number of further people.
        count: u32,
        /// Who is still missing: `1 of sre-leads and 1 of security`.
        sentence: String,
    },
    /// A shorter window (`--for`).
    ShorterDuration {
        /// The longest that would be permitted.
        seconds_max: u64,
    },
    /// Name a ticket (`--ticket`).
    Ticket,
}

/// Stable codes of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemType {
    /// The record could not be made or the queue is full; nothing was issued (503).
    Busy,
    /// The CA key did not sign (503).
    CaKeyUnavailable,
    /// Policy said no (403).
    Denied,
    /// The person or the environment is frozen (403).
    Frozen,
    /// Something failed inside; nothing was issued (500).
    Internal,
    /// A field is wrong (400).
    InvalidRequest,
    /// Sign-in refused, for whatever reason (401).
    LoginRefused,
    /// The path exists, but not with this method (405).
    MethodNotAllowed,
    /// No such thing (404).
    NotFound,
    /// Its time has not come (409).
    NotYet,
    /// The identity provider cannot be reached (503).
    ProviderUnavailable,
    /// The access request is not what the caller takes it for (409).
    RequestChanged,
    /// The access request is over: activated, denied, withdrawn or expired (409).
    RequestClosed,
    /// The request id was used for a different wish (409).
    RequestIdReused,
    /// The request took too long to arrive (408).
    RequestTimeout,
    /// The session token is missing, unknown or over (401).
    SessionRequired,
    /// Too many attempts (429).
    TooManyAttempts,
    /// The body is too large (413).
    TooLarge,
    /// This person has no second factor yet (401).
    TotpNotEnrolled,
    /// The second factor is missing (401).
    TotpRequired,
    /// The body is not declared as JSON (415).
    UnsupportedMediaType,
}
