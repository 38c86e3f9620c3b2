//! `/v1/break-glass` and `/v1/reviews`: emergencies and their review.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use ca_core::api::{
    AddBreakGlassKey, BreakGlassKey, BreakGlassKeys, Challenge, CloseReview, IssuedCertificate,
    OpenBreakGlassSession, RequestCertificate, Reviews, SessionOpened,
};

use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;
use super::requests::number;
use super::{Shared, Source, measure};

pub(super) async fn challenge(State(edge): Shared) -> Result<(StatusCode, Json<Challenge>), Fault> {
    let challenge = edge.ca.challenge().map_err(Fault::Failure)?;
    Ok((StatusCode::CREATED, Json(challenge)))
}

pub(super) async fn keys(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<BreakGlassKeys>, Fault> {
    let keys = edge.ca.break_glass_keys(caller).await;
    keys.map(Json).map_err(Fault::Failure)
}

pub(super) async fn add_key(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<AddBreakGlassKey>,
) -> Result<(StatusCode, Json<BreakGlassKey>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let added = apart(async move { ca.add_break_glass_key(caller, body).await });
    Ok((StatusCode::CREATED, Json(added.await?)))
}

pub(super) async fn remove_key(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(fingerprint): Path<String>,
) -> Result<StatusCode, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.remove_break_glass_key(caller, fingerprint).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn open_session(
    State(edge): Shared,
    source: Source,
    Document(body): Document<OpenBreakGlassSession>,
) -> Result<(StatusCode, Json<SessionOpened>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let opened = apart(async move {
        let outcome = ca.open_break_glass_session(body, source.0).await;
        measure::sign_in(&outcome);
        outcome
    });
    Ok((StatusCode::CREATED, Json(opened.await?)))
}

pub(super) async fn break_glass(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<RequestCertificate>,
) -> Result<(StatusCode, Json<IssuedCertificate>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let issued = apart(async move { Box::pin(ca.break_glass(caller, body)).await });
    Ok((StatusCode::CREATED, Json(issued.await?)))
}

pub(super) async fn reviews(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<Reviews>, Fault> {
    let reviews = Arc::clone(&edge.ca).reviews(caller).await;
    reviews.map(Json).map_err(Fault::Failure)
}

pub(super) async fn close_review(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
    Document(body): Document<CloseReview>,
) -> Result<StatusCode, Fault> {
    let (ca, id) = (Arc::clone(&edge.ca), number(&id)?);
    apart(async move { ca.close_review(caller, id, body).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
