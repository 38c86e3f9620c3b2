//! Vectors that others published: the eight leaves of the RFC 6962 community, the rolling hashes of
//! draft-ietf-plants-merkle-tree-certs ("Subtree Test Vectors"), and signed notes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Tree, split};
use crate::tlog::hash::{EMPTY_ROOT, Hash, leaf_hash};
use crate::tlog::note::{self, VerifierKey};
use crate::tlog::proof::{self, Head};
use crate::tlog::tree::Peaks;

const EIGHT_LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// Roots of the first 0 to 8 leaves.
const EIGHT_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn draft_tree() -> Tree {
    Tree::over((0..=0x81u8).map(|byte| leaf_hash(&[byte])).collect())
}

/// Whether the draft calls `[start, end)` a subtree.
fn is_subtree(start: u64, end: u64) -> bool {
    let size = end - start;
    size == 0 || start == 0 || start.is_multiple_of(size.next_power_of_two())
}

fn subtrees(size: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..=size)
        .flat_map(|end| (0..=end).map(move |start| (start, end)))
        .filter(|&(start, end)| is_subtree(start, end))
}

/// A reader in which the leaf at `start` is the first: a subtree's own proofs are plain RFC 6962.
fn read_from(tree: &Tree, start: u64) -> impl FnMut(u8, u64) -> Result<Hash, ()> + '_ {
    move |level, index| tree.read(level, index + (start >> level)).map_err(|_| ())
}

/// SUBTREE_SUBPROOF of the draft as written; `[start, end)` and the tree `[low, high)` in leaves
/// of the whole log.
fn subtree_proof(
    tree: &Tree,
    subtree: (u64, u64),
    (low, high): (u64, u64),
    known: bool,
) -> Vec<Hash> {
    let (start, end) = subtree;
    if (start, end) == (low, high) {
        return if known {
            vec![]
        } else {
            vec![tree.root(low, high)]
        };
    }
    let k = low + split(high - low);
    let (mut proof, other) = if end <= k {
        (subtree_proof(tree, subtree, (low, k), known), (k, high))
    } else if k <= start {
        (subtree_proof(tree, subtree, (k, high), known), (low, k))
    } else {
        (subtree_proof(tree, (k, end), (k, high), false), (low, k))
    };
    proof.push(tree.root(other.0, other.1));
    proof
}

fn line_of(title: &str, proof: &[Hash]) -> String {
    let hashes = proof
        .iter()
        .map(|hash| format!(" {}", hex(hash.as_bytes())));
    format!("{title}{}\n", hashes.collect::<String>())
}

#[test]
fn roots_of_the_eight_published_leaves_are_the_published_roots() {
    let mut peaks = Peaks::new();
    assert_eq!(hex(peaks.root().as_bytes()), EIGHT_ROOTS[0]);
    for (leaf, root) in EIGHT_LEAVES.into_iter().zip(&EIGHT_ROOTS[1..]) {
        peaks.push(leaf_hash(leaf)).unwrap();
        assert_eq!(hex(peaks.root().as_bytes()), *root);
    }
}

#[test]
fn subtree_hashes_have_the_published_rolling_hash() {
    let tree = draft_tree();
    let mut rolling = Sha256::new();
    for (start, end) in subtrees(130) {
        let root = proof::root(end - start, read_from(&tree, start)).unwrap();
        rolling.update(line_of(&format!("[{start}, {end})"), &[root]));
    }
    let expected = "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81";
    assert_eq!(hex(&rolling.finalize()), expected);
}

#[test]
fn inclusion_proofs_have_the_published_rolling_hash_and_verify() {
    let tree = draft_tree();
    let mut rolling = Sha256::new();
    let mut count = 0;
    for (start, end) in subtrees(130) {
        let size = end - start;
        let root = tree.root(start, end);
        for index in 0..size {
            let proof = proof::inclusion(index, size, read_from(&tree, start)).unwrap();
            let leaf = tree.read(0, start + index).unwrap();
            assert_eq!(
                proof::verify_inclusion(&leaf, index, size, &proof, &root),
                Ok(())
            );
            rolling.update(line_of(
                &format!("{} [{start}, {end})", start + index),
                &proof,
            ));
            count += 1;
        }
    }
    assert_eq!(count, 12_807);
    let expected = "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f";
    assert_eq!(hex(&rolling.finalize()), expected);
}

#[test]
fn consistency_proofs_have_the_published_rolling_hash_and_verify() {
    let tree = draft_tree();
    let mut rolling = Sha256::new();
    let mut count = 0;
    for size in 0..=130 {
        let new = Head {
            size,
            root: tree.root(0, size),
        };
        for (start, end) in subtrees(size) {
            let proof = if start == end {
                vec![]
            } else if start == 0 {
                // The rows that are plain RFC 6962 come from the code under test.
                let proof = proof::consistency(end, size, read_from(&tree, 0)).unwrap();
                let old = Head {
                    size: end,
                    root: tree.root(0, end),
                };
                assert_eq!(proof::verify_consistency(&old, &new, &proof), Ok(()));
                proof
            } else {
                subtree_proof(&tree, (start, end), (0, size), true)
            };
            rolling.update(line_of(&format!("[{start}, {end}) {size}"), &proof));
            count += 1;
        }
    }
    assert_eq!(count, 42_893);
    let expected = "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74";
    assert_eq!(hex(&rolling.finalize()), expected);
}

#[test]
fn the_empty_tree_is_consistent_with_every_tree() {
    let empty = Head {
        size: 0,
        root: EMPTY_ROOT,
    };
    let tree = draft_tree();
    for size in 0..=130 {
        let new = Head {
            size,
            root: tree.root(0, size),
        };
        assert_eq!(proof::verify_consistency(&empty, &new, &[]), Ok(()));
    }
}

#[test]
fn the_verifier_key_of_the_note_specification_is_read_and_written() {
    let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!(key.name().as_str(), "example.com/foo");
    assert_eq!(key.id(), [0x53, 0x0d, 0x90, 0x3a]);
    assert_eq!(key.to_string(), text);
}

#[test]
fn the_note_of_the_go_documentation_opens_and_a_changed_one_does_not() {
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let keys: [VerifierKey; 1] = [key.parse().unwrap()];
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let signature = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN\
                     1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    assert_eq!(note::open(&format!("{text}\n{signature}"), &keys), Ok(text));
    let changed = text.replace("is the answer", "is no answer");
    let name = "PeterNeumann".to_owned();
    assert_eq!(
        note::open(&format!("{changed}\n{signature}"), &keys),
        Err(note::NoteError::Signature { name })
    );
}
