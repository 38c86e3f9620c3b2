//! `POST /v1/revocations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ca_core::api::{Revoke, Revoked};

use super::Shared;
use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;

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
