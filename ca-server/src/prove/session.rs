//! One solver process with a deadline, and what can be asked of it.
//!
//! The process is started for the first question that needs one (many are settled by the symbolic
//! compiler alone) and killed at the deadline, when asked to stop, or when it answers nonsense.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use cedar_policy_symcc::err::Error as SymccError;
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env, WellFormedAsserts,
    always_denies_asserts, disjoint_asserts, implies_asserts, never_errors_asserts,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::solver::Cvc5;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// A policy that the analysis can not read.
    #[error("{0}")]
    Beyond(String),
    /// There is a model, but it can not be read.
    #[error("cvc5 gives a counterexample that can not be read: {0}")]
    Model(String),
    /// The solver ended, or talks nonsense.
    #[error("cvc5 fails: {0}")]
    Solver(String),
    /// Asked to stop.
    #[error("stopped")]
    Stopped,
    /// Not within the time given.
    #[error("not proved within {}", crate::policy::words(*.0))]
    TimedOut(Duration),
    /// The solver says that it does not know.
    #[error("cvc5 can not decide it")]
    Unknown,
}

/// A question to the solver; what it finds is a request that contradicts it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Claim<'a> {
    /// Nothing is allowed by both.
    Disjoint(&'a CompiledPolicySet, &'a CompiledPolicySet),
    /// The second allows all that the first does.
    Implies(&'a CompiledPolicySet, &'a CompiledPolicySet),
    /// Nothing is allowed.
    Denies(&'a CompiledPolicySet),
    /// It can always be evaluated.
    Evaluates(&'a CompiledPolicy),
}

impl<'a> Claim<'a> {
    fn asserts(self) -> WellFormedAsserts<'a> {
        match self {
            Self::Disjoint(one, other) => disjoint_asserts(one, other),
            Self::Implies(one, other) => implies_asserts(one, other),
            Self::Denies(set) => always_denies_asserts(set),
            Self::Evaluates(policy) => never_errors_asserts(policy),
        }
    }
}

/// How solvers are run.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    pub(super) program: PathBuf,
    pub(super) limit: Duration,
    /// Becomes true when everything is to stop.
    pub(super) stop: watch::Receiver<bool>,
}

/// Questions to one process, all of them within one time limit.
#[derive(Debug)]
pub(super) struct Session {
    conditions: Conditions,
    deadline: Instant,
    compiler: Option<CedarSymCompiler<Cvc5>>,
}

impl Session {
    /// A session whose time runs from now.
    pub(super) fn new(conditions: &Conditions) -> Self {
        Self {
            conditions: conditions.clone(),
            deadline: Instant::now() + conditions.limit,
            compiler: None,
        }
    }

    /// Gives it the whole time again.
    pub(super) fn renew(&mut self) {
        self.deadline = Instant::now() + self.conditions.limit;
    }

    /// A request that contradicts `claim`; `None` is a proof that there is none.
    pub(super) async fn refute(&mut self, claim: Claim<'_>) -> Result<Option<Env>, Failure> {
        let asserts = claim.asserts();
        if asserts.asserts().iter().any(|one| *one == false.into()) {
            return Ok(None);
        }
        if self.compiler.is_none() {
            self.compiler = Some(self.start().await?);
        }
        let Some(mut compiler) = self.compiler.take() else {
            return Err(Failure::Solver("it is gone".to_owned()));
        };
        let answer = self.within(compiler.check_sat(&asserts)).await;
        match answer {
            Ok(Ok(found)) => {
                self.compiler = Some(compiler);
                Ok(found)
            }
            Ok(Err(error)) => {
                let failure = of_symcc(error, compiler.solver_mut()).await;
                compiler.solver_mut().end().await;
                // It gives up by itself, too, a little later.
                let late = Instant::now() >= self.deadline;
                Err(if late { self.timed_out() } else { failure })
            }
            Err(failure) => {
                compiler.solver_mut().end().await;
                Err(failure)
            }
        }
    }

    const fn timed_out(&self) -> Failure {
        Failure::TimedOut(self.conditions.limit)
    }

    async fn start(&mut self) -> Result<CedarSymCompiler<Cvc5>, Failure> {
        let Conditions { program, limit, .. } = &self.conditions;
        let failed = |error: &dyn std::fmt::Display| Failure::Solver(error.to_string());
        let mut solver = Cvc5::start(program, *limit).map_err(|error| failed(&error))?;
        let introduced = self.within(solver.introduce()).await;
        if let Err(failure) = introduced.and_then(|done| done.map_err(|error| failed(&error))) {
            solver.end().await;
            return Err(failure);
        }
        CedarSymCompiler::new(solver).map_err(|error| failed(&error))
    }

    /// Ends the process, if there is one.
    pub(super) async fn close(mut self) {
        if let Some(mut compiler) = self.compiler.take() {
            compiler.solver_mut().end().await;
        }
    }

    /// What `work` yields, unless the deadline or a wish to stop comes first.
    async fn within<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let timed_out = self.timed_out();
        let stop = &mut self.conditions.stop;
        tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|stop| *stop) => Err(Failure::Stopped),
            done = tokio::time::timeout_at(self.deadline, work) => {
                done.map_err(|_| timed_out)
            }
        }
    }
}

async fn of_symcc(error: SymccError, solver: &mut Cvc5) -> Failure {
    match error {
        SymccError::SolverUnknown => Failure::Unknown,
        SymccError::SolverError(error) => Failure::Solver(error.to_string()),
        // It was written to and did not read.
        SymccError::EncodeError(cedar_policy_symcc::err::EncodeError::Io(_)) => {
            Failure::Solver(solver.ended().await.to_string())
        }
        SymccError::DecodeModel(error) => Failure::Model(error.to_string()),
        SymccError::ConcretizeError(error) => Failure::Model(error.to_string()),
        error @ SymccError::ModelInvalid { .. } => Failure::Model(error.to_string()),
        other => Failure::Beyond(other.to_string()),
    }
}
