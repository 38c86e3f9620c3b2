use std::collections::BTreeSet;

use super::{Decision, PolicySet, Question, decide};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub sentence: String,
    pub count: usize,
    pub policies: BTreeSet<String>,
}

#[must_use]
pub fn approvals_missing(policies: &PolicySet, question: &Question) -> Option<Missing> {
    let Decision::Deny(denial) = decide(policies, question, &[]) else {
        return None;
    };
    let (count, _) = denial.approvals_needed()?;
    Some(Missing {
        sentence: denial.hints.first()?.to_string(),
        count: count.saturating_sub(question.facts.approvals.len()),
        policies: denial
            .reasons
            .iter()
            .filter_map(|r| r.policy.clone())
            .collect(),
    })
}
