//! Inclusion and consistency proofs from outside: bounded, and believed only about the right tree.
#![no_main]

use ca_core::tlog::hash::{Hash, leaf_hash};
use ca_core::tlog::proof::{Head, verify_consistency, verify_inclusion};
use ca_core::tlog::tree::{Batch, Peaks};
use libfuzzer_sys::fuzz_target;

// Two numbers, then hashes.
fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else {
        return;
    };
    let (first, second) = (u64::from_be_bytes(*first), u64::from_be_bytes(*second));
    let (hashes, _) = rest.as_chunks::<32>();
    let hashes: Vec<Hash> = hashes.iter().copied().map(Hash::from_bytes).collect();
    let root = hashes.first().copied().unwrap_or(leaf_hash(b""));
    let proof = hashes.get(1..).unwrap_or_default();
    let _ = verify_inclusion(&root, first, second, proof, &root);
    let head = |size, root| Head { size, root };
    let _ = verify_consistency(&head(first, root), &head(second, leaf_hash(rest)), proof);
    let _ = Peaks::from_parts(first, hashes.clone());
    // A real tree of the hashes: every true proof is believed, and none for another leaf.
    let Ok(tree) = Batch::append(&Peaks::new(), &hashes) else {
        return;
    };
    for (index, leaf) in (0_u64..).zip(&hashes) {
        let proof = tree.proof(index).expect("a leaf of this batch");
        verify_inclusion(leaf, index, tree.size(), &proof, &tree.root()).expect("true");
        verify_inclusion(&leaf_hash(b"?"), index, tree.size(), &proof, &tree.root())
            .expect_err("another leaf");
    }
});
