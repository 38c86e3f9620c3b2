//! Properties of proofs: every one verifies, none that was touched does, and the proofs that a batch
//! makes without storage are those made from storage.

use proptest::prelude::*;

use super::{Tree, numbered_leaves};
use crate::tlog::hash::{EMPTY_ROOT, Hash, leaf_hash};
use crate::tlog::proof::{
    BuildError, HASHES_MAX, Head, ProofError, SIZE_MAX, consistency, inclusion, root,
    verify_consistency, verify_inclusion,
};
use crate::tlog::tree::{Batch, Peaks, TreeError};

fn grown(leaves: &[Hash]) -> Peaks {
    let mut peaks = Peaks::new();
    for leaf in leaves {
        peaks.push(*leaf).unwrap();
    }
    peaks
}

fn flipped(hash: Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_touched_inclusion_proof_does_not_verify(
        size in 1u64..600, at in any::<prop::sample::Index>(), bit in 0usize..256, pick in any::<prop::sample::Index>(),
    ) {
        let tree = Tree::over(numbered_leaves(size));
        let index = u64::try_from(at.index(usize::try_from(size).unwrap())).unwrap();
        let leaf = tree.read(0, index).unwrap();
        let root = tree.root(0, size);
        let proof = inclusion(index, size, |l, i| tree.read(l, i)).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));

        let refused = |leaf: &Hash, index, size, proof: &[Hash], root: &Hash| {
            verify_inclusion(leaf, index, size, proof, root).is_err()
        };
        prop_assert!(refused(&flipped(leaf, bit), index, size, &proof, &root));
        prop_assert!(refused(&leaf, index, size, &proof, &flipped(root, bit)));
        for other in (0..size + 3).filter(|other| *other != index) {
            prop_assert!(refused(&leaf, other, size, &proof, &root), "index {}", other);
        }
        if !proof.is_empty() {
            let mut touched = proof.clone();
            let at = pick.index(proof.len());
            touched[at] = flipped(touched[at], bit);
            prop_assert!(refused(&leaf, index, size, &touched, &root));
            prop_assert!(refused(&leaf, index, size, &proof[1..], &root));
        }
        let longer = [proof.as_slice(), &[leaf]].concat();
        let expected = proof.len();
        prop_assert_eq!(
            verify_inclusion(&leaf, index, size, &longer, &root),
            Err(ProofError::Length { found: expected + 1, expected })
        );
    }

    #[test]
    fn a_touched_consistency_proof_does_not_verify(
        old in 1u64..400, more in 1u64..400, bit in 0usize..256, pick in any::<prop::sample::Index>(),
    ) {
        let size = old + more;
        let tree = Tree::over(numbered_leaves(size));
        let before = Head { size: old, root: tree.root(0, old) };
        let after = Head { size, root: tree.root(0, size) };
        let proof = consistency(old, size, |l, i| tree.read(l, i)).unwrap();
        prop_assert_eq!(verify_consistency(&before, &after, &proof), Ok(()));

        let mut touched = proof.clone();
        let at = pick.index(proof.len());
        touched[at] = flipped(touched[at], bit);
        prop_assert!(verify_consistency(&before, &after, &touched).is_err());
        prop_assert!(verify_consistency(&before, &after, &proof[1..]).is_err());
        let old_changed = Head { root: flipped(before.root, bit), ..before };
        prop_assert!(verify_consistency(&old_changed, &after, &proof).is_err());
        let new_changed = Head { root: flipped(after.root, bit), ..after };
        prop_assert!(verify_consistency(&before, &new_changed, &proof).is_err());
        let smaller = Head { size: old - 1, ..before };
        prop_assert!(verify_consistency(&smaller, &after, &proof).is_err());
        prop_assert!(verify_consistency(&after, &before, &proof).is_err());
    }

    #[test]
    fn a_batch_proves_without_storage_what_storage_would_prove(old in 0u64..700, more in 0u64..=512) {
        let size = old + more;
        let leaves = numbered_leaves(size);
        let (first, rest) = leaves.split_at(usize::try_from(old).unwrap());
        let batch = Batch::append(&grown(first), rest).unwrap();
        let tree = Tree::over(leaves.clone());
        prop_assert_eq!(batch.peaks(), &grown(&leaves));
        prop_assert_eq!(batch.root(), tree.root(0, size));
        prop_assert_eq!(batch.peaks().root(), batch.root());
        for index in old..size {
            let expected = inclusion(index, size, |l, i| tree.read(l, i)).unwrap();
            prop_assert_eq!(batch.proof(index), Some(expected));
        }
        prop_assert_eq!(batch.proof(size), None);
        prop_assert_eq!(old.checked_sub(1).and_then(|index| batch.proof(index)), None);
        let expected = consistency(old, size, |l, i| tree.read(l, i)).unwrap();
        prop_assert_eq!(batch.consistency(), Some(expected));
        for level in 0..12 {
            let completed: Vec<_> = batch.completed(level).collect();
            let expected: Vec<_> = (old >> level..size >> level)
                .map(|index| (index, tree.read(level, index).unwrap()))
                .collect();
            prop_assert_eq!(completed, expected, "level {}", level);
        }
    }
}

#[test]
fn proofs_stay_within_63_hashes_up_to_the_largest_tree() {
    let read = |level: u8, index: u64| {
        let end = (u128::from(index) + 1) << level;
        assert!(end <= u128::from(SIZE_MAX), "read beyond the tree");
        Ok::<Hash, ()>(leaf_hash(&index.to_be_bytes()))
    };
    let mut longest = 0;
    for size in [SIZE_MAX, SIZE_MAX - 1, (SIZE_MAX >> 1) + 1] {
        let root = root(size, read).unwrap();
        for index in [0, 1, size / 2, size - 1] {
            let proof = inclusion(index, size, read).unwrap();
            assert!(proof.len() <= HASHES_MAX);
            let outcome = verify_inclusion(&EMPTY_ROOT, index, size, &proof, &root);
            assert_eq!(outcome, Err(ProofError::Root), "the length is as expected");
        }
        for old in [1, 2, 3, size / 2, size / 2 + 1, size - 1] {
            let proof = consistency(old, size, read).unwrap();
            longest = longest.max(proof.len());
        }
    }
    assert_eq!(
        longest, HASHES_MAX,
        "one leaf more would need one hash more"
    );
}

#[test]
fn hostile_sizes_are_refused_before_hashing() {
    let zero = EMPTY_ROOT;
    let beyond = SIZE_MAX + 1;
    let found = verify_inclusion(&zero, 0, beyond, &[], &zero);
    assert_eq!(found, Err(ProofError::TooLarge { size: beyond }));
    let found = verify_inclusion(&zero, 0, 0, &[], &zero);
    assert_eq!(
        found,
        Err(ProofError::OutOfRange {
            position: 0,
            size: 0
        })
    );
    let head = |size| Head { size, root: zero };
    let found = verify_consistency(&head(1), &head(u64::MAX), &[]);
    assert_eq!(found, Err(ProofError::TooLarge { size: u64::MAX }));
    let found = verify_consistency(&head(3), &head(2), &[]);
    assert_eq!(
        found,
        Err(ProofError::OutOfRange {
            position: 3,
            size: 2
        })
    );
    let long = vec![zero; 1_000_000];
    let found = verify_inclusion(&zero, 0, 2, &long, &zero);
    assert_eq!(
        found,
        Err(ProofError::Length {
            found: 1_000_000,
            expected: 1
        })
    );
    let outside = BuildError::OutOfRange {
        position: 5,
        size: 5,
    };
    assert_eq!(inclusion(5, 5, |_, _| Err(())), Err(outside));
    assert_eq!(
        inclusion(4, 5, |_, _| Err("gone")),
        Err(BuildError::Read("gone"))
    );
}

#[test]
fn trees_of_equal_size_must_be_equal_and_the_empty_tree_has_one_root() {
    let one = Head {
        size: 1,
        root: leaf_hash(b"1"),
    };
    let other = Head {
        size: 1,
        root: leaf_hash(b"2"),
    };
    assert_eq!(verify_consistency(&one, &one, &[]), Ok(()));
    assert_eq!(verify_consistency(&one, &other, &[]), Err(ProofError::Root));
    let false_empty = Head {
        size: 0,
        root: one.root,
    };
    assert_eq!(
        verify_consistency(&false_empty, &one, &[]),
        Err(ProofError::OldRoot)
    );
}

#[test]
fn peaks_are_restored_only_with_the_right_number_of_hashes() {
    let peaks = grown(&numbered_leaves(11));
    assert_eq!(peaks.hashes().len(), 3);
    let json = serde_json::to_string(&peaks).unwrap();
    assert_eq!(serde_json::from_str::<Peaks>(&json).unwrap(), peaks);
    assert_eq!(
        Peaks::from_parts(11, peaks.hashes().to_vec()),
        Ok(peaks.clone())
    );
    let error = TreeError::PeakCount {
        size: 12,
        found: 3,
        expected: 2,
    };
    assert_eq!(Peaks::from_parts(12, peaks.hashes().to_vec()), Err(error));
    assert_eq!(
        Peaks::from_parts(u64::MAX, vec![EMPTY_ROOT; 64]),
        Err(TreeError::Full)
    );
}

#[test]
fn a_full_tree_grows_no_further() {
    let mut peaks = Peaks::from_parts(SIZE_MAX, vec![EMPTY_ROOT]).unwrap();
    assert_eq!(peaks.push(EMPTY_ROOT), Err(TreeError::Full));
    assert_eq!(Batch::append(&peaks, &[EMPTY_ROOT]), Err(TreeError::Full));
    let nearly = Peaks::from_parts(SIZE_MAX - 1, vec![EMPTY_ROOT; 62]).unwrap();
    let batch = Batch::append(&nearly, &[EMPTY_ROOT]).unwrap();
    assert_eq!(batch.size(), SIZE_MAX);
    assert_eq!(batch.proof(SIZE_MAX - 1).unwrap().len(), 62);
}
