//! The ledger's promises, on a real store and a real high-water file.

mod commits;
mod faults;
mod refusals;
mod snapshots;
mod starts;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_core::digest::Digest;
use ca_core::event::{Event, PolicyLoaded};
use ca_core::time::Timestamp;
use ca_core::tlog::checkpoint::Checkpoint;
use ca_core::tlog::hash::{Hash, leaf_hash, node_hash};
use ca_core::tlog::leaf::Leaf;
use ca_core::tlog::proof;
use ed25519_dalek::SigningKey;
use tokio::task::JoinSet;

use super::{CommitError, Ledger, LogKey, OpenError, Opened, Recorded, Turn};
use crate::clock::Clock;
use crate::high_water::HighWater;
use crate::recordable::Recordable;
use crate::state::State;
use crate::store::Store;
use crate::store::faulty::FaultyStore;
use crate::store::sled::SledStore;

const EPOCH: u32 = 3;

/// A folder with a log in it, and the clock that the log goes by.
struct Folder {
    folder: tempfile::TempDir,
    clock: Clock,
}

/// An open ledger, its store, and its thread.
struct Running {
    ledger: Ledger,
    store: Arc<FaultyStore<SledStore>>,
    sequencer: std::thread::JoinHandle<()>,
}

fn start_time() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

fn key_of(seed: u8, epoch: u32) -> LogKey {
    let name = "log.example/test".parse().unwrap();
    LogKey::new(name, epoch, SigningKey::from_bytes(&[seed; 32]))
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Clock::manual(start_time()),
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn high_water(&self) -> PathBuf {
        self.folder.path().join("high-water")
    }

    fn create(&self) -> Running {
        let store = Arc::new(FaultyStore::new(
            SledStore::create(&self.store(), 0).unwrap(),
        ));
        let shared: Arc<dyn Store> = store.clone();
        let high_water = HighWater::create(&self.high_water()).unwrap();
        let opened = Ledger::create(shared, key_of(1, EPOCH), self.clock.clone(), high_water);
        running(opened.unwrap(), store)
    }

    /// A log of `size` records.
    async fn create_with(&self, size: u64) -> Running {
        let running = self.create();
        fill(&running.ledger, size).await;
        running
    }

    fn faulty_store(&self) -> Arc<FaultyStore<SledStore>> {
        Arc::new(FaultyStore::new(SledStore::open(&self.store(), 0).unwrap()))
    }

    fn open(&self) -> Result<Running, OpenError> {
        self.open_with(self.faulty_store(), |_| {})
    }

    fn open_with(
        &self,
        store: Arc<FaultyStore<SledStore>>,
        prepare: impl FnOnce(&mut HighWater),
    ) -> Result<Running, OpenError> {
        let mut high_water = HighWater::open(&self.high_water())?;
        prepare(&mut high_water);
        let shared: Arc<dyn Store> = store.clone();
        let opened = Ledger::open(shared, key_of(1, EPOCH), self.clock.clone(), high_water)?;
        Ok(running(opened, store))
    }

    /// Copies the store and the high-water file aside, or back.
    fn copy(&self, from: &str, to: &str) {
        let path = |name: &str| self.folder.path().join(name);
        let (from, to) = (path(from), path(to));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn running(opened: Opened, store: Arc<FaultyStore<SledStore>>) -> Running {
    Running {
        ledger: opened.ledger,
        store,
        sequencer: opened.sequencer,
    }
}

impl Running {
    /// Ends it, with everything written and the store closed.
    fn stop(self) {
        drop(self.ledger);
        self.sequencer.join().unwrap();
    }

    async fn state(&self) -> State {
        self.ledger.read(|state, _| state.clone()).await.unwrap()
    }
}

/// A decision that remembers its turn.
#[derive(Debug)]
struct Entry {
    event: Event,
    turn: Turn,
}

impl Recordable for Entry {
    fn event(&self) -> Event {
        self.event.clone()
    }
}

/// An event that differs from those of other numbers.
fn event(n: u64) -> Event {
    Event::PolicyLoaded(PolicyLoaded {
        policy_digest: Digest::of(&n.to_be_bytes()),
        policies: 1,
        passed: BTreeSet::new(),
        checks: None,
        failed: BTreeSet::new(),
        accepted: None,
    })
}

async fn record(ledger: &Ledger, n: u64) -> Result<Recorded<Entry>, CommitError<Infallible>> {
    let decide = move |_: &State, turn| {
        let event = event(n);
        Ok(Entry { event, turn })
    };
    ledger.commit(decide).await
}

/// Records as many as are missing to `size`, in as few batches as it takes.
async fn fill(ledger: &Ledger, size: u64) {
    let mut tasks = JoinSet::new();
    for n in ledger.size()..size {
        let ledger = ledger.clone();
        tasks.spawn(async move { record(&ledger, n).await.unwrap().index() });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(ledger.size(), size);
}

/// Every leaf hash in the store.
fn leaf_hashes(store: &dyn Store) -> Vec<Hash> {
    let records = store.records(0, usize::MAX).unwrap();
    records.iter().map(|r| leaf_hash(&r.leaf)).collect()
}

/// That all these signed checkpoints are of prefixes of what is in the store, by recomputing the
/// root of each and by a consistency proof from each to the next.
fn assert_one_history(store: &dyn Store, checkpoints: &[String]) {
    let leaves = leaf_hashes(store);
    let read = |level: u8, index: u64| subtree(&leaves, level, index);
    let mut opened: Vec<Checkpoint> = checkpoints
        .iter()
        .map(|note| Checkpoint::open(note, &key_of(1, EPOCH).verifier()).unwrap())
        .collect();
    opened.sort_by_key(Checkpoint::size);
    for checkpoint in &opened {
        let root = proof::root(checkpoint.size(), read);
        assert_eq!(root, Ok(checkpoint.root()), "size {}", checkpoint.size());
    }
    for pair in opened.windows(2) {
        let path = proof::consistency(pair[0].size(), pair[1].size(), read).unwrap();
        proof::verify_consistency(pair[0].head(), pair[1].head(), &path).unwrap();
    }
}

/// The slow and obvious way. An error if the leaves do not reach that far.
fn subtree(leaves: &[Hash], level: u8, index: u64) -> Result<Hash, &'static str> {
    if level == 0 {
        let leaf = leaves.get(usize::try_from(index).unwrap());
        return leaf.copied().ok_or("the log was shortened");
    }
    let left = subtree(leaves, level - 1, index * 2)?;
    let right = subtree(leaves, level - 1, index * 2 + 1)?;
    Ok(node_hash(&left, &right))
}

/// The state that all records of the store give, folded from nothing.
fn replayed(store: &dyn Store) -> State {
    let mut state = State::default();
    for record in store.records(0, usize::MAX).unwrap() {
        let leaf = Leaf::decode(&record.leaf).unwrap();
        let event = Event::from_bytes(&record.opening.unwrap().event).unwrap();
        state.apply(leaf.time, &event);
    }
    state
}
