//! `jit-ssh logout`: everything back, and the session ended.

use ca_core::api::ProblemType;

use super::done::{joined, remove_here, still_valid};
use crate::ca::Ca;
use crate::clock;
use crate::failure::Failure;
use crate::pins::Pins;
use crate::session::Session;
use crate::span;
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] when the CA could not be told; agent and session file are cleared all the same.
pub(crate) async fn run(ca: &Ca) -> Result<(), Failure> {
    let held = match Pins::load(&ca.config)? {
        Some(pins) => remove_here(ca, &pins, None)?,
        None => super::done::Held::new(),
    };
    let session = Session::load(&ca.config)?;
    Session::forget(&ca.config)?;
    let mut revoked = Vec::new();
    if let Some(session) = session {
        match ca.api.close_session(&session.token).await {
            Ok(closed) => revoked = closed.revoked,
            Err(failure) if is_over(&failure) => {}
            Err(failure) => {
                let now = clock::now();
                let end = span::clock_time(session.expires_at, now);
                let failure = failure.line(format!(
                    "forgotten here; the session at the CA ends by itself at {end}"
                ));
                return Err(still_valid(failure, &held, now));
            }
        }
    }
    ca.voice.result(&match revoked.as_slice() {
        [] => format!("{} logged out", tick()),
        some => format!("{} logged out   revoked serial {}", tick(), joined(some)),
    });
    ca.voice.json(&serde_json::json!({ "revoked": revoked }));
    Ok(())
}

/// A session that the CA no longer knows needs no ending.
fn is_over(failure: &Failure) -> bool {
    let kind = failure.problem.as_ref().map(|problem| problem.kind);
    kind == Some(ProblemType::SessionRequired)
}
