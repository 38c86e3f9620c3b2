//! Wishes that make no sense, and the same wish twice.

use serde_json::{Value, json};

use super::{Scene, wish};
use crate::support::keygen;
use crate::support::serve::api::fresh_public_key;
use crate::support::serve::{Api, Installation};

const CERTIFICATES: &str = "/v1/certificates";

/// Each wish is refused with 400 for `field`; nothing is issued.
#[track_caller]
fn are_refused(field: &str, values: &[Value]) {
    let scene = Scene::of(Installation::plain_made_for);
    for (at, value) in values.iter().enumerate() {
        let mut wish = wish(&format!("a-wish-that-is-bad-{at}"));
        wish[field] = value.clone();
        let answer = scene.api.post_as(&scene.alice, CERTIFICATES, &wish);
        let shown: String = value.to_string().chars().take(50).collect();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["type"], "invalid-request", "{shown}");
        let named = problem["field"].as_str().unwrap_or_default();
        assert!(
            named == field || named.starts_with(&format!("{field}[")),
            "{shown}: {problem}"
        );
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() < 1000)
        );
    }
    assert_eq!(scene.issued(), 0);
}

#[test]
fn login_names_that_are_none_are_refused_with_their_field() {
    let names = [
        "a,root",
        "ro ot",
        "ro\not",
        "ro\0ot",
        "*",
        "?",
        "../etc",
        "Root",
        "",
        " ",
        "-root",
        "root\r",
        "r\u{43e}\u{43e}t",
        "root\u{200b}",
        "!root",
        "0",
        "deploy\u{1b}[2J",
        &"a".repeat(300),
    ];
    let mut values: Vec<Value> = names.iter().map(|name| json!(["deploy", name])).collect();
    let many: Vec<String> = (0..100).map(|at| format!("user{at}")).collect();
    values.extend([
        json!(["deploy", "deploy"]),
        json!("deploy"),
        json!([["deploy"]]),
        json!(many),
    ]);
    are_refused("principals", &values);
}

#[test]
fn durations_that_are_none_are_refused_with_their_field() {
    let overflow: Value = serde_json::from_str("18446744073709551616").expect("a number");
    are_refused(
        "duration_seconds",
        &[
            json!(0),
            json!(59),
            json!(28_801),
            json!(u64::MAX),
            json!(-1),
            json!(-3600),
            json!(3600.5),
            json!(1e30),
            overflow,
            json!("soon"),
            json!("3600"),
            json!([3600]),
        ],
    );
}

#[test]
fn environments_request_ids_and_reasons_that_are_none_are_refused_with_their_field() {
    let values = ["mars", "", "Prod", "prod ", "prod/../staging", "staging\0"].map(|n| json!(n));
    are_refused("environment", &values);
    let long = "a".repeat(65);
    let values = [
        "",
        "short",
        "with a blank in it",
        "a-newline-in-it-\n",
        &long,
    ]
    .map(|n| json!(n));
    are_refused("request_id", &values);
    let long = "a".repeat(513);
    are_refused("reason", &["a\nb", "a\u{1b}[2Jb", &long].map(|n| json!(n)));
}

/// A certificate of another CA.
fn nested_certificate() -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let (ca, subject) = (
        keygen::generate(dir.path(), "ca"),
        keygen::generate(dir.path(), "subject"),
    );
    let mut sign = std::process::Command::new("ssh-keygen");
    sign.args(["-q", "-I", "nested", "-n", "root", "-s"]);
    sign.arg(&ca.private).arg(&subject.public);
    crate::support::run::run(sign).succeeds();
    std::fs::read_to_string(dir.path().join("subject-cert.pub")).expect("a certificate")
}

fn weak_key() -> String {
    let dir = tempfile::tempdir().expect("a folder");
    keygen::generate_kind(dir.path(), "weak", "rsa", &["-b", "1024"]).public_line()
}

#[test]
fn a_weak_key_or_a_certificate_as_subject_is_refused_before_policy_is_asked() {
    let scene = Scene::of(Installation::made_for);
    let ed25519 = fresh_public_key();
    let keys = [
        weak_key(),
        nested_certificate(),
        nested_certificate().replace("-cert-v01@openssh.com", ""),
        ed25519.replace("ssh-ed25519", "ssh-rsa"),
        ed25519[..40].to_owned(),
        format!("{ed25519}\n{ed25519}"),
        "ssh-dss AAAAB3NzaC1kc3MAAAAA".to_owned(),
        String::new(),
    ];
    for (at, key) in keys.iter().enumerate() {
        let mut wish = wish(&format!("a-wish-with-a-bad-key-{at}"));
        // Policy would say no to this; it is not asked.
        wish["environment"] = json!("prod");
        wish["principals"] = json!(["root"]);
        wish["public_key"] = json!(key);
        let answer = scene.api.post_as(&scene.alice, CERTIFICATES, &wish);
        let problem = answer.has_status(400).json();
        assert_eq!(problem["field"], "public_key", "{problem}");
    }
    assert_eq!(scene.issued(), 0);
    let refused = scene.api.events(&scene.carol, "refused");
    assert_eq!(refused.len(), keys.len());
    for event in refused {
        assert_eq!(event["code"], "invalid-request", "{event}");
        assert_eq!(event["person"]["user"], "alice");
        assert!(
            event.get("policies").is_none() && event.get("policy_digest").is_none(),
            "{event}"
        );
    }
}

#[test]
fn one_request_id_is_one_certificate_also_at_once_and_after_a_crash() {
    let mut scene = Scene::of(Installation::made_for);
    let wish = wish("the-same-request-again");
    let mut answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let ask = || {
            let answer = Api::of(&scene.ca).post_as(&scene.alice, CERTIFICATES, &wish);
            (answer.status, answer.json()["certificate"].clone())
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let answers = clients.into_iter().map(|client| client.join());
        answers.map(|answer| answer.expect("a client")).collect()
    });
    scene.ca.kill();
    scene.ca.start_again();
    scene.api = Api::of(&scene.ca);
    let again = scene.api.post_as(&scene.alice, CERTIFICATES, &wish);
    answers.push((again.status, again.json()["certificate"].clone()));
    assert_eq!(answers[0].0, 201);
    assert!(
        answers[0]
            .1
            .as_str()
            .is_some_and(|line| line.starts_with("ssh-ed25519-cert"))
    );
    assert!(
        answers.iter().all(|answer| answer == &answers[0]),
        "{answers:#?}"
    );
    assert_eq!(scene.issued(), 1);

    let mut other = wish.clone();
    other["duration_seconds"] = json!(3601);
    let reused = scene
        .api
        .post_as(&scene.alice, CERTIFICATES, &other)
        .has_status(409)
        .json();
    assert_eq!(
        (&reused["type"], &reused["field"]),
        (&json!("request-id-reused"), &json!("request_id"))
    );
    // Ids are the client's own: carol's request of the same name is another one.
    let carols = scene.api.post_as(&scene.carol, CERTIFICATES, &wish);
    assert_eq!(carols.has_status(403).json()["type"], "denied");
    assert_eq!(scene.issued(), 1);
}
