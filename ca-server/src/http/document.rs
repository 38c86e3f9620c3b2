//! Bodies and queries: bounded in size and time, JSON only, no unknown fields.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use ca_core::api::BODY_BYTES_MAX;
use serde::de::DeserializeOwned;
use std::sync::Arc;

use super::Edge;
use super::problem::Fault;

/// A JSON body of at most [`BODY_BYTES_MAX`] bytes.
pub(super) struct Document<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Edge>> for Document<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, edge: &Arc<Edge>) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Fault::NotDeclaredJson);
        }
        if declared_length(&parts.headers).is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(Fault::TooLarge);
        }
        let read = tokio::time::timeout(edge.settings.body_timeout, to_bytes(body, BODY_BYTES_MAX));
        let bytes = read
            .await
            .map_err(|_| Fault::SlowBody)?
            .map_err(|error| Fault::unreadable(&error))?;
        parse(&bytes).map(Self)
    }
}

/// The document in `bytes`, or what is wrong with it and in which field.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let document = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Fault::not_json(&error.path().to_string(), error.inner()))?;
    reader.end().map_err(|error| Fault::not_json(".", &error))?;
    Ok(document)
}

/// A query string without unknown fields.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let Query(parameters) =
            Query::try_from_uri(&parts.uri).map_err(|rejection| Fault::query(&rejection))?;
        Ok(Self(parameters))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).map(HeaderValue::to_str);
    let Some(Ok(declared)) = declared else {
        return false;
    };
    let essence = declared.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
