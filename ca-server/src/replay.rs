//! Every recorded decision, decided again by another set of policies: what would change, for whom.
//!
//! Compares with what was recorded, in the three words of [`Verdict`]. A decision that lacks a fact
//! which the other set looks at is counted, not guessed. The approvals of a request are facts here:
//! whether those who gave them still could is told by their own decisions.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ca_core::name::{Subject, UserName};
use ca_core::time::Timestamp;
use rayon::prelude::*;

use crate::policy::{Action, Memo, On, PolicySet, Ruling, Verdict};
use crate::recorded::{self, Decision, Progress, RecordedError, Tally};
use crate::store::Store;

#[cfg(test)]
mod tests;

/// Records named as examples of one kind of change.
const EXAMPLES_MAX: usize = 5;

/// Which decisions: those recorded in this time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Window {
    fn holds(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
    }
}

/// One kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift {
    /// Of what.
    pub action: Action,
    /// What was recorded.
    pub from: Verdict,
    /// What the other set says.
    pub to: Verdict,
}

impl Shift {
    /// Whether less is allowed than was.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.to > self.from
    }
}

/// How often, and where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub count: u64,
    /// Log indexes of the first few.
    pub examples: Vec<u64>,
}

impl Count {
    fn add(&mut self, index: u64) {
        self.count = self.count.saturating_add(1);
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(index);
        }
    }
}

/// Changes by their kind.
pub type Shifts = BTreeMap<Shift, Count>;

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The whole log.
    pub tally: Tally,
    /// Decisions in the window, by action and what was recorded.
    pub decisions: BTreeMap<(Action, Verdict), u64>,
    /// Time of the first and of the last of them.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Who made them.
    pub people: HashSet<Subject>,
    /// Everything that would change.
    pub shifts: Shifts,
    /// The same by person; the name is the one shown last.
    pub by_person: BTreeMap<Subject, (UserName, Shifts)>,
    /// By account (`prod/root`), environment or `authority`. One decision may be about several.
    pub by_account: BTreeMap<String, Shifts>,
    /// By the policies that decide otherwise now, or did before.
    pub by_policy: BTreeMap<String, Shifts>,
    /// How many of the changes the set in force makes, too; none if it was not asked.
    pub already: Option<u64>,
    /// Decisions that come out the same by other policies.
    pub by_others: u64,
    /// How many decisions each policy of the other set makes.
    pub deciding: BTreeMap<String, u64>,
    /// Policies that decided according to the records.
    pub decided: BTreeSet<String>,
    /// Decisions that lack a fact that is looked at, by fact; several may be lacking.
    pub lacking: BTreeMap<&'static str, Count>,
    /// How many decisions that are.
    pub undecidable: u64,
}

/// The sets to ask.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// Decides everything again.
    pub other: &'a PolicySet,
    /// Is asked about what that would change.
    pub in_force: Option<&'a PolicySet>,
}

/// Replays the decisions of the log in that window.
///
/// # Errors
///
/// [`RecordedError`] when the log cannot be read.
pub fn replay(
    store: &dyn Store,
    sets: Sets<'_>,
    window: Window,
    progress: Progress<'_>,
) -> Result<Report, RecordedError> {
    let replaying = Replaying {
        other: Memo::new(sets.other),
        policies: sets.other,
        in_force: sets.in_force.map(Memo::new),
    };
    let mut report = Report {
        already: sets.in_force.map(|_| 0),
        ..Report::default()
    };
    report.tally = recorded::decisions(store, progress, &mut |mut chunk| {
        chunk.retain(|decision| window.holds(decision.time));
        let again: Vec<Again> = chunk.par_iter().map(|one| replaying.again(one)).collect();
        for (decision, again) in chunk.iter().zip(&again) {
            report.add(decision, again);
        }
    })?;
    Ok(report)
}

struct Replaying<'a> {
    other: Memo<'a>,
    policies: &'a PolicySet,
    in_force: Option<Memo<'a>>,
}

/// One decision, decided again.
enum Again {
    /// These facts lack.
    Lacking(Vec<&'static str>),
    Decided {
        ruling: Ruling,
        /// Whether the set in force changes it in the same way.
        already: bool,
    },
}

impl Replaying<'_> {
    fn again(&self, decision: &Decision) -> Again {
        let looks_at = |fact: &&&str| self.policies.looks_at(&decision.question, fact);
        let lacking: Vec<&str> = decision.lacking.iter().filter(looks_at).copied().collect();
        if !lacking.is_empty() {
            return Again::Lacking(lacking);
        }
        let ruling = decision.ruling(&self.other);
        let changes = ruling.verdict != decision.verdict;
        let now = self.in_force.as_ref().filter(|_| changes);
        let already = now.is_some_and(|now| decision.ruling(now).verdict == ruling.verdict);
        Again::Decided { ruling, already }
    }
}

impl Report {
    fn add(&mut self, decision: &Decision, again: &Again) {
        let Decision {
            index,
            time,
            question,
            verdict,
            ..
        } = decision;
        let key = (question.action, *verdict);
        let count = self.decisions.entry(key).or_default();
        *count = count.saturating_add(1);
        let (first, _) = self.span.unwrap_or((*time, *time));
        self.span = Some((first, *time));
        if !self.people.contains(&decision.person.subject) {
            self.people.insert(decision.person.subject.clone());
        }
        for id in &decision.policies {
            if !self.decided.contains(id) {
                self.decided.insert(id.clone());
            }
        }
        match again {
            Again::Lacking(facts) => {
                self.undecidable = self.undecidable.saturating_add(1);
                for fact in facts {
                    self.lacking.entry(fact).or_default().add(*index);
                }
            }
            Again::Decided { ruling, already } => self.decided_again(decision, ruling, *already),
        }
    }

    fn decided_again(&mut self, decision: &Decision, ruling: &Ruling, already: bool) {
        for id in ruling.policies.iter() {
            match self.deciding.get_mut(id) {
                Some(count) => *count = count.saturating_add(1),
                None => {
                    self.deciding.insert(id.clone(), 1);
                }
            }
        }
        let (then, now) = (&decision.policies, &ruling.policies);
        if ruling.verdict == decision.verdict {
            let same = then.iter().eq(now.iter());
            self.by_others = self.by_others.saturating_add((!same).into());
            return;
        }
        let shift = Shift {
            action: decision.question.action,
            from: decision.verdict,
            to: ruling.verdict,
        };
        let add = |shifts: &mut Shifts| shifts.entry(shift).or_default().add(decision.index);
        add(&mut self.shifts);
        let person = &decision.person;
        let entry = self.by_person.entry(person.subject.clone());
        let (name, shifts) = entry.or_insert_with(|| (person.user.clone(), Shifts::new()));
        name.clone_from(&person.user);
        add(shifts);
        for account in accounts(&decision.question.on) {
            add(self.by_account.entry(account).or_default());
        }
        for id in differing(then, now) {
            add(self.by_policy.entry(id).or_default());
        }
        if let Some(count) = &mut self.already {
            *count = count.saturating_add(already.into());
        }
    }

    /// Decisions in the window.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.decisions.values().sum()
    }

    /// How many would come out otherwise.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.shifts.values().map(|count| count.count).sum()
    }

    /// How many of them would allow less.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let lost = self.shifts.iter().filter(|(shift, _)| shift.is_loss());
        lost.map(|(_, count)| count.count).sum()
    }

    /// People who took an emergency access that they would be denied.
    #[must_use]
    pub fn break_glass_lost(&self) -> Vec<&UserName> {
        let lost = |shift: &Shift| shift.action == Action::BreakGlass && shift.is_loss();
        let people = self.by_person.values();
        let losing = people.filter(|(_, shifts)| shifts.keys().any(lost));
        losing.map(|(name, _)| name).collect()
    }

    /// Policies of `set` that decide none of these decisions.
    #[must_use]
    pub fn idle<'a>(&self, set: &'a PolicySet) -> Vec<&'a str> {
        let ids = set.policies().keys().map(String::as_str);
        ids.filter(|id| !self.deciding.contains_key(*id)).collect()
    }
}

fn accounts(on: &On) -> Vec<String> {
    match on {
        On::Accounts {
            environment,
            principals,
        } => {
            let each: BTreeSet<_> = principals.iter().collect();
            let named = each.into_iter().map(|name| format!("{environment}/{name}"));
            named.collect()
        }
        On::Environment(name) => vec![name.to_string()],
        On::Authority => vec!["authority".to_owned()],
    }
}

/// The policies that decide only then or only now; where it is the same ones, they have changed.
fn differing(then: &BTreeSet<String>, now: &[String]) -> BTreeSet<String> {
    let now: BTreeSet<String> = now.iter().cloned().collect();
    let only: BTreeSet<String> = then.symmetric_difference(&now).cloned().collect();
    if only.is_empty() { now } else { only }
}
