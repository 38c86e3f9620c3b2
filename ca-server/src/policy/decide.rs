//! The decision on one question: permit, or deny with reasons and hints.
//!
//! Forbid beats permit. A forbid that cannot be evaluated counts as one that holds (Cedar itself
//! would skip it). What cannot be asked at all is denied.

use std::collections::BTreeSet;

use ca_core::name::Principal;
use cedar_policy::Response;
use serde::Serialize;

use super::PolicySet;
use super::hint::{Hint, hints};
use super::question::{On, Question};

/// What policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
pub enum Decision {
    /// Every resource asked for is permitted.
    Permit {
        /// Ids of the policies that permit it.
        policies: BTreeSet<String>,
    },
    /// At least one is not.
    Deny(Denial),
}

/// Why not, and what would be allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// At least one.
    pub reasons: Vec<Reason>,
    /// Each alone turns the answer into a permit; the nearest first. May be empty.
    pub hints: Vec<Hint>,
}

/// One reason for a denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The policy that forbids it; `None` if none permits it.
    pub policy: Option<String>,
    /// The principal that is denied, where the question was about accounts.
    pub principal: Option<Principal>,
    /// One sentence, without full stop.
    pub sentence: String,
}

impl Denial {
    /// A denial that no policy made.
    #[must_use]
    pub fn because(sentence: &str) -> Self {
        Self {
            reasons: vec![Reason {
                policy: None,
                principal: None,
                sentence: sentence.to_owned(),
            }],
            hints: Vec::new(),
        }
    }
}

impl Decision {
    /// Whether it is a permit.
    #[must_use]
    pub const fn is_permit(&self) -> bool {
        matches!(self, Self::Permit { .. })
    }
}

/// The decision on `question`, with hints if it is a denial.
///
/// `others` are accounts of the environment that may be suggested instead (at most 32 are tried).
/// A permit costs one Cedar evaluation for each principal; a denial some dozens.
#[must_use]
pub fn decide(policies: &PolicySet, question: &Question, others: &[Principal]) -> Decision {
    match ask(policies, question) {
        Decision::Deny(mut denial) => {
            denial.hints = hints(policies, question, others);
            Decision::Deny(denial)
        }
        permit @ Decision::Permit { .. } => permit,
    }
}

/// The decision alone, without hints.
#[must_use]
pub fn ask(policies: &PolicySet, question: &Question) -> Decision {
    let empty = matches!(&question.on, On::Accounts { principals, .. } if principals.is_empty());
    if empty {
        return deny("no account was asked for");
    }
    if !question.on.fits(question.action) {
        return deny("this action is not done to this kind of resource");
    }
    let environment = question.on.environment();
    let Some(cell) = policies.index.cell(question.action, environment) else {
        return deny("no policy speaks about this action");
    };
    let met = policies.met(question);
    let requests = match policies.vocabulary.requests(question, &met) {
        Ok(requests) => requests,
        Err(error) => return deny(&format!("policy could not be asked: {error}")),
    };
    let mut permitting = BTreeSet::new();
    let mut reasons: Vec<Reason> = Vec::new();
    for (principal, request) in requests.each {
        let entities = &requests.entities;
        let response = policies
            .authorizer
            .is_authorized(&request, &cell.policies, entities);
        let against = against(policies, &response, principal.as_ref());
        let permitted = response.decision() == cedar_policy::Decision::Allow;
        if permitted && against.is_empty() {
            let ids = response.diagnostics().reason();
            permitting.extend(ids.map(ToString::to_string));
        } else if against.is_empty() {
            reasons.push(nobody_permits(question, principal));
        } else {
            reasons.extend(against);
        }
    }
    if reasons.is_empty() {
        Decision::Permit {
            policies: permitting,
        }
    } else {
        Decision::Deny(Denial {
            reasons,
            hints: Vec::new(),
        })
    }
}

/// The forbids that hold, and those that could not be evaluated; by id.
fn against(
    policies: &PolicySet,
    response: &Response,
    principal: Option<&Principal>,
) -> Vec<Reason> {
    let about = |id: &str| policies.about.get(id).filter(|info| info.forbids);
    let reason = |id: String, sentence: String| Reason {
        policy: Some(id),
        principal: principal.cloned(),
        sentence,
    };
    let mut reasons: Vec<Reason> = Vec::new();
    for id in response.diagnostics().reason().map(ToString::to_string) {
        if let Some(info) = about(&id) {
            reasons.push(reason(id, info.reason.clone()));
        }
    }
    for error in response.diagnostics().errors() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(failed) = error;
        let id = failed.policy_id().to_string();
        if about(&id).is_some() {
            let sentence = format!("the policy could not be evaluated: {}", failed.inner());
            reasons.push(reason(id, sentence));
        }
    }
    reasons.sort_by(|a, b| a.policy.cmp(&b.policy));
    reasons
}

/// A default deny has no policy that could give a reason.
fn nobody_permits(question: &Question, principal: Option<Principal>) -> Reason {
    let what = match (&question.on, &principal) {
        (On::Accounts { environment, .. }, Some(principal)) => format!("{environment}/{principal}"),
        (on, _) => on
            .environment()
            .map_or_else(|| "the authority".to_owned(), ToString::to_string),
    };
    let sentence = format!(
        "no policy lets {} {} {what} like this",
        question.who.name,
        question.action.words()
    );
    Reason {
        policy: None,
        principal,
        sentence,
    }
}

fn deny(sentence: &str) -> Decision {
    Decision::Deny(Denial::because(sentence))
}
