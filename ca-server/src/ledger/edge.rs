//! The right edge of the tiles: what is not full yet, in memory; everything else is in the store.

use std::sync::Arc;

use ca_core::tlog::hash::{Hash, leaf_hash};
use ca_core::tlog::tile::Place;
use ca_core::tlog::tree::{Batch, Peaks};

use crate::store::{FullTile, Store, StoreError, TILE_WIDTH};

/// Partial tiles by level, and the size of the tree they belong to. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge {
    size: u64,
    levels: Vec<Arc<Vec<Hash>>>,
}

impl Edge {
    /// Number of leaves.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Rebuilds the edge of a tree of `size` leaves: level 0 from records, the others from full
    /// tiles of the level below. Reads at most 255 records and 255 tiles a level.
    pub(super) fn load(store: &dyn Store, size: u64) -> Result<Self, StoreError> {
        let mut levels = Vec::new();
        let mut width = size;
        let mut level = 0u8;
        while width > 0 {
            let full = width / TILE_WIDTH;
            let hashes = match level.checked_sub(1) {
                None => leaf_hashes(store, full * TILE_WIDTH, width)?,
                Some(below) => (full * TILE_WIDTH..width)
                    .map(|tile| tile_root(&read_tile(store, below, tile)?))
                    .collect::<Result<_, _>>()?,
            };
            levels.push(Arc::new(hashes));
            width = full;
            level += 1;
        }
        Ok(Self { size, levels })
    }

    /// The edge after `batch`, and the tiles that became full.
    pub(super) fn append(&mut self, batch: &Batch) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut level = 0u8;
        let mut new: Vec<Hash> = batch.completed(0).map(|(_, hash)| hash).collect();
        let mut before = self.size;
        while !new.is_empty() {
            while self.levels.len() <= usize::from(level) {
                self.levels.push(Arc::default());
            }
            let mut roots = Vec::new();
            if let Some(partial) = self.levels.get_mut(usize::from(level)) {
                let partial = Arc::make_mut(partial);
                let mut index = before / TILE_WIDTH;
                for hash in new {
                    partial.push(hash);
                    if as_u64(partial.len()) == TILE_WIDTH {
                        let tile = FullTile {
                            level,
                            index,
                            hashes: std::mem::take(partial),
                        };
                        roots.extend(tree_root(&tile.hashes));
                        full.push(tile);
                        index += 1;
                    }
                }
            }
            new = roots;
            before /= TILE_WIDTH;
            level += 1;
        }
        self.size = batch.size();
        full
    }

    /// The first `width` hashes of a tile of this tree, none if the tree is not that large.
    pub(super) fn tile(
        &self,
        store: &dyn Store,
        (level, index): (u8, u64),
    ) -> Result<Option<Vec<Hash>>, StoreError> {
        let shift = u32::from(level) * 8;
        let width = self.size.checked_shr(shift).unwrap_or(0);
        if index < width / TILE_WIDTH {
            return store
                .tile(level, index)
                .map(|tile| tile.map(|tile| tile.hashes));
        }
        let partial = self
            .levels
            .get(usize::from(level))
            .filter(|_| index == width / TILE_WIDTH);
        Ok(partial
            .map(|hashes| hashes.to_vec())
            .filter(|hashes| !hashes.is_empty()))
    }

    /// The root of the `index`-th complete subtree of 2^`level` leaves.
    pub(super) fn subtree(
        &self,
        store: &dyn Store,
        (level, index): (u8, u64),
    ) -> Result<Hash, StoreError> {
        let missing = || StoreError::Damaged(format!("no hash for subtree {level}/{index}"));
        let place = Place::of(level, index).ok_or_else(missing)?;
        let tile = self
            .tile(store, (place.level.number(), place.index))?
            .ok_or_else(missing)?;
        let bytes: Vec<u8> = tile
            .iter()
            .flat_map(|hash| hash.as_bytes())
            .copied()
            .collect();
        place.root(&bytes).ok_or_else(missing)
    }

    /// The compact form of a tree of `size` leaves within this one.
    pub(super) fn peaks(&self, store: &dyn Store, size: u64) -> Result<Peaks, StoreError> {
        let mut hashes = Vec::new();
        let mut start = 0u64;
        for level in (0..63u8).rev() {
            let width = 1u64 << level;
            if size & width != 0 {
                hashes.push(self.subtree(store, (level, start >> level))?);
                start += width;
            }
        }
        Peaks::from_parts(size, hashes).map_err(|error| StoreError::Damaged(error.to_string()))
    }
}

/// Hashes of complete subtrees of a tree in a store, for proofs outside the ledger. Nothing is
/// checked: a proof that does not verify shows what is wrong.
#[derive(Debug)]
pub(crate) struct TreeReader(Edge);

impl TreeReader {
    /// Of the first `size` records.
    pub(crate) fn load(store: &dyn Store, size: u64) -> Result<Self, StoreError> {
        Edge::load(store, size).map(Self)
    }

    /// The root of the `index`-th complete subtree of 2^`level` leaves.
    pub(crate) fn subtree(&self, store: &dyn Store, at: (u8, u64)) -> Result<Hash, StoreError> {
        self.0.subtree(store, at)
    }
}

fn leaf_hashes(store: &dyn Store, start: u64, end: u64) -> Result<Vec<Hash>, StoreError> {
    let limit = usize::try_from(end - start).unwrap_or(usize::MAX);
    let records = store.records(start, limit)?;
    if records.len() != limit {
        return Err(StoreError::Damaged(format!(
            "records from {start} to {end} are missing"
        )));
    }
    Ok(records
        .iter()
        .map(|record| leaf_hash(&record.leaf))
        .collect())
}

fn read_tile(store: &dyn Store, level: u8, index: u64) -> Result<FullTile, StoreError> {
    let missing = || StoreError::Damaged(format!("tile {level}/{index} is missing"));
    store.tile(level, index)?.ok_or_else(missing)
}

fn tile_root(tile: &FullTile) -> Result<Hash, StoreError> {
    tree_root(&tile.hashes)
        .ok_or_else(|| StoreError::Damaged(format!("tile {}/{} is torn", tile.level, tile.index)))
}

/// Root over exactly 256 hashes.
fn tree_root(hashes: &[Hash]) -> Option<Hash> {
    if as_u64(hashes.len()) != TILE_WIDTH {
        return None;
    }
    Some(Batch::append(&Peaks::new(), hashes).ok()?.root())
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
