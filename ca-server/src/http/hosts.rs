//! `/v1/hosts` and the revocation lists: what hosts and their administrators ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use ca_core::api::{
    EnrolHost, HostCertificate, HostEnrolled, HostReport, HostSettings, Hosts, IssueJoinToken,
    JoinToken, RemoveHost, ReportTaken,
};

use super::apart::apart;
use super::bearer::Bearer;
use super::document::{Document, Parameters};
use super::problem::Fault;
use super::requests::{Poll, number};
use super::{Shared, Source};
use crate::ca::Wait;

pub(super) async fn token(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<IssueJoinToken>,
) -> Result<(StatusCode, Json<JoinToken>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let issued = apart(async move { ca.issue_join_token(caller, body).await });
    Ok((StatusCode::CREATED, Json(issued.await?)))
}

pub(super) async fn enrol(
    State(edge): Shared,
    source: Source,
    Document(body): Document<EnrolHost>,
) -> Result<(StatusCode, Json<HostEnrolled>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let enrolled = apart(async move { ca.enrol_host(body, source.0).await });
    Ok((StatusCode::CREATED, Json(enrolled.await?)))
}

pub(super) async fn remove(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(id): Path<String>,
    Document(body): Document<RemoveHost>,
) -> Result<StatusCode, Fault> {
    let (ca, id) = (Arc::clone(&edge.ca), number(&id)?);
    apart(async move { ca.remove_host(caller, (id, body)).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<Hosts>, Fault> {
    let hosts = Arc::clone(&edge.ca).hosts(caller).await;
    hosts.map(Json).map_err(Fault::Failure)
}

pub(super) async fn settings(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<Json<HostSettings>, Fault> {
    let settings = edge.ca.host_settings(caller).await;
    settings.map(Json).map_err(Fault::Failure)
}

pub(super) async fn renew(
    State(edge): Shared,
    Bearer(caller): Bearer,
) -> Result<(StatusCode, Json<HostCertificate>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let renewed = apart(async move { ca.renew_host_certificate(caller).await });
    Ok((StatusCode::CREATED, Json(renewed.await?)))
}

pub(super) async fn report(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<HostReport>,
) -> Result<Json<ReportTaken>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.host_report(caller, body).await })
        .await
        .map(Json)
}

/// The list of an environment. Its statement is the entity tag: who has it already gets 304.
pub(super) async fn revocation_list(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Path(environment): Path<String>,
    Parameters(poll): Parameters<Poll>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let wait = Wait::from(poll);
    let host = wait.after.map(|_| caller);
    let list = Arc::clone(&edge.ca)
        .revocation_list(&environment, (host, wait))
        .await
        .map_err(Fault::Failure)?;
    let tag = ca_core::digest::Digest::of(list.statement.as_bytes());
    let tag = HeaderValue::try_from(format!("\"{tag}\"")).map_err(|_| Fault::Panicked)?;
    if headers.get(IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(([(ETAG, tag)], Json(&*list)).into_response())
}
