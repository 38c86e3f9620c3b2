//! What the cases exercise, and what none of them does.
//!
//! A permit is exercised where it is among those that permit in a case that passes, a forbid where
//! it is among those that forbid. An alternative of a requirement is where the approvals of a case
//! that is permitted meet it.

use std::collections::BTreeSet;

use super::super::PolicySet;
use super::super::requirement::words;
use super::super::verdict::Verdict;
use super::{Cases, Outcome, each};

/// What no case exercises.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// How many policies there are.
    pub policies: usize,
    /// Those that decide no case that passes, in the order of files and lines.
    pub unexercised: Vec<Unexercised>,
    /// How many alternatives the requirements have that policies ask for.
    pub alternatives: usize,
    /// Those that the approvals of no case meet.
    pub unmet: Vec<Unmet>,
}

/// A policy that decides no case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Unexercised {
    /// File name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Its `@id`.
    pub id: String,
    /// Whether it forbids.
    pub forbids: bool,
}

/// An alternative of a requirement that no case meets.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unmet {
    /// The requirement.
    pub requirement: String,
    /// Line of the table, from 1.
    pub line: usize,
    /// Who would have to approve: `2 of security`.
    pub people: String,
}

impl Coverage {
    /// Of `policies` by `files`, whose `outcomes` are in the same order.
    #[must_use]
    pub fn of(policies: &PolicySet, files: &[Cases], outcomes: &[Outcome]) -> Self {
        let passed = || {
            each(files)
                .zip(outcomes)
                .filter(|(_, outcome)| outcome.passed)
        };
        let exercised: BTreeSet<&String> = passed().flat_map(|(_, o)| &o.policies).collect();
        let all = policies.policies();
        let mut unexercised: Vec<Unexercised> = all
            .iter()
            .filter(|(id, _)| !exercised.contains(id))
            .map(|(id, info)| Unexercised {
                file: info.file.clone(),
                line: info.line,
                id: id.clone(),
                forbids: info.forbids,
            })
            .collect();
        unexercised.sort();
        let mut coverage = Self {
            policies: all.len(),
            unexercised,
            ..Self::default()
        };
        let permitted = passed().filter(|(_, o)| o.verdict == Verdict::Permit);
        let questions: Vec<_> = permitted.map(|((_, case), _)| case.question()).collect();
        let unused = policies.unused_requirements();
        for (name, requirement) in policies.requirements().iter() {
            if unused.iter().any(|(unused, _)| *unused == name) {
                continue;
            }
            for alternative in &requirement.alternatives {
                coverage.alternatives = coverage.alternatives.saturating_add(1);
                if !questions.iter().any(|question| alternative.met(question)) {
                    coverage.unmet.push(Unmet {
                        requirement: name.to_owned(),
                        line: requirement.line(),
                        people: words(&alternative.seats),
                    });
                }
            }
        }
        coverage
    }

    /// Whether there is nothing that no case exercises.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.unexercised.is_empty() && self.unmet.is_empty()
    }
}
