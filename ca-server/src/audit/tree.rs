//! The tree of a log, recomputed tile by tile with one tile of each level in memory.

use std::convert::Infallible;

use ca_core::tlog::hash::Hash;
use ca_core::tlog::proof;
use ca_core::tlog::tile::Place;
use ca_core::tlog::tree::{Batch, Peaks};

use crate::store::TILE_WIDTH;

/// Hashes in a full tile.
pub(super) const WIDTH: usize = 256;

/// Root over the hashes of a full tile.
pub(super) fn tile_root(hashes: &[Hash]) -> Option<Hash> {
    let full = hashes.len() == WIDTH;
    Some(
        Batch::append(&Peaks::new(), hashes)
            .ok()
            .filter(|_| full)?
            .root(),
    )
}

/// A tree of full tiles of level 0: the open tile of each level above.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// Full tiles of level 0 so far.
    tiles: u64,
    /// From level 1 on.
    open: Vec<Vec<Hash>>,
}

/// A tile above level 0 that became full.
pub(super) struct Full {
    pub(super) level: u8,
    pub(super) index: u64,
    pub(super) hashes: Vec<Hash>,
}

impl Growing {
    /// Appends the root of the next full tile of level 0: the tiles above that it fills.
    pub(super) fn push(&mut self, root: Hash) -> Vec<Full> {
        self.tiles += 1;
        let (mut carry, mut count, mut full) = (Some(root), self.tiles, Vec::new());
        for level in 1u8.. {
            let Some(hash) = carry.take() else { break };
            let at = usize::from(level - 1);
            if self.open.len() <= at {
                self.open.push(Vec::with_capacity(WIDTH));
            }
            let Some(open) = self.open.get_mut(at) else {
                break;
            };
            open.push(hash);
            if open.len() == WIDTH {
                count /= TILE_WIDTH;
                let hashes = std::mem::take(open);
                carry = tile_root(&hashes);
                full.push(Full {
                    level,
                    index: count - 1,
                    hashes,
                });
            }
        }
        full
    }

    /// Root of the tree with `leaves`, fewer than a full tile, after the full tiles.
    pub(super) fn root(&self, leaves: &[Hash]) -> Option<Hash> {
        let size = self.tiles * TILE_WIDTH + u64::try_from(leaves.len()).ok()?;
        let mut missing = false;
        let root = proof::root(size, |level, index| {
            let found = Place::of(level, index).and_then(|place| self.read(leaves, &place));
            missing |= found.is_none();
            Ok::<_, Infallible>(found.unwrap_or(ca_core::tlog::hash::EMPTY_ROOT))
        });
        root.ok().filter(|_| !missing)
    }

    /// A complete subtree on the right edge is in the open tile of its level.
    fn read(&self, leaves: &[Hash], place: &Place) -> Option<Hash> {
        let hashes = match usize::from(place.level.number()).checked_sub(1) {
            None => leaves,
            Some(above) => self.open.get(above)?,
        };
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        place.root(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use ca_core::tlog::hash::leaf_hash;

    use super::*;

    #[test]
    fn the_root_is_that_of_a_tree_grown_leaf_by_leaf() {
        let mut peaks = Peaks::new();
        let (mut growing, mut open, mut filled) = (Growing::default(), Vec::new(), Vec::new());
        for n in 0..(256 * 256 + 700u64) {
            let leaf = leaf_hash(&n.to_be_bytes());
            peaks.push(leaf).unwrap();
            open.push(leaf);
            if let Some(root) = tile_root(&open) {
                let full = growing.push(root);
                filled.extend(full.iter().map(|tile| (tile.level, tile.index)));
                open.clear();
            }
            if !(1100..=256 * 256 - 3).contains(&n) {
                assert_eq!(growing.root(&open), Some(peaks.root()), "{n}");
            }
        }
        assert_eq!(filled, [(1, 0)]);
    }
}
