//! Reading tree and state back from a store that is not trusted: whatever is taken is checked
//! against the head. Whether that head may be continued is decided in `open.rs`.

use ca_core::event::Event;
use ca_core::tlog::hash::leaf_hash;
use ca_core::tlog::leaf::Leaf;
use ca_core::tlog::tree::Peaks;

use super::LogKey;
use super::edge::Edge;
use super::open::OpenError;
use super::reading::check_opening;
use crate::state::{Snapshot, State};
use crate::store::{Head, Record, Store, StoreError, TILE_WIDTH};

/// Records folded in one read at start-up.
const REPLAY_CHUNK: usize = 4096;
/// What the store says, checked against hashes.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) peaks: Peaks,
    pub(super) edge: Edge,
    pub(super) snapshot_size: u64,
}

/// Reads head, tree edge and state, each checked: the edge must give the head's root, the newest
/// full tile must hold its records, and the state is replayed from a snapshot of ours.
pub(super) fn load(store: &dyn Store, key: &LogKey) -> Result<Loaded, OpenError> {
    let Some(head) = store.head()? else {
        return Err(OpenError::Missing);
    };
    let (edge, peaks) = load_tree(store, &head)?;
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

/// The edge of the tree, checked against the head and the newest records.
pub(super) fn load_tree(store: &dyn Store, head: &Head) -> Result<(Edge, Peaks), StoreError> {
    let edge = Edge::load(store, head.size)?;
    let peaks = edge.peaks(store, head.size)?;
    if peaks.root() != head.root {
        let damaged = format!("the tiles do not give the root of {} records", head.size);
        return Err(StoreError::Damaged(damaged));
    }
    check_newest_tile(store, head.size)?;
    Ok((edge, peaks))
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

fn fold(state: &mut State, record: &Record) -> Result<(), StoreError> {
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
