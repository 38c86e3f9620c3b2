//! Whether one set of policies permits nothing that another does not: for every question, or a
//! question that shows it.
//!
//! Both may have a table of requirements of their own. Names that mean different people stand side
//! by side, as what they are: a question meets each of them by its own rule.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cedar_policy::{Effect, Policy};
use serde::Serialize;
use serde_json::Value;

use super::hunt::{Found, Hunt, Prepared};
use super::proof::{Stages, milliseconds};
use super::scene::Scene;
use super::session::{Claim, Failure, Session};
use super::stage::{Stage, Subject};
use super::{Counterexample, Outcome, ProveError, Prover, crew};
use crate::policy::{Action, Judgement, PolicySet, Question, ask, judge};

/// Whether a set permits too much, for one action.
#[derive(Clone, Debug, Serialize)]
pub struct Excess {
    /// What it is about.
    pub action: Action,
    /// Proved, if it permits nothing more.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What the other set says to the counterexample.
    pub other: Option<Judgement>,
    /// How long the solver and the compiler worked.
    #[serde(rename = "took_milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

impl Excess {
    /// Whether it is proved that nothing more is permitted.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self.outcome, Outcome::Proved)
    }
}

/// For each action, whether everything that `inner` permits is permitted by `outer`, too. Blocks
/// until it is done. Both are read under the schema of `inner`.
///
/// # Errors
///
/// [`ProveError::Stopped`] and [`ProveError::Run`].
pub fn subset(
    inner: &PolicySet,
    outer: &PolicySet,
    prover: &Prover,
) -> Result<Vec<Excess>, ProveError> {
    let (requirements, renamed) = inner.requirements().beside(outer.requirements());
    let rename = |policy: &Policy| rename(policy, &renamed);
    let others: Result<Vec<Policy>, String> = outer.cedar().policies().map(rename).collect();
    let others = others.map_err(std::io::Error::other)?;
    let subject = Subject::asking(inner, &requirements, &others);
    let stages = Stages::new(&subject);
    let scenes: Vec<Scene> = Scene::all().collect();
    let results = crew::each(prover.workers, &scenes, &|scene, runtime| {
        let begun = Instant::now();
        let pair = Pair {
            inner,
            outer,
            others: others.iter().filter(|one| scene.may_match(one)).collect(),
        };
        let found = stages.get(*scene).and_then(|stage| {
            prover.session(runtime, async |session| pair.excess(stage, session).await)
        });
        let (outcome, other) = match found {
            Err(Failure::Stopped) => return Err(ProveError::Stopped),
            Err(failure) => (open(failure.to_string()), None),
            Ok(Found::Unreal(why)) => (open(why), None),
            Ok(Found::Nothing) => (Outcome::Proved, None),
            Ok(Found::Question(question)) => {
                let other = judge(outer, &question);
                let name = format!("{} that only one set permits", scene.action.name());
                let found = Counterexample::new(inner, *question, &name);
                (Outcome::Violated(Box::new(found)), Some(other))
            }
        };
        Ok(Excess {
            action: scene.action,
            outcome,
            other,
            took: begun.elapsed(),
        })
    })?;
    results.into_iter().collect()
}

const fn open(why: String) -> Outcome {
    Outcome::Open { why }
}

struct Pair<'a> {
    inner: &'a PolicySet,
    outer: &'a PolicySet,
    /// The policies of `outer` that matter here, with requirements by their names in both.
    others: Vec<&'a Policy>,
}

impl Pair<'_> {
    async fn excess(&self, stage: &Stage<'_>, session: &mut Session) -> Result<Found, Failure> {
        let outer = stage.compile(self.others.iter().copied())?;
        let contradicts = |question: &Question| {
            ask(self.inner, question).is_permit() && !ask(self.outer, question).is_permit()
        };
        let implied = |conditions: &[String]| {
            let inner = stage.supposing(stage.policies.iter().copied(), conditions)?;
            Ok(Prepared::Implies(inner, &outer))
        };
        let hunt = Hunt {
            stage,
            prepare: &implied,
            contradicts: &contradicts,
        };
        let found = hunt.run(session).await?;
        if !matches!(found, Found::Nothing) {
            return Ok(found);
        }
        // A forbid of the other set that fails is one that holds.
        let forbids = self
            .others
            .iter()
            .filter(|one| one.effect() == Effect::Forbid);
        for forbid in forbids {
            if stage.plainly_evaluates(forbid)? {
                continue;
            }
            // Most can always be evaluated, and one proof of it does for all permits.
            let alone = stage.failing(&everything()?, forbid, &[])?;
            if session.refute(Claim::Evaluates(&alone)).await?.is_none() {
                continue;
            }
            for permit in stage
                .policies
                .iter()
                .filter(|one| one.effect() == Effect::Permit)
            {
                let evaluates = |conditions: &[String]| {
                    let failing = stage.failing(permit, forbid, conditions)?;
                    Ok(Prepared::Evaluates(failing))
                };
                let hunt = Hunt {
                    prepare: &evaluates,
                    ..hunt
                };
                let found = hunt.run(session).await?;
                if !matches!(found, Found::Nothing) {
                    return Ok(found);
                }
            }
        }
        Ok(Found::Nothing)
    }
}

fn everything() -> Result<Policy, Failure> {
    let all = "permit (principal, action, resource);";
    Policy::parse(None, all).map_err(|error| Failure::Beyond(error.to_string()))
}

/// `policy` with other names for requirements. Loading has seen to it that they stand as literals.
fn rename(policy: &Policy, renamed: &BTreeMap<String, String>) -> Result<Policy, String> {
    if renamed.is_empty() {
        return Ok(policy.clone());
    }
    let mut json = policy.to_json().map_err(|error| error.to_string())?;
    rename_below(&mut json, renamed);
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| error.to_string())
}

fn rename_below(json: &mut Value, renamed: &BTreeMap<String, String>) {
    match json {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| rename_below(item, renamed)),
        Value::Object(fields) => {
            for value in fields.values_mut() {
                let of = value.pointer("/left/./attr").and_then(Value::as_str);
                if of == Some("met") {
                    value
                        .get_mut("right")
                        .into_iter()
                        .for_each(|right| literals(right, renamed));
                }
                rename_below(value, renamed);
            }
        }
        _ => {}
    }
}

fn literals(json: &mut Value, renamed: &BTreeMap<String, String>) {
    match json {
        Value::String(text) => {
            if let Some(other) = renamed.get(text) {
                text.clone_from(other);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| literals(item, renamed)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| literals(value, renamed)),
        _ => {}
    }
}
