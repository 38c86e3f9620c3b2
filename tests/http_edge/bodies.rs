//! Bodies and heads that are too large, too slow, or not what they should be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Scene, wish};
use crate::support::http::Client;
use crate::support::serve::Installation;

/// Sends `request` as it is and reads until the server closes, for a minute at most.
fn exchange(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a socket");
    // The server may answer and close before it has read all of a flood.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(more: &str) -> String {
    format!("POST /v1/sessions HTTP/1.1\r\nHost: ca\r\nConnection: close\r\n{more}\r\n")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn anybody() -> Installation {
    // Nobody signs in: the provider is never asked.
    Installation::plain_made_for("http://127.0.0.1:1").start()
}

#[test]
fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let ca = anybody();
    let json = "Content-Type: application/json\r\n";
    let declared = head(&format!("{json}Content-Length: 1000000000\r\n"));
    let answer = exchange(ca.port(), declared.as_bytes());
    assert_eq!(status(&answer), "413", "{answer}");
    assert!(answer.contains("\"type\":\"too-large\""), "{answer}");
    let mut flood = head(&format!("{json}Transfer-Encoding: chunked\r\n"));
    for _ in 0..20 {
        flood += &format!("1000\r\n{}\r\n", " ".repeat(4096));
    }
    let answer = exchange(ca.port(), flood.as_bytes());
    assert_eq!(status(&answer), "413", "{answer}");
    assert!(answer.contains("65536"), "{answer}");
}

#[test]
fn a_body_that_does_not_arrive_is_given_up_and_disturbs_nobody() {
    let ca = anybody();
    let port = ca.port();
    let json = "Content-Type: application/json\r\nContent-Length: 100\r\n";
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let request = format!("{}{{", head(json));
            std::thread::spawn(move || exchange(port, request.as_bytes()))
        })
        .collect();
    let client = ca.client();
    for _ in 0..20 {
        let began = Instant::now();
        client.get(&ca.url("/v1/discovery")).has_status(200);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
    for exchange in slow {
        let answer = exchange.join().expect("an exchange");
        assert_eq!(status(&answer), "408", "{answer}");
    }
}

#[test]
fn what_is_not_the_documents_json_is_answered_with_what_is_wrong() {
    let ca = anybody();
    let client = Client::new(None);
    let post = |content_type: &str, body: String| {
        let request = client.request(reqwest::Method::POST, &ca.url("/v1/sessions"));
        let request = request.header("content-type", content_type);
        client.send(request.body(body))
    };
    let deep = |open: &str, close: &str| open.repeat(5000) + &close.repeat(5000);
    for (body, field) in [
        (String::new(), Value::Null),
        ("hello".to_owned(), Value::Null),
        ("{".to_owned(), Value::Null),
        ("[1]".to_owned(), Value::Null),
        ("{} {}".to_owned(), json!("id_token")),
        (deep("[", "]"), Value::Null),
        (deep("{\"id_token\":", "}"), Value::Null),
        ("{\"id_token\":\"a\\ud800\"}".to_owned(), Value::Null),
        ("{\"id_token\":7}".to_owned(), json!("id_token")),
        ("{\"id_tokem\":\"a\"}".to_owned(), json!("id_tokem")),
        (
            json!({"id_token": "a", "session_public_key": "b", "totp": "1", "admin": true})
                .to_string(),
            json!("admin"),
        ),
        (
            "{\"id_token\":\"a\",\"id_token\":\"b\",\"session_public_key\":\"c\"}".to_owned(),
            json!("id_token"),
        ),
    ] {
        let shown: String = body.chars().take(60).collect();
        let answer = post("application/json", body).has_status(400);
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("application/problem+json"), "{shown}");
        let problem = answer.json();
        assert_eq!(problem["type"], "invalid-request", "{shown}");
        if !field.is_null() {
            assert_eq!(problem["field"], field, "{shown}: {problem}");
        }
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() < 1000)
        );
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        post(content_type, "{}".to_owned()).has_status(415);
    }
    let trailing = post(
        "application/json; charset=utf-8",
        wish("x").to_string() + "]",
    );
    assert_eq!(trailing.status, 400);
}

#[test]
fn floods_of_headers_are_cut_off() {
    let ca = anybody();
    let many: String = (0..500).map(|at| format!("X-{at}: a\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(100_000));
    for flood in [many.as_str(), &long] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: ca\r\n{flood}\r\n");
        let answer = exchange(ca.port(), request.as_bytes());
        assert!(["431", "none"].contains(&status(&answer)), "{answer}");
    }
    // One that never ends is not kept either.
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(10_000_000));
    let answer = exchange(ca.port(), endless.as_bytes());
    assert!(["431", "none"].contains(&status(&answer)), "{answer}");
    ca.client().get(&ca.url("/healthz")).has_status(200);
}

#[test]
fn other_methods_and_paths_are_answered_as_problems() {
    let scene = Scene::of(Installation::made_for);
    let client = scene.ca.client();
    for (method, path, status, kind) in [
        ("DELETE", "/v1/certificates", 405, "method-not-allowed"),
        ("GET", "/v1/sessions", 405, "method-not-allowed"),
        ("PUT", "/v1/totp", 405, "method-not-allowed"),
        ("POST", "/log/checkpoint", 405, "method-not-allowed"),
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/certificates/1", 404, "not-found"),
        ("GET", "/log/tile/0/x999/000", 404, "not-found"),
        ("GET", "/log/tile/0/%30%30%30", 404, "not-found"),
        ("GET", "/log/tile/../checkpoint", 200, ""),
        ("GET", "/v1/audit?kid=refused", 400, "invalid-request"),
        ("GET", "/v1/audit?limit=1001", 400, "invalid-request"),
    ] {
        let method = method.parse().expect("a method");
        let request = client.request(method, &scene.ca.url(path));
        let answer = client.send(request.bearer_auth(&scene.carol));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status != 200 {
            assert_eq!(answer.json()["type"], kind, "{path}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}
