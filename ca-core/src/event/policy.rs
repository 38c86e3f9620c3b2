//! Facts about sets of policies that come into force.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// See [`super::Event::PolicyLoaded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLoaded {
    /// Digest of the set, as each decision names it.
    pub policy_digest: Digest,
    /// Number of policies.
    pub policies: u32,
    /// What the set was held against, and passed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub passed: BTreeSet<PolicyCheck>,
    /// Digest of the cases and invariants that it was held against, names and texts as for the set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checks: Option<Digest>,
    /// What it did not pass: it came into force because the operator said so.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub failed: BTreeSet<PolicyCheck>,
    /// Why the operator did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accepted: Option<String>,
}

/// What a set of policies can be held against before it comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyCheck {
    /// Somebody who could break glass still can, in every environment.
    BreakGlass,
    /// Every case is decided as it says.
    Cases,
    /// Every invariant is proved.
    Proofs,
}

impl PolicyCheck {
    /// As written in JSON and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BreakGlass => "break-glass",
            Self::Cases => "cases",
            Self::Proofs => "proofs",
        }
    }
}

/// See [`super::Event::PolicyText`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// Digest of the set that this is a part of.
    pub policy_digest: Digest,
    /// Name of the file.
    pub file: String,
    /// Position among all parts of the set, from 0: files in the order that the digest takes them.
    pub part: u32,
    /// How many parts there are.
    pub parts: u32,
    /// What the file holds here; its parts follow each other.
    pub text: String,
}
