//! Placeholder.
pub mod leaf;
