//! Invariants, proved or refuted: one job for each action that an invariant speaks about.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::hunt::{Found, Hunt, Prepared};
use super::scene::Scene;
use super::session::{Claim as Asked, Failure, Session};
use super::stage::{Stage, Subject};
use super::{ProveError, Prover, crew};
use crate::policy::{
    Claim, Invariant, Invariants, PolicySet, Question, Verdict, ask, case_text, judge,
};

/// What became of one invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// What was to be proved.
    #[serde(flatten)]
    pub invariant: Invariant,
    /// Whether it was.
    pub outcome: Outcome,
    /// How long the solver and the compiler worked, on all cores together.
    #[serde(rename = "took_milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

/// Whether an invariant holds.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Outcome {
    /// For every question that it speaks about.
    Proved,
    /// Not for this one.
    Violated(Box<Counterexample>),
    /// No question that can be asked is one that it speaks about, so it says nothing.
    Vacuous,
    /// Nobody knows: it took too long, or can not be analysed, or the solver failed.
    Open {
        /// Why, in words.
        why: String,
    },
}

/// A question that shows that something does not hold, as it is really decided.
#[derive(Clone, Debug, Serialize)]
pub struct Counterexample {
    /// The question.
    #[serde(skip)]
    pub question: Question,
    /// What the policies say to it.
    pub verdict: Verdict,
    /// The policies that decide it so.
    pub policies: BTreeSet<String>,
    /// The question and the verdict as a case, to be pasted into a file of cases.
    pub case: String,
}

impl Counterexample {
    pub(super) fn new(policies: &PolicySet, question: Question, name: &str) -> Self {
        let judgement = judge(policies, &question);
        Self {
            case: case_text(name, &question, judgement.verdict),
            verdict: judgement.verdict,
            policies: judgement.policies,
            question,
        }
    }
}

impl Proof {
    /// Whether it is proved. A timeout is no proof.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self.outcome, Outcome::Proved)
    }
}

/// Stages of a subject, each made when it is first needed.
pub(super) struct Stages<'a> {
    subject: &'a Subject<'a>,
    made: Vec<(Scene, OnceLock<Result<Stage<'a>, Failure>>)>,
}

impl<'a> Stages<'a> {
    pub(super) fn new(subject: &'a Subject<'a>) -> Self {
        Self {
            subject,
            made: Scene::all().map(|scene| (scene, OnceLock::new())).collect(),
        }
    }

    pub(super) fn get(&self, scene: Scene) -> Result<&Stage<'a>, Failure> {
        let made = self.made.iter().find(|(known, _)| *known == scene);
        let Some((_, made)) = made else {
            return Err(Failure::Beyond("it is never asked".to_owned()));
        };
        let stage = made.get_or_init(|| self.subject.stage(scene));
        stage.as_ref().map_err(Clone::clone)
    }
}

/// What came of an invariant for one action.
#[derive(Debug)]
enum Part {
    /// It holds; whether there is anything that it speaks about.
    Holds {
        matches: bool,
    },
    Violated(Box<Counterexample>),
    Open(String),
}

/// Tries to prove each of `invariants` about `policies`, on all cores; blocks until it is done.
///
/// Everything that goes wrong with one of them is its [`Outcome::Open`].
///
/// # Errors
///
/// [`ProveError::Stopped`] and [`ProveError::Run`].
pub fn prove_all(
    policies: &PolicySet,
    invariants: &Invariants,
    prover: &Prover,
) -> Result<Vec<Proof>, ProveError> {
    let subject = Subject::new(policies, invariants.iter().map(|one| &one.matching));
    let stages = Stages::new(&subject);
    let mut jobs: Vec<(&Invariant, Scene)> = Vec::new();
    for invariant in invariants.iter() {
        let scenes = Scene::all().filter(|scene| scene.may_match(&invariant.matching));
        jobs.extend(scenes.map(|scene| (invariant, scene)));
    }
    let parts = crew::each(prover.workers, &jobs, &|(invariant, scene), runtime| {
        let begun = Instant::now();
        let part = stages.get(*scene).and_then(|stage| {
            prover.session(runtime, async |session| {
                part(policies, invariant, stage, session).await
            })
        });
        let part = match part {
            Err(Failure::Stopped) => return Err(ProveError::Stopped),
            Err(failure) => Part::Open(failure.to_string()),
            Ok(part) => part,
        };
        Ok((part, begun.elapsed()))
    })?;
    let mut parts = jobs
        .iter()
        .zip(parts)
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    let mut proofs = Vec::new();
    for invariant in invariants.iter() {
        let mut took = Duration::ZERO;
        let mut own = Vec::new();
        while let Some(((_, scene), part)) = parts.next_if(|((one, _), _)| one.id == invariant.id) {
            let (part, lasted) = part?;
            took = took.saturating_add(lasted);
            own.push((*scene, part));
        }
        proofs.push(Proof {
            invariant: invariant.clone(),
            outcome: together(own),
            took,
        });
    }
    Ok(proofs)
}

/// A counterexample for one action is one; otherwise what is open for one is open.
fn together(parts: Vec<(Scene, Part)>) -> Outcome {
    let mut open = None;
    let mut any = false;
    for (scene, part) in parts {
        match part {
            Part::Violated(found) => return Outcome::Violated(found),
            Part::Open(why) if open.is_none() => {
                open = Some(format!("{why} (action {})", scene.action.name()));
            }
            Part::Open(_) => {}
            Part::Holds { matches } => any |= matches,
        }
    }
    match open {
        Some(why) => Outcome::Open { why },
        None if any => Outcome::Proved,
        None => Outcome::Vacuous,
    }
}

async fn part(
    policies: &PolicySet,
    invariant: &Invariant,
    stage: &Stage<'_>,
    session: &mut Session,
) -> Result<Part, Failure> {
    let never = invariant.claim == Claim::Never;
    let matching = &invariant.matching;
    let contradicts = |question: &Question| {
        invariant.matches(policies, question) && ask(policies, question).is_permit() == never
    };
    let decided = |conditions: &[String]| {
        let premise = stage.supposing([matching], conditions)?;
        Ok(if never {
            Prepared::Disjoint(premise, &stage.compiled)
        } else {
            Prepared::Implies(premise, &stage.compiled)
        })
    };
    let hunt = Hunt {
        stage,
        prepare: &decided,
        contradicts: &contradicts,
    };
    let mut found = hunt.run(session).await?;
    if !never {
        // A forbid that fails is one that holds.
        for forbid in stage.forbids() {
            if !matches!(found, Found::Nothing) {
                break;
            }
            if !stage.plainly_evaluates(forbid)? {
                let evaluates = |conditions: &[String]| {
                    let failing = stage.failing(matching, forbid, conditions)?;
                    Ok(Prepared::Evaluates(failing))
                };
                let hunt = Hunt {
                    prepare: &evaluates,
                    ..hunt
                };
                found = hunt.run(session).await?;
            }
        }
    }
    Ok(match found {
        Found::Unreal(why) => Part::Open(why),
        Found::Question(question) => {
            let name = format!("contradicts {}", invariant.id);
            Part::Violated(Box::new(Counterexample::new(policies, *question, &name)))
        }
        Found::Nothing => {
            let premise = stage.supposing([matching], &[])?;
            let witness = session.refute(Asked::Denies(&premise)).await?;
            Part::Holds {
                matches: witness.is_some(),
            }
        }
    })
}

/// As a whole number.
pub(super) fn milliseconds<S: Serializer>(
    took: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}
