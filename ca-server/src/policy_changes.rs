//! Change control: what a set of policies is held against before it comes into force.
//!
//! Decides nothing about access. What is asked for is configuration (`policy_must_pass`); what was
//! passed is part of the record of the set.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use ca_core::event::PolicyCheck;
use serde::{Deserialize, Serialize};

use crate::policy::PolicySet;
use crate::policy_files;

/// `[policy_changes]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChangesConfig {
    /// What every set must pass before it comes into force, at the start and at each change:
    /// `cases`, `proofs`, `break-glass`.
    pub must_pass: BTreeSet<PolicyCheck>,
}

/// What a set must pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeControl {
    /// In this order, cheapest first.
    pub must_pass: BTreeSet<PolicyCheck>,
    /// Why the operator lets a set in that does not pass; for the start only.
    pub accept: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Passed.
    pub passed: BTreeSet<PolicyCheck>,
    /// Not passed, and let in all the same.
    pub failed: BTreeSet<PolicyCheck>,
    /// Why.
    pub accepted: Option<String>,
}

/// A set that does not pass; it is not in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NotPassed {
    /// Each check with what is wrong, in words; at least one.
    pub problems: Vec<(PolicyCheck, String)>,
}

impl fmt::Display for NotPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policies do not pass what policy_must_pass asks for")?;
        for (check, words) in &self.problems {
            write!(f, "\n{}: {words}", check.as_str())?;
        }
        f.write_str(
            "\nhint: mend it, or start with --accept-policies WHY, which is recorded, or ask for less \
             in [policy_changes]",
        )
    }
}

impl ChangeControl {
    /// Holds `new`, whose cases lie below `dir`, against everything that is asked for. Blocks.
    ///
    /// # Errors
    ///
    /// [`NotPassed`] with all that is wrong, unless the operator accepts it.
    pub fn hold(&self, dir: &Path, new: &PolicySet) -> Result<Held, NotPassed> {
        let mut held = Held::default();
        let mut problems = Vec::new();
        for &check in &self.must_pass {
            let outcome = match check {
                PolicyCheck::Cases => cases(dir, new),
                PolicyCheck::BreakGlass | PolicyCheck::Proofs => {
                    Err("this version cannot check it yet".to_owned())
                }
            };
            match outcome {
                Ok(()) => {
                    held.passed.insert(check);
                }
                Err(words) => problems.push((check, words)),
            }
        }
        if problems.is_empty() {
            return Ok(held);
        }
        let not_passed = NotPassed { problems };
        let Some(why) = &self.accept else {
            return Err(not_passed);
        };
        tracing::error!("POLICIES ACCEPTED ALTHOUGH THEY DO NOT PASS ({why}): {not_passed}");
        let failed = not_passed.problems.into_iter().map(|(check, _)| check);
        held.failed.extend(failed);
        held.accepted = Some(why.clone());
        Ok(held)
    }
}

/// Every case, or the ones that fail.
fn cases(dir: &Path, new: &PolicySet) -> Result<(), String> {
    let files = policy_files::load_cases(&dir.join("cases"), new);
    let files = files.map_err(|error| error.to_string())?;
    let outcomes: Vec<_> = files.iter().flat_map(|file| file.run(new)).collect();
    if outcomes.is_empty() {
        return Err("there is no case".to_owned());
    }
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|case| {
            let (file, line, name) = (&case.file, case.line, &case.name);
            let (expected, got) = (&case.expected, &case.got);
            format!("\n  {file}:{line}: {name}: expected {expected}, got {got}")
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let (failing, all) = (failed.len(), outcomes.len());
    Err(format!("{failing} of {all} fail{}", failed.concat()))
}
