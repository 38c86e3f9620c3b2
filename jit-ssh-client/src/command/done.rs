//! `jit-ssh done [ENV]`: give certificates back.
//!
//! Deliberately in this order: out of the agent first, which needs nobody, then revoked at the CA.

use std::collections::BTreeMap;

use ca_core::api::{ProblemType, Revoke};
use ca_core::name::Environment;
use ca_core::time::Timestamp;

use super::agent_if_any;
use super::login::parse_environment;
use crate::ca::Ca;
use crate::cli::Done;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::grant;
use crate::pins::Pins;
use crate::session::Session;
use crate::span;
use crate::terminal::tick;

/// What was held: environment and when the last certificate there ends.
pub(super) type Held = BTreeMap<Environment, Timestamp>;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] when the CA could not be told (4, 6): the certificate is then gone here, and good
/// until its end for whoever else has the key.
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
    let held = remove_here(ca, &pins, wanted.as_ref())?;
    let now = clock::now();
    let session = Session::load(&ca.config)?.filter(|session| session.serves(None, now));
    let mut environments: Vec<Environment> = held.keys().cloned().collect();
    // Another machine may hold one: the CA is asked even when nothing was here.
    environments.extend(wanted.filter(|name| !held.contains_key(name)));
    let Some(session) = session else {
        return without_session(ca, &held, now);
    };
    let mut serials = Vec::new();
    for environment in &environments {
        let body = Revoke {
            serial: None,
            mine: Some(environment.to_string()),
            reason: None,
        };
        let answer = ca.api.revoke(&session.token, &body).await;
        let revoked = answer.map_err(|failure| still_valid(failure, &held, now))?;
        ca.voice.result(&format!(
            "{} {environment} given back{}",
            tick(),
            match revoked.serials.as_slice() {
                [] => ": nothing was live at the CA".to_owned(),
                some => format!("   revoked serial {}", joined(some)),
            }
        ));
        serials.extend(revoked.serials);
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

/// Numbers with commas between.
pub(super) fn joined(serials: &[u64]) -> String {
    let texts: Vec<String> = serials.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Takes our certificates of `wanted` (all for none) out of agent and files.
///
/// # Errors
///
/// A [`Failure`] when a file cannot be removed. An agent that is away is only worth a word.
pub(super) fn remove_here(
    ca: &Ca,
    pins: &Pins,
    wanted: Option<&Environment>,
) -> Result<Held, Failure> {
    let now = clock::now();
    let mut agent = agent_if_any();
    let mut live = grant::prune(&ca.config, pins, agent.as_mut(), now)?;
    // What was written counts too: the agent may be away or locked and still hold the key.
    live.extend(grant::written(&ca.config, pins)?);
    live.retain(|held| !held.is_over(now) && wanted.is_none_or(|name| *name == held.environment));
    let mut held = Held::new();
    for one in &live {
        let end = held.entry(one.environment.clone()).or_insert(one.end());
        *end = one.end().max(*end);
    }
    if let Some(agent) = agent.as_mut() {
        grant::remove_from_agent(agent, pins, wanted)?;
    }
    for environment in held.keys() {
        grant::remove_files(&ca.config, environment)?;
    }
    Ok(held)
}

fn without_session(ca: &Ca, held: &Held, now: Timestamp) -> Result<(), Failure> {
    if held.is_empty() {
        ca.voice.result("nothing to give back");
        ca.voice
            .json(&serde_json::json!({"environments": [], "revoked": []}));
        return Ok(());
    }
    let what = "removed here, but not revoked: there is no open session at the CA";
    Err(still_valid(
        Failure::new(Exit::NotAuthenticated, what),
        held,
        now,
    ))
}

/// `failure` with what it leaves behind.
pub(super) fn still_valid(mut failure: Failure, held: &Held, now: Timestamp) -> Failure {
    for (environment, end) in held {
        failure = failure.line(format!(
            "the {environment} certificate is out of the agent here, but stays valid until {}",
            span::clock_time(*end, now)
        ));
    }
    let kind = failure.problem.as_ref().map(|problem| problem.kind);
    if failure.exit == Exit::NotAuthenticated || kind == Some(ProblemType::SessionRequired) {
        failure.hints.clear();
        return failure.hint("to revoke it: jit-ssh login ENV --fresh, then jit-ssh done ENV");
    }
    if held.is_empty() {
        return failure;
    }
    failure.hint("to revoke it, run jit-ssh done ENV again when the CA is back")
}
