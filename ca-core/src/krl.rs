//! OpenSSH key revocation lists, written and read (PROTOCOL.krl), and the log key's word on them.

pub use statement::{Statement, StatementError};

mod statement;
