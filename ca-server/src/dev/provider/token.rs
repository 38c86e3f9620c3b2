//! The token endpoint, and the ID tokens it gives out.

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Json, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::digest::Digest;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::grants::Poll;
use super::{
    DevPerson, Provider, SIGNING_SEED_BYTES, Shared, device, oauth_error, random_text, sub,
};

/// How long an ID token is good, seconds.
const ID_TOKEN_SECONDS: u64 = 300;

#[derive(Deserialize)]
pub(super) struct Request {
    grant_type: String,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    device_code: Option<String>,
}

pub(super) async fn token(State(provider): Shared, Form(request): Form<Request>) -> Response {
    if request.client_id.as_deref() != Some(provider.client_id.as_str()) {
        return oauth_error("invalid_client");
    }
    let granted = match request.grant_type.as_str() {
        "authorization_code" => exchange(&provider, &request),
        device::GRANT_TYPE => poll(&provider, &request),
        _ => Err("unsupported_grant_type"),
    };
    let (person, nonce) = match granted {
        Ok(granted) => granted,
        Err(error) => return oauth_error(error),
    };
    let (Some(person), Some(access_token)) = (provider.person(&person), random_text()) else {
        return oauth_error("server_error");
    };
    Json(json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": ID_TOKEN_SECONDS,
        "scope": "openid profile email groups",
        "id_token": id_token(&provider, person, nonce.as_deref()),
    }))
    .into_response()
}

/// Who is granted, with which nonce; or the error code of RFC 6749 §5.2.
type Granted = Result<(String, Option<String>), &'static str>;

fn exchange(provider: &Provider, request: &Request) -> Granted {
    let code = request.code.as_deref().ok_or("invalid_request")?;
    let grant = provider.grants().take_code(code, (provider.now)());
    let grant = grant.ok_or("invalid_grant")?;
    let verifier = request.code_verifier.as_deref().unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes());
    let right = bool::from(challenge.as_bytes().ct_eq(grant.code_challenge.as_bytes()));
    // RFC 7636 §4.1 bounds the verifier.
    if !right
        || !(43..=128).contains(&verifier.len())
        || request.redirect_uri.as_deref() != Some(grant.redirect_uri.as_str())
    {
        return Err("invalid_grant");
    }
    Ok((grant.person, grant.nonce))
}

fn poll(provider: &Provider, request: &Request) -> Granted {
    let device_code = request.device_code.as_deref().ok_or("invalid_request")?;
    match provider.grants().poll(device_code, (provider.now)()) {
        Poll::Confirmed(person) => Ok((person, None)),
        Poll::Expired => Err("expired_token"),
        Poll::Pending => Err("authorization_pending"),
        Poll::SlowDown => Err("slow_down"),
    }
}

fn id_token(provider: &Provider, person: &DevPerson, nonce: Option<&str>) -> String {
    let now = (provider.now)().unix_seconds();
    let mut claims = json!({
        "iss": provider.issuer,
        "aud": provider.client_id,
        "sub": sub(&person.name),
        "iat": now,
        "exp": now.saturating_add(ID_TOKEN_SECONDS),
        // Two sign-ins within one second are two tokens, each good for one session.
        "jti": random_text(),
        "preferred_username": person.name,
        "name": person.full_name,
        "email": format!("{}@example.com", person.name),
        "email_verified": true,
        "groups": person.groups,
    });
    if let (Some(nonce), Value::Object(claims)) = (nonce, &mut claims) {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    provider.signer.sign(&claims)
}

/// The key of the ID tokens.
pub(super) struct Signer {
    key: SigningKey,
    key_id: String,
}

impl Signer {
    pub(super) fn new(seed: &[u8; SIGNING_SEED_BYTES]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let digest = Digest::of(key.verifying_key().as_bytes());
        Self {
            key_id: URL_SAFE_NO_PAD.encode(digest.as_bytes()),
            key,
        }
    }

    /// The public key as JWK (RFC 8037 §2).
    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "use": "sig",
            "alg": "EdDSA",
            "kid": self.key_id,
            "x": URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes()),
        })
    }

    /// `claims` as JWS in compact form (RFC 7515 §3.1).
    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.key_id});
        let [header, claims] = [&header, claims].map(|v| URL_SAFE_NO_PAD.encode(v.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
