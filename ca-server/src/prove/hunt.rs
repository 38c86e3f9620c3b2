//! From the solver's word that something does not hold to a question that shows it.
//!
//! What the solver finds is asked of the real policies. Only what they really decide so counts; a
//! model that no question fits is shut out and another one asked for, a few times.

use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet, Env};

use super::model::Model;
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
    /// It can always be evaluated.
    Evaluates(CompiledPolicy),
}

impl Prepared<'_> {
    const fn claim(&self) -> Claim<'_> {
        match self {
            Self::Disjoint(one, other) => Claim::Disjoint(one, other),
            Self::Implies(one, other) => Claim::Implies(one, other),
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
    pub(super) prepare: &'b dyn Fn(&[String]) -> Result<Prepared<'a>, Failure>,
    /// Whether a real question contradicts the claim.
    pub(super) contradicts: &'b dyn Fn(&Question) -> bool,
}

impl Hunt<'_, '_> {
    /// Proves the claim, or finds a question that contradicts it.
    pub(super) async fn run(&self, session: &mut Session) -> Result<Found, Failure> {
        let Some(first) = session.refute((self.prepare)(&[])?.claim()).await? else {
            return Ok(Found::Nothing);
        };
        match self.real(session, first).await {
            Ok(found) => Ok(found),
            Err(Failure::Stopped) => Err(Failure::Stopped),
            Err(failure) => Ok(unreal(&format!("looking for one that can: {failure}"))),
        }
    }

    async fn real(&self, session: &mut Session, first: Env) -> Result<Found, Failure> {
        let named = self.stage.named();
        let readable = (self.prepare)(&Model::preferences(named))?;
        // A model that cannot be read is none that is preferred.
        if let Ok(Some(env)) = session.refute(readable.claim()).await
            && let Some(question) = self.realise(&Model::new(&env, self.stage.scene, named))
        {
            return Ok(Found::Question(Box::new(question)));
        }
        let mut shut_out: Vec<String> = Vec::new();
        let mut env = first;
        loop {
            let model = Model::new(&env, self.stage.scene, named);
            if let Some(question) = self.realise(&model) {
                return Ok(Found::Question(Box::new(question)));
            }
            shut_out.push(model.other());
            if shut_out.len() >= MODELS_MAX {
                return Ok(unreal(&format!("{MODELS_MAX} were tried")));
            }
            let others = (self.prepare)(&shut_out)?;
            match session.refute(others.claim()).await? {
                Some(next) => env = next,
                None => return Ok(unreal("and there is no other like it")),
            }
        }
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
