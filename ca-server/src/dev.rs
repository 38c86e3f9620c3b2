//! What `ca-server dev` needs for a try on one machine. Nothing of this is reachable from `serve`.

pub mod provider;
