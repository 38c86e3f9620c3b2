//! A small OpenID provider for a try on one machine: discovery, keys, code + PKCE (RFC 7636) and
//! the device flow (RFC 8628), people picked by a click.
//!
//! It protects nothing: everybody who reaches it may sign in as anybody. It still keeps the
//! protocol strictly, so that what works here works with a real provider. No refresh tokens, no
//! userinfo, no client secrets. TLS and the listening address are the caller's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use ca_core::time::Timestamp;
use serde_json::json;
use tower_http::set_header::SetResponseHeaderLayer;

use grants::Grants;
use token::Signer;

mod authorize;
mod device;
mod grants;
mod page;
mod token;

/// Random bytes of the signing key; persist them so that a restart keeps the key.
pub const SIGNING_SEED_BYTES: usize = 32;

/// Largest request body, bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Longest value of one request parameter, bytes.
const PARAMETER_BYTES_MAX: usize = 2048;

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevPerson {
    /// `preferred_username`, and what `login_hint` must say.
    pub name: String,
    /// Full name.
    pub full_name: String,
    /// The `groups` claim.
    pub groups: Vec<String>,
}

/// What the provider is made of.
pub struct ProviderConfig {
    /// Issuer URL without trailing slash: where the router is reachable.
    pub issuer: String,
    /// The one client.
    pub client_id: String,
    /// Who can sign in.
    pub people: Vec<DevPerson>,
    /// Ed25519 seed of the token key.
    pub signing_seed: zeroize::Zeroizing<[u8; SIGNING_SEED_BYTES]>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

impl std::fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("issuer", &self.issuer)
            .field("people", &self.people)
            .finish_non_exhaustive()
    }
}

/// alice (engineering), bob (sre) and carol (security).
#[must_use]
pub fn people() -> Vec<DevPerson> {
    [
        ("alice", "Alice Example", "engineering"),
        ("bob", "Bob Example", "sre"),
        ("carol", "Carol Example", "security approver"),
    ]
    .map(|(name, full_name, group)| DevPerson {
        name: name.to_owned(),
        full_name: full_name.to_owned(),
        groups: group.split(" ").map(str::to_owned).collect(),
    })
    .into()
}

/// The `sub` of the person of this name, which restarts do not change.
#[must_use]
pub fn sub(name: &str) -> String {
    format!("dev|{name}")
}

struct Provider {
    issuer: String,
    client_id: String,
    people: Vec<DevPerson>,
    signer: Signer,
    now: fn() -> Timestamp,
    grants: Mutex<Grants>,
}

type Shared = State<Arc<Provider>>;

impl Provider {
    fn person(&self, name: &str) -> Option<&DevPerson> {
        self.people.iter().find(|person| person.name == name)
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        // Each change of the grants is one insert or remove, so none is ever half done.
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The provider's routes, to be served at the root of the issuer URL. Loopback only, please.
pub fn router(config: ProviderConfig) -> Router {
    let provider = Provider {
        signer: Signer::new(&config.signing_seed),
        issuer: config.issuer,
        client_id: config.client_id,
        people: config.people,
        now: config.now,
        grants: Mutex::new(Grants::default()),
    };
    let header =
        |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/authorize", get(authorize::authorize))
        .route("/token", post(token::token))
        .route("/device_authorization", post(device::begin))
        .route("/device", get(device::show).post(device::confirm))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(header(CACHE_CONTROL, "no-store"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'",
        ))
        .with_state(Arc::new(provider))
}

async fn discovery(State(provider): Shared) -> Response {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device_authorization"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", device::GRANT_TYPE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid", "profile", "email", "groups"],
        "claims_supported": ["sub", "name", "preferred_username", "email", "email_verified",
            "groups"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn jwks(State(provider): Shared) -> Response {
    Json(json!({ "keys": [provider.signer.jwk()] })).into_response()
}

/// An error of the token or device endpoint (RFC 6749 §5.2).
fn oauth_error(error: &'static str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

/// 256 random bits as base64url, or nothing when the system gives none.
fn random_text() -> Option<String> {
    use base64::Engine;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
