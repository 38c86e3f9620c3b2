//! The one thread that owns the state.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ca_core::event::Event;
use ca_core::tlog::hash::leaf_hash;
use ca_core::tlog::leaf::{self, Leaf, NO_SUBJECT};
use ca_core::tlog::tree::{Batch as Tree, Peaks};
use tokio::sync::mpsc;

use super::news::Teller;
use super::refusals::Refusals;
use super::{
    BATCH_MAX, Committed, Decided, Entry, Job, LogKey, Outcome, Place, Proof, Published, Turn,
    edge::Edge, load,
};
use crate::clock::Clock;
use crate::high_water::HighWater;
use crate::state::{Snapshot, State};
use crate::store::{Batch, Opening, Record, Store, StoreError};

/// Records between two snapshots, at least.
const SNAPSHOT_RECORDS: u64 = 8192;

pub(super) struct Sequencer {
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Arc<LogKey>,
    pub(super) clock: Clock,
    pub(super) high_water: HighWater,
    pub(super) published: Arc<ArcSwap<Published>>,
    pub(super) state: State,
    pub(super) peaks: Peaks,
    pub(super) edge: Edge,
    pub(super) snapshot_size: u64,
    pub(super) refusals: Refusals,
    pub(super) teller: Teller,
}

/// A batch while it is put together.
#[derive(Default)]
struct Gathering {
    entries: Vec<(Event, Record)>,
    release: Vec<(Option<usize>, Release)>,
}

type Release = Box<dyn FnOnce(Outcome) + Send>;

/// A durable batch, and its leaves with their indexes.
type Appended = (Committed, Vec<(u64, [u8; Leaf::LENGTH])>);

/// Why a batch did not become durable.
enum Failure {
    /// Nothing was written; the state must be read again.
    NotWritten(&'static str),
    /// The outcome is unknown; stop.
    Unknown,
}

impl Sequencer {
    /// Runs until the last handle is dropped or the store fails with an unknown outcome.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            let mut jobs = vec![job];
            while jobs.len() < BATCH_MAX
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            if !self.commit(jobs) {
                return;
            }
        }
        self.write_snapshot();
    }

    /// One batch. False when the outcome is unknown and this process must not go on.
    fn commit(&mut self, jobs: Vec<Job>) -> bool {
        let counted = self.refusals.clone();
        let gathered = self.decide(jobs);
        let Gathering { entries, release } = gathered;
        if entries.is_empty() {
            for (_, release) in release {
                release(Outcome::Durable(None));
            }
            return true;
        }
        match self.append(entries) {
            Ok((committed, leaves)) => {
                let committed = Arc::new(committed);
                for (at, release) in release {
                    let place = at
                        .and_then(|at| leaves.get(at))
                        .map(|(index, record)| Place {
                            index: *index,
                            time: self.state.time(),
                            leaf: *record,
                            proof: Proof::Fresh(Arc::clone(&committed)),
                        });
                    release(Outcome::Durable(place));
                }
                self.snapshot_when_due();
                true
            }
            Err(Failure::NotWritten(why)) => {
                // A summary that was due is due again.
                self.refusals = counted;
                for (_, release) in release {
                    release(Outcome::NotWritten(why));
                }
                self.read_again()
            }
            Err(Failure::Unknown) => {
                for (_, release) in release {
                    release(Outcome::Unknown);
                }
                false
            }
        }
    }

    /// Runs the decisions in order, each on the state that the ones before it left.
    fn decide(&mut self, jobs: Vec<Job>) -> Gathering {
        let now = self.clock.now().max(self.state.time());
        let mut gathering = Gathering::default();
        if let Some(summary) = self.refusals.summary_due(now) {
            self.add(
                &mut gathering,
                now,
                Event::RefusalsSummarised(summary),
                None,
            );
        }
        for job in jobs {
            let turn = Turn {
                epoch: self.key.epoch(),
                index: self.state.size(),
                now,
            };
            // A decision that panics is its caller's error, not the end of everybody's ledger: the
            // state is only lent to it, and dropping the job tells the caller.
            let state = &self.state;
            let decided = panic::catch_unwind(AssertUnwindSafe(|| job(state, turn)));
            let Ok(Decided { entry, release }) = decided else {
                tracing::error!("a decision panicked; nothing was recorded for it");
                continue;
            };
            let at = entry.and_then(|entry| self.enter(&mut gathering, turn, entry));
            gathering.release.push((at, release));
        }
        gathering
    }

    fn enter(&mut self, gathering: &mut Gathering, turn: Turn, entry: Entry) -> Option<usize> {
        let Entry {
            event,
            precertificate,
            refusal,
        } = entry;
        if let (true, Event::Refused(refused)) = (refusal, &event)
            && !self.refusals.admits(refused)
        {
            return None;
        }
        self.add(gathering, turn.now, event, precertificate)
    }

    /// Adds a record to the batch and folds its event in. None if it cannot be encoded or no salt
    /// can be drawn: then the job gets no place, which its caller reads as "not recorded".
    fn add(
        &mut self,
        gathering: &mut Gathering,
        now: ca_core::time::Timestamp,
        event: Event,
        precertificate: Option<Vec<u8>>,
    ) -> Option<usize> {
        let bytes = event.to_bytes().ok()?;
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).ok()?;
        let leaf = Leaf {
            kind: event.kind(),
            time: now,
            subject_digest: precertificate
                .as_deref()
                .map_or(NO_SUBJECT, leaf::subject_digest),
            context_digest: leaf::context_digest(&salt, &bytes),
        };
        self.state.apply(now, &event);
        let opening = Opening {
            event: bytes,
            salt,
            precertificate,
        };
        gathering.entries.push((
            event,
            Record {
                leaf: leaf.encode(),
                opening: Some(opening),
            },
        ));
        Some(gathering.entries.len() - 1)
    }

    /// Writes the batch, then the high-water mark, then signs: the order that may never change.
    fn append(&mut self, entries: Vec<(Event, Record)>) -> Result<Appended, Failure> {
        let records: Vec<Record> = entries.into_iter().map(|(_, record)| record).collect();
        let hashes: Vec<_> = records
            .iter()
            .map(|record| leaf_hash(&record.leaf))
            .collect();
        let tree =
            Tree::append(&self.peaks, &hashes).map_err(|_| Failure::NotWritten("log full"))?;
        let leaves = (tree.old_size()..)
            .zip(records.iter().map(|record| record.leaf))
            .collect();
        let tiles = self.edge.append(&tree);
        let head = self.key.head(tree.size(), tree.root(), self.state.time());
        self.store
            .append(&Batch {
                records,
                tiles,
                head,
            })
            .map_err(|error| failure(&error))?;
        // A crash here leaves a store that is ahead of the high-water mark: start-up accepts that
        // if the tree at the mark is a prefix. Nobody was told about the records yet.
        self.high_water
            .record(head.epoch, head.size, head.root)
            .map_err(|error| {
                tracing::error!(%error, "the high-water mark could not be written, stopping");
                Failure::Unknown
            })?;
        let checkpoint: Arc<str> = self
            .key
            .checkpoint(tree.size(), tree.root())
            .map_err(|_| Failure::Unknown)?
            .into();
        self.peaks = tree.peaks().clone();
        self.published.store(Arc::new(Published {
            edge: self.edge.clone(),
            checkpoint: Arc::clone(&checkpoint),
        }));
        self.teller.tell(&self.state);
        metrics::histogram!("ca_ledger_batch_records").record(size_of_batch(&hashes));
        Ok((Committed { tree, checkpoint }, leaves))
    }

    /// After a batch that was not written: the state ran ahead, so it is read from the store
    /// again, by the same code as at start-up.
    fn read_again(&mut self) -> bool {
        match load::load(self.store.as_ref(), &self.key) {
            Ok(loaded) => {
                self.state = loaded.state;
                self.peaks = loaded.peaks;
                self.edge = loaded.edge;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the log could not be read again, stopping");
                false
            }
        }
    }

    fn snapshot_when_due(&mut self) {
        let live = u64::try_from(self.state.live_items()).unwrap_or(u64::MAX);
        let due = SNAPSHOT_RECORDS.max(live.saturating_mul(2));
        if self.state.size() - self.snapshot_size >= due {
            self.write_snapshot();
        }
    }

    /// A snapshot is a cache: failing to write one is a warning, start-up then takes longer.
    fn write_snapshot(&mut self) {
        self.snapshot_size = self.state.size();
        let written = Snapshot::to_bytes(&self.state, self.peaks.root())
            .map_err(|error| error.to_string())
            .map(|bytes| load::seal_snapshot(&self.key, bytes))
            .and_then(|sealed| self.store.put_snapshot(&sealed).map_err(|e| e.to_string()));
        if let Err(error) = written {
            tracing::warn!(error, "no snapshot was written");
        }
    }
}

fn failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Full { .. } => {
            tracing::error!(%error, "nothing can be recorded, so nothing is issued");
            Failure::NotWritten("no room left to record it")
        }
        StoreError::Conflict { .. } | StoreError::Damaged(_) | StoreError::Unknown(_) => {
            tracing::error!(%error, "the outcome of a commit is unknown, stopping");
            Failure::Unknown
        }
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a metric of at most 512"
)]
fn size_of_batch<T>(records: &[T]) -> f64 {
    records.len() as f64
}
