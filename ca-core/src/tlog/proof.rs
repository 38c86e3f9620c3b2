//! Inclusion and consistency proofs: building them from the hashes of complete subtrees, and
//! checking them (RFC 6962 §2.1.1 and §2.1.2, RFC 9162 §2.1.3.2 and §2.1.4.2).
//!
//! Whoever builds a proof is trusted to read the right hashes; whoever checks one trusts nothing
//! but the root. The length of a proof is checked before anything is hashed.

use super::hash::{EMPTY_ROOT, Hash, node_hash};

/// Most leaves in a tree: with more, a consistency proof (one hash for each level and one for the
/// older tree) could need more than [`HASHES_MAX`] hashes.
pub const SIZE_MAX: u64 = 1 << 62;

/// Most hashes in any proof, as C2SP tlog-witness has it.
pub const HASHES_MAX: usize = 63;

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the number of hashes that these sizes need.
    #[error("the proof has {found} hashes, {expected} are needed")]
    Length {
        /// Hashes found.
        found: usize,
        /// Hashes needed.
        expected: usize,
    },
    /// The proof does not lead to the root of the older tree.
    #[error("the proof does not lead to the older root")]
    OldRoot,
    /// The index lies outside the tree, or the older tree is larger than the newer one.
    #[error("position {position} is outside a tree of {size} leaves")]
    OutOfRange {
        /// The index, or the size of the older tree.
        position: u64,
        /// Leaves in the (newer) tree.
        size: u64,
    },
    /// The proof does not lead to the root (of the newer tree).
    #[error("the proof does not lead to the root")]
    Root,
    /// Larger than [`SIZE_MAX`].
    #[error("a tree of {size} leaves is larger than any log")]
    TooLarge {
        /// Leaves claimed.
        size: u64,
    },
}

/// Why a proof cannot be built; `E` is how reading a hash fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError<E> {
    /// The tree has no such proof: see [`ProofError::OutOfRange`] and [`ProofError::TooLarge`].
    #[error("position {position} is outside a tree of {size} leaves")]
    OutOfRange {
        /// The index, or the size of the older tree.
        position: u64,
        /// Leaves in the (newer) tree.
        size: u64,
    },
    /// A hash of the tree could not be read.
    #[error("a hash of the tree could not be read")]
    Read(#[source] E),
}

/// Proof that the leaf at `index` is in the tree of `size` leaves: its sibling first, the child of
/// the root last. `read(level, index)` gives the root of the `index`-th complete subtree of
/// 2^`level` leaves; only subtrees within `size` are asked for, each at most once, at most 63.
///
/// # Errors
///
/// [`BuildError::OutOfRange`] unless `index < size <= SIZE_MAX`, [`BuildError::Read`] as soon as
/// `read` fails.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    mut read: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, BuildError<E>> {
    let outside = || BuildError::OutOfRange {
        position: index,
        size,
    };
    if index >= size || size > SIZE_MAX {
        return Err(outside());
    }
    let mut left = Vec::new();
    let mut own = None;
    let mut right = Vec::new();
    for peak in peaks(0, size) {
        if peak.holds(index) {
            own = Some(peak);
        } else if own.is_none() {
            left.push(peak);
        } else {
            right.push(peak);
        }
    }
    let mut proof = Vec::new();
    for level in 0..own.ok_or_else(outside)?.level {
        proof.push(read(level, (index >> level) ^ 1).map_err(BuildError::Read)?);
    }
    proof.extend(root_of(right, &mut read).map_err(BuildError::Read)?);
    for peak in left.iter().rev() {
        proof.push(read(peak.level, peak.index).map_err(BuildError::Read)?);
    }
    Ok(proof)
}

/// Proof that the tree of `new` leaves begins with the tree of `old` leaves. Empty if the sizes are
/// equal or `old` is zero. `read` as for [`inclusion`].
///
/// # Errors
///
/// [`BuildError::OutOfRange`] unless `old <= new <= SIZE_MAX`, [`BuildError::Read`] as soon as
/// `read` fails.
pub fn consistency<E>(
    old: u64,
    new: u64,
    mut read: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, BuildError<E>> {
    if old > new || new > SIZE_MAX {
        return Err(BuildError::OutOfRange {
            position: old,
            size: new,
        });
    }
    let mut proof = Vec::new();
    for (start, end) in consistency_ranges(old, new) {
        proof.extend(root_of(peaks(start, end), &mut read).map_err(BuildError::Read)?);
    }
    Ok(proof)
}

/// Root of the first `size` leaves, read from the roots of complete subtrees as in [`inclusion`].
///
/// # Errors
///
/// [`BuildError::OutOfRange`] for a size above [`SIZE_MAX`], [`BuildError::Read`] as soon as `read`
/// fails.
pub fn root<E>(
    size: u64,
    mut read: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, BuildError<E>> {
    if size > SIZE_MAX {
        return Err(BuildError::OutOfRange {
            position: size,
            size,
        });
    }
    let root = root_of(peaks(0, size), &mut read).map_err(BuildError::Read)?;
    Ok(root.unwrap_or(EMPTY_ROOT))
}

/// Checks that the leaf with hash `leaf` is at `index` in the tree with `size` leaves and `root`.
///
/// # Errors
///
/// [`ProofError`]; see its variants.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if size > SIZE_MAX {
        return Err(ProofError::TooLarge { size });
    }
    if index >= size {
        return Err(ProofError::OutOfRange {
            position: index,
            size,
        });
    }
    // Below this level the leaf's subtree is never on the right edge and always has a sibling;
    // above it only the one-bits of the index stand for a (left) sibling.
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    check_length(proof, usize::try_from(inner + border).unwrap_or(usize::MAX))?;
    let mut hash = *leaf;
    for (level, sibling) in (0u32..).zip(proof) {
        let is_left = level < inner && (index >> level) & 1 == 0;
        hash = if is_left {
            node_hash(&hash, sibling)
        } else {
            node_hash(sibling, &hash)
        };
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// A tree known by its size and root, as a checkpoint states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 Merkle tree hash.
    pub root: Hash,
}

/// Checks that the tree `new` begins with the tree `old`. Trees of equal size must be equal, and
/// only the empty root is a tree without leaves; in both cases the proof must be empty.
///
/// # Errors
///
/// [`ProofError`]; see its variants.
pub fn verify_consistency(old: &Head, new: &Head, proof: &[Hash]) -> Result<(), ProofError> {
    if new.size > SIZE_MAX {
        return Err(ProofError::TooLarge { size: new.size });
    }
    if old.size > new.size {
        return Err(ProofError::OutOfRange {
            position: old.size,
            size: new.size,
        });
    }
    check_length(proof, consistency_ranges(old.size, new.size).len())?;
    if old.size == 0 && old.root != EMPTY_ROOT {
        return Err(ProofError::OldRoot);
    }
    if old.size == new.size {
        return if old.root == new.root {
            Ok(())
        } else {
            Err(ProofError::Root)
        };
    }
    if old.size == 0 {
        return Ok(());
    }
    let (old_root, new_root) = walk_consistency(old, new.size, proof);
    if old_root != old.root {
        return Err(ProofError::OldRoot);
    }
    if new_root != new.root {
        return Err(ProofError::Root);
    }
    Ok(())
}

/// The two roots that a proof of the right length leads to, for `0 < old.size < new_size`
/// (RFC 9162 §2.1.4.2, steps 2 to 6).
fn walk_consistency(old: &Head, new_size: u64, proof: &[Hash]) -> (Hash, Hash) {
    let mut path = proof.iter();
    // A complete old tree is itself the first node and is left out of the proof.
    let first = if old.size.is_power_of_two() {
        old.root
    } else {
        path.next().copied().unwrap_or(old.root)
    };
    let skip = (old.size - 1).trailing_ones();
    let mut old_node = (old.size - 1) >> skip;
    let mut new_node = (new_size - 1) >> skip;
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in path {
        if old_node & 1 == 1 || old_node == new_node {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            // Levels where the right edge has no sibling.
            while old_node & 1 == 0 && old_node != 0 {
                old_node >>= 1;
                new_node >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        old_node >>= 1;
        new_node >>= 1;
    }
    (old_hash, new_hash)
}

const fn check_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    let found = proof.len();
    if found == expected && found <= HASHES_MAX {
        Ok(())
    } else {
        Err(ProofError::Length { found, expected })
    }
}

/// The complete subtree over the leaves `[index << level, (index + 1) << level)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subtree {
    pub(super) level: u8,
    pub(super) index: u64,
}

impl Subtree {
    pub(super) const fn holds(self, leaf: u64) -> bool {
        leaf >> self.level == self.index
    }
}

/// The complete subtrees that the leaves `[start, end)` split into, largest first. `start` must be
/// a multiple of the largest, as it is wherever RFC 6962 splits a tree.
pub(super) fn peaks(start: u64, end: u64) -> impl Iterator<Item = Subtree> {
    let size = end.saturating_sub(start);
    let mut at = start;
    (0..64u8)
        .rev()
        .filter(move |level| (size >> level) & 1 == 1)
        .map(move |level| {
            let index = at >> level;
            at = at.saturating_add(1 << level);
            Subtree { level, index }
        })
}

/// Root over neighbouring complete subtrees given largest first, or nothing if there are none.
pub(super) fn fold(peaks: &[Hash]) -> Option<Hash> {
    let from_the_right = peaks.iter().copied().rev();
    from_the_right.reduce(|right, left| node_hash(&left, &right))
}

fn root_of<E>(
    peaks: impl IntoIterator<Item = Subtree>,
    mut read: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Option<Hash>, E> {
    let hashes = peaks
        .into_iter()
        .map(|peak| read(peak.level, peak.index))
        .collect::<Result<Vec<Hash>, E>>()?;
    Ok(fold(&hashes))
}

/// The leaf ranges whose roots make up the consistency proof, in proof order: RFC 6962 §2.1.2
/// SUBPROOF unrolled. At most 63 for `new <= SIZE_MAX`.
fn consistency_ranges(old: u64, new: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    if old == 0 || old >= new {
        return ranges;
    }
    let (mut start, mut end) = (0, new);
    while old != end {
        // Largest power of two smaller than the range; the range has at least two leaves here.
        let split = start + (1 << (u64::BITS - 1 - (end - start - 1).leading_zeros()));
        if old <= split {
            ranges.push((split, end));
            end = split;
        } else {
            ranges.push((start, split));
            start = split;
        }
    }
    if start != 0 {
        ranges.push((start, end));
    }
    ranges.reverse();
    ranges
}
