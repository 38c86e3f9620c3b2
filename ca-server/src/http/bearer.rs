//! `Authorization: Bearer`: of the token only its digest goes on.
//!
//! A missing or malformed token is the digest of nothing, which no session has: the use case then
//! refuses and records it like any other unknown one, and the answer has one face.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use ca_core::digest::Digest;

use super::Source;
use super::source::UNKNOWN;
use crate::ca::Caller;

/// Longest token looked at, bytes. Ours have 43.
const TOKEN_BYTES_MAX: usize = 128;

/// Who calls, as far as the request says.
pub(super) struct Bearer(pub(super) Caller);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let source = parts.extensions.get::<Source>();
        Ok(Self(Caller {
            session: Digest::of(token(&parts.headers).unwrap_or_default().as_bytes()),
            source: source.map_or(UNKNOWN, |source| source.0),
        }))
    }
}

/// The one bearer token of these headers (RFC 6750 §2.1).
fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let bearer = scheme.eq_ignore_ascii_case("bearer") && token.len() <= TOKEN_BYTES_MAX;
    bearer.then_some(token)
}
