//! Providers change their keys and go away; so does the CA.

use crate::support::oidc::Provider;
use crate::support::run::run;
use crate::support::serve::{Api, Installation, Person, SignIn};
use crate::support::signing_key::Alg;

#[test]
fn after_the_provider_changed_its_key_the_next_sign_in_works_at_once() {
    let mut provider = Provider::with(Alg::Es256).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    let forged = SignIn::of(&provider, "alice");
    provider.replace_key(Alg::EdDsa, "key-2");
    alice.logs_in(&["staging"]).succeeds();
    // The old key is worth nothing any more.
    let refused = Api::of(&ca).post("/v1/sessions", &forged.with_code("123456"));
    assert_eq!(refused.has_status(401).json()["type"], "login-refused");
}

#[test]
fn while_the_provider_is_away_known_keys_serve_and_sign_in_says_who_is_missing() {
    let mut provider = Provider::with(Alg::EdDsa).start();
    let mut ca = Installation::made_for(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    alice.logs_in(&["staging"]).succeeds();
    let (before, later) = (
        SignIn::of(&provider, "alice"),
        SignIn::of(&provider, "alice"),
    );
    provider.stop();
    let api = Api::of(&ca);
    let code = alice.authenticator().code();
    api.post("/v1/sessions", &before.with_code(&code))
        .has_status(201);
    // Who has a session does not notice.
    run(alice.jit_ssh(&["login", "prod"])).succeeds();
    let away = alice
        .logs_in_with("123456", &["prod", "--fresh"])
        .exits_with(6);
    assert!(away.stderr.contains("identity provider"), "{}", away.stderr);
    assert!(away.stderr.contains("hint:"), "{}", away.stderr);

    // A CA that has just started knows no keys: that is nobody's wrong sign-in.
    ca.stop();
    ca.start_again();
    let api = Api::of(&ca);
    let refused = api
        .post("/v1/sessions", &later.with_code("123456"))
        .has_status(503);
    assert_eq!(refused.json()["type"], "provider-unavailable");
    assert!(refused.header("retry-after").is_some());
    provider.start_again();
    alice.logs_in(&["prod", "--fresh"]).succeeds();
}

#[test]
fn while_the_ca_is_away_every_command_says_so() {
    let provider = Provider::with(Alg::EdDsa).start();
    let mut ca = Installation::made_for(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    alice.logs_in(&["staging"]).succeeds();
    ca.stop();
    for arguments in [
        ["login", "prod"].as_slice(),
        &["login", "prod", "--fresh", "--totp-command", "echo 123456"],
        &["totp", "enroll"],
    ] {
        let away = run(alice.jit_ssh(arguments)).exits_with(6);
        assert!(
            away.stderr.contains("hint:"),
            "{arguments:?}: {}",
            away.stderr
        );
    }
    // What is held is still shown and still works.
    run(alice.jit_ssh(&["login", "staging"])).succeeds();
    assert_eq!(alice.agent.list().len(), 1);
}
