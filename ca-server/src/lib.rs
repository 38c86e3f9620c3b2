//! The authority. The module list is the table of contents, lowest layer first.

// decisions: pure functions of (state, input, now)
pub mod access;
pub mod authn;
pub mod directory;
pub mod environment;
pub mod issuance;
pub mod policy;
pub mod reach;
pub mod recordable;
pub mod state;
// record
pub mod clock;
pub mod high_water;
pub mod ledger;
pub mod recorded;
pub mod store;
pub mod unused;
// adapters
pub mod break_glass_keys;
pub mod identity;
pub mod key_file;
pub mod notify;
mod outgoing;
pub mod policy_changes;
pub mod policy_files;
pub mod policy_record;
pub mod prove;
pub mod seal;
pub mod signer;
// use cases
pub mod audit;
pub mod ca;
pub mod replay;
// edges
pub mod admin;
pub mod assembly;
pub mod command;
pub mod config;
pub mod dev;
pub mod http;
