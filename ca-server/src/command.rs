//! What the subcommands of `ca-server` do, one file each.

pub mod policy;
