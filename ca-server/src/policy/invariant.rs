//! Invariants: what a set of policies must never permit, and what it must always permit, whatever
//! else is edited. Written in Cedar, beside the policies, and no part of them.
//!
//! Reads them and says whether a question is one that they speak about. Proofs are `prove`.

use std::collections::BTreeSet;
use std::fmt;

use ca_core::name::Environment;
use cedar_policy::{Effect, Policy};
use serde::Serialize;

use super::error::{PolicyError, Problem};
use super::load;
use super::question::Question;
use super::{PolicySet, Source};

/// End of the name of a file with what is never permitted.
pub const NEVER_SUFFIX: &str = ".never.cedar";

/// End of the name of a file with what is always permitted.
pub const ALWAYS_SUFFIX: &str = ".always.cedar";

/// What an invariant claims about every question that its statement matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// It is permitted.
    Always,
    /// It is not permitted.
    Never,
}

impl Claim {
    /// The claim of a file called `name`.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        if name.ends_with(NEVER_SUFFIX) {
            Some(Self::Never)
        } else if name.ends_with(ALWAYS_SUFFIX) {
            Some(Self::Always)
        } else {
            None
        }
    }

    /// `never` or `always`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One statement about all questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invariant {
    /// Its `@id`.
    pub id: String,
    /// What it claims.
    pub claim: Claim,
    /// File name, with the folder below that of the policies.
    pub file: String,
    /// Line of its first character, annotations included, from 1.
    pub line: usize,
    /// Its `@reason`: one sentence for people.
    pub reason: String,
    /// A policy that permits exactly what the statement matches, under its id.
    #[serde(skip)]
    pub(crate) matching: Policy,
}

/// All invariants of a folder, in the order of their files and lines.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    all: Vec<Invariant>,
}

impl Invariants {
    /// The invariants in `sources`, checked as the policies of `policies` are: against its schema,
    /// its table of requirements, and the `environments` that exist.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with every problem found: those of [`PolicySet::parse`], a file that is
    /// called neither `….never.cedar` nor `….always.cedar`, a `permit` in the former, a `forbid`
    /// in the latter.
    pub fn parse(
        policies: &PolicySet,
        sources: &[Source],
        environments: Option<&BTreeSet<Environment>>,
    ) -> Result<Self, PolicyError> {
        let loaded = load::invariants(policies, sources, environments)?;
        let mut invariants = Self::default();
        let mut problems = Vec::new();
        for (policy, info, source) in loaded {
            let wrong = |message: String, hint: &str| {
                let offset = policy.as_ref().loc().map_or(0, |loc| loc.span.offset());
                let hint = Some(hint.to_owned());
                Problem::at(&source.name, &source.text, (offset, 1), message, hint)
            };
            let Some(claim) = Claim::of_file(&source.name) else {
                let message =
                    "the file is neither of what is never permitted nor of what always is";
                let hint = "call it NAME.never.cedar or NAME.always.cedar";
                problems.push(wrong(message.to_owned(), hint));
                continue;
            };
            let (effect, word, other) = match claim {
                Claim::Never => (Effect::Forbid, "forbid", ALWAYS_SUFFIX),
                Claim::Always => (Effect::Permit, "permit", NEVER_SUFFIX),
            };
            if policy.effect() != effect {
                let message = format!("what is {claim} permitted is written with `{word}`");
                let hint = format!("write {word}, or move it to a file that ends in {other}");
                problems.push(wrong(message, &hint));
                continue;
            }
            match permitting(&policy) {
                Ok(matching) => invariants.all.push(Invariant {
                    id: policy.id().to_string(),
                    claim,
                    file: info.file,
                    line: info.line,
                    reason: info.reason,
                    matching,
                }),
                Err(error) => problems.push(wrong(error, "write it more simply")),
            }
        }
        if problems.is_empty() {
            invariants
                .all
                .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
            Ok(invariants)
        } else {
            Err(PolicyError { problems })
        }
    }

    /// The invariants, by file and line.
    pub fn iter(&self) -> impl Iterator<Item = &Invariant> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Keeps those whose id is among `names`.
    ///
    /// # Errors
    ///
    /// The names that no invariant has.
    pub fn named(self, names: &[String]) -> Result<Self, Vec<String>> {
        let ids: BTreeSet<&str> = self.all.iter().map(|one| one.id.as_str()).collect();
        let unknown = names.iter().filter(|name| !ids.contains(name.as_str()));
        let unknown: Vec<String> = unknown.cloned().collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let wanted = |one: &Invariant| names.contains(&one.id);
        Ok(Self {
            all: self.all.into_iter().filter(wanted).collect(),
        })
    }
}

impl Invariant {
    /// Whether the statement matches `question`, under the requirements of `policies`: for a
    /// question about several accounts, whether it matches one of them.
    #[must_use]
    pub fn matches(&self, policies: &PolicySet, question: &Question) -> bool {
        let alone = cedar_policy::PolicySet::from_policies([self.matching.clone()]);
        alone.is_ok_and(|alone| policies.allowed_by(&alone, question).contains(&true))
    }
}

/// The statement as a permit. The effect is nothing that a condition can see.
pub(crate) fn permitting(policy: &Policy) -> Result<Policy, String> {
    if policy.effect() == Effect::Permit {
        return Ok(policy.clone());
    }
    let mut json = policy.to_json().map_err(|error| error.to_string())?;
    if let Some(effect) = json.get_mut("effect") {
        *effect = "permit".into();
    }
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
