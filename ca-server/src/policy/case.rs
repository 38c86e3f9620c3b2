//! Cases: what the policies should decide, written beside them in TOML, and whether they do.
//!
//! Reading them is `case/read.rs`, asking them `case/outcome.rs`. The form is in docs/policy.md.

mod coverage;
mod facts;
mod outcome;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeSet;
use std::ops::Range;

use ca_core::name::Principal;

use super::PolicySet;
use super::alter::Budget;
use super::decide::ask;
use super::error::{PolicyError, Problem};
use super::question::Question;
use super::spelling::{nearest, suggestion};
use super::verdict::Verdict;

pub use self::coverage::Coverage;
pub use self::outcome::{Nearest, Outcome};
pub use self::write::case_text;

/// The cases of one file.
#[derive(Clone, Debug)]
pub struct Cases {
    file: String,
    text: String,
    cases: Vec<Case>,
}

/// One question and what should come of it.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    line: usize,
    question: Question,
    /// Accounts that hints may name.
    others: Vec<Principal>,
    expected: Expected,
}

/// What should come of a question. What is left out may be anything.
#[derive(Clone, Debug)]
struct Expected {
    verdict: Verdict,
    /// A policy that must be among the deciding ones, and where it is named.
    policy: Option<(String, Range<usize>)>,
    /// A sentence that must be among the reasons.
    because: Option<String>,
    /// What approvals must still come: `1 of security`.
    obligation: Option<String>,
    /// A hint that must be among the hints, as its sentence.
    hint: Option<String>,
}

impl Case {
    /// Its name: that of its table and its own for a row.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it begins, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// What is asked.
    #[must_use]
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// The accounts that hints may name.
    #[must_use]
    pub fn others(&self) -> &[Principal] {
        &self.others
    }

    /// The answer that is expected.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.expected.verdict
    }
}

impl Cases {
    /// The cases in `text`.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with everything that is wrong: TOML that is none, an unknown key, a value of
    /// another kind, a fact that the action needs and that is absent, two cases of one name.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        Ok(Self {
            cases: read::read(file, text)?,
            file: file.to_owned(),
            text: text.to_owned(),
        })
    }

    /// Name of the file as given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The cases in the order of the file.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// A problem for each policy that a case names and that is not in `policies`.
    #[must_use]
    pub fn unknown_policies(&self, policies: &PolicySet) -> Vec<Problem> {
        let known = policies.policies();
        let named = self.cases.iter().filter_map(|c| c.expected.policy.as_ref());
        let unknown = named.filter(|(id, _)| !known.contains_key(id));
        unknown
            .map(|(id, span)| {
                let message = format!("there is no policy {id:?}");
                let hint = suggestion(id, known.keys().map(String::as_str));
                let span = (span.start, span.len());
                Problem::at(&self.file, &self.text, span, message, Some(hint))
            })
            .collect()
    }

    /// Each case asked of `policies`, in the order of the file.
    #[must_use]
    pub fn run(&self, policies: &PolicySet) -> Vec<Outcome> {
        let run = |case| outcome::run(&self.file, case, policies);
        self.cases.iter().map(run).collect()
    }
}

/// The cases of all `files` asked of `policies`, in their order. For those that fail the smallest
/// change is looked for that would give what they expect; after very many failures no longer.
#[must_use]
pub fn run_all(files: &[Cases], policies: &PolicySet) -> Vec<Outcome> {
    let mut budget = Budget::new();
    let mut outcomes = Vec::new();
    for (file, case) in each(files) {
        let mut outcome = outcome::run(&file.file, case, policies);
        if !outcome.passed {
            outcome.nearest = outcome::nearest(case, policies, &mut budget);
        }
        outcomes.push(outcome);
    }
    outcomes
}

/// The case called `name`, with its file.
///
/// # Errors
///
/// A sentence, if there is none, or if several files have one.
pub fn case_named<'a>(files: &'a [Cases], name: &str) -> Result<(&'a Cases, &'a Case), String> {
    let mut found = each(files).filter(|(_, case)| case.name == name);
    let places = || {
        let found = each(files).filter(|(_, case)| case.name == name);
        let places = found.map(|(file, case)| format!("{}:{}", file.file, case.line));
        places.collect::<Vec<_>>().join(", ")
    };
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(format!("several cases are called {name:?}: {}", places())),
        (None, _) => {
            let near = nearest(name, each(files).map(|(_, case)| case.name.as_str()));
            let near = near.map(|near| format!("; did you mean {near:?}?"));
            Err(format!(
                "no case is called {name:?}{}",
                near.unwrap_or_default()
            ))
        }
    }
}

/// The smallest change to `question`, which is not permitted, that would make it so; more than two
/// only where hints find them.
#[must_use]
pub fn nearest_permit(policies: &PolicySet, question: &Question) -> Option<Nearest> {
    let permitted = |question: &Question| ask(policies, question).is_permit();
    outcome::changed(policies, question, &permitted, &mut Budget::new())
}

/// Every case with its file, in the order of the files.
fn each(files: &[Cases]) -> impl Iterator<Item = (&Cases, &Case)> {
    files
        .iter()
        .flat_map(|file| file.cases.iter().map(move |case| (file, case)))
}

/// Names in a sentence: `a, b`.
fn listed(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}
