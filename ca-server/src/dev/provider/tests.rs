use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::StatusCode as Status;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::*;
use crate::authn::id_token::{IssuerConfig, nonce};
use crate::identity::Providers;

const CLIENT: &str = "jit-ssh";
const REDIRECT: &str = "http://127.0.0.1:49152/callback";
const SESSION_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNlc3Npb24=";

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Each test's clock stands still; only the device test moves the one it alone polls with.
static SECONDS: AtomicU64 = AtomicU64::new(1_800_000_000);

fn still() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn moving() -> Timestamp {
    Timestamp::from_unix_seconds(SECONDS.load(Ordering::SeqCst))
}

struct Running {
    issuer: String,
    http: reqwest::Client,
}

impl Running {
    async fn start(now: fn() -> Timestamp) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let routes = router(ProviderConfig {
            issuer: issuer.clone(),
            client_id: CLIENT.to_owned(),
            people: people(),
            signing_seed: Zeroizing::new([3; 32]),
            now,
        });
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self { issuer, http }
    }

    async fn get(&self, address: &str) -> reqwest::Response {
        self.http.get(address).send().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (Status, Value) {
        let address = format!("{}{path}", self.issuer);
        let answer = self.http.post(address).form(form).send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The authorization request with `changes`; an empty value removes a parameter.
    fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let nonce = nonce(SESSION_KEY);
        let mut parameters = HashMap::from([
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid profile email groups"),
            ("state", "s-1"),
            ("nonce", nonce.as_str()),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("login_hint", "alice"),
        ]);
        parameters.extend(changes.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let mut address = Url::parse(&format!("{}/authorize", self.issuer)).unwrap();
        address.query_pairs_mut().extend_pairs(parameters);
        address.into()
    }

    /// Where the browser is sent, as parameters.
    async fn redirected(&self, address: &str) -> HashMap<String, String> {
        let answer = self.get(address).await;
        assert_eq!(answer.status(), Status::SEE_OTHER);
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(location.starts_with(REDIRECT), "{location}");
        let location = Url::parse(location).unwrap();
        location.query_pairs().into_owned().collect()
    }

    async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> (Status, Value) {
        let mut form = HashMap::from([
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        let form: Vec<_> = form.into_iter().collect();
        self.post("/token", &form).await
    }

    fn providers(&self) -> Providers {
        Providers::new(vec![IssuerConfig::new(&self.issuer, CLIENT)]).unwrap()
    }
}

#[tokio::test]
async fn a_code_becomes_an_id_token_that_the_ca_accepts() {
    let provider = Running::start(still).await;
    let back = provider.redirected(&provider.authorize(&[])).await;
    assert_eq!(back["state"], "s-1");
    assert_eq!(back["iss"], provider.issuer);
    let (status, tokens) = provider.exchange(&back["code"], &[]).await;
    assert_eq!(status, Status::OK);
    let token = tokens["id_token"].as_str().unwrap();
    let identity = provider
        .providers()
        .identify(token, SESSION_KEY, still())
        .await
        .unwrap();
    assert_eq!(identity.person().user.as_str(), "alice");
    assert_eq!(identity.person().subject.sub(), sub("alice"));
    assert_eq!(identity.groups(), &["engineering".to_owned()].into());
    assert!(identity.token_bound());
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_only_by_who_holds_the_verifier() {
    let provider = Running::start(still).await;
    let other = "x".repeat(43);
    for changes in [
        &[("code_verifier", other.as_str())][..],
        &[("code_verifier", "")],
        &[("redirect_uri", "http://127.0.0.1:49153/callback")],
    ] {
        let back = provider.redirected(&provider.authorize(&[])).await;
        let (status, answer) = provider.exchange(&back["code"], changes).await;
        assert_eq!(status, Status::BAD_REQUEST);
        assert_eq!(answer["error"], "invalid_grant");
        // A failed try uses the code up.
        let (status, _) = provider.exchange(&back["code"], &[]).await;
        assert_eq!(status, Status::BAD_REQUEST);
    }
    let back = provider.redirected(&provider.authorize(&[])).await;
    assert_eq!(provider.exchange(&back["code"], &[]).await.0, Status::OK);
    let (_, again) = provider.exchange(&back["code"], &[]).await;
    assert_eq!(again["error"], "invalid_grant");
    let (_, client) = provider.exchange("x", &[("client_id", "console")]).await;
    assert_eq!(client["error"], "invalid_client");
}

#[tokio::test]
async fn a_request_without_pkce_or_openid_goes_back_with_an_error() {
    let provider = Running::start(still).await;
    for (change, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "profile"), "invalid_scope"),
    ] {
        let back = provider.redirected(&provider.authorize(&[change])).await;
        assert_eq!(back.get("error").map(String::as_str), Some(error));
        assert_eq!(back["state"], "s-1");
        assert!(!back.contains_key("code"));
    }
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_off_this_machine() {
    let provider = Running::start(still).await;
    for change in [
        ("redirect_uri", "https://evil.example.com/"),
        ("redirect_uri", "http://evil.example.com/"),
        ("redirect_uri", "http://127.0.0.1.evil.example.com/"),
        ("redirect_uri", "http://127.0.0.1@evil.example.com/"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "http://127.0.0.1/#fragment"),
        ("client_id", "console"),
    ] {
        let answer = provider.get(&provider.authorize(&[change])).await;
        assert_eq!(answer.status(), Status::BAD_REQUEST, "{change:?}");
        assert!(!answer.headers().contains_key("location"));
    }
}

#[tokio::test]
async fn the_page_offers_everybody_and_escapes_what_it_was_given() {
    let provider = Running::start(still).await;
    let attack = "\"><script>alert(1)</script>";
    let address = provider.authorize(&[("login_hint", attack), ("state", attack)]);
    let answer = provider.get(&address).await;
    assert_eq!(answer.status(), Status::OK);
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.contains("default-src 'none'"));
    let html = answer.text().await.unwrap();
    assert!(html.contains("development only"));
    assert!(!html.contains("<script"));
    for person in ["alice", "bob", "carol"] {
        assert!(html.contains(&format!("login_hint={person}")));
    }
    let link = html.split("href=\"").nth(2).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let back = provider.redirected(&link).await;
    assert_eq!(back["state"], attack);
    assert!(back.contains_key("code"));
}

#[tokio::test]
async fn a_device_gets_its_token_after_somebody_confirms() {
    let provider = Running::start(moving).await;
    let (status, device) = provider
        .post(
            "/device_authorization",
            &[("client_id", CLIENT), ("scope", "openid")],
        )
        .await;
    assert_eq!(status, Status::OK);
    let (code, user_code) = (
        device["device_code"].as_str().unwrap(),
        device["user_code"].as_str().unwrap(),
    );
    let poll = [
        ("grant_type", device::GRANT_TYPE),
        ("client_id", CLIENT),
        ("device_code", code),
    ];
    assert_eq!(
        provider.post("/token", &poll).await.1["error"],
        "authorization_pending"
    );
    assert_eq!(provider.post("/token", &poll).await.1["error"], "slow_down");
    let complete = device["verification_uri_complete"].as_str().unwrap();
    let page = provider.get(complete).await.text().await.unwrap();
    assert!(page.contains(user_code) && page.contains("value=\"bob\""));
    let typed = user_code.to_lowercase().replace('-', " ");
    let form = [("user_code", typed.as_str()), ("person", "bob")];
    assert_eq!(provider.post("/device", &form).await.0, Status::OK);
    assert_eq!(provider.post("/device", &form).await.0, Status::BAD_REQUEST);
    SECONDS.fetch_add(6, Ordering::SeqCst);
    let (status, tokens) = provider.post("/token", &poll).await;
    assert_eq!(status, Status::OK);
    let token = tokens["id_token"].as_str().unwrap();
    let providers = provider.providers();
    let identity = providers.identify(token, SESSION_KEY, moving()).await;
    let identity = identity.unwrap();
    assert_eq!(identity.person().user.as_str(), "bob");
    assert!(!identity.token_bound());
    assert_eq!(
        provider.post("/token", &poll).await.1["error"],
        "expired_token"
    );
}

#[tokio::test]
async fn a_device_with_a_login_hint_is_confirmed_by_opening_its_address() {
    let provider = Running::start(still).await;
    let form = [
        ("client_id", CLIENT),
        ("scope", "openid"),
        ("login_hint", "carol"),
    ];
    let (_, device) = provider.post("/device_authorization", &form).await;
    let complete = device["verification_uri_complete"].as_str().unwrap();
    assert_eq!(provider.get(complete).await.status(), Status::OK);
    let poll = [
        ("grant_type", device::GRANT_TYPE),
        ("client_id", CLIENT),
        ("device_code", device["device_code"].as_str().unwrap()),
    ];
    let (status, tokens) = provider.post("/token", &poll).await;
    assert_eq!(status, Status::OK);
    let token = tokens["id_token"].as_str().unwrap();
    let providers = provider.providers();
    let identity = providers.identify(token, SESSION_KEY, still()).await;
    assert_eq!(identity.unwrap().person().user.as_str(), "carol");
}

#[tokio::test]
async fn unknown_devices_codes_and_grants_are_refused() {
    let provider = Running::start(still).await;
    let address = format!("{}/device?user_code=<b>BCDF</b>-GHJK", provider.issuer);
    let answer = provider.get(&address).await;
    assert_eq!(answer.status(), Status::BAD_REQUEST);
    for (form, error) in [
        (
            [("grant_type", "password"), ("client_id", CLIENT)],
            "unsupported_grant_type",
        ),
        (
            [("grant_type", device::GRANT_TYPE), ("client_id", CLIENT)],
            "invalid_request",
        ),
        (
            [("grant_type", "authorization_code"), ("client_id", "x")],
            "invalid_client",
        ),
    ] {
        assert_eq!(provider.post("/token", &form).await.1["error"], error);
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_key_after_a_restart() {
    let (one, two) = (Running::start(still).await, Running::start(still).await);
    let keys = |issuer: &str| format!("{issuer}/jwks");
    let first = one.get(&keys(&one.issuer)).await.text().await.unwrap();
    let second = two.get(&keys(&two.issuer)).await.text().await.unwrap();
    assert_eq!(first, second);
    assert!(!first.contains("\"d\""));
}
