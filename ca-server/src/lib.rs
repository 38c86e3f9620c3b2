//! The authority as a library: decisions, record, adapters, use cases and edges, so that tests can
//! drive each alone.

pub mod authn;
pub mod dev;
pub mod identity;
pub mod seal;
