//! The port to a CA key. A key signs only what was recorded: that is its argument's type.
//!
//! ```
//! use ca_server::{issuance::Prepared, ledger::Recorded, signer::Signer};
//! # #[expect(dead_code, reason = "compiled, not run")]
//! async fn a_recorded_certificate_can_be_signed(signer: &dyn Signer, what: &Recorded<Prepared>) {
//!     drop(signer.sign(what.into()).await);
//! }
//! ```
//!
//! The same without the record does not compile:
//!
//! ```compile_fail,E0277
//! use ca_server::{issuance::Prepared, ledger::Recorded, signer::Signer};
//! # #[expect(dead_code, reason = "compiled, not run")]
//! async fn an_unrecorded_certificate_can_be_signed(signer: &dyn Signer, what: &Prepared) {
//!     drop(signer.sign(what.into()).await);
//! }
//! ```
//!
//! And nobody but the ledger can claim that something was recorded:
//!
//! ```compile_fail,E0451
//! use ca_server::{issuance::Prepared, ledger::Recorded};
//! # #[expect(dead_code, reason = "compiled, not run")]
//! fn forged(value: Prepared, other: Recorded<Prepared>) -> Recorded<Prepared> {
//!     Recorded { value, ..other }
//! }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ca_core::certificate::authority_key::AuthorityKey;

use crate::issuance::Prepared;
use crate::issuance::host::PreparedHost;
use crate::ledger::Recorded;

pub mod agent;
pub mod file;

/// A signature blob (RFC 4253 §6.6), as far as its signer says. Made only by signers.
#[derive(Clone)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Algorithm name and signature.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({} bytes)", self.0.len())
    }
}

/// Why a key did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key cannot be reached just now; the same bytes may be tried again.
    #[error("the CA key is not available: {0}")]
    Unavailable(String),
}

/// A pending signature.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Signature, SignError>> + Send + 'a>>;

/// The port to one CA key.
pub trait Signer: Send + Sync + fmt::Debug {
    /// The public half.
    fn public_key(&self) -> &AuthorityKey;

    /// Signs a recorded certificate. May be asked again for the same one.
    ///
    /// The future fails with [`SignError`] when the key does not sign; the record stays, harmless.
    fn sign<'a>(&'a self, what: Signable<'a>) -> Signing<'a>;
}

/// Bytes that were recorded before they are signed: there is no other way to make one.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a>(&'a [u8]);

impl<'a> Signable<'a> {
    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> From<&'a Recorded<Prepared>> for Signable<'a> {
    fn from(recorded: &'a Recorded<Prepared>) -> Self {
        Self(recorded.get().to_be_signed())
    }
}

impl<'a> From<&'a Recorded<PreparedHost>> for Signable<'a> {
    fn from(recorded: &'a Recorded<PreparedHost>) -> Self {
        Self(recorded.get().to_be_signed())
    }
}
