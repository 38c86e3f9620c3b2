//! Event bytes are hashed once and read for ever: these files hold what was written, and a
//! change of any spelling fails here. A new event or field adds a file and changes none.
//!
//! `JIT_SSH_GOLDEN=write cargo test -p ca-core --test golden_events` writes files that are missing;
//! it never replaces one.

// `cfg(test)` tells clippy that the helpers are tests too.
#[cfg(test)]
mod access_examples;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod decided_examples;
#[cfg(test)]
mod emergency_examples;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod host_examples;
