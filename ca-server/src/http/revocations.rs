//! `/v1/revocations` and `/v1/freezes`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ca_core::api::{Freeze, Freezes, Revoke, Revoked};

use super::Shared;
use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;
use crate::ca::Switch;

pub(super) async fn revoke(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<Revoke>,
) -> Result<Json<Revoked>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.revoke(caller, body).await })
        .await
        .map(Json)
}

pub(super) async fn freezes(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<Freezes>, Fault> {
    let freezes = edge.ca.freezes(caller).await;
    freezes.map(Json).map_err(Fault::Failure)
}

pub(super) async fn freeze(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<Freeze>,
) -> Result<Json<Freezes>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.freeze(caller, (body, Switch::On)).await })
        .await
        .map(Json)
}

pub(super) async fn lift(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<Freeze>,
) -> Result<Json<Freezes>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.freeze(caller, (body, Switch::Off)).await })
        .await
        .map(Json)
}
