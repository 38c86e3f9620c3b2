//! How a use case fails. What a client sees of it is decided in the HTTP edge.

use ca_core::api::{Hint, PolicyReason};

use ca_core::time::Timestamp;

use crate::ledger::CommitError;

/// Why a use case did nothing for its caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was recorded or issued; try again.
    #[error("busy: {0}")]
    Busy(&'static str),
    /// The CA key did not sign; the record stays, harmless.
    #[error("the CA key did not sign")]
    CaKeyUnavailable,
    /// Policy said no.
    #[error("denied")]
    Denied {
        /// Why.
        reasons: Vec<PolicyReason>,
        /// The nearest things allowed.
        hints: Vec<Hint>,
    },
    /// The person or the environment is frozen.
    #[error("frozen: {0}")]
    Frozen(String),
    /// A bug or a broken part. The detail is for the operator's trace only.
    #[error("internal: {0}")]
    Internal(String),
    /// A field is wrong.
    #[error("{field}: {detail}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What was wrong and what is allowed.
        detail: String,
    },
    /// Sign-in refused: one face, whatever the reason.
    #[error("sign-in refused")]
    LoginRefused,
    /// No such thing.
    #[error("not found: {0}")]
    NotFound(&'static str),
    /// Its time has not come.
    #[error("not before {0}")]
    NotYet(Timestamp),
    /// The identity provider cannot be reached.
    #[error("the identity provider cannot be reached")]
    ProviderUnavailable,
    /// The access request is another than the caller takes it for.
    #[error("{0}")]
    RequestChanged(String),
    /// The access request is over.
    #[error("{0}")]
    RequestClosed(String),
    /// The request id names another wish, or one that was given back.
    #[error("the request id was used before")]
    RequestIdReused,
    /// No open session.
    #[error("no open session")]
    SessionRequired,
    /// The ledger has stopped; the process is about to.
    #[error("the ledger has stopped")]
    Stopped,
    /// Too many wrong second factors.
    #[error("too many attempts")]
    TooManyAttempts {
        /// When the next one is evaluated.
        retry_after_seconds: u64,
    },
    /// No second factor is enrolled.
    #[error("no second factor is enrolled")]
    TotpNotEnrolled,
    /// The second factor was not shown.
    #[error("a second factor is required")]
    TotpRequired,
}

impl From<CommitError<Self>> for Failure {
    fn from(error: CommitError<Self>) -> Self {
        match error {
            CommitError::Busy(why) => Self::Busy(why),
            CommitError::Refused(why) => why,
            CommitError::Stopped => Self::Stopped,
        }
    }
}

impl From<CommitError<std::convert::Infallible>> for Failure {
    fn from(error: CommitError<std::convert::Infallible>) -> Self {
        match error {
            CommitError::Busy(why) => Self::Busy(why),
            CommitError::Refused(never) => match never {},
            CommitError::Stopped => Self::Stopped,
        }
    }
}
