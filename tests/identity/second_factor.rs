//! Codes: each good once, ever; wrong ones have one face, are counted, and lock.

use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::oidc::Provider;
use crate::support::serve::{Api, Installation, SignIn};
use crate::support::signing_key::{Alg, token_none};

fn ca() -> (Provider, Installation) {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    (provider, ca)
}

/// What a client can tell answers apart by.
fn face(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let varies = ["date", "x-request-id"];
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| !varies.contains(&&**name));
    (answer.status, headers.cloned().collect(), answer.text())
}

#[test]
fn of_five_clients_that_show_one_code_at_once_exactly_one_gets_in() {
    let (provider, ca) = ca();
    let alice = Api::of(&ca).enrol(&provider, "alice");
    for _ in 0..3 {
        let code = alice.code();
        let bodies: Vec<Value> = (0..5)
            .map(|_| SignIn::of(&provider, "alice").with_code(&code))
            .collect();
        let gate = std::sync::Barrier::new(bodies.len());
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let clients: Vec<_> = bodies
                .iter()
                .map(|body| {
                    let (api, gate) = (Api::of(&ca), &gate);
                    scope.spawn(move || {
                        gate.wait();
                        api.post("/v1/sessions", body).status
                    })
                })
                .collect();
            clients
                .into_iter()
                .map(|client| client.join().expect("a client"))
                .collect()
        });
        let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!((count(201), count(401)), (1, 4), "{statuses:?}");
    }
}

#[test]
fn a_code_used_before_a_crash_is_still_used_after_it() {
    let (provider, mut ca) = ca();
    let alice = Api::of(&ca).enrol(&provider, "alice");
    let token = Api::of(&ca).session(&provider, "alice", &alice);
    ca.kill();
    ca.start_again();
    let api = Api::of(&ca);
    let replay = SignIn::of(&provider, "alice").with_code(&alice.used_code());
    let refused = api.post("/v1/sessions", &replay).has_status(401);
    assert_eq!(refused.json()["type"], "login-refused");
    // The session is still there, and so is the person.
    api.get_as(&token, "/v1/sessions/current").has_status(200);
    api.session(&provider, "alice", &alice);
}

#[test]
fn a_lockout_outlives_a_restart_and_concerns_nobody_else() {
    let (provider, mut ca) = ca();
    let api = Api::of(&ca);
    let (alice, bob) = (api.enrol(&provider, "alice"), api.enrol(&provider, "bob"));
    for _ in 0..6 {
        let wrong = SignIn::of(&provider, "alice").with_code("000000");
        api.post("/v1/sessions", &wrong).has_status(401);
    }
    let code = alice.code();
    let right = || SignIn::of(&provider, "alice").with_code(&code);
    let locked = api.post("/v1/sessions", &right()).has_status(429);
    let said: u64 = locked
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!((1..=31).contains(&said), "{said}");
    assert_eq!(locked.json()["type"], "too-many-attempts");
    ca.kill();
    ca.start_again();
    let api = Api::of(&ca);
    api.post("/v1/sessions", &right()).has_status(429);
    api.session(&provider, "bob", &bob);
}

#[test]
fn wrong_used_and_malformed_codes_have_one_face_and_the_record_knows_them_apart() {
    let (provider, ca) = ca();
    let api = Api::of(&ca);
    let alice = api.enrol(&provider, "alice");
    let used = alice.used_code();
    let mut faces = Vec::new();
    for code in [
        "000000",
        &used,
        "12 345",
        "\u{ff11}\u{ff12}\u{ff13}456",
        "1234567",
    ] {
        let body = SignIn::of(&provider, "alice").with_code(code);
        faces.push(face(&api.post("/v1/sessions", &body)));
    }
    assert_eq!(faces[0].0, 401);
    assert!(faces.iter().all(|face| face == &faces[0]), "{faces:#?}");
    // Five are free; a right one starts the count again.
    api.session(&provider, "alice", &alice);
    let carol = api.enrol(&provider, "carol");
    let auditor = api.session(&provider, "carol", &carol);
    let wrong = "totp-wrong";
    let known = api.refusals(&auditor);
    assert_eq!(known, [wrong, "totp-replayed", wrong, wrong, wrong]);
    for refused in api.events(&auditor, "refused") {
        assert_eq!(refused["person"]["user"], "alice");
        assert!(
            !refused.to_string().contains(&used),
            "a code is in the record"
        );
    }
}

#[test]
fn who_cannot_sign_in_learns_nothing_about_who_exists_or_has_a_factor() {
    let (provider, ca) = ca();
    let api = Api::of(&ca);
    api.enrol(&provider, "alice");
    let mut faces = Vec::new();
    for (person, sub) in [("alice", "alice"), ("bob", "bob"), ("bob", "nobody-at-all")] {
        for path in ["/v1/sessions", "/v1/totp"] {
            let mut sign_in = SignIn::of(&provider, person);
            let mut claims = provider.claims(person, "a-nonce");
            claims["sub"] = json!(sub);
            sign_in.id_token = token_none(&claims);
            let mut body = sign_in.with_code("123456");
            if path == "/v1/totp" {
                body["tickets"] = json!(["a-ticket"]);
            }
            faces.push(face(&api.post(path, &body)));
        }
    }
    assert_eq!(faces[0].0, 401);
    assert!(faces.iter().all(|face| face == &faces[0]), "{faces:#?}");
}

#[test]
fn an_id_token_opens_one_session_and_only_for_the_key_it_was_made_for() {
    let (provider, ca) = ca();
    let api = Api::of(&ca);
    let alice = api.enrol(&provider, "alice");
    let sign_in = SignIn::of(&provider, "alice");
    let stolen = SignIn {
        id_token: sign_in.id_token.clone(),
        ..SignIn::of(&provider, "alice")
    };
    let theft = stolen.with_code(&alice.code());
    let faces = [face(&api.post("/v1/sessions", &theft)), {
        // The code was not spent by the theft, and neither was the token.
        let body = sign_in.with_code(&alice.used_code());
        api.post("/v1/sessions", &body).has_status(201);
        face(&api.post("/v1/sessions", &sign_in.with_code(&alice.code())))
    }];
    assert_eq!(faces[0].0, 401);
    assert_eq!(faces[0], faces[1]);
    let carol = api.enrol(&provider, "carol");
    let auditor = api.session(&provider, "carol", &carol);
    assert_eq!(
        api.refusals(&auditor),
        ["id-token-nonce", "id-token-reused"]
    );
}
