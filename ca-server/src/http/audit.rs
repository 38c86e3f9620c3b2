//! `GET /v1/audit`: records for people whom policy lets read them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ca_core::api::{AuditPage, AuditQuery};

use super::Shared;
use super::apart::apart;
use super::bearer::Bearer;
use super::document::Parameters;
use super::problem::Fault;

pub(super) async fn read(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Parameters(query): Parameters<AuditQuery>,
) -> Result<Json<AuditPage>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.read_audit(caller, query).await })
        .await
        .map(Json)
}
