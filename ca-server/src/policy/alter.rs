//! The smallest difference that would give another answer.
//!
//! Nothing here interprets a policy: what the policies name is tried, one difference at a time, then
//! two, and asked again; for a permit also what hints find, which may take more. The number of
//! questions asked again is bounded.

mod named;
mod possible;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::step::Step;
use super::PolicySet;
use super::hint::{Change, approvals_words, hints};
use super::period;
use super::question::Question;

/// Pairs of differences that are tried for one question.
const PAIRS_MAX: usize = 1000;

/// How much more may be asked, over several searches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(usize);

impl Budget {
    /// For a whole file of cases, or folder: some seconds where every search is in vain.
    pub(super) const fn new() -> Self {
        Self(20_000)
    }

    /// Takes one question, if there is one left.
    const fn take(&mut self) -> bool {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

/// A question a little different from the one asked, that has the answer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Altered {
    /// What is different, after "it would be so": `for 1 h, approved by 1 of approver`.
    pub(super) words: String,
    /// The question with that.
    pub(super) question: Question,
}

/// The smallest difference found to `question` so that it is as `wanted`. Single differences come
/// before pairs, those before the combinations of hints, those before other accounts and places, which
/// make it another request; among as many the lesser change. `None` if nothing is found, or not
/// within what is left of `budget`.
pub(super) fn nearest(
    policies: &PolicySet,
    question: &Question,
    wanted: &dyn Fn(&Question) -> bool,
    budget: &mut Budget,
) -> Option<Altered> {
    if budget.0 == 0 {
        return None;
    }
    let steps = possible::steps(policies, question);
    let altered = |steps: &[&Step]| {
        let changed = |q: Question, step: &&Step| step.apply(&q);
        let question = steps.iter().fold(question.clone(), changed);
        wanted(&question).then(|| Altered {
            words: words(steps, &question),
            question,
        })
    };
    let (same, elsewhere): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| !step.is_elsewhere());
    let singles = same.iter().map(|step| vec![step]);
    let pairs = pairs(&same);
    for steps in singles.chain(pairs.into_iter().map(|(one, other)| vec![one, other])) {
        if !budget.take() {
            return None;
        }
        if let Some(found) = altered(&steps) {
            return Some(found);
        }
    }
    let combined = || combined(policies, question, wanted);
    combined().or_else(|| elsewhere.iter().find_map(|step| altered(&[step])))
}

/// For a permit, what takes more than two.
fn combined(
    policies: &PolicySet,
    question: &Question,
    wanted: &dyn Fn(&Question) -> bool,
) -> Option<Altered> {
    hints(policies, question, &[]).into_iter().find_map(|hint| {
        let changed = hint.changes.iter();
        let changed = changed.fold(question.clone(), |q, change| change.apply(&q));
        let words: Vec<String> = hint.changes.iter().map(change_words).collect();
        wanted(&changed).then(|| Altered {
            words: words.join(", "),
            question: changed,
        })
    })
}

/// What a hint asks for, as a difference.
fn change_words(change: &Change) -> String {
    match change {
        Change::Approvals { count, groups } => format!("with {}", approvals_words(*count, groups)),
        Change::Requirement { sentence, .. } => format!("approved by {sentence}"),
        Change::FreshSecondFactor => "with a TOTP code just given".to_owned(),
        Change::BoundToken => "with a browser sign-in on this machine".to_owned(),
        Change::Reason => "with a reason".to_owned(),
        Change::Ticket => "with a ticket".to_owned(),
        Change::ShorterDuration { seconds_max } => {
            format!("for {}", period::words(Duration::from_secs(*seconds_max)))
        }
        Change::OtherAccount { principal } => format!("for account {principal} alone"),
    }
}

/// Two differences of two kinds, the cheapest together first.
fn pairs(steps: &[Step]) -> Vec<(&Step, &Step)> {
    let mut by_cost: BTreeMap<u32, Vec<(&Step, &Step)>> = BTreeMap::new();
    for (at, one) in steps.iter().enumerate() {
        let later = steps.iter().skip(at.saturating_add(1));
        for other in later.filter(|other| other.kind() != one.kind()) {
            let cost = one.cost().saturating_add(other.cost());
            by_cost.entry(cost).or_default().push((one, other));
        }
    }
    let all = by_cost.into_values().flatten();
    all.take(PAIRS_MAX).collect()
}

fn words(steps: &[&Step], question: &Question) -> String {
    let words = steps.iter().map(|step| step.words(question));
    words.collect::<Vec<_>>().join(", ")
}
