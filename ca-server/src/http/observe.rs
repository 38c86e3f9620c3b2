//! What is said about each request: an id, one line of trace, two figures, and the headers that
//! every answer has. Never a body, a token or a query.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Edge, Source};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names the request, traces and measures it.
pub(super) async fn observe(
    State(edge): State<Arc<Edge>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let id = edge.meters.next_request_id();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let source = request.extensions().get().map(|source: &Source| source.0);
    let span = tracing::info_span!("request", id, %method, route, source = ?source);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    let took = began.elapsed();
    span.in_scope(|| {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(status = status.as_u16(), microseconds, "answered");
    });
    edge.meters.answered(&method, route, status, took);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// Headers of every answer. What does not say otherwise is not to be kept by anybody.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Ids that do not repeat within a process and hardly between processes.
pub(super) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let mut random = [0; 4];
        // Without randomness ids repeat after a restart, which is no reason not to start.
        getrandom::fill(&mut random).unwrap_or_default();
        Self {
            process: u32::from_be_bytes(random),
            next: AtomicU64::new(1),
        }
    }

    pub(super) fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{number:x}", self.process)
    }
}
