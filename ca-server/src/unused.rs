//! Least privilege from evidence: what permits allow and nobody used, and a set that allows less.
//!
//! Pure: decisions and ways in, findings and texts out. Proposes for logins only: emergencies, and
//! what people do about others, are rare by nature, so that nobody used them says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca_core::name::{Subject, UserName};
use ca_core::time::Timestamp;

use crate::policy::{
    Decision as Decided, PolicySet, Question, Source, Verdict, ask, supposing_approved,
};
use crate::reach::{Actor, Reach};
use crate::recorded::Decision;

pub use edit::{Edit, edited};

mod edit;
#[cfg(test)]
mod tests;

/// Longest windows that are proposed, seconds: the first that nobody asked more than.
const STEPS: [u64; 9] = [
    300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400,
];

/// How one policy was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Use {
    people: BTreeSet<Subject>,
    groups: BTreeSet<String>,
    /// How often each length was asked for, seconds.
    durations: BTreeMap<u64, u64>,
}

/// What was used in a time.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    uses: BTreeMap<String, Use>,
    /// Time of the first decision of the log, whatever it was.
    first: Option<Timestamp>,
    decisions: u64,
}

impl Evidence {
    /// Takes the next decision of the log; of those before `since` only their time. What waited for
    /// approvals counts for the policies of the set in force that would permit it then.
    pub fn take(&mut self, decision: &Decision, since: Timestamp, policies: &PolicySet) {
        self.first.get_or_insert(decision.time);
        if decision.time < since {
            return;
        }
        self.decisions = self.decisions.saturating_add(1);
        let question = &decision.question;
        let used = match decision.verdict {
            // A policy may have had another id then.
            Verdict::Permit => match ask(policies, question) {
                Decided::Permit { policies } => &policies | &decision.policies,
                Decided::Deny(_) => decision.policies.clone(),
            },
            Verdict::Approval => supposed(policies, question),
            Verdict::Deny => return,
        };
        for id in &used {
            let used = self.uses.entry(id.clone()).or_default();
            used.people.insert(decision.person.subject.clone());
            used.groups.extend(question.who.groups.iter().cloned());
            let times = used
                .durations
                .entry(question.facts.duration.as_secs())
                .or_default();
            *times = times.saturating_add(1);
        }
    }

    /// Decisions in the time.
    #[must_use]
    pub const fn decisions(&self) -> u64 {
        self.decisions
    }

    /// Whether the log is as old as the time: what nobody did in a week says nothing of a quarter.
    #[must_use]
    pub fn covers(&self, since: Timestamp) -> bool {
        self.first.is_some_and(|first| first <= since)
    }
}

/// What is known of one permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its id.
    pub policy: String,
    /// People who can get something thanks to it, and did not.
    pub idle: Vec<UserName>,
    /// People who can.
    pub could: usize,
    /// People who did.
    pub did: usize,
    /// How often.
    pub times: u64,
    /// The longest time asked for; with none there was no use.
    pub longest: Option<Duration>,
    /// What nineteen of twenty uses did not exceed.
    pub usual: Option<Duration>,
    /// What it allows, where it says so in one place.
    pub allowed: Option<Duration>,
    /// Groups that it names of which nobody used it.
    pub idle_groups: BTreeSet<String>,
    /// What could be taken from it without anybody losing what they used.
    pub edit: Option<Edit>,
}

/// Every permit of `policies`, by id. `reach` are the ways of `actors`, people who are known.
#[must_use]
pub fn findings(
    policies: &PolicySet,
    (actors, reach): (&[Actor], &[Reach]),
    evidence: &Evidence,
    covered: bool,
) -> Vec<Finding> {
    let mut able: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for one in reach {
        for id in one.ways.iter().flat_map(|way| &way.policies) {
            able.entry(id).or_default().insert(one.actor);
        }
    }
    let permits = policies
        .policies()
        .iter()
        .filter(|(_, about)| !about.forbids);
    let finding = |id: &String| {
        let nothing = Use::default();
        let used = evidence.uses.get(id).unwrap_or(&nothing);
        let able = able.remove(id.as_str()).unwrap_or_default();
        let able: Vec<&Actor> = able.iter().filter_map(|at| actors.get(*at)).collect();
        let idle = able.iter().map(|actor| &actor.who);
        let idle = idle.filter(|who| !used.people.contains(&who.subject));
        let (names, window) = edit::terms(policies, id);
        let longest = used.durations.keys().last().copied();
        let allowed = window.allowed;
        Finding {
            policy: id.clone(),
            idle: idle.map(|who| who.name.clone()).collect(),
            could: able.len(),
            did: used.people.len(),
            times: used.durations.values().sum(),
            longest: longest.map(Duration::from_secs),
            usual: usual(&used.durations).map(Duration::from_secs),
            allowed: allowed.map(Duration::from_secs),
            idle_groups: names.difference(&used.groups).cloned().collect(),
            edit: match (longest, allowed) {
                _ if !window.login_only => None,
                (None, _) => covered.then_some(Edit::Remove),
                (Some(longest), Some(allowed)) => shorter(longest, allowed),
                (Some(_), None) => None,
            },
        }
    };
    permits.map(|(id, _)| id).map(finding).collect()
}

/// The policies that permit a question once its approvals have come.
fn supposed(policies: &PolicySet, question: &Question) -> BTreeSet<String> {
    let approved = supposing_approved(policies, question);
    match approved.map(|(_, question)| ask(policies, &question)) {
        Some(Decided::Permit { policies }) => policies,
        Some(Decided::Deny(_)) | None => BTreeSet::new(),
    }
}

/// The least length that nineteen of twenty uses did not exceed.
fn usual(durations: &BTreeMap<u64, u64>) -> Option<u64> {
    let all: u64 = durations.values().sum();
    let mut seen = 0_u64;
    let enough = |(_, times): &(&u64, &u64)| {
        seen = seen.saturating_add(**times);
        seen.saturating_mul(20) >= all.saturating_mul(19)
    };
    durations.iter().find(enough).map(|(length, _)| *length)
}

fn shorter(longest: u64, allowed: u64) -> Option<Edit> {
    let to = STEPS.into_iter().find(|step| *step >= longest)?;
    let edit = Edit::Shorten { from: allowed, to };
    (to < allowed).then_some(edit)
}

/// The texts of a set with the edits that the findings propose, in the order of the digest.
#[must_use]
pub fn proposal(policies: &PolicySet, findings: &[Finding]) -> Vec<Source> {
    let edits: BTreeMap<&str, Edit> = findings
        .iter()
        .filter_map(|finding| Some((finding.policy.as_str(), finding.edit?)))
        .collect();
    let sources = policies.sources().iter();
    sources.map(|source| edited(source, &edits)).collect()
}
