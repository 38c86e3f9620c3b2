//! `/v1/requests`: access requests, shown, waited for and decided; `/v1/history`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use ca_core::api::{
    AccessRequest, Approve, DenyRequest, History, Requests, RequestsQuery, WhyDecided,
};
use serde::Deserialize;

use super::Shared;
use super::apart::apart;
use super::bearer::Bearer;
use super::document::{Document, Parameters};
use super::problem::Fault;
use crate::ca::Wait;

/// `?after=…&wait=…` of a long poll.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    #[serde(default)]
    after: Option<u64>,
    #[serde(default)]
    wait: u64,
}

impl From<Poll> for Wait {
    fn from(poll: Poll) -> Self {
        Self {
            after: poll.after,
            seconds: poll.wait,
        }
    }
}

/// A number in a path; anything else names nothing.
pub(super) fn number(text: &str) -> Result<u64, Fault> {
    text.parse().map_err(|_| Fault::UnknownRoute)
}

pub(super) async fn list(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Parameters(query): Parameters<RequestsQuery>,
) -> Result<Json<Requests>, Fault> {
    let requests = Arc::clone(&edge.ca).requests(caller, query.show).await;
    let requests = requests.map_err(Fault::Failure)?;
    Ok(Json(Requests { requests }))
}

/// A waiter is dropped with its connection: nothing is decided here that could be left half done.
pub(super) async fn show(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
    Parameters(poll): Parameters<Poll>,
) -> Result<Json<AccessRequest>, Fault> {
    let shown = Arc::clone(&edge.ca).request(caller, number(&id)?, poll.into());
    shown.await.map(Json).map_err(Fault::Failure)
}

pub(super) async fn history(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
) -> Result<Json<History>, Fault> {
    let told = Arc::clone(&edge.ca).history(caller, number(&id)?).await;
    told.map(Json).map_err(Fault::Failure)
}

/// `last` is the newest decision about the caller.
pub(super) async fn why(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
) -> Result<Json<WhyDecided>, Fault> {
    let which = match id.as_str() {
        "last" => None,
        number => Some(self::number(number)?),
    };
    let told = Arc::clone(&edge.ca).why(caller, which).await;
    told.map(Json).map_err(Fault::Failure)
}

pub(super) async fn approve(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
    Document(body): Document<Approve>,
) -> Result<Json<AccessRequest>, Fault> {
    let (ca, id) = (Arc::clone(&edge.ca), number(&id)?);
    apart(async move { ca.approve(caller, id, body).await })
        .await
        .map(Json)
}

pub(super) async fn deny(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
    Document(body): Document<DenyRequest>,
) -> Result<Json<AccessRequest>, Fault> {
    let (ca, id) = (Arc::clone(&edge.ca), number(&id)?);
    apart(async move { ca.deny(caller, id, body).await })
        .await
        .map(Json)
}

pub(super) async fn withdraw(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
) -> Result<Json<AccessRequest>, Fault> {
    let (ca, id) = (Arc::clone(&edge.ca), number(&id)?);
    apart(async move { ca.withdraw(caller, id).await })
        .await
        .map(Json)
}
