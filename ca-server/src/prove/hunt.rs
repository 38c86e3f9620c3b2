//! From the solver's word that something does not hold to a question that shows it.
//!
//! What the solver finds is asked of the real policies. Only what they really decide so counts; a
//! model that no question fits is shut out and another one asked for, a few times.

use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet, Env};

use super::model::Model;
use super::prefer::{known_moments, preferences};
use super::session::{Claim, Failure, Session};
use super::smaller::smallest;
use super::stage::Stage;
use crate::policy::Question;

/// Models that are tried before giving up.
const MODELS_MAX: usize = 6;

/// A claim with what was compiled for it.
#[derive(Debug)]
pub(super) enum Prepared<'a> {
    /// Nothing is allowed by both.
    Disjoint(CompiledPolicySet, &'a CompiledPolicySet),
    /// The first allows nothing that the second does not.
    Implies(CompiledPolicySet, &'a CompiledPolicySet),
    /// Nothing is allowed.
    Denies(CompiledPolicySet),
    /// It can always be evaluated.
    Evaluates(CompiledPolicy),
}

impl Prepared<'_> {
    const fn claim(&self) -> Claim<'_> {
        match self {
            Self::Disjoint(one, other) => Claim::Disjoint(one, other),
            Self::Implies(one, other) => Claim::Implies(one, other),
            Self::Denies(set) => Claim::Denies(set),
            Self::Evaluates(policy) => Claim::Evaluates(policy),
        }
    }
}

/// What came of a claim.
#[derive(Debug)]
pub(super) enum Found {
    /// It is proved.
    Nothing,
    /// It does not hold for this question.
    Question(Box<Question>),
    /// The solver denies it, and no question was found that shows it.
    Unreal(String),
}

/// What is looked for, and how it is recognised.
#[derive(Clone, Copy)]
pub(super) struct Hunt<'a, 'b> {
    pub(super) stage: &'b Stage<'b>,
    /// The claim where further conditions hold.
    pub(super) prepare: Prepare<'a, 'b>,
    /// Whether a real question contradicts the claim.
    pub(super) contradicts: &'b dyn Fn(&Question) -> bool,
}

type Prepare<'a, 'b> = &'b dyn Fn(&[String]) -> Result<Prepared<'a>, Failure>;

/// Whether the claim does not hold, without a question to show it. Most that is asked so does not:
/// so where policies look at the moment, known moments come first, which cost next to nothing.
pub(super) async fn is_refuted(
    session: &mut Session,
    stage: &Stage<'_>,
    prepare: Prepare<'_, '_>,
) -> Result<bool, Failure> {
    session.renew();
    if stage.looks_at_the_moment() {
        for preferred in known_moments() {
            if session
                .refute(prepare(&preferred)?.claim())
                .await?
                .is_some()
            {
                return Ok(true);
            }
        }
    }
    if session.refute(prepare(&[])?.claim()).await?.is_none() {
        return Ok(false);
    }
    if stage.links.is_empty() {
        return Ok(true);
    }
    Ok(session
        .refute(prepare(&stage.links)?.claim())
        .await?
        .is_some())
}

impl Hunt<'_, '_> {
    /// Proves the claim, or finds a question that contradicts it.
    pub(super) async fn run(&self, session: &mut Session) -> Result<Found, Failure> {
        let Some(first) = session.refute((self.prepare)(&[])?.claim()).await? else {
            return Ok(Found::Nothing);
        };
        let moments = self.stage.looks_at_the_moment();
        for preferred in preferences(moments) {
            // One that costs too much or can not be read is none that is preferred.
            match session.refute((self.prepare)(&preferred)?.claim()).await {
                Err(failure @ (Failure::Stopped | Failure::TimedOut(_))) => return Err(failure),
                Ok(Some(env)) => {
                    if let Some(question) = self.realise(&self.model(&env)) {
                        return Ok(Found::Question(Box::new(question)));
                    }
                }
                _ => {}
            }
        }
        let first = if self.stage.links.is_empty() {
            Some(first)
        } else {
            session
                .refute((self.prepare)(&self.stage.links)?.claim())
                .await?
        };
        let Some(first) = first else {
            return Ok(Found::Nothing);
        };
        match self.real(session, first).await {
            Ok(found) => Ok(found),
            Err(Failure::Stopped) => Err(Failure::Stopped),
            Err(failure) => Ok(unreal(&format!("looking for one that can: {failure}"))),
        }
    }

    fn model<'c>(&'c self, env: &'c Env) -> Model<'c> {
        Model::new(env, self.stage)
    }

    async fn real(&self, session: &mut Session, first: Env) -> Result<Found, Failure> {
        let mut conditions = self.stage.links.clone();
        let mut env = first;
        for _ in 0..MODELS_MAX {
            let model = self.model(&env);
            if let Some(question) = self.realise(&model) {
                return Ok(Found::Question(Box::new(question)));
            }
            conditions.push(model.other());
            let others = (self.prepare)(&conditions)?;
            match session.refute(others.claim()).await? {
                Some(next) => env = next,
                None => return Ok(unreal("and there is no other like it")),
            }
        }
        Ok(unreal(&format!("{MODELS_MAX} were tried")))
    }

    fn realise(&self, model: &Model<'_>) -> Option<Question> {
        let questions = model.questions(self.stage.requirements()).into_iter();
        let question = { questions }.find(|question| (self.contradicts)(question))?;
        Some(smallest(question, self.contradicts))
    }
}

fn unreal(more: &str) -> Found {
    Found::Unreal(format!(
        "cvc5 has a counterexample, but it is none that can be asked ({more})"
    ))
}
