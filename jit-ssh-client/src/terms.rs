//! The terms of access requests as they were opened from this machine, and which open request a
//! login means.
//!
//! An approver may shorten the window, but what is activated must be what was asked for. So the
//! terms are kept until the request is over; a request opened elsewhere is taken at its word.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use ca_core::api::{AccessRequest, DiscoveredEnvironment, RequestStatus};
use ca_core::digest::Digest;
use ca_core::name::Principal;
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::Failure;
use crate::file;
use crate::issue::{Ground, Wish};

/// What was asked for in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Terms {
    /// The request's digest, which no other request has.
    digest: Digest,
    principals: Vec<Principal>,
    duration_seconds: Option<u64>,
    reason: Option<String>,
    ticket: Option<String>,
    not_before: Option<Timestamp>,
    expires_at: Timestamp,
}

/// Those of all open requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    requests: Vec<Terms>,
}

fn path(config: &Config) -> PathBuf {
    config.state.join("requests.json")
}

fn load(config: &Config, now: Timestamp) -> Result<Kept, Failure> {
    let text = file::read(&path(config))?;
    let kept = text.and_then(|text| serde_json::from_str::<Kept>(&text).ok());
    let mut kept = kept.unwrap_or_default();
    kept.requests.retain(|terms| now < terms.expires_at);
    Ok(kept)
}

/// Keeps what `wish` asked for in `request`.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn remember(
    config: &Config,
    request: &AccessRequest,
    wish: &Wish,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut kept = load(config, now)?;
    kept.requests.retain(|terms| terms.digest != request.digest);
    kept.requests.push(Terms {
        digest: request.digest,
        principals: wish.principals.clone(),
        duration_seconds: wish.duration.map(|duration| duration.as_secs()),
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
        not_before: wish.not_before,
        expires_at: request.expires_at,
    });
    let text = serde_json::to_vec(&kept);
    let text = text.map_err(|e| Failure::local(format!("cannot write the requests: {e}")))?;
    file::replace(&path(config), &text)
}

/// The wish that activates `request`: with the terms it was opened with.
///
/// # Errors
///
/// A [`Failure`] when the file of terms cannot be read.
pub(crate) fn activation(
    config: &Config,
    request: &AccessRequest,
    environment: DiscoveredEnvironment,
    now: Timestamp,
) -> Result<Wish, Failure> {
    let kept = load(config, now)?.requests.into_iter();
    let mut kept = kept.filter(|terms| terms.digest == request.digest);
    let terms = kept.next().unwrap_or_else(|| at_its_word(request));
    Ok(Wish {
        environment,
        principals: terms.principals,
        duration: terms.duration_seconds.map(Duration::from_secs),
        reason: terms.reason,
        ticket: terms.ticket,
        not_before: terms.not_before,
        ground: Ground::Request(request.id),
    })
}

fn at_its_word(request: &AccessRequest) -> Terms {
    Terms {
        digest: request.digest,
        principals: request.principals.clone(),
        duration_seconds: Some(request.duration_seconds),
        reason: request.reason.clone(),
        ticket: request.ticket.clone(),
        not_before: request.not_before,
        expires_at: request.expires_at,
    }
}

/// Whether requests were opened from this machine whose time is not over: then it is worth asking
/// the CA about them.
///
/// # Errors
///
/// A [`Failure`] when the file of terms cannot be read.
pub(crate) fn any(config: &Config, now: Timestamp) -> Result<bool, Failure> {
    Ok(!load(config, now)?.requests.is_empty())
}

/// The open request among `requests` that `wish` means: nothing that was said contradicts it. One
/// that can be used now comes first, then the newest.
///
/// # Errors
///
/// A [`Failure`] when the file of terms cannot be read.
pub(crate) fn meant<'a>(
    config: &Config,
    requests: &'a [AccessRequest],
    wish: &Wish,
    now: Timestamp,
) -> Result<Option<&'a AccessRequest>, Failure> {
    let kept = load(config, now)?.requests;
    let open = requests.iter().filter(|request| {
        let terms = kept.iter().find(|terms| terms.digest == request.digest);
        let asked = terms.and_then(|terms| terms.duration_seconds);
        is_open(request, now) && agrees(wish, request, asked)
    });
    Ok(open.max_by_key(|request| (is_usable(request, now), request.id)))
}

/// Whether it can still become a certificate for the caller.
pub(crate) fn is_open(request: &AccessRequest, now: Timestamp) -> bool {
    let alive = matches!(
        request.status,
        RequestStatus::Waiting | RequestStatus::Approved
    );
    request.mine && alive && now < request.expires_at
}

/// Whether it has what it needs, and its time has come.
pub(crate) fn is_usable(request: &AccessRequest, now: Timestamp) -> bool {
    let begins = request.not_before.is_none_or(|begin| begin <= now);
    request.status == RequestStatus::Approved && begins
}

fn agrees(wish: &Wish, request: &AccessRequest, asked_seconds: Option<u64>) -> bool {
    let names = |names: &[Principal]| names.iter().cloned().collect::<BTreeSet<_>>();
    let duration = wish.duration.is_none_or(|duration| {
        let seconds = Some(duration.as_secs());
        seconds == Some(request.duration_seconds) || seconds == asked_seconds
    });
    request.environment == wish.environment.name
        && (wish.principals.is_empty() || names(&wish.principals) == names(&request.principals))
        && duration
        && (wish.reason.is_none() || wish.reason == request.reason)
        && (wish.ticket.is_none() || wish.ticket == request.ticket)
        && (wish.not_before.is_none() || wish.not_before == request.not_before)
}

#[cfg(test)]
pub(crate) mod tests;
