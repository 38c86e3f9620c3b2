//! `POST /v1/certificates`: the main job.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ca_core::api::RequestCertificate;

use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;
use super::{Shared, measure};
use crate::ca::Answer;

pub(super) async fn request(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<RequestCertificate>,
) -> Result<Response, Fault> {
    let ca = Arc::clone(&edge.ca);
    let answer = apart(async move {
        let known = ca.environments.get_key_value(body.environment.as_str());
        let environment = known.map(|(name, _)| name.clone());
        let outcome = Box::pin(ca.issue(caller, body)).await;
        let label = environment.as_ref().map_or("unknown", |name| name.as_str());
        measure::certificate(label, &outcome);
        outcome
    });
    Ok(match answer.await? {
        Answer::Issued(issued) => (StatusCode::CREATED, Json(issued)).into_response(),
        Answer::Waits(request) => (StatusCode::ACCEPTED, Json(request)).into_response(),
    })
}
