//! What the programs of jit-ssh must agree on: names, times, certificates, the mathematics of the
//! log, what the log records, the messages to ssh-agent, and the JSON of the HTTP API.
//!
//! Deliberately absent: async, I/O, clocks, randomness, HTTP and Cedar. Everything here is a
//! function of its arguments, and every parser of bytes from outside is total: no panic, bounded
//! memory, bounded time.

pub mod agent;
pub mod api;
pub mod break_glass;
pub mod certificate;
pub mod digest;
pub mod event;
pub mod krl;
pub mod name;
pub mod serial;
pub mod time;
pub mod tlog;
mod wire;
