//! Change control: what a set of policies is held against before it comes into force.
//!
//! Decides nothing about access. What is asked for is configuration (`[policy_changes]`); what was
//! passed is part of the record of the set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca_core::digest::Digest;
use ca_core::event::{PolicyCheck, PolicyLoaded};
use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::directory::Directory;
use crate::policy::PolicySet;
use crate::policy_files;
use crate::prove::{Outcome, Prover, Stopper, prove_all};
use crate::reach::{Limits, break_glass_lost};

/// `[policy_changes]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyChangesConfig {
    /// What every set must pass before it comes into force, at the start and at each change:
    /// `cases`, `proofs`, `break-glass`.
    pub must_pass: BTreeSet<PolicyCheck>,
    /// How long the proof of one invariant may take, seconds. 10.
    pub proof_seconds: u32,
}

impl Default for PolicyChangesConfig {
    fn default() -> Self {
        Self {
            must_pass: BTreeSet::new(),
            proof_seconds: 10,
        }
    }
}

impl PolicyChangesConfig {
    /// What the server needs of it.
    #[must_use]
    pub fn control(&self) -> ChangeControl {
        ChangeControl {
            must_pass: self.must_pass.clone(),
            proof_limit: Duration::from_secs(self.proof_seconds.into()),
            stopper: Stopping::default(),
        }
    }
}

/// What a set must pass.
#[derive(Clone, Debug, Default)]
pub struct ChangeControl {
    /// Everything.
    pub must_pass: BTreeSet<PolicyCheck>,
    /// How long the proof of one invariant may take, for each action.
    pub proof_limit: Duration,
    stopper: Stopping,
}

/// What ends the proofs that run now.
#[derive(Clone, Debug, Default)]
struct Stopping(Arc<Mutex<Option<Stopper>>>);

impl Stopping {
    fn hold(&self, stopper: Stopper) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopper);
    }

    fn stop(&self) {
        if let Some(stopper) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let before = stopper.stop();
            tracing::debug!(before, "proofs end");
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Passed.
    pub passed: BTreeSet<PolicyCheck>,
    /// Digest of the cases and invariants, where it had to pass anything.
    pub checks: Option<Digest>,
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
        f.write_str("the policies do not pass what [policy_changes] asks for")?;
        for (check, words) in &self.problems {
            write!(f, "\n{}: {words}", check.as_str())?;
        }
        f.write_str(
            "\nhint: mend it, or start with --accept-policies WHY, which is recorded, or ask for less \
             in [policy_changes]",
        )
    }
}

/// What was in force before.
#[derive(Debug)]
pub enum Before<'a> {
    /// Nothing: it is the first.
    Nothing,
    /// This.
    Set(&'a PolicySet),
    /// A set that cannot be had any more.
    Unknown,
}

/// A set that may come into force.
#[derive(Debug)]
pub struct Change<'a> {
    /// The policy folder, with cases and invariants.
    pub dir: &'a Path,
    /// The set.
    pub new: &'a PolicySet,
    /// The set before.
    pub before: Before<'a>,
    /// Who could break glass.
    pub people: &'a Directory,
    /// All environments there are, with their accounts.
    pub environments: &'a BTreeMap<Environment, BTreeSet<Principal>>,
    /// The moment.
    pub now: Timestamp,
}

impl ChangeControl {
    /// Holds a change against everything that is asked for. What does not pass is let in where the
    /// operator says why. Blocks.
    ///
    /// # Errors
    ///
    /// [`NotPassed`] with all that is wrong.
    pub fn hold(&self, change: &Change<'_>, accept: Option<String>) -> Result<Held, NotPassed> {
        let mut held = Held::default();
        let mut problems = Vec::new();
        let checks = || policy_files::checks_digest(change.dir).ok();
        let before = checks();
        for &check in &self.must_pass {
            let outcome = match check {
                PolicyCheck::BreakGlass => break_glass(change),
                PolicyCheck::Cases => cases(change),
                PolicyCheck::Proofs => self.proofs(change),
            };
            match outcome {
                Ok(()) => {
                    held.passed.insert(check);
                }
                Err(words) => problems.push((check, words)),
            }
        }
        if let Some(check) = self.must_pass.first() {
            held.checks = before.map(Digest::from_bytes);
            if before.is_none() || checks() != before {
                let why = "cases or invariants changed while they were looked at";
                problems.push((*check, why.to_owned()));
            }
        }
        if problems.is_empty() {
            return Ok(held);
        }
        let not_passed = NotPassed { problems };
        let Some(why) = accept else {
            return Err(not_passed);
        };
        tracing::error!("POLICIES ACCEPTED ALTHOUGH THEY DO NOT PASS ({why}): {not_passed}");
        let failed = not_passed.problems.into_iter().map(|(check, _)| check);
        held.failed.extend(failed);
        held.accepted = Some(why);
        Ok(held)
    }

    /// Whether the newest set that came into force is this one, held against the same cases and
    /// invariants, and passed all that is asked for: then it need not pass again, so that a start at
    /// night does not hang on a solver.
    #[must_use]
    pub fn is_settled(&self, newest: &PolicyLoaded, set: &PolicySet, dir: &Path) -> bool {
        let checks = policy_files::checks_digest(dir)
            .ok()
            .map(Digest::from_bytes);
        newest.policy_digest == Digest::from_bytes(set.digest())
            && !self.must_pass.is_empty()
            && checks.is_some()
            && newest.checks == checks
            && self.must_pass.is_subset(&newest.passed)
    }

    /// Ends proofs that run now: the server stops.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// Every invariant, or the ones that are not proved.
    fn proofs(&self, change: &Change<'_>) -> Result<(), String> {
        let environments: BTreeSet<Environment> = change.environments.keys().cloned().collect();
        let known = Some(&environments);
        let invariants = policy_files::load_invariants(change.dir, change.new, known);
        let invariants = invariants.map_err(|error| error.to_string())?;
        if invariants.is_empty() {
            return Err("there is no invariant".to_owned());
        }
        let (prover, stopper) =
            Prover::find(self.proof_limit).map_err(|error| error.to_string())?;
        self.stopper.hold(stopper);
        let proofs =
            prove_all(change.new, &invariants, &prover).map_err(|error| error.to_string())?;
        let open: Vec<String> = proofs
            .iter()
            .filter(|proof| !proof.holds())
            .map(|proof| {
                let (file, line, id) = (
                    &proof.invariant.file,
                    proof.invariant.line,
                    &proof.invariant.id,
                );
                let why = match &proof.outcome {
                    Outcome::Open { why } => why.as_str(),
                    Outcome::Vacuous => "speaks about no question at all",
                    Outcome::Proved | Outcome::Violated(_) => "violated",
                };
                format!("\n  {file}:{line}: {id}: {why}")
            })
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let count = open.len();
        let advice = "`ca-server policy prove` shows how";
        Err(format!("{count} not proved; {advice}{}", open.concat()))
    }
}

/// Nobody is left who can break glass, where somebody could. A first set takes nothing away.
fn break_glass(change: &Change<'_>) -> Result<(), String> {
    let before = match change.before {
        Before::Nothing => return Ok(()),
        Before::Set(before) => before,
        Before::Unknown => {
            let why = "the set before is not in the log whole, so nobody can say what is lost";
            return Err(why.to_owned());
        }
    };
    let limits = Limits::none(change.now);
    let sets = (before, change.new);
    let compared = break_glass_lost(sets, change.people, change.environments, &limits);
    let lost: Vec<String> = compared
        .map_err(|error| error.to_string())?
        .iter()
        .filter(|loss| loss.is_everybodys())
        .map(|loss| loss.environment.to_string())
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let names = lost.join(", ");
    Err(format!("nobody could break glass any more in {names}"))
}

/// Every case, or the ones that fail.
fn cases(change: &Change<'_>) -> Result<(), String> {
    let new = change.new;
    let files = policy_files::load_cases(&change.dir.join("cases"), new);
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
