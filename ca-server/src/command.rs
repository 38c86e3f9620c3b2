//! What the subcommands of `ca-server` do, one file each.

pub mod audit;
pub mod break_glass;
pub mod hosts;
pub mod init;
pub mod place;
pub mod policy;
pub mod serve;
pub mod sshd_config;
pub mod webhook;
