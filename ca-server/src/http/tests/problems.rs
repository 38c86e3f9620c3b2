//! What goes wrong, and what each gets.

use std::sync::atomic::Ordering;

use ca_core::api::BODY_BYTES_MAX;

use super::*;
use crate::ca::Failure;
use crate::http::problem::Fault;
use axum::response::IntoResponse as _;

const WISH: &str = "0123456789abcdef";

async fn raw(server: &Running, body: String) -> Answer {
    let request = server.request(Method::POST, "/v1/sessions");
    send(
        request
            .header("content-type", "application/json")
            .body(body),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_what_the_route_takes_are_named() {
    let server = Running::start().await;
    let broken = raw(&server, "{\"id_token\":".to_owned()).await;
    broken.is_problem(400, "invalid-request");
    assert!(broken.text("detail").contains("not JSON"));

    let mut unknown = server.wish(WISH);
    unknown["enviroment"] = "prod".into();
    let unknown = server.post("/v1/certificates", &unknown).await;
    unknown.is_problem(400, "invalid-request");
    assert_eq!(unknown.text("field"), "enviroment");
    assert!(unknown.text("detail").contains("`environment`"));

    let missing = server.post("/v1/sessions", &json!({})).await;
    missing.is_problem(400, "invalid-request");
    assert_eq!(missing.text("field"), "id_token");

    let deep = raw(&server, "[".repeat(60_000)).await;
    deep.is_problem(400, "invalid-request");

    let undeclared = server.request(Method::POST, "/v1/sessions").body("{}");
    let undeclared = send(undeclared).await;
    undeclared.is_problem(415, "unsupported-media-type");

    let query = server.get("/v1/audit?serail=1").await;
    query.is_problem(400, "invalid-request");
    assert_eq!(query.text("field"), "serail");
    let limit = server.get("/v1/audit?limit=x").await;
    limit.is_problem(400, "invalid-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_declared_or_not() {
    let server = Running::start().await;
    let large = raw(&server, " ".repeat(BODY_BYTES_MAX + 1)).await;
    large.is_problem(413, "too-large");
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n10001\r\n";
    let answer = exchange(
        &server,
        &[head.as_bytes(), &[b' '; 0x10001], b"\r\n"].concat(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let most = raw(&server, " ".repeat(BODY_BYTES_MAX)).await;
    most.is_problem(400, "invalid-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_given_up() {
    let settings = HttpSettings {
        body_timeout: Duration::from_millis(50),
        ..HttpSettings::default()
    };
    let server = Running::start_with(settings).await;
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    let answer = exchange(&server, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"request-timeout\""), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_headers_is_refused_and_others_are_served() {
    let server = Running::start().await;
    let many = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(2000)
    );
    let answer = exchange(&server, many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let answer = exchange(&server, long.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_do_not_exist_are_said() {
    let server = Running::start().await;
    server.get("/v1/nothing").await.is_problem(404, "not-found");
    let wrong = server.get("/v1/certificates").await;
    wrong.is_problem(405, "method-not-allowed");
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_sign_ins_have_one_face() {
    let server = Running::start().await;
    let wish = server.wish(WISH);
    let nobody = server.post("/v1/certificates", &wish).await;
    nobody.is_problem(401, "session-required");
    let unknown = server.post_as("x", "/v1/certificates", &wish).await;
    assert_eq!(unknown.body, nobody.body);

    let bob = server
        .post("/v1/sessions", &server.sign_in("bob").await)
        .await;
    bob.is_problem(401, "totp-not-enrolled");
    let mut alice = server.sign_in("alice").await;
    alice["totp"] = Value::Null;
    let without = server.post("/v1/sessions", &alice).await;
    without.is_problem(401, "totp-required");
    alice["totp"] = "000000".into();
    let wrong = server.post("/v1/sessions", &alice).await;
    wrong.is_problem(401, "login-refused");
    alice["id_token"] = "nonsense".into();
    let garbage = server.post("/v1/sessions", &alice).await;
    assert_eq!(garbage.body, wrong.body);
    let mut locked = garbage;
    for _ in 0..6 {
        let mut body = server.sign_in("alice").await;
        body["totp"] = "12345".into();
        locked = server.post("/v1/sessions", &body).await;
    }
    locked.is_problem(429, "too-many-attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_wishes_say_why() {
    let server = Running::start().await;
    let alice = server.session("alice").await;
    let mut root = server.wish(WISH);
    root["principals"] = json!(["root"]);
    // Longer than any approval could permit.
    root["duration_seconds"] = 7200.into();
    let denied = server.post_as(&alice, "/v1/certificates", &root).await;
    denied.is_problem(403, "denied");
    assert_eq!(
        denied.body["reasons"][0]["policy"],
        "prod-root-needs-approval"
    );
    assert!(!denied.body["hints"].as_array().unwrap().is_empty());

    for (field, value) in [
        ("principals", json!(["a,b"])),
        ("duration_seconds", json!(0)),
        ("environment", json!("moon")),
        ("request_id", json!("x")),
        ("public_key", json!("ssh-rsa AAAA")),
    ] {
        let mut wish = server.wish(WISH);
        wish[field] = value;
        let answer = server.post_as(&alice, "/v1/certificates", &wish).await;
        answer.is_problem(400, "invalid-request");
        assert_eq!(answer.text("field"), field);
    }

    let first = server.wish("fedcba9876543210");
    assert_eq!(
        server
            .post_as(&alice, "/v1/certificates", &first)
            .await
            .status,
        201
    );
    let mut other = first.clone();
    other["duration_seconds"] = 61.into();
    let reused = server.post_as(&alice, "/v1/certificates", &other).await;
    reused.is_problem(409, "request-id-reused");

    let absent = json!({ "serial": 1 });
    let gone = server.post_as(&alice, "/v1/revocations", &absent).await;
    gone.is_problem(404, "not-found");

    let prod = &server.example.ca.environments["prod"];
    prod.distrusted.store(true, Ordering::SeqCst);
    let wish = server.wish(WISH);
    let distrusted = server.post_as(&alice, "/v1/certificates", &wish).await;
    distrusted.is_problem(503, "ca-key-unavailable");
}

#[tokio::test]
async fn what_is_broken_inside_is_not_told() {
    for (failure, status, kind) in [
        (Failure::Busy("full"), 503, "busy"),
        (Failure::CaKeyUnavailable, 503, "ca-key-unavailable"),
        (Failure::Internal("secret".to_owned()), 500, "internal"),
        (Failure::ProviderUnavailable, 503, "provider-unavailable"),
        (Failure::Stopped, 503, "busy"),
    ] {
        let response = Fault::Failure(failure).into_response();
        let headers = response.headers().clone();
        assert_eq!(headers.contains_key("retry-after"), status == 503);
        assert_eq!(response.status(), status);
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], kind);
        assert!(!body.to_string().contains("secret"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_waits_and_cannot_pretend_to_be_another() {
    let settings = HttpSettings {
        sign_in_rate: Some(Rate {
            per_second: 1,
            burst: 2,
        }),
        ..HttpSettings::default()
    };
    let server = Running::start_with(settings).await;
    let mut last = 0;
    for number in 0..20 {
        let request = server
            .request(Method::POST, "/v1/sessions")
            .json(&json!({}));
        let answer = send(request.header("x-forwarded-for", format!("192.0.2.{number}"))).await;
        last = answer.status;
        if last == 429 {
            answer.is_problem(429, "too-many-attempts");
            break;
        }
    }
    assert_eq!(last, 429);
    assert_eq!(server.get("/v1/discovery").await.status, 200);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    async fn panics() {
        panic!("on purpose");
    }
    let routes = Router::new()
        .route("/", get(panics))
        .layer(CatchPanicLayer::custom(problem::panicked));
    let request = axum::http::Request::new(axum::body::Body::empty());
    let response = tower::ServiceExt::oneshot(routes, request).await.unwrap();
    assert_eq!(response.status(), 500);
    let apart = apart::apart::<()>(async { panic!("on purpose") });
    assert_eq!(apart.await, Err(Fault::Panicked));
}

/// What a server answers to these bytes before it or we close.
async fn exchange(server: &Running, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    // The server may answer and close before it has read everything.
    stream.write_all(bytes).await.unwrap_or_default();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    let length = read.expect("an answer or an end").unwrap_or_default();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
