//! The API of an installation, used directly: with tokens that the provider signed, or that
//! somebody forged.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Installation;
use super::person::Authenticator;
use crate::support::http::{Answer, Client};
use crate::support::keygen;
use crate::support::oidc::Provider;

/// One client of the API.
pub struct Api {
    url: String,
    client: Client,
}

/// A sign-in that is under way: a session key and an ID token bound to it.
pub struct SignIn {
    /// OpenSSH one-line text.
    pub session_public_key: String,
    /// The token.
    pub id_token: String,
}

impl SignIn {
    /// `person` has signed in just now: a token as the provider makes them, for a fresh key.
    pub fn of(provider: &Provider, person: &str) -> Self {
        Self::with(provider, person, |_| {})
    }

    /// The same with changed claims, signed all the same.
    pub fn with(provider: &Provider, person: &str, change: impl FnOnce(&mut Value)) -> Self {
        let session_public_key = fresh_public_key();
        let mut claims = provider.claims(person, &nonce(&session_public_key));
        // Two tokens of one second are different tokens at every real provider.
        claims["jti"] = json!(nonce(&session_public_key));
        change(&mut claims);
        Self {
            session_public_key,
            id_token: provider.key().token(&claims),
        }
    }

    /// The body of `POST /v1/sessions` with this code.
    pub fn with_code(&self, code: &str) -> Value {
        json!({
            "id_token": self.id_token,
            "session_public_key": self.session_public_key,
            "totp": code,
        })
    }
}

impl Api {
    /// A client of `ca`.
    pub fn of(ca: &Installation) -> Self {
        Self {
            url: ca.url(""),
            client: ca.client(),
        }
    }

    /// `POST path`.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.post(&format!("{}{path}", self.url), body)
    }

    /// `POST path` in a session.
    #[track_caller]
    pub fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.url);
        let request = self.client.request(reqwest::Method::POST, &url);
        self.client.send(request.bearer_auth(token).json(body))
    }

    /// `GET path` in a session.
    #[track_caller]
    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.url);
        let request = self.client.request(reqwest::Method::GET, &url);
        self.client.send(request.bearer_auth(token))
    }

    /// `person` enrols.
    #[track_caller]
    pub fn enrol(&self, provider: &Provider, person: &str) -> Authenticator {
        let sign_in = SignIn::of(provider, person);
        let begin = json!({
            "id_token": sign_in.id_token,
            "session_public_key": sign_in.session_public_key,
        });
        let begun = self.post("/v1/totp", &begin).has_status(201).json();
        let authenticator = Authenticator::default();
        authenticator.scan(begun["otpauth_uri"].as_str().expect("an address"));
        let confirm = sign_in.with_code(&authenticator.code());
        self.post("/v1/totp/confirm", &confirm).has_status(200);
        authenticator
    }

    /// The token of a new session of `person`.
    #[track_caller]
    pub fn session(&self, provider: &Provider, person: &str, with: &Authenticator) -> String {
        let body = SignIn::of(provider, person).with_code(&with.code());
        let opened = self.post("/v1/sessions", &body).has_status(201).json();
        opened["token"].as_str().expect("a token").to_owned()
    }

    /// The events of a kind, oldest first, read by `auditor` (a session token).
    #[track_caller]
    pub fn events(&self, auditor: &str, kind: &str) -> Vec<Value> {
        let path = format!("/v1/audit?kind={kind}&limit=1000");
        let page = self.get_as(auditor, &path).has_status(200).json();
        let records = page["records"].as_array().expect("records");
        records
            .iter()
            .map(|record| record["event"].clone())
            .collect()
    }

    /// The codes of all recorded refusals of signing in and enrolling, oldest first.
    #[track_caller]
    pub fn refusals(&self, auditor: &str) -> Vec<String> {
        let events = self.events(auditor, "refused");
        let code = |event: &Value| event["code"].as_str().expect("a code").to_owned();
        events.iter().map(code).collect()
    }
}

/// The nonce that commits to a session key: written from DESIGN, not from the code.
pub fn nonce(session_public_key: &str) -> String {
    let digest = Sha256::new()
        .chain_update(b"jit-ssh/nonce/v1\0")
        .chain_update(session_public_key)
        .finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

/// An Ed25519 key that ssh-keygen made, type and base64 only.
pub fn fresh_public_key() -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let line = keygen::generate(dir.path(), "key").public_line();
    let words: Vec<&str> = line.split(' ').take(2).collect();
    words.join(" ")
}
