//! Getting in while the authority is away: holders' keys of every kind, a real sshd that trusts both
//! CA keys, and the record that finds its way into the log afterwards. No server runs unless a test
//! says so; `age` is the judge of what is sealed.

pub mod ceremony;
mod import;
mod login;
mod refusals;
mod remote;
