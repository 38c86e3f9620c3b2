//! `/v1/totp`: enrolling a second factor.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ca_core::api::{
    BeginEnrolment, ConfirmEnrolment, EnrolmentBegun, EnrolmentConfirmed, IssueTicket, TicketIssued,
};

use super::apart::apart;
use super::bearer::Bearer;
use super::document::Document;
use super::problem::Fault;
use super::{Shared, Source};

pub(super) async fn begin(
    State(edge): Shared,
    source: Source,
    Document(body): Document<BeginEnrolment>,
) -> Result<(StatusCode, Json<EnrolmentBegun>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let begun = apart(async move { ca.begin_enrolment(body, source.0).await });
    Ok((StatusCode::CREATED, Json(begun.await?)))
}

pub(super) async fn confirm(
    State(edge): Shared,
    source: Source,
    Document(body): Document<ConfirmEnrolment>,
) -> Result<Json<EnrolmentConfirmed>, Fault> {
    let ca = Arc::clone(&edge.ca);
    apart(async move { ca.confirm_enrolment(body, source.0).await })
        .await
        .map(Json)
}

pub(super) async fn ticket(
    State(edge): Shared,
    Bearer(caller): Bearer,
    Document(body): Document<IssueTicket>,
) -> Result<(StatusCode, Json<TicketIssued>), Fault> {
    let ca = Arc::clone(&edge.ca);
    let issued = apart(async move { ca.issue_ticket(caller, body).await });
    Ok((StatusCode::CREATED, Json(issued.await?)))
}
