//! Freezes and revocations over HTTP.

use super::*;

fn name(n: usize) -> String {
    format!("request-{n:08}")
}

impl Running {
    async fn revoke(&self, token: &str, body: &Value) -> Answer {
        self.post_as(token, "/v1/revocations", body).await
    }

    async fn krl_version(&self) -> u64 {
        let look =
            |state: &crate::state::State, _| state.krl_version(&"prod".parse().unwrap()).version;
        self.example.ca.ledger.read(look).await.unwrap()
    }

    async fn freeze(&self, token: &str, how: &str, body: &Value) -> Answer {
        self.post_as(token, &format!("/v1/freezes{how}"), body)
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_person_gets_nothing_and_decides_nothing_until_somebody_else_lifts_it() {
    let server = Running::start().await;
    server.example.enrol("dave").await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let dave = server.session("dave").await;
    let freeze = |user: &str| json!({ "user": user, "reason": "a lost laptop" });
    let shown = server.freeze(&carol, "", &freeze("alice")).await;
    assert_eq!(shown.body["freezes"][0]["user"], "alice", "{}", shown.body);
    let size = server.size();
    server.freeze(&carol, "", &freeze("alice")).await;
    assert_eq!(server.size(), size, "what is so already was recorded");

    let before = server.size();
    let refused = server
        .post_as(&alice, "/v1/certificates", &server.wish(&name(1)))
        .await;
    server.refused_once(before, &refused, (403, "frozen"));
    assert!(
        refused.body.to_string().contains("lost laptop"),
        "{}",
        refused.body
    );
    let before = server.size();
    let own = server.freeze(&alice, "/lift", &freeze("alice")).await;
    assert_eq!(own.status, 403, "{}", own.body);
    assert_eq!(server.size(), before + 1);
    assert_eq!(
        server
            .freeze(&carol, "/lift", &freeze("alice"))
            .await
            .status,
        200
    );
    server.certified(&alice, &server.wish(&name(1))).await;

    let opened = server.opened(&alice, &server.root_wish(&name(2))).await;
    server.freeze(&dave, "", &freeze("carol")).await;
    let before = server.size();
    let approval = server.approve(&carol, &opened).await;
    server.refused_once(before, &approval, (403, "frozen"));
    let before = server.size();
    let own = server.freeze(&carol, "/lift", &freeze("carol")).await;
    server.refused_once(before, &own, (403, "frozen"));
    server.freeze(&dave, "/lift", &freeze("carol")).await;
    assert_eq!(server.approve(&carol, &opened).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_environment_issues_nothing_and_the_others_do() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let body = json!({ "environment": "prod", "reason": "an incident" });
    server.freeze(&carol, "", &body).await;
    let mut wish = server.wish(&name(1));
    let refused = server.post_as(&alice, "/v1/certificates", &wish).await;
    refused.is_problem(403, "frozen");
    wish["environment"] = "staging".into();
    server.certified(&alice, &wish).await;
    for wrong in [
        json!({ "reason": "nobody" }),
        json!({ "user": "alice", "environment": "prod", "reason": "both" }),
        json!({ "user": "alice", "reason": "" }),
    ] {
        server
            .freeze(&carol, "", &wrong)
            .await
            .is_problem(400, "invalid-request");
    }
    let unknown = json!({ "environment": "mars", "reason": "far away" });
    server
        .freeze(&carol, "", &unknown)
        .await
        .is_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_name_a_certificate_revokes_it_and_makes_a_newer_list() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let opened = server.opened(&alice, &server.root_wish(&name(0))).await;
    server.approve(&carol, &opened).await;
    let mut root = server.root_wish(&name(1));
    root["access_request"] = opened["id"].clone();
    let of_request = server.certified(&alice, &root).await["serial"].clone();
    let version = server.krl_version().await;
    let revoked = server
        .revoke(&carol, &json!({ "request": opened["id"] }))
        .await;
    assert_eq!(
        revoked.body["serials"],
        json!([of_request]),
        "{}",
        revoked.body
    );
    assert!(server.krl_version().await > version);

    let key: ca_core::certificate::subject_key::SubjectKey = SESSION_KEY.parse().unwrap();
    for n in 2..5 {
        let serial = server.certified(&alice, &server.wish(&name(n))).await["serial"].clone();
        let target = match n {
            2 => json!({ "serial": serial, "reason": "by number" }),
            3 => json!({ "key": key.fingerprint() }),
            _ => json!({ "session_of": serial }),
        };
        let version = server.krl_version().await;
        let revoked = server.revoke(&carol, &target).await;
        let serials = revoked.body["serials"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert!(serials.contains(&serial), "{target}: {}", revoked.body);
        assert!(server.krl_version().await > version, "{target}");
    }
    // The session that they came through is over, and everybody else's is not.
    let ended = server.get_as(&alice, "/v1/sessions/current").await;
    ended.is_problem(401, "session-required");
    assert_eq!(
        server.get_as(&carol, "/v1/sessions/current").await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_somebody_has_ends_at_once_and_a_second_time_is_no_error() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let mut serials = Vec::new();
    for n in 0..3 {
        serials.push(server.certified(&alice, &server.wish(&name(n))).await["serial"].clone());
    }
    let all = json!({ "person": "alice", "reason": "left the company" });
    let revoked = server.revoke(&carol, &all).await;
    assert_eq!(revoked.body["serials"], json!(serials), "{}", revoked.body);
    let ended = server.get_as(&alice, "/v1/sessions/current").await;
    ended.is_problem(401, "session-required");
    let size = server.size();
    let again = server.revoke(&carol, &all).await;
    assert_eq!((again.status, &again.body["serials"]), (200, &json!([])));
    assert_eq!(server.size(), size, "nothing ended, yet a record");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_revoked_is_refused_with_one_record() {
    let server = Running::start().await;
    server.example.enrol("bob").await;
    let (alice, bob) = (server.session("alice").await, server.session("bob").await);
    let serial = server.certified(&alice, &server.wish(&name(1))).await["serial"].clone();
    for (target, expected) in [
        (json!({ "serial": serial }), (403, "denied")),
        (json!({ "person": "alice" }), (403, "denied")),
        (json!({ "session_of": serial }), (403, "denied")),
        (json!({ "serial": 12_345 }), (404, "not-found")),
        (json!({ "person": "nobody" }), (404, "not-found")),
        (json!({ "key": "SHA256:none" }), (404, "not-found")),
    ] {
        let before = server.size();
        let refused = server.revoke(&bob, &target).await;
        server.refused_once(before, &refused, expected);
    }
    let two = json!({ "serial": serial, "mine": "prod" });
    server
        .revoke(&alice, &two)
        .await
        .is_problem(400, "invalid-request");
    // Her own she gives back without anybody's leave.
    let done = server.revoke(&alice, &json!({ "serial": serial })).await;
    assert_eq!(done.body["serials"], json!([serial]));
    let again = server
        .post_as(&alice, "/v1/certificates", &server.wish(&name(1)))
        .await;
    again.is_problem(409, "request-id-reused");
}
