//! Proofs about every question that can be asked: invariants, whether one set of policies permits
//! no more than another, and policies that change nothing. By cvc5, through Cedar's own compiler.
//!
//! What holds of every question is in `prove/assume.rs`. The authority decides as Cedar does, save
//! that a forbid that can not be evaluated counts as one that holds (`policy::ask`), where Cedar
//! leaves it out. So the authority permits no more than Cedar, and what Cedar never permits it never
//! does either. The other way round it might refuse what Cedar permits, so an `always` takes a
//! second proof: that no forbid can fail where the invariant holds.

mod analyse;
mod assume;
mod crew;
mod hunt;
mod model;
mod named;
mod prefer;
mod proof;
mod scene;
mod session;
mod smaller;
mod solver;
mod stage;
mod subset;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use self::session::{Conditions, Failure, Session};
use self::solver::Cvc5;

pub use self::analyse::{Finding, Flaw, analyse};
pub use self::proof::{Counterexample, Outcome, Proof, prove_all};
pub use self::subset::{Excess, subset};

/// Why nothing is proved at all.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// There is no such program.
    #[error(
        "the solver {program:?} can not be started\n\
         hint: apt-get install cvc5, or set CVC5 to the path of one"
    )]
    Missing {
        /// What was to be started.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// No thread or runtime to be had, or a panic in one.
    #[error("the proofs can not be run")]
    Run(#[from] std::io::Error),
    /// Asked to stop before everything was proved.
    #[error("stopped before everything was proved")]
    Stopped,
    /// It is not cvc5, or it is broken.
    #[error(
        "{program:?} does not work as cvc5 does: {why}\n\
         hint: apt-get install cvc5, or set CVC5 to the path of one"
    )]
    Wrong {
        /// What was started.
        program: PathBuf,
        /// What it did.
        why: String,
    },
}

/// A solver that was found to work, how long it may take, and on how many cores.
#[derive(Clone, Debug)]
pub struct Prover {
    conditions: Conditions,
    workers: usize,
}

/// Stops the proofs of a [`Prover`], and their solvers with them.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Stops what runs and whatever begins; whether that was done before.
    #[must_use]
    pub fn stop(&self) -> bool {
        self.0.send_replace(true)
    }
}

impl Prover {
    /// cvc5: the program that the environment variable `CVC5` names, else the one in `PATH`. Each
    /// proof may take `timeout`, for each action that it is about.
    ///
    /// # Errors
    ///
    /// [`ProveError::Missing`] and [`ProveError::Wrong`].
    pub fn find(timeout: Duration) -> Result<(Self, Stopper), ProveError> {
        Self::with(solver::program(), timeout)
    }

    /// The same with a program of one's own.
    ///
    /// # Errors
    ///
    /// As [`Prover::find`].
    pub fn with(program: PathBuf, timeout: Duration) -> Result<(Self, Stopper), ProveError> {
        let (stopper, stop) = watch::channel(false);
        let conditions = Conditions {
            program,
            limit: timeout,
            stop,
        };
        let missing = |source| ProveError::Missing {
            program: conditions.program.clone(),
            source,
        };
        let tried = crew::each(1, &[()], &|(), runtime: &Runtime| {
            runtime.block_on(async {
                let mut solver = Cvc5::start(&conditions.program, timeout).map_err(missing)?;
                let answer = tokio::time::timeout(timeout, solver.introduce()).await;
                solver.end().await;
                let why = match answer {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer within {}", crate::policy::words(timeout)),
                };
                let program = conditions.program.clone();
                Err(ProveError::Wrong { program, why })
            })
        })?;
        tried.into_iter().collect::<Result<(), _>>()?;
        let workers = std::thread::available_parallelism();
        let workers = workers.map_or(1, std::num::NonZero::get);
        Ok((
            Self {
                conditions,
                workers,
            },
            Stopper(stopper),
        ))
    }

    /// How long each proof may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.conditions.limit
    }

    /// One session with the solver for `work`, which is ended whatever becomes of it.
    fn session<R>(
        &self,
        runtime: &Runtime,
        work: impl AsyncFnOnce(&mut Session) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        runtime.block_on(async {
            let mut session = Session::new(&self.conditions);
            let done = work(&mut session).await;
            session.close().await;
            done
        })
    }
}
