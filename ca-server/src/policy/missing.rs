//! What approvals alone are missing: the least number of further people that turns a denial into a
//! permit, found by asking the same policies as if they had approved.
//!
//! Runs inside the ledger's turn, so it gives up after one question where approvals cannot help.

use std::collections::BTreeSet;

use super::PolicySet;
use super::decide::{Decision, Reason, ask};
use super::hint::{Change, approvals_words};
use super::index::Cell;
use super::question::{Action, Question};
use super::quorum;
use super::requirement::{Seats, words};

/// Approvals beyond those given that are tried where no requirement says how many.
const APPROVALS_MAX: usize = 3;
/// Groups of approvers that are tried one by one.
const GROUPS_MAX: usize = 32;

/// What approvals alone are missing for a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `1 of sre-leads and 1 of security`; for a plain count `2 approvals` or
    /// `1 approval from group x`. What earlier approvals settled is left out.
    pub sentence: String,
    /// The least number of further people found; one person may sit in several groups.
    pub count: usize,
    /// Ids of the forbids that hold for lack of them; empty where no policy permits without them.
    pub policies: BTreeSet<String>,
}

/// What approvals alone are missing for a permit; `None` when the answer is a permit already, when
/// approvals alone do not help, or when `question` is no login.
#[must_use]
pub fn approvals_missing(policies: &PolicySet, question: &Question) -> Option<Missing> {
    missing(policies, question).map(|(missing, _)| missing)
}

fn missing(policies: &PolicySet, question: &Question) -> Option<(Missing, Change)> {
    if question.action != Action::Login {
        return None;
    }
    let (change, reasons) = Call::new(policies, question)?.least()?;
    let (sentence, count) = match &change {
        Change::Approvals { count, groups } => {
            let further = count.saturating_sub(question.approvers().len());
            (approvals_words(further, groups), further)
        }
        Change::Requirement {
            sentence, people, ..
        } => (sentence.clone(), people.len()),
        _ => return None,
    };
    let ids = reasons.into_iter().filter_map(|reason| reason.policy);
    let missing = Missing {
        sentence,
        count,
        policies: ids.collect(),
    };
    Some((missing, change))
}

/// `question` as if the approvals had come that are missing, and what those are, with every
/// alternative: `1 of sre-leads and 1 of security, or 2 of security`.
pub(crate) fn supposing_approved(
    policies: &PolicySet,
    question: &Question,
) -> Option<(String, Question)> {
    let (missing, change) = missing(policies, question)?;
    let requirement = match &change {
        Change::Requirement { names, .. } => match names.iter().collect::<Vec<_>>().as_slice() {
            [name] => policies.requirements.get(name),
            _ => None,
        },
        _ => None,
    };
    // Only where nothing more is wanted than one of its alternatives.
    let whole = requirement.filter(|requirement| {
        let mut all = requirement.alternatives.iter();
        all.any(|one| words(&one.seats) == missing.sentence)
    });
    let sentence = whole.map_or(missing.sentence, ToString::to_string);
    Some((sentence, change.apply(question)))
}

/// `question` as if everybody had approved: so many people that no count is short of any, first of
/// every group that is looked for, then of none where that may matter.
pub(crate) fn supposing_everybody_approved(
    policies: &PolicySet,
    question: &Question,
) -> Vec<Question> {
    let Some(call) = Call::new(policies, question) else {
        return Vec::new();
    };
    let mut changes = vec![call.utmost()];
    if !call.cell.approver_groups.is_empty() {
        changes.push(call.utmost_from(&BTreeSet::new()));
    }
    changes
        .iter()
        .map(|change| change.apply(question))
        .collect()
}

/// The search for people to call for one question.
pub(super) struct Call<'a> {
    policies: &'a PolicySet,
    question: &'a Question,
    cell: &'a Cell,
}

impl<'a> Call<'a> {
    /// `None` if no policy speaks about the question.
    pub(super) fn new(policies: &'a PolicySet, question: &'a Question) -> Option<Self> {
        let environment = question.on.environment();
        let cell = policies.index.cell(question.action, environment)?;
        Some(Self {
            policies,
            question,
            cell,
        })
    }

    /// The approvals of so many people, all in every group that anything here looks for, that every
    /// requirement is met and every count reached that is tried.
    pub(super) fn utmost(&self) -> Change {
        self.utmost_from(&self.cell.approver_groups)
    }

    fn utmost_from(&self, groups: &BTreeSet<String>) -> Change {
        let table = &self.policies.requirements;
        let asked = &self.cell.requirements;
        let seated = table.groups(asked).into_iter().map(str::to_owned);
        let given = self.question.approvers();
        let named = asked.iter().filter_map(|name| table.get(name));
        let open = named.map(|requirement| quorum::count(&requirement.open(&given)));
        let further = open.max().unwrap_or(0).max(APPROVALS_MAX);
        Change::Approvals {
            count: given.len().saturating_add(further),
            groups: seated.chain(groups.iter().cloned()).collect(),
        }
    }

    /// Whether approvals can help at all. A policy may shut out a group that it names, so without
    /// the groups of the policies, too.
    fn helps(&self) -> bool {
        self.permitted(self.utmost()).is_some()
            || (!self.cell.approver_groups.is_empty()
                && self.permitted(self.utmost_from(&BTreeSet::new())).is_some())
    }

    fn permitted(&self, change: Change) -> Option<Change> {
        let changed = change.apply(self.question);
        ask(self.policies, &changed).is_permit().then_some(change)
    }

    /// The fewest people found whose approval alone permits the question, and the reasons why it is
    /// denied; `None` if it is permitted or nobody's approval helps. The names of requirements come
    /// before plain counts that take as many people.
    pub(super) fn least(&self) -> Option<(Change, Vec<Reason>)> {
        if !self.helps() {
            return None;
        }
        let Decision::Deny(denial) = ask(self.policies, self.question) else {
            return None;
        };
        Some((self.search(&denial.reasons)?, denial.reasons))
    }

    fn search(&self, reasons: &[Reason]) -> Option<Change> {
        let open = self.open(reasons);
        if open.is_empty() {
            return self.counted(APPROVALS_MAX);
        }
        if let Some(met) = self.fewest_requirements(open.clone(), &[]) {
            let people = met.people();
            let fewer = self.counted(people.saturating_sub(1).min(APPROVALS_MAX));
            // Where as many people of no group do, it was their number that counted.
            let by_number = || {
                let count = self.question.approvers().len().saturating_add(people);
                let groups = BTreeSet::new();
                self.permitted(Change::Approvals { count, groups })
            };
            return fewer.or_else(by_number).or(Some(met));
        }
        self.counted(APPROVALS_MAX).or_else(|| {
            let changed = self.change(&open, &[]).apply(self.question);
            let more = Call {
                question: &changed,
                ..*self
            };
            let Change::Approvals { count, groups } = more.counted(APPROVALS_MAX)? else {
                return None;
            };
            let extra = count.saturating_sub(changed.approvers().len());
            self.fewest_requirements(open, &vec![groups; extra])
        })
    }

    /// The requirements that are not met and that may be what is missing, with their open seats: of
    /// the policies that forbid, and of those that might permit.
    fn open(&self, reasons: &[Reason]) -> Vec<Open<'a>> {
        let given = self.question.approvers();
        let forbids = reasons.iter().filter_map(|r| r.policy.as_ref());
        let asked: BTreeSet<&String> = forbids
            .filter_map(|id| self.policies.about.get(id))
            .flat_map(|info| &info.requirements)
            .chain(&self.cell.permits_with)
            .collect();
        let named = asked.into_iter().filter_map(|name| {
            let (name, requirement) = self.policies.requirements.entry(name)?;
            let seats = requirement.open(&given);
            (!seats.is_empty()).then_some(Open { name, seats })
        });
        let mut open: Vec<Open<'a>> = named.collect();
        // Dearest first: those are taken back first.
        open.sort_by_key(|one| std::cmp::Reverse(quorum::count(&one.seats)));
        open
    }

    /// All of `open` met, with `extra` people besides, then taken back what is not needed.
    fn fewest_requirements(
        &self,
        mut open: Vec<Open<'a>>,
        extra: &[BTreeSet<String>],
    ) -> Option<Change> {
        self.permitted(self.change(&open, extra))?;
        let mut at = 0;
        while at < open.len() && open.len() > 1 {
            let mut fewer = open.clone();
            fewer.remove(at);
            if self.permitted(self.change(&fewer, extra)).is_some() {
                open = fewer;
            } else {
                at = at.saturating_add(1);
            }
        }
        Some(self.change(&open, extra))
    }

    /// The people that meet all of `open`. One person may fill a seat in each requirement, so those
    /// of several are laid over each other.
    fn change(&self, open: &[Open<'_>], extra: &[BTreeSet<String>]) -> Change {
        let mut people: Vec<BTreeSet<String>> = Vec::new();
        for one in open {
            let groups = one
                .seats
                .iter()
                .flat_map(|seats| std::iter::repeat_n(&seats.group, seats.count));
            for (at, group) in groups.enumerate() {
                if people.len() <= at {
                    people.push(BTreeSet::new());
                }
                if let Some(person) = people.get_mut(at) {
                    person.extend(group.clone());
                }
            }
        }
        let mut sentence = sentence(open);
        if let Some(groups) = extra.first() {
            sentence = format!(
                "{sentence} and {} more",
                approvals_words(extra.len(), groups)
            );
        }
        people.extend(extra.iter().cloned());
        Change::Requirement {
            names: open.iter().map(|one| one.name.to_owned()).collect(),
            sentence,
            people,
        }
    }

    /// The fewest approvals, at most `further` more, with the fewest groups that permit; without
    /// looking at requirements.
    fn counted(&self, further: usize) -> Option<Change> {
        let given = self.question.approvers().len();
        let groups = &self.cell.approver_groups;
        let permits = |count, groups: &BTreeSet<String>| {
            let groups = groups.clone();
            self.permitted(Change::Approvals { count, groups })
        };
        for count in (given..).skip(1).take(further) {
            // With every group at once first: where that is refused, fewer need not be tried.
            if permits(count, groups).is_none() && permits(count, &BTreeSet::new()).is_none() {
                continue;
            }
            let one_by_one = groups
                .iter()
                .take(GROUPS_MAX)
                .map(|name| BTreeSet::from([name.clone()]));
            let fewest = std::iter::once(BTreeSet::new())
                .chain(one_by_one)
                .find_map(|some| permits(count, &some));
            return fewest.or_else(|| {
                let mut needed = groups.clone();
                for name in groups.iter().take(GROUPS_MAX) {
                    needed.remove(name);
                    if permits(count, &needed).is_none() {
                        needed.insert(name.clone());
                    }
                }
                permits(count, &needed)
            });
        }
        None
    }
}

/// A requirement that is not met, with the seats still open.
#[derive(Clone)]
struct Open<'a> {
    name: &'a str,
    seats: Vec<Seats>,
}

/// `1 of security`; with several requirements each is named, as one person may count for both.
fn sentence(open: &[Open<'_>]) -> String {
    let mut told: Vec<(String, &str)> = Vec::new();
    for one in open {
        let seats = words(&one.seats);
        if told.iter().all(|(known, _)| *known != seats) {
            told.push((seats, one.name));
        }
    }
    match told.as_slice() {
        [(seats, _)] => seats.clone(),
        many => {
            let named = many
                .iter()
                .map(|(seats, name)| format!("{seats} (for {name})"));
            named.collect::<Vec<_>>().join(" and ")
        }
    }
}

#[cfg(test)]
mod tests;
