//! Signing in as a client of the provider would: genuine ID tokens for tests of the API.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::browser::Browser;
use super::http::{Answer, Client};
use super::oidc::Provider;
use super::wait;

const VERIFIER: &str = "a-code-verifier-that-is-long-enough-for-rfc-7636";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The provider's metadata (OpenID Connect Discovery).
#[track_caller]
pub fn discover(provider: &Provider) -> Value {
    let url = format!("{}/.well-known/openid-configuration", provider.issuer());
    Client::new(None).get(&url).has_status(200).json()
}

/// Authorization code with PKCE: `person` signs in with a browser; the token endpoint's answer.
#[track_caller]
pub fn code_flow(provider: &Provider, client_id: &str, person: &str, nonce: &str) -> Answer {
    let metadata = discover(provider);
    let endpoint = |name: &str| metadata[name].as_str().expect("an endpoint").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let redirect = format!(
        "http://{}/callback",
        listener.local_addr().expect("an address")
    );
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let parameters = [
        ("client_id", client_id),
        ("response_type", "code"),
        ("scope", "openid profile email groups"),
        ("redirect_uri", &redirect),
        ("state", "a-state"),
        ("nonce", nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&endpoint("authorization_endpoint"), parameters).expect("URL");
    let waiting = std::thread::spawn(move || one_callback(&listener));
    Browser::of(person).visit(url.as_str()).succeeds();
    let callback = waiting.join().expect("a callback");
    assert_eq!(parameter(&callback, "state").as_deref(), Some("a-state"));
    assert_eq!(parameter(&callback, "iss"), Some(provider.issuer()));
    let code = parameter(&callback, "code").expect("a code");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", &code),
        ("redirect_uri", &redirect),
        ("code_verifier", VERIFIER),
    ];
    Client::new(None).post_form(&endpoint("token_endpoint"), &fields)
}

/// Device flow (RFC 8628): `browser` confirms; the token endpoint's last answer.
#[track_caller]
pub fn device_flow(provider: &Provider, client_id: &str, browser: &Browser) -> Answer {
    let metadata = discover(provider);
    let endpoint = |name: &str| metadata[name].as_str().expect("an endpoint").to_owned();
    let client = Client::new(None);
    let fields = [
        ("client_id", client_id),
        ("scope", "openid profile email groups"),
    ];
    let started = client.post_form(&endpoint("device_authorization_endpoint"), &fields);
    let started = started.has_status(200).json();
    let device_code = started["device_code"].as_str().expect("a device code");
    let fields = [
        ("grant_type", DEVICE_GRANT),
        ("client_id", client_id),
        ("device_code", device_code),
    ];
    let ask = || client.post_form(&endpoint("token_endpoint"), &fields);
    assert_eq!(ask().json()["error"], "authorization_pending");
    // Not asserted: the page that a refusing person ends on is an error page.
    browser.visit(
        started["verification_uri_complete"]
            .as_str()
            .expect("a URL"),
    );
    wait::until("the provider's decision", Duration::from_secs(30), || {
        let answer = ask();
        (!answer.text().contains("authorization_pending")).then_some(answer)
    })
}

/// The ID token of a token endpoint's answer.
#[track_caller]
pub fn id_token(answer: Answer) -> String {
    answer.has_status(200).json()["id_token"]
        .as_str()
        .expect("an id_token")
        .to_owned()
}

/// The value of a query parameter of `url`.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

fn one_callback(listener: &TcpListener) -> Url {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut line = String::new();
    let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
    lines.read_line(&mut line).expect("a request");
    let target = line.split(' ').nth(1).expect("a request line");
    let url = Url::parse("http://127.0.0.1")
        .and_then(|base| base.join(target))
        .expect("a URL");
    // Read to the end of the headers: closing with unread bytes would reset the connection.
    while line.trim_end() != "" {
        line.clear();
        lines.read_line(&mut line).expect("a header");
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone";
    stream.write_all(answer).expect("an answer");
    url
}
