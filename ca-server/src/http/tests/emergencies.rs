//! Emergencies over HTTP, with keys and signatures of the real ssh-keygen.

use std::path::PathBuf;

use ca_core::api::BREAK_GLASS_NAMESPACE;

use super::*;

/// A key pair in a file.
struct Key {
    path: PathBuf,
    public: String,
}

impl Key {
    fn make(server: &Running, name: &str, kind: &[&str]) -> Self {
        let path = server.example.folder.path().join(name);
        let file = path.to_str().unwrap();
        ssh_keygen(&[&["-q", "-N", "", "-C", "", "-f", file, "-t"], kind].concat());
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let public = public.trim().to_owned();
        Self { path, public }
    }

    /// What `ssh-keygen -Y sign` makes of `message`.
    fn sign(&self, namespace: &str, message: &str) -> String {
        let (text, signature) = (
            self.path.with_extension("txt"),
            self.path.with_extension("txt.sig"),
        );
        std::fs::write(&text, message).unwrap();
        drop(std::fs::remove_file(&signature));
        let (key, text) = (self.path.to_str().unwrap(), text.to_str().unwrap());
        ssh_keygen(&["-q", "-Y", "sign", "-f", key, "-n", namespace, text]);
        std::fs::read_to_string(signature).unwrap()
    }

    /// A fresh challenge, signed: the body that enrols the key.
    async fn proof(&self, server: &Running) -> Value {
        let challenge = challenge(server).await;
        json!({
            "public_key": self.public,
            "signature": self.sign(BREAK_GLASS_NAMESPACE, &challenge),
            "challenge": challenge,
        })
    }

    async fn enrol(&self, server: &Running, token: &str) -> Answer {
        let body = self.proof(server).await;
        server.post_as(token, "/v1/break-glass/keys", &body).await
    }

    /// Signs in with a code that was not used.
    async fn sign_in(&self, server: &Running, name: &str) -> Answer {
        server.example.pass(30);
        let body = coded(self.proof(server).await, &server.example.code(name));
        server.post("/v1/break-glass/sessions", &body).await
    }
}

async fn challenge(server: &Running) -> String {
    let answer = server.post("/v1/break-glass/challenges", &json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.text("challenge")
}

fn coded(mut body: Value, code: &str) -> Value {
    body["totp"] = code.into();
    body
}

/// A server, and the session of bob, who is on call.
async fn on_call() -> (Running, String) {
    let server = Running::start().await;
    server.example.enrol("bob").await;
    let bob = server.session("bob").await;
    (server, bob)
}

fn emergency(server: &Running, request_id: &str) -> Value {
    let mut wish = server.root_wish(request_id);
    wish["reason"] = "INC-42 db down".into();
    wish
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolled_keys_of_every_kind_open_a_session_that_is_good_for_emergencies_only() {
    let (server, bob) = on_call().await;
    let mut emergency_session = String::new();
    for (name, kind) in [
        ("ed", &["ed25519"][..]),
        ("ec", &["ecdsa", "-b", "256"]),
        ("rsa", &["rsa", "-b", "3072"]),
    ] {
        let key = Key::make(&server, name, kind);
        let added = key.enrol(&server, &bob).await;
        assert_eq!(added.status, 201, "{name}: {}", added.body);
        let opened = key.sign_in(&server, "bob").await;
        assert_eq!(opened.status, 201, "{name}: {}", opened.body);
        assert_eq!(opened.body["user"], "bob");
        emergency_session = opened.text("token");
    }
    let listed = server.get_as(&bob, "/v1/break-glass/keys").await;
    assert_eq!(listed.body["keys"].as_array().unwrap().len(), 3);

    let before = server.size();
    let login = server
        .post_as(
            &emergency_session,
            "/v1/certificates",
            &server.wish("login-0000000001"),
        )
        .await;
    server.refused_once(before, &login, (403, "denied"));
    let alice = server.session("alice").await;
    let opened = server
        .opened(&alice, &server.root_wish("request-00000001"))
        .await;
    let before = server.size();
    let approval = server.approve(&emergency_session, &opened).await;
    server.refused_once(before, &approval, (403, "denied"));
    let key = Key::make(&server, "another", &["ed25519"]);
    let before = server.size();
    let added = key.enrol(&server, &emergency_session).await;
    server.refused_once(before, &added, (401, "totp-required"));

    let wish = emergency(&server, "emergency-00000001");
    let issued = server
        .post_as(&emergency_session, "/v1/break-glass", &wish)
        .await;
    assert_eq!(issued.status, 201, "{}", issued.body);
    assert!(
        issued.text("key_id").contains("+break-glass"),
        "{}",
        issued.body
    );
    assert_eq!(issued.body["principals"], json!(["root"]));
    let size = server.size();
    let again = server
        .post_as(&emergency_session, "/v1/break-glass", &wish)
        .await;
    assert_eq!(
        (again.status, &again.body["serial"]),
        (201, &issued.body["serial"])
    );
    assert_eq!(server.size(), size, "repeated, yet a record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_not_exactly_the_one_asked_for_opens_nothing() {
    let (server, bob) = on_call().await;
    let (key, other) = (
        Key::make(&server, "key", &["ed25519"]),
        Key::make(&server, "other", &["ed25519"]),
    );
    assert_eq!(key.enrol(&server, &bob).await.status, 201);
    server.example.pass(30);
    let code = server.example.code("bob");
    let expected = (401, "login-refused");
    let sign_in = async |body: Value| {
        server
            .post("/v1/break-glass/sessions", &coded(body, &code))
            .await
    };

    let mut body = key.proof(&server).await;
    let text = body["challenge"].as_str().unwrap().to_owned();
    body["signature"] = key.sign("file", &text).into();
    let before = server.size();
    server.refused_once(before, &sign_in(body).await, expected);

    let mut body = key.proof(&server).await;
    body["challenge"] = challenge(&server).await.into();
    let before = server.size();
    server.refused_once(before, &sign_in(body).await, expected);

    let mut body = other.proof(&server).await;
    body["public_key"] = key.public.clone().into();
    let before = server.size();
    server.refused_once(before, &sign_in(body).await, expected);

    // A key that nobody enrolled.
    let before = server.size();
    let body = other.proof(&server).await;
    server.refused_once(before, &sign_in(body).await, expected);

    let body = key.proof(&server).await;
    server.example.pass(121);
    let before = server.size();
    server.refused_once(before, &sign_in(body).await, expected);

    let good = key.proof(&server).await;
    let opened = server
        .post(
            "/v1/break-glass/sessions",
            &coded(good.clone(), &server.example.code("bob")),
        )
        .await;
    assert_eq!(opened.status, 201);
    // The same challenge, signature and all once more.
    server.example.pass(30);
    let before = server.size();
    let replayed = server
        .post(
            "/v1/break-glass/sessions",
            &coded(good, &server.example.code("bob")),
        )
        .await;
    server.refused_once(before, &replayed, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_a_used_and_at_last_even_a_right_code_open_nothing() {
    let (server, bob) = on_call().await;
    let key = Key::make(&server, "key", &["ed25519"]);
    assert_eq!(key.enrol(&server, &bob).await.status, 201);
    // The one that bob signed in with.
    let used = server.example.code("bob");
    for code in [
        used.as_str(),
        "000000",
        "000000",
        "12345",
        "000000",
        "000000",
    ] {
        let before = server.size();
        let body = coded(key.proof(&server).await, code);
        let refused = server.post("/v1/break-glass/sessions", &body).await;
        server.refused_once(before, &refused, (401, "login-refused"));
    }
    server.example.pass(29);
    let before = server.size();
    let body = coded(key.proof(&server).await, &server.example.code("bob"));
    let locked = server.post("/v1/break-glass/sessions", &body).await;
    server.refused_once(before, &locked, (429, "too-many-attempts"));
    assert_eq!(key.sign_in(&server, "bob").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_enrolled_by_its_holder_once_and_only_soon_after_the_second_factor() {
    let (server, bob) = on_call().await;
    let carol = server.session("carol").await;
    let (key, other) = (
        Key::make(&server, "key", &["ed25519"]),
        Key::make(&server, "other", &["ed25519"]),
    );
    let mut forged = other.proof(&server).await;
    forged["public_key"] = key.public.clone().into();
    let before = server.size();
    let forged = server.post_as(&bob, "/v1/break-glass/keys", &forged).await;
    server.refused_once(before, &forged, (400, "invalid-request"));
    let added = key.enrol(&server, &bob).await;
    assert_eq!(added.status, 201, "{}", added.body);
    let before = server.size();
    let taken = key.enrol(&server, &carol).await;
    server.refused_once(before, &taken, (400, "invalid-request"));
    server.example.pass(15 * 60 + 1);
    let before = server.size();
    let late = other.enrol(&server, &bob).await;
    server.refused_once(before, &late, (401, "totp-required"));

    // Nobody takes away the key of another; without it nobody signs in.
    let path = format!(
        "/v1/break-glass/keys/{}",
        added
            .text("fingerprint")
            .replace('/', "%2F")
            .replace('+', "%2B")
    );
    let remove = |token: &str| send(server.request(Method::DELETE, &path).bearer_auth(token));
    let before = server.size();
    let foreign = remove(&carol).await;
    server.refused_once(before, &foreign, (404, "not-found"));
    assert_eq!(remove(&bob).await.status, 204);
    key.sign_in(&server, "bob")
        .await
        .is_problem(401, "login-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_is_judged_by_somebody_else_before_the_next() {
    let (server, bob) = on_call().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let mut silent = emergency(&server, "emergency-00000001");
    silent["reason"] = Value::Null;
    let before = server.size();
    let silent = server.post_as(&bob, "/v1/break-glass", &silent).await;
    server.refused_once(before, &silent, (400, "invalid-request"));
    let before = server.size();
    let not_on_call = server
        .post_as(
            &alice,
            "/v1/break-glass",
            &emergency(&server, "emergency-00000001"),
        )
        .await;
    server.refused_once(before, &not_on_call, (403, "denied"));

    let wish = emergency(&server, "emergency-00000001");
    let issued = server.post_as(&bob, "/v1/break-glass", &wish).await;
    assert_eq!(issued.status, 201, "{}", issued.body);
    let reviews = |token: &str| {
        let token = token.to_owned();
        let server = &server;
        async move { server.get_as(&token, "/v1/reviews").await.body["reviews"].clone() }
    };
    let (of_bob, of_carol) = (reviews(&bob).await, reviews(&carol).await);
    assert_eq!(of_bob[0]["may_close"], false);
    assert_eq!(of_carol[0]["may_close"], true);
    assert_eq!(of_carol[0]["serial"], issued.body["serial"]);
    assert_eq!(of_carol[0]["reason"], "INC-42 db down");
    assert_eq!(reviews(&alice).await, json!([]));
    let path = format!("/v1/reviews/{}", of_carol[0]["id"]);
    let finding = json!({ "finding": "it was down indeed" });
    for who in [&bob, &alice] {
        let before = server.size();
        let refused = server.post_as(who, &path, &finding).await;
        server.refused_once(before, &refused, (403, "denied"));
    }
    let next = emergency(&server, "emergency-00000002");
    let before = server.size();
    let blocked = server.post_as(&bob, "/v1/break-glass", &next).await;
    server.refused_once(before, &blocked, (403, "denied"));
    assert!(
        blocked
            .body
            .to_string()
            .contains("review-before-the-next-emergency")
    );
    let empty = server
        .post_as(&carol, &path, &json!({ "finding": "" }))
        .await;
    empty.is_problem(400, "invalid-request");
    assert_eq!(server.post_as(&carol, &path, &finding).await.status, 204);
    let before = server.size();
    let twice = server.post_as(&carol, &path, &finding).await;
    server.refused_once(before, &twice, (404, "not-found"));
    assert_eq!(
        server.post_as(&bob, "/v1/break-glass", &next).await.status,
        201
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_stops_emergencies_too() {
    let (server, bob) = on_call().await;
    let carol = server.session("carol").await;
    let freeze = json!({ "user": "bob", "reason": "a lost laptop" });
    server.post_as(&carol, "/v1/freezes", &freeze).await;
    let before = server.size();
    let frozen = server
        .post_as(
            &bob,
            "/v1/break-glass",
            &emergency(&server, "emergency-00000001"),
        )
        .await;
    server.refused_once(before, &frozen, (403, "frozen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_nothing_a_month_after_its_holder_last_signed_in() {
    let (server, bob) = on_call().await;
    let key = Key::make(&server, "key", &["ed25519"]);
    assert_eq!(key.enrol(&server, &bob).await.status, 201);
    assert_eq!(key.sign_in(&server, "bob").await.status, 201);
    server.example.pass(30 * 86_400);
    let body = coded(key.proof(&server).await, &server.example.code("bob"));
    let before = server.size();
    let late = server.post("/v1/break-glass/sessions", &body).await;
    server.refused_once(before, &late, (401, "login-refused"));
}
