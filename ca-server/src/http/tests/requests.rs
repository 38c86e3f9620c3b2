//! Access requests over HTTP: opened, waited for, decided, used.

use std::time::Instant;

use super::*;

const FIRST: &str = "request-00000001";
const SECOND: &str = "request-00000002";

/// A server with the sessions of alice, who asks, and carol, who decides.
async fn two() -> (Running, String, String) {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    (server, alice, carol)
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn root_in_prod_waits_for_carol_and_is_used_once() {
    let (server, alice, carol) = two().await;
    let wish = server.root_wish(FIRST);
    let opened = server.opened(&alice, &wish).await;
    assert_eq!(opened["status"], "waiting");
    assert_eq!(opened["approvals_missing"], 1);
    assert_eq!(opened["mine"], true);
    let path = format!("/v1/requests/{}", opened["id"]);

    // Only when it has what it needs.
    let activation = with(
        server.root_wish(SECOND),
        "access_request",
        opened["id"].clone(),
    );
    let before = server.size();
    let early = server
        .post_as(&alice, "/v1/certificates", &activation)
        .await;
    server.refused_once(before, &early, (403, "denied"));

    let to_approve = server.get_as(&carol, "/v1/requests?show=to-approve").await;
    assert_eq!(to_approve.body["requests"][0]["id"], opened["id"]);
    let approved = server.approve(&carol, &opened).await;
    assert_eq!(approved.body["status"], "approved", "{}", approved.body);
    let before = server.size();
    assert_eq!(server.approve(&carol, &opened).await.status, 200);
    assert_eq!(server.size(), before, "saying it again was recorded");

    let issued = server.certified(&alice, &activation).await;
    assert_eq!(issued["principals"], json!(["root"]));
    let before = server.size();
    let again = server.certified(&alice, &activation).await;
    assert_eq!(
        (&again["serial"], server.size()),
        (&issued["serial"], before)
    );
    let other = with(activation, "request_id", "request-00000003");
    let twice = server.post_as(&alice, "/v1/certificates", &other).await;
    server.refused_once(before, &twice, (409, "request-closed"));
    let shown = server.get_as(&alice, &path).await;
    assert_eq!(shown.body["status"], "activated");
    assert_eq!(shown.body["serial"], issued["serial"]);

    let history = server
        .get_as(&alice, &format!("/v1/history/{}", opened["id"]))
        .await;
    let lines = history.body["lines"].as_array().unwrap().iter();
    let kinds: Vec<_> = lines.map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["request-opened", "request-approved", "certificate-issued"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_wish_is_the_same_request_and_the_same_name_no_other_wish() {
    let (server, alice, _) = two().await;
    let wish = server.root_wish(FIRST);
    let opened = server.opened(&alice, &wish).await;
    let before = server.size();
    assert_eq!(server.opened(&alice, &wish).await["id"], opened["id"]);
    let renamed = server.root_wish(SECOND);
    assert_eq!(server.opened(&alice, &renamed).await["id"], opened["id"]);
    assert_eq!(server.size(), before, "nothing new, yet a record");
    let other = with(wish, "reason", "another");
    let reused = server.post_as(&alice, "/v1/certificates", &other).await;
    server.refused_once(before, &reused, (409, "request-id-reused"));
    let other = server
        .opened(&alice, &with(other, "request_id", SECOND))
        .await;
    assert_ne!(other["id"], opened["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_by_the_approval_or_at_the_end_of_the_wait() {
    let (server, alice, carol) = two().await;
    let opened = server.opened(&alice, &server.root_wish(FIRST)).await;
    let poll = |wait: u64| {
        let (id, revision) = (&opened["id"], &opened["revision"]);
        format!("/v1/requests/{id}?after={revision}&wait={wait}")
    };
    let begun = Instant::now();
    let quiet = server.get_as(&alice, &poll(1)).await;
    assert_eq!(quiet.body["revision"], opened["revision"]);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it did not wait");

    let path = poll(25);
    let waiting = server.get_as(&alice, &path);
    let deciding = async {
        // Others' news must not end the wait.
        server
            .opened(&bob_signs_in(&server).await, &server.root_wish(SECOND))
            .await;
        server.approve(&carol, &opened).await
    };
    let begun = Instant::now();
    let (answer, approved) = tokio::join!(waiting, deciding);
    assert_eq!(approved.status, 200, "{}", approved.body);
    assert_eq!(answer.body["status"], "approved", "{}", answer.body);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it was not woken"
    );
    // What is over is answered at once.
    let withdraw = format!("/v1/requests/{}/withdraw", opened["id"]);
    let over = server.post_as(&alice, &withdraw, &json!({})).await;
    let path = format!(
        "/v1/requests/{}?after={}&wait=25",
        opened["id"], over.body["revision"]
    );
    let begun = Instant::now();
    assert_eq!(
        server.get_as(&alice, &path).await.body["status"],
        "withdrawn"
    );
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// bob, of sre, may ask as well.
async fn bob_signs_in(server: &Running) -> String {
    server.example.enrol("bob").await;
    server.session("bob").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_shown_to_its_requester_and_to_those_who_decide_and_to_nobody_else() {
    let (server, alice, carol) = two().await;
    let bob = bob_signs_in(&server).await;
    let opened = server.opened(&alice, &server.root_wish(FIRST)).await;
    let path = format!("/v1/requests/{}", opened["id"]);
    assert_eq!(server.get_as(&carol, &path).await.body["may_decide"], true);
    server
        .get_as(&bob, &path)
        .await
        .is_problem(404, "not-found");
    server.get(&path).await.is_problem(401, "session-required");
    let seen = server.get_as(&bob, "/v1/requests").await;
    assert_eq!(seen.body["requests"], json!([]));
    let history = format!("/v1/history/{}", opened["id"]);
    server
        .get_as(&bob, &history)
        .await
        .is_problem(404, "not-found");
    for verb in ["approve", "deny", "withdraw"] {
        let body = match verb {
            "approve" => json!({ "digest": opened["digest"] }),
            "deny" => json!({ "reason": "no" }),
            _ => json!({}),
        };
        let before = server.size();
        let answer = server.post_as(&bob, &format!("{path}/{verb}"), &body).await;
        server.refused_once(before, &answer, (403, "denied"));
    }
    let taken = with(
        server.root_wish(SECOND),
        "access_request",
        opened["id"].clone(),
    );
    let before = server.size();
    let taken = server.post_as(&bob, "/v1/certificates", &taken).await;
    server.refused_once(before, &taken, (404, "not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_another_and_an_unknown_request_are_refused_with_one_record_each() {
    let (server, alice, carol) = two().await;
    let opened = server.opened(&alice, &server.root_wish(FIRST)).await;
    let before = server.size();
    let own = server.approve(&alice, &opened).await;
    server.refused_once(before, &own, (403, "denied"));
    let before = server.size();
    let digest = ca_core::digest::Digest::of(b"something else").to_string();
    let other = server
        .approve(&carol, &with(opened.clone(), "digest", digest))
        .await;
    server.refused_once(before, &other, (409, "request-changed"));
    let before = server.size();
    let unknown = server
        .approve(&carol, &with(opened.clone(), "id", 100_000))
        .await;
    server.refused_once(before, &unknown, (404, "not-found"));
    let before = server.size();
    let path = format!("/v1/requests/{}/approve", opened["id"]);
    let longer = json!({ "digest": opened["digest"], "duration_seconds": 3601 });
    let longer = server.post_as(&carol, &path, &longer).await;
    server.refused_once(before, &longer, (400, "invalid-request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_says_by_whom_and_why_and_ends_it() {
    let (server, alice, carol) = two().await;
    let opened = server.opened(&alice, &server.root_wish(FIRST)).await;
    let path = format!("/v1/requests/{}", opened["id"]);
    let empty = json!({ "reason": " " });
    let empty = server
        .post_as(&carol, &format!("{path}/deny"), &empty)
        .await;
    empty.is_problem(400, "invalid-request");
    let no = json!({ "reason": "use the runbook" });
    let denied = server.post_as(&carol, &format!("{path}/deny"), &no).await;
    assert_eq!(denied.status, 200, "{}", denied.body);
    let shown = server.get_as(&alice, &path).await.body;
    assert_eq!(shown["status"], "denied");
    assert_eq!(shown["denied"]["user"], "carol");
    assert_eq!(shown["denied"]["reason"], "use the runbook");
    for (who, verb, body) in [
        (&alice, "withdraw", json!({})),
        (&carol, "approve", json!({ "digest": opened["digest"] })),
    ] {
        let before = server.size();
        let late = server.post_as(who, &format!("{path}/{verb}"), &body).await;
        server.refused_once(before, &late, (409, "request-closed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_request_is_used_in_its_time_only_and_its_end_is_recorded_once() {
    let (server, alice, carol) = two().await;
    let start = server.example.ca.clock.now().plus(Duration::from_secs(600));
    let wish = |id: &str| {
        let wish = with(server.root_wish(id), "duration_seconds", 600);
        with(wish, "not_before", json!(start))
    };
    let opened = server.opened(&alice, &wish(FIRST)).await;
    let activation = with(wish(SECOND), "access_request", opened["id"].clone());
    server.approve(&carol, &opened).await;
    let before = server.size();
    let early = server
        .post_as(&alice, "/v1/certificates", &activation)
        .await;
    server.refused_once(before, &early, (409, "not-yet"));
    server.example.pass(1200);
    let before = server.size();
    let late = server
        .post_as(&alice, "/v1/certificates", &activation)
        .await;
    server.refused_once(before, &late, (409, "request-closed"));
    let before = server.size();
    for _ in 0..2 {
        server.example.ca.expire_requests().await.unwrap();
    }
    assert_eq!(server.size(), before + 1);
    let shown = server
        .get_as(&alice, &format!("/v1/requests/{}", opened["id"]))
        .await;
    assert_eq!(shown.body["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_sixteen_open_requests() {
    let (server, alice, _) = two().await;
    let wish = |n: u32| {
        with(
            server.root_wish(&format!("request-{n:08}")),
            "reason",
            format!("no. {n}"),
        )
    };
    let mut first = Value::Null;
    for n in 0..16 {
        first = server.opened(&alice, &wish(n)).await;
    }
    let before = server.size();
    let many = server.post_as(&alice, "/v1/certificates", &wish(16)).await;
    server.refused_once(before, &many, (403, "denied"));
    assert!(
        many.body.to_string().contains("withdraw some"),
        "{}",
        many.body
    );
    let withdraw = format!("/v1/requests/{}/withdraw", first["id"]);
    assert_eq!(
        server.post_as(&alice, &withdraw, &json!({})).await.status,
        200
    );
    server.opened(&alice, &wish(16)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_scheduled_a_month_ahead_at_most_and_a_start_that_has_passed_is_now() {
    let (server, alice, _) = two().await;
    let now = server.example.ca.clock.now();
    let days = |days: u64| now.plus(Duration::from_secs(days * 86_400)).to_string();
    for (at, far) in ["9999-12-30T21:00:00Z".to_owned(), days(31)]
        .iter()
        .enumerate()
    {
        let name = format!("request-far-0000{at}");
        let wish = with(server.wish(&name), "not_before", far.as_str());
        let before = server.size();
        let refused = server.post_as(&alice, "/v1/certificates", &wish).await;
        server.refused_once(before, &refused, (400, "invalid-request"));
        assert_eq!(refused.text("field"), "not_before");
    }
    let soon = with(server.wish(FIRST), "not_before", days(29));
    let opened = server.opened(&alice, &soon).await;
    assert_eq!(opened["status"], "approved");
    let past = now.minus(Duration::from_secs(600)).to_string();
    let past = with(server.wish(SECOND), "not_before", past);
    server.certified(&alice, &past).await;
}
