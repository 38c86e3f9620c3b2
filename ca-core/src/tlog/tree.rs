//! Growing a tree without its leaves: the peaks of its complete subtrees suffice.
//!
//! Stores nothing. [`Peaks`] is all that a log needs to append, [`Batch`] all that it needs to
//! prove what it just appended.

use serde::{Deserialize, Serialize};

use super::hash::{EMPTY_ROOT, Hash, node_hash};
use super::proof::{self, SIZE_MAX, Subtree, fold};

/// A tree reduced to the roots of its complete subtrees ("compact range from zero"), largest and
/// leftmost first, one for each one-bit of the size: at most 62 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPeaks")]
pub struct Peaks {
    size: u64,
    hashes: Vec<Hash>,
}

/// Why a tree cannot be grown or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A size has exactly one peak for each of its one-bits.
    #[error("a tree of {size} leaves has {expected} peaks, found {found}")]
    PeakCount {
        /// Leaves claimed.
        size: u64,
        /// Hashes found.
        found: usize,
        /// Hashes that this size has.
        expected: u32,
    },
    /// No tree grows beyond [`SIZE_MAX`] leaves.
    #[error("the tree is full")]
    Full,
}

#[derive(Deserialize)]
struct RawPeaks {
    size: u64,
    hashes: Vec<Hash>,
}

impl TryFrom<RawPeaks> for Peaks {
    type Error = TreeError;

    fn try_from(raw: RawPeaks) -> Result<Self, TreeError> {
        Self::from_parts(raw.size, raw.hashes)
    }
}

impl Peaks {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            hashes: Vec::new(),
        }
    }

    /// A tree restored from what [`Peaks::size`] and [`Peaks::hashes`] gave.
    ///
    /// # Errors
    ///
    /// [`TreeError::Full`] for a size above [`SIZE_MAX`], [`TreeError::PeakCount`] if the number
    /// of hashes does not fit the size. Whether they are the right ones only the root can tell.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, TreeError> {
        if size > SIZE_MAX {
            return Err(TreeError::Full);
        }
        let expected = size.count_ones();
        let found = hashes.len();
        if u32::try_from(found) != Ok(expected) {
            return Err(TreeError::PeakCount {
                size,
                found,
                expected,
            });
        }
        Ok(Self { size, hashes })
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// RFC 6962 Merkle tree hash of the whole tree. At most 61 hashings.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.hashes).unwrap_or(EMPTY_ROOT)
    }

    /// Appends one leaf, given by its leaf hash. One hashing on average, at most 62.
    ///
    /// # Errors
    ///
    /// [`TreeError::Full`] at [`SIZE_MAX`] leaves; the tree is unchanged.
    pub fn push(&mut self, leaf: Hash) -> Result<(), TreeError> {
        if self.size >= SIZE_MAX {
            return Err(TreeError::Full);
        }
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
        Ok(())
    }
}

/// Leaves just appended to a tree, with every hash that their proofs need: no storage is read.
///
/// Memory: about two hashes for each new leaf. Making it costs one hashing for each new leaf plus
/// one for each level; a proof costs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    old_size: u64,
    peaks: Peaks,
    /// Level by level, the old peak of that level if there is one, then the new complete subtrees.
    levels: Vec<Level>,
    /// The n-th is the fold of the n-th and all later peaks: the first is the root.
    edges: Vec<Hash>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Level {
    /// Index, within the level, of the first hash kept.
    first: u64,
    hashes: Vec<Hash>,
}

impl Level {
    fn get(&self, index: u64) -> Option<Hash> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.hashes.get(at).copied()
    }
}

impl Batch {
    /// The tree `old` with `leaves` (leaf hashes) appended in order. No leaves give the same tree.
    ///
    /// # Errors
    ///
    /// [`TreeError::Full`] if the new size would exceed [`SIZE_MAX`].
    pub fn append(old: &Peaks, leaves: &[Hash]) -> Result<Self, TreeError> {
        let added = u64::try_from(leaves.len()).map_err(|_| TreeError::Full)?;
        let size = old.size.checked_add(added).ok_or(TreeError::Full)?;
        if size > SIZE_MAX {
            return Err(TreeError::Full);
        }
        let levels = levels(old, leaves, size);
        let mut hashes = Vec::new();
        for Subtree { level, index } in proof::peaks(0, size) {
            let level = levels.get(usize::from(level));
            hashes.extend(level.and_then(|level| level.get(index)));
        }
        let mut edges: Vec<Hash> = Vec::with_capacity(hashes.len());
        for peak in hashes.iter().rev() {
            edges.push(match edges.last() {
                Some(right) => node_hash(peak, right),
                None => *peak,
            });
        }
        edges.reverse();
        Ok(Self {
            old_size: old.size,
            peaks: Peaks::from_parts(size, hashes)?,
            levels,
            edges,
        })
    }

    /// Number of leaves before the batch: the index of its first leaf.
    #[must_use]
    pub const fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The tree with the batch, ready for the next one.
    #[must_use]
    pub const fn peaks(&self) -> &Peaks {
        &self.peaks
    }

    /// Number of leaves with the batch.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.peaks.size
    }

    /// Root with the batch.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.edges.first().copied().unwrap_or(EMPTY_ROOT)
    }

    /// Inclusion proof, in the tree with the batch, of the leaf at `index` counted from the start
    /// of the log. Nothing unless the leaf is one of this batch.
    #[must_use]
    pub fn proof(&self, index: u64) -> Option<Vec<Hash>> {
        if index < self.old_size {
            return None;
        }
        let (own, peak) = proof::peaks(0, self.peaks.size)
            .enumerate()
            .find(|(_, peak)| peak.holds(index))?;
        let mut hashes = Vec::new();
        for level in 0..peak.level {
            hashes.push(self.subtree(level, (index >> level) ^ 1)?);
        }
        hashes.extend(self.edges.get(own.checked_add(1)?));
        let (left, _) = self.peaks.hashes.split_at_checked(own)?;
        hashes.extend(left.iter().rev());
        Some(hashes)
    }

    /// Consistency proof from the tree before the batch to the tree with it.
    #[must_use]
    pub fn consistency(&self) -> Option<Vec<Hash>> {
        let read = |level, index| self.subtree(level, index).ok_or(());
        proof::consistency(self.old_size, self.peaks.size, read).ok()
    }

    /// The complete subtrees of 2^`level` leaves that the batch completed, each with its index
    /// among all of that level: what a store appends to its tiles (levels 0, 8, 16, …).
    pub fn completed(&self, level: u8) -> impl Iterator<Item = (u64, Hash)> + '_ {
        let old = self.old_size.checked_shr(level.into()).unwrap_or(0);
        let first = self.levels.get(usize::from(level));
        first
            .into_iter()
            .flat_map(|level| (level.first..).zip(level.hashes.iter().copied()))
            .filter(move |(index, _)| *index >= old)
    }

    fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        self.levels.get(usize::from(level))?.get(index)
    }
}

/// From the leaves upward, at each level the old peak (if the old size has one there) and all
/// complete subtrees that hold a new leaf.
fn levels(old: &Peaks, leaves: &[Hash], size: u64) -> Vec<Level> {
    let mut smallest_first = old.hashes.iter().rev();
    let mut new = leaves.to_vec();
    let mut levels = Vec::new();
    let mut level = 0u32;
    while let Some(count) = size.checked_shr(level).filter(|count| *count > 0) {
        let before = old.size.checked_shr(level).unwrap_or(0);
        let mut first = before;
        let mut hashes = Vec::with_capacity(new.len() + 1);
        if before & 1 == 1 {
            // This one-bit's peak is the left sibling of the first new subtree, if that exists.
            hashes.extend(smallest_first.next());
            first -= 1;
        }
        hashes.append(&mut new);
        debug_assert_eq!(Some(count - first), u64::try_from(hashes.len()).ok());
        for pair in hashes.chunks_exact(2) {
            if let [left, right] = pair {
                new.push(node_hash(left, right));
            }
        }
        levels.push(Level { first, hashes });
        level += 1;
    }
    levels
}
