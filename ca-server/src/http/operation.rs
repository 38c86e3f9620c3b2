//! `/healthz`, `/readyz` and `/metrics`, for those who run the server.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;

use super::problem::Fault;
use super::{MetricsFor, Shared, Source, source};
use crate::ca::Failure;

/// How long the ledger may take to answer a question and still count as ready.
const READY_WITHIN: Duration = Duration::from_secs(1);

const METRICS_HEADERS: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; version=0.0.4")];

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// The ledger takes decisions.
pub(super) async fn ready(State(edge): Shared) -> Result<&'static str, Fault> {
    let look = edge.ca.ledger.read(|_, _| ());
    match tokio::time::timeout(READY_WITHIN, look).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(error)) => Err(Fault::Failure(error.into())),
        Err(_) => Err(Fault::Failure(Failure::Busy("the ledger does not answer"))),
    }
}

pub(super) async fn metrics(
    State(edge): Shared,
    source: Source,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Fault> {
    // A proxy on this machine that is not configured as one must not lend others its address.
    let nearby = is_loopback(source.0) && !source::was_forwarded(&headers);
    if edge.settings.metrics_for == MetricsFor::Loopback && !nearby {
        return Err(Fault::NotFromThere);
    }
    let figures = edge.meters.render(edge.ca.ledger.size());
    Ok((METRICS_HEADERS, figures))
}

const fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
