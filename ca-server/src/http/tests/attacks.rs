//! What somebody who may sign in could try against everybody else.

use std::time::Duration;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_after_its_certificate_ended_gets_a_new_one_and_breaks_nothing() {
    let server = Running::start().await;
    let alice = server.session("alice").await;
    let mut wish = server.wish("0123456789abcdef");
    wish["duration_seconds"] = 60.into();
    let first = server.post_as(&alice, "/v1/certificates", &wish).await;
    assert_eq!(first.status, 201, "{}", first.body);
    // Nothing is recorded in between, so nothing was forgotten yet.
    let over = crate::ca::example::start_time().plus(Duration::from_secs(60));
    server.example.ca.clock.set(over);
    let again = server.post_as(&alice, "/v1/certificates", &wish).await;
    assert_eq!(again.status, 201, "{}", again.body);
    assert_ne!(again.body["serial"], first.body["serial"]);
    wish["request_id"] = "fedcba9876543210".into();
    let other = server.post_as(&alice, "/v1/certificates", &wish).await;
    assert_eq!(other.status, 201, "{}", other.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sign_in_is_offered_one_seed_and_none_once_it_opened_a_session() {
    let server = Running::start().await;
    let mut bob = json!({
        "id_token": server.example.id_token("bob").await,
        "session_public_key": SESSION_KEY,
    });
    assert_eq!(server.post("/v1/totp", &bob).await.status, 201);
    let again = server.post("/v1/totp", &bob).await;
    again.is_problem(401, "login-refused");
    bob["id_token"] = server.example.id_token("bob").await.into();
    assert_eq!(server.post("/v1/totp", &bob).await.status, 201);

    let mut alice = server.sign_in("alice").await;
    assert_eq!(server.post("/v1/sessions", &alice).await.status, 201);
    let next = crate::ca::example::start_time().plus(Duration::from_secs(30));
    server.example.ca.clock.set(next);
    alice["totp"] = server.example.code("alice").into();
    let spent = server.post("/v1/totp", &alice).await;
    spent.is_problem(401, "login-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_the_log_has_outlived_is_not_good_again_when_the_clock_is_set_back() {
    let server = Running::start().await;
    let used = server.sign_in("alice").await;
    assert_eq!(server.post("/v1/sessions", &used).await.status, 201);
    // The clock leaps, a record is made, what was spent is forgotten, the clock is set right.
    let start = crate::ca::example::start_time();
    server
        .example
        .ca
        .clock
        .set(start.plus(Duration::from_secs(7200)));
    let nobody = server.get_as("x", "/v1/audit").await;
    nobody.is_problem(401, "session-required");
    server
        .example
        .ca
        .clock
        .set(start.plus(Duration::from_secs(30)));
    let mut replayed = used;
    replayed["totp"] = server.example.code("alice").into();
    let refused = server.post("/v1/sessions", &replayed).await;
    refused.is_problem(401, "login-refused");
}
