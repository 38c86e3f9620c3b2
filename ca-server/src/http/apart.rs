//! Runs a use case in a task of its own: a client that hangs up cannot leave one half done, and a
//! panic in one is an answer, not the end of a connection.

use std::future::Future;

use tracing::Instrument as _;

use super::problem::Fault;
use crate::ca::Failure;

/// The outcome of `work`, which goes on to its end even if nobody waits for it any more.
pub(super) async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome.map_err(Fault::Failure),
        Err(error) => {
            tracing::error!(%error, "a use case did not end well");
            Err(Fault::Panicked)
        }
    }
}
