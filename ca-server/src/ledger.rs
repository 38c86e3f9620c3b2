//! The one way to change anything: `commit(decide)`.
//!
//! One thread owns the state. It takes everything queued, runs the decisions in order on the
//! evolving state, appends one batch, makes it durable once, signs one checkpoint and releases the
//! callers. There is no timer: while one commit runs, the next batch gathers. What is released is
//! [`Recorded`], which nothing else can make.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ca_core::event::{Event, Refused};
use ca_core::krl::{Statement, StatementError};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use ca_core::tlog::note::VerifierKey;
use tokio::sync::{mpsc, oneshot};

use crate::recordable::Recordable;
use crate::state::State;
use crate::store::{Record, Store, StoreError};

pub(crate) use edge::TreeReader;
pub use key::LogKey;
pub use news::{News, Revisions, Versions};
pub use open::{OpenError, Opened, sign_checkpoint};
pub use reading::Shown;
pub use recorded::Recorded;

pub(crate) use reading::check_opening;
use recorded::{Committed, Place, Proof};

mod edge;
mod key;
mod load;
mod news;
mod open;
mod reading;
mod recorded;
mod refusals;
mod sequencer;
#[cfg(test)]
mod tests;

/// Decisions taken into one commit.
pub const BATCH_MAX: usize = 512;

/// Decisions that may wait; more are answered [`CommitError::Busy`].
pub const QUEUE_MAX: usize = 4096;

/// The place in the log that a decision will get, and the time it is made at.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    epoch: u32,
    index: u64,
    now: Timestamp,
}

impl Turn {
    /// Upper part of its serial.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Index of the record.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Time of the record: never before that of the record before.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The serial of a certificate issued here; none at index 0 and beyond 40 bits.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        Serial::new(self.epoch, self.index).ok()
    }
}

/// A decision against somebody: why, for the caller, and what to record, if anything.
#[derive(Debug)]
pub struct Refusal<E> {
    /// For the caller.
    pub why: E,
    /// For the log. None only where nothing was decided, as when a request was answered before.
    pub record: Option<Box<Refused>>,
}

/// Why a commit made nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The queue is full, or the disk is. Nothing was recorded; try again later.
    #[error("busy: {0}")]
    Busy(&'static str),
    /// The decision was no.
    #[error("refused")]
    Refused(E),
    /// The ledger stopped, because the store failed with an unknown outcome.
    #[error("the ledger has stopped")]
    Stopped,
}

/// What the log looks like from outside: replaced after each durable batch.
struct Published {
    edge: edge::Edge,
    checkpoint: Arc<str>,
}

/// Handle to the ledger. Cheap to clone; the sequencer stops when the last one is dropped.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Job>,
    store: Arc<dyn Store>,
    key: Arc<LogKey>,
    published: Arc<ArcSwap<Published>>,
    stopped: Arc<tokio::sync::Notify>,
    news: News,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({:?})", self.key)
    }
}

/// A queued question or decision.
type Job = Box<dyn FnOnce(&State, Turn) -> Decided + Send>;

/// What a job wants appended, and whom to tell once it is durable.
struct Decided {
    entry: Option<Entry>,
    release: Box<dyn FnOnce(Outcome) + Send>,
}

struct Entry {
    event: Event,
    precertificate: Option<Vec<u8>>,
    refusal: bool,
}

/// How a job's batch ended.
enum Outcome {
    /// Durable; the place is none if this job had nothing to append.
    Durable(Option<Place>),
    /// Nothing was written.
    NotWritten(&'static str),
    /// Unknown; the ledger stops.
    Unknown,
}

impl Ledger {
    /// Decides on the current state and records the decision, whichever way it goes.
    ///
    /// Returns only when the record is durable. `decide` must be quick: all others wait.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; only [`CommitError::Refused`] may have left a record.
    pub async fn commit<T, E>(
        &self,
        decide: impl FnOnce(&State, Turn) -> Result<T, Refusal<E>> + Send + 'static,
    ) -> Result<Recorded<T>, CommitError<E>>
    where
        T: Recordable,
        E: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |state, turn| match decide(state, turn) {
            Ok(value) => {
                let entry = Entry {
                    event: value.event(),
                    precertificate: value.precertificate().map(<[u8]>::to_vec),
                    refusal: false,
                };
                let release = move |outcome| send(tell, recorded(value, outcome));
                Decided {
                    entry: Some(entry),
                    release: Box::new(release),
                }
            }
            Err(Refusal { why, record }) => {
                let entry = record.map(|refused| Entry {
                    event: Event::Refused(refused),
                    precertificate: None,
                    refusal: true,
                });
                let recorded = entry.is_some();
                let release = move |outcome| send(tell, Err(refused(why, recorded, &outcome)));
                Decided {
                    entry,
                    release: Box::new(release),
                }
            }
        });
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommitError::Busy("too many requests wait"),
            mpsc::error::TrySendError::Closed(_) => CommitError::Stopped,
        })?;
        told.await.unwrap_or(Err(CommitError::Stopped))
    }

    /// Looks at the state as of the newest durable record.
    ///
    /// # Errors
    ///
    /// [`CommitError::Busy`] or [`CommitError::Stopped`].
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State, Timestamp) -> T + Send + 'static,
    ) -> Result<T, CommitError<std::convert::Infallible>> {
        let seen = self
            .commit(move |state, turn| {
                Err::<Event, _>(Refusal {
                    why: look(state, turn.now()),
                    record: None,
                })
            })
            .await;
        match seen {
            Err(CommitError::Refused(value)) => Ok(value),
            Err(CommitError::Busy(why)) => Err(CommitError::Busy(why)),
            Ok(_) | Err(CommitError::Stopped) => Err(CommitError::Stopped),
        }
    }

    /// The log's verifier key.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        self.key.verifier()
    }

    /// Upper part of its serials.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.key.epoch()
    }

    /// What to wait on for something new.
    #[must_use]
    pub fn news(&self) -> News {
        self.news.clone()
    }

    /// Signs a statement about a revocation list. Its version is that of a durable record.
    ///
    /// # Errors
    ///
    /// [`StatementError`] never happens for statements of this log.
    pub fn sign_statement(&self, statement: &Statement) -> Result<String, StatementError> {
        self.key.statement(statement)
    }

    /// Completes when the ledger has stopped for good.
    pub async fn stopped(&self) {
        self.stopped.notified().await;
    }

    /// Records `start` and on, at most `limit`, durable ones only. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read.
    pub fn records(&self, start: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        let size = self.published.load().edge.size();
        let left = usize::try_from(size.saturating_sub(start)).unwrap_or(usize::MAX);
        self.store.records(start, limit.min(left))
    }
}

fn recorded<T, E>(value: T, outcome: Outcome) -> Result<Recorded<T>, CommitError<E>> {
    match outcome {
        Outcome::Durable(Some(place)) => Ok(Recorded { value, place }),
        Outcome::NotWritten(why) => Err(CommitError::Busy(why)),
        Outcome::Durable(None) | Outcome::Unknown => Err(CommitError::Stopped),
    }
}

/// A refusal stands even if its record could not be written: refusing is failing closed. An answer
/// without a record does not: it may rest on records of the same batch that are not there.
fn refused<E>(why: E, has_record: bool, outcome: &Outcome) -> CommitError<E> {
    match outcome {
        Outcome::Unknown => CommitError::Stopped,
        Outcome::NotWritten(reason) if !has_record => CommitError::Busy(reason),
        Outcome::Durable(_) | Outcome::NotWritten(_) => CommitError::Refused(why),
    }
}

/// A caller that hung up does not matter: its use case runs in a task of its own.
fn send<T>(tell: oneshot::Sender<T>, value: T) {
    drop(tell.send(value));
}
