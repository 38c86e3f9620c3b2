//! Policies that change nothing: those that never apply, those that others always overrule, those
//! that could be removed without a decision becoming another.
//!
//! Each is looked at alone: of two policies that say the same, both are found.

use std::time::{Duration, Instant};

use cedar_policy::{Effect, Policy};
use serde::Serialize;

use super::hunt::{Prepared, is_refuted};
use super::proof::{Stages, milliseconds};
use super::scene::Scene;
use super::session::{Failure, Session};
use super::stage::{Stage, Subject};
use super::{ProveError, Prover, crew};
use crate::policy::{PolicySet, permitting};

/// Most other policies that are asked one by one whether they alone are the reason.
const OTHERS_MAX: usize = 64;

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "flaw", rename_all = "lowercase")]
pub enum Flaw {
    /// It forbids only what no policy permits.
    Idle,
    /// Without it every question is decided as with it.
    Redundant {
        /// Policies of which each alone does what it does; none if only several together do.
        covered_by: Vec<String>,
    },
    /// It permits only what is forbidden.
    Shadowed {
        /// Policies of which each alone forbids all of it; none if only several together do.
        forbidden_by: Vec<String>,
    },
    /// No question that can be asked is one that it applies to.
    Unsatisfiable,
}

impl Flaw {
    /// Whether it can hardly be meant. What changes nothing today may be a guard for tomorrow.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Shadowed { .. } | Self::Unsatisfiable)
    }
}

/// What was found out about one policy.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its `@id`.
    pub id: String,
    /// File name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong; nothing if it matters.
    pub flaw: Option<Flaw>,
    /// Why it is not known whether something is.
    pub open: Option<String>,
    /// How long the solver and the compiler worked.
    #[serde(rename = "took_milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

/// Looks at each of `policies`, by id, on all cores; blocks until it is done.
///
/// # Errors
///
/// [`ProveError::Stopped`] and [`ProveError::Run`].
pub fn analyse(policies: &PolicySet, prover: &Prover) -> Result<Vec<Finding>, ProveError> {
    let subject = Subject::new(policies, []);
    let stages = Stages::new(&subject);
    let all: Vec<&Policy> = policies.cedar().policies().collect();
    let findings = crew::each(prover.workers, &all, &|policy, runtime| {
        let begun = Instant::now();
        let id = policy.id().to_string();
        let found = examined(policy, &stages)
            .and_then(|one| prover.session(runtime, async |session| one.flaw(session).await));
        let (flaw, open) = match found {
            Err(Failure::Stopped) => return Err(ProveError::Stopped),
            Err(failure) => (None, Some(failure.to_string())),
            Ok(flaw) => (flaw, None),
        };
        let about = policies.policies().get(&id);
        Ok(Finding {
            file: about.map(|info| info.file.clone()).unwrap_or_default(),
            line: about.map_or(0, |info| info.line),
            id,
            flaw,
            open,
            took: begun.elapsed(),
        })
    })?;
    let mut findings: Vec<Finding> = findings.into_iter().collect::<Result<_, _>>()?;
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(findings)
}

/// One policy among the others, where its action scope may hold.
struct Examined<'a, 'b> {
    policy: &'a Policy,
    /// A permit of what it matches.
    matching: Policy,
    stages: Vec<&'a Stage<'b>>,
}

fn examined<'a, 'b>(
    policy: &'a Policy,
    stages: &'a Stages<'b>,
) -> Result<Examined<'a, 'b>, Failure> {
    let scenes = Scene::all().filter(|scene| scene.may_match(policy));
    Ok(Examined {
        policy,
        matching: permitting(policy).map_err(Failure::Beyond)?,
        stages: scenes
            .map(|scene| stages.get(scene))
            .collect::<Result<_, _>>()?,
    })
}

impl<'a> Examined<'a, '_> {
    async fn flaw(mut self, session: &mut Session) -> Result<Option<Flaw>, Failure> {
        let mut applies = Vec::new();
        for stage in &self.stages {
            let alone =
                |more: &[String]| Ok(Prepared::Denies(stage.supposing([&self.matching], more)?));
            if is_refuted(session, stage, &alone).await? || !self.sure(stage)? {
                applies.push(*stage);
            }
        }
        self.stages = applies;
        if self.stages.is_empty() {
            return Ok(Some(Flaw::Unsatisfiable));
        }
        if self.policy.effect() == Effect::Permit {
            self.of_permit(session).await
        } else {
            self.of_forbid(session).await
        }
    }

    /// Whether it says the same to Cedar and to the authority: one that forbids when it can not be
    /// evaluated does more than Cedar sees.
    fn sure(&self, stage: &Stage<'_>) -> Result<bool, Failure> {
        Ok(self.policy.effect() == Effect::Permit || stage.plainly_evaluates(self.policy)?)
    }

    async fn of_permit(&self, session: &mut Session) -> Result<Option<Flaw>, Failure> {
        let forbidden = async |session: &mut Session, forbids: &dyn Fn(&Policy) -> bool| {
            for stage in &self.stages {
                let denied = |more: &[String]| {
                    let forbids = stage.forbids().filter(|one| forbids(one));
                    let set = stage.supposing(forbids.chain([self.policy]), more)?;
                    Ok(Prepared::Denies(set))
                };
                if is_refuted(session, stage, &denied).await? {
                    return Ok(false);
                }
            }
            Ok::<bool, Failure>(true)
        };
        if forbidden(session, &|_| true).await? {
            let mut forbidden_by = Vec::new();
            for other in self.others(Effect::Forbid) {
                match forbidden(session, &|one| one.id() == other.id()).await {
                    Ok(true) => forbidden_by.push(other.id().to_string()),
                    Ok(false) => {}
                    Err(failure) => enough(failure)?,
                }
            }
            return Ok(Some(Flaw::Shadowed { forbidden_by }));
        }
        for stage in &self.stages {
            // What it alone permits: no other permit does, and no forbid stands against it.
            let others = self
                .without(stage)
                .filter(|one| one.effect() == Effect::Permit);
            let others = stage.compile(others)?;
            let same = |more: &[String]| {
                let permitted = stage.forbids().chain([self.policy]);
                Ok(Prepared::Implies(
                    stage.supposing(permitted, more)?,
                    &others,
                ))
            };
            if is_refuted(session, stage, &same).await? {
                return Ok(None);
            }
        }
        let covered_by = self.covered_by(session).await?;
        Ok(Some(Flaw::Redundant { covered_by }))
    }

    async fn of_forbid(&self, session: &mut Session) -> Result<Option<Flaw>, Failure> {
        let mut idle = true;
        for stage in &self.stages {
            if !self.sure(stage)? {
                return Ok(None);
            }
            // What it alone forbids: without it, it is permitted.
            let matching = stage.compile([&self.matching])?;
            let same = |more: &[String]| {
                let without = stage.supposing(self.without(stage), more)?;
                Ok(Prepared::Disjoint(without, &matching))
            };
            if is_refuted(session, stage, &same).await? {
                return Ok(None);
            }
            let permits = stage
                .policies
                .iter()
                .filter(|one| one.effect() == Effect::Permit);
            let permits = stage.compile(permits.copied())?;
            let apart = |more: &[String]| {
                let matching = stage.supposing([&self.matching], more)?;
                Ok(Prepared::Disjoint(matching, &permits))
            };
            idle &= !is_refuted(session, stage, &apart).await?;
        }
        if idle {
            return Ok(Some(Flaw::Idle));
        }
        let covered_by = self.covered_by(session).await?;
        Ok(Some(Flaw::Redundant { covered_by }))
    }

    /// Policies of the same effect that match everything that this one does.
    async fn covered_by(&self, session: &mut Session) -> Result<Vec<String>, Failure> {
        let mut covering = Vec::new();
        for other in self.others(self.policy.effect()) {
            match self.is_covered_by(other, session).await {
                Ok(true) => covering.push(other.id().to_string()),
                Ok(false) => {}
                Err(failure) => enough(failure)?,
            }
        }
        Ok(covering)
    }

    async fn is_covered_by(&self, other: &Policy, session: &mut Session) -> Result<bool, Failure> {
        let larger = permitting(other).map_err(Failure::Beyond)?;
        for stage in &self.stages {
            let larger = stage.compile([&larger])?;
            let covered = |more: &[String]| {
                let matching = stage.supposing([&self.matching], more)?;
                Ok(Prepared::Implies(matching, &larger))
            };
            if is_refuted(session, stage, &covered).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Other policies of that effect that may hold wherever this one does.
    fn others(&self, effect: Effect) -> impl Iterator<Item = &'a Policy> {
        let first = self.stages.first().into_iter();
        let all = first.flat_map(|stage| stage.policies.iter().copied());
        let id = self.policy.id();
        all.filter(move |one| one.effect() == effect && one.id() != id)
            .take(OTHERS_MAX)
    }

    fn without<'c>(&self, stage: &Stage<'c>) -> impl Iterator<Item = &'c Policy> {
        let id = self.policy.id();
        let all = stage.policies.clone().into_iter();
        all.filter(move |one| one.id() != id)
    }
}

/// That something is wrong is known by now; for its reasons there may be too little time.
fn enough(failure: Failure) -> Result<(), Failure> {
    match failure {
        Failure::TimedOut(_) | Failure::Unknown => Ok(()),
        other => Err(other),
    }
}
