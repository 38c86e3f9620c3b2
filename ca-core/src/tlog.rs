//! The mathematics of the transparency log: RFC 6962 hashes and proofs, C2SP tiles, notes,
//! checkpoints and receipts, and the 82-byte leaf of this project.
//!
//! Byte for byte as in RFC 6962 §2.1 and C2SP (signed-note v1.0.0, tlog-checkpoint v1.0.0,
//! tlog-tiles, tlog-proof@v1), so that checkers nobody here wrote can judge us. Every parser is
//! total and bounded, and accepts exactly one spelling of each value.
//!
//! Deliberately absent: storage, clocks, randomness, and which head may be signed next. That
//! rule (never a head inconsistent with one signed before) belongs to whoever holds the key.

pub mod bundle;
pub mod checkpoint;
pub mod hash;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod receipt;
pub mod tile;
pub mod tree;

mod decimal;

#[cfg(test)]
mod tests;
