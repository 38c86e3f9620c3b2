//! `POST /v1/certificates`: the main job.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ca_core::api::{IssuedCertificate, RequestCertificate};

use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;
use super::{Shared, measure};

pub(super) async fn request(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<RequestCertificate>,
) -> Result<(StatusCode, Json<IssuedCertificate>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let issued = apart(async move {
        let known = ca.environments.get_key_value(body.environment.as_str());
        let environment = known.map(|(name, _)| name.clone());
        let outcome = Box::pin(ca.issue(caller, body)).await;
        let label = environment.as_ref().map_or("unknown", |name| name.as_str());
        measure::certificate(label, &outcome);
        outcome
    });
    Ok((StatusCode::CREATED, Json(issued.await?)))
}
