//! Real programs for tests, each started as an ordinary process and ended when dropped.
//!
//! Everything here is blocking and meant for plain `#[test]` functions. What cannot be done
//! panics with the program's own output: in a test that is the best message there is.

pub mod agent;
pub mod browser;
pub mod clock;
pub mod dev;
pub mod http;
pub mod keygen;
pub mod oath;
pub mod oidc;
pub mod port;
pub mod process;
pub mod programs;
pub mod pty;
pub mod python;
pub mod run;
pub mod serve;
pub mod sign_in;
pub mod signing_key;
pub mod ssh;
pub mod sshd;
pub mod unix_account;
pub mod wait;
