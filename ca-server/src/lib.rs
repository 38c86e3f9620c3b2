//! The authority: identity, policy, record, certificate.

pub mod command;
pub mod policy;
pub mod policy_files;
