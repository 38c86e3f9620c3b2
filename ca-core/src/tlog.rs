//! Placeholder.
pub mod leaf;
pub mod hash;
pub mod proof;
pub mod tree;
