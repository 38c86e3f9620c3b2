//! Who is asking: ID tokens, time-based codes and recovery codes, judged from arguments alone.
//!
//! Nothing here reads a clock, a file or the network, and nothing remembers: which step, token or
//! recovery code was used before is part of the state and is passed in.

pub mod id_token;
pub mod recovery;
pub mod session;
pub mod sshsig;
pub mod totp;

pub use id_token::{IdTokenError, Identity, IssuerConfig, KeySet};
pub use totp::{Lockout, TotpError};
