//! `/v1/sessions`: signing in, looking, signing out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ca_core::api::{OpenSession, SessionClosed, SessionOpened, SessionStatus};

use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;
use super::{Shared, Source, measure};

pub(super) async fn open(
    State(edge): Shared,
    source: Source,
    Document(body): Document<OpenSession>,
) -> Result<(StatusCode, Json<SessionOpened>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let opened = apart(async move {
        let outcome = ca.log_in(body, source.0).await;
        measure::sign_in(&outcome);
        outcome
    });
    Ok((StatusCode::CREATED, Json(opened.await?)))
}

pub(super) async fn status(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<SessionStatus>, Fault> {
    let status = Arc::clone(&edge.ca).session_status(caller).await;
    status.map(Json).map_err(Fault::Failure)
}

pub(super) async fn close(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<SessionClosed>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.log_out(caller).await })
        .await
        .map(Json)
}
