//! Creating a log, and the checks before an existing one may be continued
//! (a log that forgot what it signed would tell two histories).

use std::sync::Arc;

use arc_swap::ArcSwap;
use ca_core::event::{Event, LogCreated};
use ca_core::tlog::hash::leaf_hash;
use ca_core::tlog::leaf::Leaf;
use ca_core::tlog::tree::Peaks;
use tokio::sync::mpsc;

use super::edge::Edge;
use super::reading::check_opening;
use super::refusals::Refusals;
use super::sequencer::Sequencer;
use super::{Ledger, LogKey, Published, QUEUE_MAX};
use crate::clock::Clock;
use crate::high_water::{HighWater, HighWaterError};
use crate::state::{Snapshot, State};
use crate::store::{Head, Store, StoreError, TILE_WIDTH};

/// Records folded in one read at start-up.
const REPLAY_CHUNK: usize = 4096;
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

/// What the store says, checked against hashes.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) peaks: Peaks,
    pub(super) edge: Edge,
    snapshot_size: u64,
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
        let head = store.head()?;
        let mark = high_water.read();
        let Some(head) = head.filter(|_| mark.size > 0) else {
            return Err(missing(head.as_ref(), mark.size));
        };
        let rollback = |what| OpenError::Rollback {
            what,
            store_size: head.size,
            mark_size: mark.size,
        };
        if head.epoch != mark.epoch || head.epoch != key.epoch() {
            return Err(rollback(
                "the epoch of the store, of the mark and of the key differ",
            ));
        }
        if head.size < mark.size {
            return Err(rollback("the store has lost records"));
        }
        if head.size == mark.size && head.root != mark.root {
            return Err(rollback("the store has another root hash at the same size"));
        }
        if !key.made(&head) {
            return Err(OpenError::ForeignHead {
                origin: key.origin().to_string(),
            });
        }
        let loaded = load(store.as_ref(), &key)?;
        let at_mark = loaded.edge.peaks(store.as_ref(), mark.size)?;
        if at_mark.root() != mark.root {
            return Err(rollback(
                "the records up to the mark are not those that were signed",
            ));
        }
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

/// Reads head, tree edge and state, each checked: the edge must give the head's root, the newest
/// full tile must hold its records, and the state is replayed from a snapshot of ours.
pub(super) fn load(store: &dyn Store, key: &LogKey) -> Result<Loaded, OpenError> {
    let Some(head) = store.head()? else {
        return Err(OpenError::Missing);
    };
    let edge = Edge::load(store, head.size)?;
    let peaks = edge.peaks(store, head.size)?;
    if peaks.root() != head.root {
        let damaged = format!("the tiles do not give the root of {} records", head.size);
        return Err(StoreError::Damaged(damaged).into());
    }
    check_newest_tile(store, head.size)?;
    let (mut state, at_snapshot) = read_snapshot(store, key, &edge)?.unwrap_or_default();
    let snapshot_size = state.size();
    replay(store, &mut state, at_snapshot, &head)?;
    Ok(Loaded {
        state,
        peaks,
        edge,
        snapshot_size,
    })
}

fn check_newest_tile(store: &dyn Store, size: u64) -> Result<(), StoreError> {
    let Some(newest) = (size / TILE_WIDTH).checked_sub(1) else {
        return Ok(());
    };
    let limit = usize::try_from(TILE_WIDTH).unwrap_or(usize::MAX);
    let records = store.records(newest * TILE_WIDTH, limit)?;
    let hashes = store
        .tile(0, newest)?
        .map(|tile| tile.hashes)
        .unwrap_or_default();
    if records
        .iter()
        .map(|record| leaf_hash(&record.leaf))
        .ne(hashes)
    {
        return Err(StoreError::Damaged(format!(
            "tile 0/{newest} does not hold its records"
        )));
    }
    Ok(())
}

/// Folds the records from `state.size()` to the head, whose root they must give when they are
/// appended to `tree`, the tree of that state: nothing that was altered gets into the state.
fn replay(
    store: &dyn Store,
    state: &mut State,
    mut tree: Peaks,
    head: &Head,
) -> Result<(), StoreError> {
    let first = state.size();
    while state.size() < head.size {
        let index = state.size();
        let left = usize::try_from(head.size - index).unwrap_or(REPLAY_CHUNK);
        let records = store.records(index, REPLAY_CHUNK.min(left))?;
        if records.is_empty() {
            return Err(StoreError::Damaged(format!("record {index} is missing")));
        }
        for record in records {
            fold(state, &record)?;
            tree.push(leaf_hash(&record.leaf))
                .map_err(|error| StoreError::Damaged(error.to_string()))?;
        }
    }
    if tree.root() != head.root {
        let damaged = format!("records {first} to {} do not give the root", head.size - 1);
        return Err(StoreError::Damaged(damaged));
    }
    Ok(())
}

fn fold(state: &mut State, record: &crate::store::Record) -> Result<(), StoreError> {
    let index = state.size();
    let damaged = |what: String| StoreError::Damaged(format!("record {index}: {what}"));
    let leaf = Leaf::decode(&record.leaf).map_err(|error| damaged(error.to_string()))?;
    check_opening(&leaf, record).map_err(|what| damaged(what.to_owned()))?;
    let Some(opening) = &record.opening else {
        return Err(damaged(
            "its opening is gone, the state cannot be replayed".to_owned(),
        ));
    };
    let event = Event::from_bytes(&opening.event).map_err(|error| damaged(error.to_string()))?;
    state.apply(leaf.time, &event);
    Ok(())
}

/// The state of the newest snapshot and the tree it was folded from, if it is ours and belongs to this tree. Anything else is
/// treated as no snapshot: it is a cache.
fn read_snapshot(
    store: &dyn Store,
    key: &LogKey,
    edge: &Edge,
) -> Result<Option<(State, Peaks)>, StoreError> {
    use subtle::ConstantTimeEq as _;
    let Some(sealed) = store.snapshot()? else {
        return Ok(None);
    };
    let Some((mac, bytes)) = sealed.split_first_chunk::<32>() else {
        return Ok(None);
    };
    if !bool::from(key.snapshot_mac(bytes).ct_eq(mac)) {
        tracing::warn!("the snapshot is not ours; replaying the log instead");
        return Ok(None);
    }
    let Ok((state, root)) = Snapshot::from_bytes(bytes) else {
        return Ok(None);
    };
    if state.size() > edge.size() {
        return Ok(None);
    }
    let peaks = edge.peaks(store, state.size())?;
    Ok((peaks.root() == root).then_some((state, peaks)))
}

pub(super) fn seal_snapshot(key: &LogKey, bytes: Vec<u8>) -> Vec<u8> {
    let mut sealed = key.snapshot_mac(&bytes).to_vec();
    sealed.extend(bytes);
    sealed
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
    let sequencer = Sequencer {
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
        },
        sequencer,
    })
}
