//! `jit-ssh done [ENV]`: give certificates back. Hosts end the ssh sessions of what is revoked.
//!
//! Deliberately in this order: out of the agent first, which needs nobody, then revoked at the CA.
//! What could not be done is in the ledger, so the next run knows of it.

use std::collections::BTreeSet;

use ca_core::api::Revoke;
use ca_core::name::Environment;
use ca_core::time::Timestamp;

use super::login::parse_environment;
use super::take_back::{Taken, take_back};
use crate::ca::Ca;
use crate::cli::Done;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::pins::Pins;
use crate::session::Session;
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] when the CA could not be told (4, 6), when a certificate is somebody else's (4),
/// or when the agent could not be reached (7): who has the key may use it until its end.
pub(crate) async fn run(ca: &Ca, args: &Done) -> Result<(), Failure> {
    let wanted = args.environment.as_deref().map(parse_environment);
    let wanted = wanted.transpose()?;
    let pins = match Pins::load(&ca.config)? {
        Some(pins) => pins,
        None => ca.pins().await?,
    };
    if let Some(name) = &wanted {
        ca.environment(&mut pins.clone(), name).await?;
    }
    let mut taken = take_back(ca, &pins, wanted.as_ref())?;
    let now = clock::now();
    let session = Session::load(&ca.config)?.filter(|session| session.serves(None, now));
    let Some(session) = session else {
        return without_session(ca, &taken, now);
    };
    // Another machine may hold one: the CA is asked even when nothing was here.
    let mut environments = taken.environments_of(session.user.as_str());
    environments.extend(wanted);
    let revoked = revoke(ca, &pins, &session, &mut taken, &environments).await;
    let serials = revoked.map_err(|failure| taken.explain(failure, now))?;
    if let Some(failure) = taken
        .not_revoked(&session, now)
        .or(taken.left_in_agent(now))
    {
        return Err(failure);
    }
    if environments.is_empty() {
        ca.voice.result("nothing to give back");
    }
    ca.voice.json(&serde_json::json!({
        "environments": environments,
        "revoked": serials,
    }));
    Ok(())
}

/// Revokes what the person of `session` holds in `environments`; the serials. What is revoked is
/// written down at once, for the next call may fail.
///
/// # Errors
///
/// A [`Failure`] of the CA.
pub(super) async fn revoke(
    ca: &Ca,
    pins: &Pins,
    session: &Session,
    taken: &mut Taken,
    environments: &BTreeSet<Environment>,
) -> Result<Vec<u64>, Failure> {
    let mut serials = Vec::new();
    for environment in environments {
        let body = Revoke {
            mine: Some(environment.to_string()),
            ..Revoke::default()
        };
        let revoked = ca.api.revoke(&session.token, &body).await?;
        let end = pins.latest_end(clock::now());
        taken.ledger.revoked(&revoked.serials, end);
        taken
            .ledger
            .nothing_live(environment, session.user.as_str());
        taken.ledger.save(&ca.config)?;
        if !taken.is_left(environment, session.user.as_str()) {
            ca.voice.result(&format!(
                "{} {environment} given back{}",
                tick(),
                match revoked.serials.as_slice() {
                    [] => ": nothing was live at the CA".to_owned(),
                    some => format!(
                        "   revoked serial {}; its running ssh sessions end too",
                        joined(some)
                    ),
                }
            ));
        }
        serials.extend(revoked.serials);
    }
    Ok(serials)
}

/// Numbers with commas between.
pub(super) fn joined(serials: &[u64]) -> String {
    let texts: Vec<String> = serials.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn without_session(ca: &Ca, taken: &Taken, now: Timestamp) -> Result<(), Failure> {
    if taken.unrevoked().next().is_some() {
        let what = "removed here, but not revoked: there is no open session at the CA";
        let failure = Failure::new(Exit::NotAuthenticated, what);
        return Err(taken.explain(failure, now));
    }
    if let Some(failure) = taken.left_in_agent(now) {
        return Err(failure);
    }
    ca.voice.result("nothing to give back");
    ca.voice
        .json(&serde_json::json!({"environments": [], "revoked": []}));
    Ok(())
}
