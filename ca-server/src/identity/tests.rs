use std::sync::Mutex;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

/// A provider whose answers a test changes while it runs.
#[derive(Default)]
struct Played {
    key_ids: Vec<&'static str>,
    fetches: usize,
    down: bool,
    issuer: String,
    /// Sent once instead of the key set.
    instead: Option<Response>,
}

/// A key set with the key `a`.
const GOOD: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

struct Server {
    issuer: String,
    played: Arc<Mutex<Played>>,
}

impl Server {
    async fn start(key_ids: &[&'static str]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let played = Arc::new(Mutex::new(Played {
            key_ids: key_ids.to_vec(),
            issuer: issuer.clone(),
            ..Played::default()
        }));
        let (metadata, keys) = (Arc::clone(&played), Arc::clone(&played));
        let jwks_uri = format!("{issuer}/keys");
        let routes = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || metadata.lock().unwrap().metadata(&jwks_uri)),
            )
            .route("/keys", get(async move || keys.lock().unwrap().keys()))
            .route("/good", get(async || GOOD.into_response()));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, played }
    }

    fn play(&self, change: impl FnOnce(&mut Played)) {
        change(&mut self.played.lock().unwrap());
    }

    fn fetches(&self) -> usize {
        self.played.lock().unwrap().fetches
    }

    fn providers(&self) -> Providers {
        Providers::new(vec![IssuerConfig::new(&self.issuer, "jit-ssh")]).unwrap()
    }
}

impl Played {
    fn metadata(&mut self, jwks_uri: &str) -> Response {
        self.fetches += 1;
        if self.down {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        axum::Json(json!({"issuer": self.issuer, "jwks_uri": jwks_uri})).into_response()
    }

    fn keys(&mut self) -> Response {
        if let Some(instead) = self.instead.take() {
            return instead;
        }
        let keys: Vec<_> = (1_u8..)
            .zip(&self.key_ids)
            .map(|(seed, id)| {
                let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key();
                let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x})
            })
            .collect();
        let maximum_age = [("cache-control", "public, max-age=600")];
        (maximum_age, axum::Json(json!({ "keys": keys }))).into_response()
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + seconds)
}

/// Whether the key is known after asking for it.
async fn knows(providers: &Providers, server: &Server, id: &str, seconds: u64) -> Option<bool> {
    let keys = providers.keys(&server.issuer, Some(id), at(seconds)).await;
    keys.ok().map(|keys| keys.contains(Some(id)))
}

#[tokio::test]
async fn keys_are_fetched_once_while_they_are_fresh() {
    let server = Server::start(&["a"]).await;
    let providers = server.providers();
    for seconds in [0, 1, 599] {
        assert_eq!(knows(&providers, &server, "a", seconds).await, Some(true));
    }
    assert_eq!(server.fetches(), 1);
    assert_eq!(knows(&providers, &server, "a", 600).await, Some(true));
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn a_rotated_key_is_found_at_once_but_unknown_ids_ask_once_per_half_minute() {
    let server = Server::start(&["a"]).await;
    let providers = server.providers();
    assert_eq!(knows(&providers, &server, "a", 0).await, Some(true));
    server.play(|played| played.key_ids = vec!["b"]);
    assert_eq!(knows(&providers, &server, "b", 1).await, Some(true));
    assert_eq!(server.fetches(), 2);
    assert_eq!(knows(&providers, &server, "a", 2).await, Some(false));
    for (seconds, fetches) in [(3, 2), (30, 2), (31, 3), (32, 3), (60, 3), (61, 4)] {
        assert_eq!(
            knows(&providers, &server, "invented", seconds).await,
            Some(false)
        );
        assert_eq!(server.fetches(), fetches, "at {seconds}");
    }
}

#[tokio::test]
async fn many_sign_ins_at_once_cause_one_fetch() {
    let server = Server::start(&["a"]).await;
    let providers = Arc::new(server.providers());
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let (providers, issuer) = (Arc::clone(&providers), server.issuer.clone());
            tokio::spawn(async move { providers.keys(&issuer, Some("a"), at(0)).await.is_ok() })
        })
        .collect();
    for answer in asked {
        assert!(answer.await.unwrap());
    }
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn old_keys_are_used_for_a_day_while_the_provider_is_away() {
    let server = Server::start(&["a"]).await;
    let providers = server.providers();
    assert_eq!(knows(&providers, &server, "a", 0).await, Some(true));
    server.play(|played| played.down = true);
    assert_eq!(knows(&providers, &server, "a", 86_399).await, Some(true));
    assert_eq!(knows(&providers, &server, "a", 86_400).await, None);
    server.play(|played| played.down = false);
    assert_eq!(knows(&providers, &server, "a", 86_402).await, Some(true));
}

#[tokio::test]
async fn a_provider_that_was_never_there_is_asked_again_soon() {
    let server = Server::start(&["a"]).await;
    let providers = server.providers();
    server.play(|played| played.down = true);
    assert_eq!(knows(&providers, &server, "a", 0).await, None);
    server.play(|played| played.down = false);
    assert_eq!(knows(&providers, &server, "a", 1).await, None);
    assert_eq!(knows(&providers, &server, "a", 2).await, Some(true));
}

#[tokio::test]
async fn a_clock_set_back_does_not_stop_fetching() {
    let server = Server::start(&["a"]).await;
    let providers = server.providers();
    server.play(|played| played.down = true);
    assert_eq!(knows(&providers, &server, "a", 5000).await, None);
    server.play(|played| played.down = false);
    assert_eq!(knows(&providers, &server, "a", 0).await, Some(true));
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let server = Server::start(&["a"]).await;
    server.play(|played| played.issuer.push('/'));
    assert_eq!(knows(&server.providers(), &server, "a", 0).await, None);
}

#[tokio::test]
async fn redirects_floods_and_nonsense_are_no_keys() {
    let padded = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let limit = fetch::DOCUMENT_BYTES_MAX;
    for (answer, wanted) in [
        (GOOD.into_response(), Some(true)),
        (padded(limit).into_response(), Some(true)),
        (padded(limit + 1).into_response(), None),
        (
            axum::response::Redirect::temporary("/good").into_response(),
            None,
        ),
        ((StatusCode::CREATED, GOOD).into_response(), None),
        ("not json".into_response(), None),
        (r#"{"keys":[]}"#.into_response(), None),
    ] {
        let server = Server::start(&["b"]).await;
        server.play(|played| played.instead = Some(answer));
        assert_eq!(knows(&server.providers(), &server, "a", 0).await, wanted);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_slow_provider_while_the_old_keys_are_good_enough() {
    let server = Server::start(&["a"]).await;
    let providers = server.providers();
    assert_eq!(knows(&providers, &server, "a", 0).await, Some(true));
    let _fetching = providers.providers[0].last_fetch.lock().await;
    assert_eq!(knows(&providers, &server, "a", 700).await, Some(true));
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn a_private_provider_is_trusted_through_its_ca_file_only() {
    let ca = rcgen::KeyPair::generate().unwrap();
    let mut about = rcgen::CertificateParams::new(vec![]).unwrap();
    about.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = about.self_signed(&ca).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &rcgen::Issuer::new(about, &ca))
        .unwrap();
    let tls = axum_server::tls_rustls::RustlsConfig::from_der(
        vec![leaf.der().to_vec()],
        key.serialize_der(),
    )
    .await
    .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let issuer = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let metadata = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/good")}).to_string();
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(async || metadata))
        .route("/good", get(async || GOOD));
    let serving = axum_server::from_tcp_rustls(listener, tls).unwrap();
    tokio::spawn(async move { serving.serve(routes.into_make_service()).await });

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, root.pem()).unwrap();
    for (ca_file, known) in [(Some(file), true), (None, false)] {
        let mut config = IssuerConfig::new(&issuer, "jit-ssh");
        config.ca_file = ca_file;
        let providers = Providers::new(vec![config]).unwrap();
        let keys = providers.keys(&issuer, Some("a"), at(0)).await;
        assert_eq!(keys.is_ok(), known);
    }
}

#[tokio::test]
async fn an_issuer_that_is_not_configured_is_refused_without_asking_it() {
    let server = Server::start(&["a"]).await;
    let providers = Providers::new(vec![]).unwrap();
    let refused = providers.keys(&server.issuer, None, at(0)).await;
    assert!(matches!(refused, Err(KeysError::Issuer)));
    assert_eq!(server.fetches(), 0);
}

#[test]
fn unusable_configurations_are_named_at_start() {
    let refused = |config: IssuerConfig| Providers::new(vec![config]).err().unwrap().to_string();
    let plain = refused(IssuerConfig::new("http://id.example.com", "c"));
    assert!(plain.contains("\"http://id.example.com\""), "{plain}");
    let query = refused(IssuerConfig::new("https://id.example.com/?a=b", "c"));
    assert!(query.contains("https url"), "{query}");
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty, folder.path().join("missing.pem")] {
        let mut config = IssuerConfig::new("https://id.example.com", "c");
        config.ca_file = Some(file);
        assert!(refused(config).contains("ca_file"));
    }
    let twice = IssuerConfig::new("https://id.example.com", "c");
    let twice = Providers::new(vec![twice.clone(), twice]);
    assert!(matches!(twice, Err(ProvidersError::Duplicate { .. })));
}
