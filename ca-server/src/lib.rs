//! The authority. The module list is the table of contents, lowest layer first.

pub mod clock;
pub mod store;
