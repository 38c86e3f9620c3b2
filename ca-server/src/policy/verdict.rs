//! The answer in one of three words: what people compare, count and write into cases.
//!
//! `Approval` is what the authority opens an access request for: a denial that approvals alone would
//! turn into a permit.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::PolicySet;
use super::decide::{Decision, Denial, ask};
use super::missing::approvals_missing;
use super::question::Question;

/// What policy says; the most generous first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Yes, at once.
    Permit,
    /// Once others have approved.
    Approval,
    /// No.
    Deny,
}

impl Verdict {
    /// As in cases: `permit`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Approval => "approval",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A verdict with what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// In one word.
    pub verdict: Verdict,
    /// Ids of the deciding policies: those that permit it, or those that forbid it now. Empty where
    /// none permits it.
    pub policies: BTreeSet<String>,
    /// What approvals must still come: `1 of approver`. With [`Verdict::Approval`] only.
    pub obligation: Option<String>,
    /// Why not, unless it is permitted at once.
    pub denial: Option<Denial>,
}

/// Judges `question`: one Cedar evaluation for each account, and for a denied login one more to see
/// whether approvals can help (some dozens where they can).
#[must_use]
pub fn judge(policies: &PolicySet, question: &Question) -> Judgement {
    let denial = match ask(policies, question) {
        Decision::Permit { policies } => {
            return Judgement {
                verdict: Verdict::Permit,
                policies,
                obligation: None,
                denial: None,
            };
        }
        Decision::Deny(denial) => denial,
    };
    let missing = approvals_missing(policies, question);
    let ids = denial.reasons.iter().filter_map(|why| why.policy.clone());
    Judgement {
        verdict: match missing {
            Some(_) => Verdict::Approval,
            None => Verdict::Deny,
        },
        policies: ids.collect(),
        obligation: missing.map(|missing| missing.sentence),
        denial: Some(denial),
    }
}
