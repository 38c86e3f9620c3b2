//! `jit-ssh logout`: everything back, and the session ended.
//!
//! Deliberately keeps the session file until the CA confirmed: without it nothing could be revoked.

use ca_core::api::ProblemType;

use super::done::{joined, revoke};
use super::take_back::take_back;
use crate::ca::Ca;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::span;
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] when the CA could not be told (6), something is left unrevoked (4) or in an agent
/// that is away (7); the agent here is cleared all the same.
pub(crate) async fn run(ca: &Ca) -> Result<(), Failure> {
    let Some(pins) = crate::pins::Pins::load(&ca.config)? else {
        Session::forget(&ca.config)?;
        ca.voice.result(&format!("{} logged out", tick()));
        ca.voice.json(&serde_json::json!({ "revoked": [] }));
        return Ok(());
    };
    let mut taken = take_back(ca, &pins, None)?;
    let now = clock::now();
    let mut revoked = Vec::new();
    let session = Session::load(&ca.config)?;
    if let Some(session) = &session {
        // What an earlier session of the same person got does not end with this one.
        let environments = taken.environments_of(session.user.as_str());
        let own = revoke(ca, &pins, session, &mut taken, &environments).await;
        let closed = match own {
            Ok(serials) => {
                revoked = serials;
                ca.api.close_session(&session.token).await
            }
            Err(failure) => Err(failure),
        };
        match closed {
            Ok(closed) => revoked.extend(closed.revoked),
            Err(failure) if is_over(&failure) => {}
            Err(failure) => {
                let end = span::clock_time(session.expires_at, now);
                let failure = failure
                    .line(format!(
                        "the session is kept here; it ends by itself at {end}"
                    ))
                    .hint("to end it, run jit-ssh logout again when the CA is back");
                return Err(taken.explain(failure, now));
            }
        }
        taken.ledger.revoked(&revoked, pins.latest_end(now));
        taken.ledger.save(&ca.config)?;
    }
    Session::forget(&ca.config)?;
    let foreign = session.filter(|s| taken.environments_of(s.user.as_str()).is_empty());
    if let Some(failure) = foreign.and_then(|session| taken.not_revoked(&session, now)) {
        return Err(failure);
    }
    if taken.unrevoked().next().is_some() {
        let what = "the session is over, but not everything could be revoked through it";
        return Err(taken.explain(Failure::new(Exit::NotAuthenticated, what), now));
    }
    if let Some(failure) = taken.left_in_agent(now) {
        return Err(failure);
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
