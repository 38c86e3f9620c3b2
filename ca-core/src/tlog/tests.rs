//! The log's mathematics judged by published vectors, by properties, and by hostile input.

mod proofs;
mod texts;
mod tiles;
mod vectors;

use std::convert::Infallible;

use ed25519_dalek::SigningKey;

use super::hash::{Hash, leaf_hash, node_hash};
use super::note::{KeyName, VerifierKey};

/// All complete subtrees over some leaves, computed the slow and obvious way.
struct Tree(Vec<Vec<Hash>>);

impl Tree {
    fn over(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let pairs = last.chunks_exact(2);
            let next = pairs.map(|pair| node_hash(&pair[0], &pair[1])).collect();
            levels.push(next);
        }
        Self(levels)
    }

    fn read(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[usize::from(level)][usize::try_from(index).unwrap()])
    }

    /// RFC 6962 §2.1 as written: recursion over the split, no shared code with what is tested.
    fn root(&self, start: u64, end: u64) -> Hash {
        match end - start {
            0 => super::hash::EMPTY_ROOT,
            1 => self.read(0, start).unwrap(),
            size => {
                let split = start + split(size);
                node_hash(&self.root(start, split), &self.root(split, end))
            }
        }
    }
}

/// Largest power of two smaller than `size`.
fn split(size: u64) -> u64 {
    let mut k = 1;
    while k * 2 < size {
        k *= 2;
    }
    k
}

fn numbered_leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn log_key() -> (SigningKey, VerifierKey) {
    key_called("log.example/2026a", 7)
}

fn key_called(name: &str, seed: u8) -> (SigningKey, VerifierKey) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let name: KeyName = name.parse().unwrap();
    let verifier = VerifierKey::new(name, key.verifying_key());
    (key, verifier)
}
