//! Creating a log, and the checks before an existing one may be continued
//! (a log that forgot what it signed would tell two histories).

use std::sync::Arc;

use arc_swap::ArcSwap;
use ca_core::event::{Event, LogCreated};
use ca_core::tlog::tree::Peaks;
use tokio::sync::mpsc;

use super::edge::Edge;
use super::load::{Loaded, load, load_tree};
use super::refusals::Refusals;
use super::sequencer::Sequencer;
use super::{Ledger, LogKey, Published, QUEUE_MAX, news};
use crate::clock::Clock;
use crate::high_water::{HighWater, HighWaterError};
use crate::state::State;
use crate::store::{Head, Store, StoreError};

/// How far the clock may be behind the newest record before a start is refused.
const CLOCK_BEHIND_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// An open ledger and the thread that drives it.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub ledger: Ledger,
    /// Ends when the last handle is dropped, with everything written.
    pub sequencer: std::thread::JoinHandle<()>,
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The machine's clock is behind the log.
    #[error(
        "the clock is {behind_seconds} s behind the newest record: set the clock, then start again"
    )]
    Clock {
        /// By how much.
        behind_seconds: u64,
    },
    /// The stored head was not made with this log key.
    #[error(
        "the stored head was not made by the log key of {origin}: the store belongs to another \
         log, or somebody wrote into it; put the right key or store back"
    )]
    ForeignHead {
        /// Name of our log.
        origin: String,
    },
    /// The high-water file cannot be used.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// There is a log already.
    #[error("a log exists here already; it is continued, never created again")]
    Exists,
    /// There is none.
    #[error("there is no log in this store; `ca-server init` creates one")]
    Missing,
    /// The store is not the log that this CA signed for.
    #[error(
        "the log was altered or rolled back: {what}. The store holds {store_size} records, the \
         high-water file knows {mark_size}. Nothing was changed. If a backup was restored, put \
         the newest store back; if it is lost, start a new log with a new epoch: \
         `ca-server init --epoch` with a larger one, in a new folder (docs/operations.md)"
    )]
    Rollback {
        /// What does not fit.
        what: &'static str,
        /// Records in the store.
        store_size: u64,
        /// Records at the high-water mark.
        mark_size: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Randomness, a thread or a signature could not be had.
    #[error("the ledger could not start: {0}")]
    System(String),
}

impl Ledger {
    /// Starts a new log: its record 0 names it.
    ///
    /// # Errors
    ///
    /// [`OpenError::Exists`] if the store holds anything; the others as for [`Ledger::open`].
    pub fn create(
        store: Arc<dyn Store>,
        key: LogKey,
        clock: Clock,
        high_water: HighWater,
    ) -> Result<Opened, OpenError> {
        if store.head()?.is_some() || high_water.read().size > 0 {
            return Err(OpenError::Exists);
        }
        let creation = LogCreated {
            origin: key.origin().to_string(),
            epoch: key.epoch(),
            log_key: key.verifier().to_string(),
        };
        let empty = Loaded {
            state: State::default(),
            peaks: Peaks::new(),
            edge: Edge::default(),
            snapshot_size: 0,
        };
        let opened = start(store, key, (clock, high_water), empty)?;
        let (tell, told) = std::sync::mpsc::channel();
        let job: super::Job = Box::new(move |_, _| super::Decided {
            entry: Some(super::Entry {
                event: Event::LogCreated(creation),
                precertificate: None,
                refusal: false,
            }),
            release: Box::new(move |outcome| {
                let durable = matches!(outcome, super::Outcome::Durable(Some(_)));
                tell.send(durable).unwrap_or_default();
            }),
        });
        let queued = opened.ledger.queue.try_send(job).is_ok();
        if queued && told.recv().unwrap_or(false) {
            return Ok(opened);
        }
        Err(OpenError::System(
            "the creation could not be recorded".to_owned(),
        ))
    }

    /// Continues an existing log, after checking that it is the one this key signed for: at least
    /// as long as the high-water mark, and the same up to it.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the message says what to do.
    pub fn open(
        store: Arc<dyn Store>,
        key: LogKey,
        clock: Clock,
        mut high_water: HighWater,
    ) -> Result<Opened, OpenError> {
        let head = check_head(store.as_ref(), &key, &high_water)?;
        let loaded = load(store.as_ref(), &key)?;
        check_mark(store.as_ref(), &loaded.edge, &head, &high_water)?;
        let behind = loaded.state.time().since(clock.now());
        if behind > CLOCK_BEHIND_MAX {
            return Err(OpenError::Clock {
                behind_seconds: behind.as_secs(),
            });
        }
        // A crash may have left the store ahead of the mark. What is signed from here on must not
        // be forgotten, so the mark comes first.
        high_water.record(head.epoch, head.size, head.root)?;
        start(store, key, (clock, high_water), loaded)
    }
}

/// The stored head, if this key made it and it does not fall behind the mark.
fn check_head(store: &dyn Store, key: &LogKey, high_water: &HighWater) -> Result<Head, OpenError> {
    let head = store.head()?;
    let mark = high_water.read();
    let Some(head) = head.filter(|_| mark.size > 0) else {
        return Err(missing(head.as_ref(), mark.size));
    };
    let rollback = |what| Err(rolled_back(what, &head, mark.size));
    if head.epoch != mark.epoch || head.epoch != key.epoch() {
        return rollback("the epoch of the store, of the mark and of the key differ");
    }
    if head.size < mark.size {
        return rollback("the store has lost records");
    }
    if head.size == mark.size && head.root != mark.root {
        return rollback("the store has another root hash at the same size");
    }
    if !key.made(&head) {
        return Err(OpenError::ForeignHead {
            origin: key.origin().to_string(),
        });
    }
    Ok(head)
}

/// That the tree of `head` begins with the tree at the mark.
fn check_mark(
    store: &dyn Store,
    edge: &Edge,
    head: &Head,
    high_water: &HighWater,
) -> Result<(), OpenError> {
    let mark = high_water.read();
    if edge.peaks(store, mark.size)?.root() != mark.root {
        let what = "the records up to the mark are not those that were signed";
        return Err(rolled_back(what, head, mark.size));
    }
    Ok(())
}

fn rolled_back(what: &'static str, head: &Head, mark_size: u64) -> OpenError {
    OpenError::Rollback {
        what,
        store_size: head.size,
        mark_size,
    }
}

/// Signs a checkpoint of a log that is not running, for showing its records. The same checks as
/// for continuing it; the mark is written before, so that what is signed cannot be forgotten.
///
/// # Errors
///
/// [`OpenError`]; the message says what to do.
pub fn sign_checkpoint(
    store: &dyn Store,
    key: &LogKey,
    high_water: &mut HighWater,
) -> Result<String, OpenError> {
    let head = check_head(store, key, high_water)?;
    let (edge, _) = load_tree(store, &head)?;
    check_mark(store, &edge, &head, high_water)?;
    high_water.record(head.epoch, head.size, head.root)?;
    key.checkpoint(head.size, head.root)
        .map_err(|error| OpenError::System(error.to_string()))
}

fn missing(head: Option<&Head>, mark_size: u64) -> OpenError {
    match head {
        None if mark_size == 0 => OpenError::Missing,
        None => OpenError::Rollback {
            what: "the store is empty",
            store_size: 0,
            mark_size,
        },
        Some(head) => OpenError::Rollback {
            what: "the high-water file knows of no record",
            store_size: head.size,
            mark_size,
        },
    }
}

/// Tells that the sequencer's thread ended, however it did.
struct Stopped(Arc<tokio::sync::Notify>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn start(
    store: Arc<dyn Store>,
    key: LogKey,
    (clock, high_water): (Clock, HighWater),
    loaded: Loaded,
) -> Result<Opened, OpenError> {
    let checkpoint: Arc<str> = key
        .checkpoint(loaded.peaks.size(), loaded.peaks.root())
        .map_err(|error| OpenError::System(error.to_string()))?
        .into();
    let published = Arc::new(ArcSwap::from_pointee(Published {
        edge: loaded.edge.clone(),
        checkpoint,
    }));
    let key = Arc::new(key);
    let (queue, jobs) = mpsc::channel(QUEUE_MAX);
    let stopped = Arc::new(tokio::sync::Notify::new());
    let (teller, news) = news::channel(&loaded.state);
    let sequencer = Sequencer {
        teller,
        store: Arc::clone(&store),
        key: Arc::clone(&key),
        clock,
        high_water,
        published: Arc::clone(&published),
        state: loaded.state,
        peaks: loaded.peaks,
        edge: loaded.edge,
        snapshot_size: loaded.snapshot_size,
        refusals: Refusals::default(),
    };
    let tell = Stopped(Arc::clone(&stopped));
    let sequencer = std::thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(move || {
            let _tell = tell;
            sequencer.run(jobs);
        })
        .map_err(|error| OpenError::System(error.to_string()))?;
    Ok(Opened {
        ledger: Ledger {
            queue,
            store,
            key,
            published,
            stopped,
            news,
        },
        sequencer,
    })
}
