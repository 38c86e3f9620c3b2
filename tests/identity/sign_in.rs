//! Signing in, by code and PKCE or from another device.

use crate::support::browser::Browser;
use crate::support::oidc::Provider;
use crate::support::process::Process;
use crate::support::run::run;
use crate::support::serve::{Api, Installation, Person};
use crate::support::signing_key::Alg;

fn logs_in_through_a_provider_that_signs_with(alg: Alg, ca: impl Fn(&str) -> Installation) {
    let provider = Provider::with(alg).start();
    let ca = ca(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    assert_eq!(alice.enrols(&[]).len(), 10);
    alice.logs_in(&["staging"]).succeeds();
    assert_eq!(alice.agent.list().len(), 1);
    // Once for the enrolment, once for the login.
    assert_eq!(provider.count("POST /token 200"), 2, "{}", provider.log());

    let api = Api::of(&ca);
    let carol = api.enrol(&provider, "carol");
    let auditor = api.session(&provider, "carol", &carol);
    let opened = &api.events(&auditor, "session-opened")[0];
    assert_eq!(opened["person"]["user"], "alice");
    assert_eq!(opened["groups"], serde_json::json!(["engineering"]));
    assert_eq!(opened["second_factor"], "totp");
    assert_eq!(opened["token_bound"], true);
}

#[test]
fn a_person_enrols_and_logs_in_with_code_and_pkce_and_rs256() {
    logs_in_through_a_provider_that_signs_with(Alg::Rs256, Installation::made_for);
}

#[test]
fn a_person_enrols_and_logs_in_with_code_and_pkce_and_es256() {
    logs_in_through_a_provider_that_signs_with(Alg::Es256, Installation::made_for);
}

#[test]
fn a_person_enrols_and_logs_in_with_code_and_pkce_and_eddsa_over_plain_http_on_loopback() {
    logs_in_through_a_provider_that_signs_with(Alg::EdDsa, Installation::plain_made_for);
}

#[test]
fn a_sign_in_from_another_device_opens_staging_and_not_root_in_prod() {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    let code = format!("echo {}", alice.authenticator().code());
    let login = alice.jit_ssh(&["login", "staging", "--device", "--totp-command", &code]);
    let visited = alice.browser.log();
    let mut waiting = Process::start("jit-ssh", login);
    let shown = waiting.wait_for_log("or visit ");
    // Another device: another browser, nothing in common but the address.
    let phone = Browser::of("alice");
    phone.visit(shown.trim_start_matches("or visit ").trim());
    let status = waiting.wait_for_exit(crate::support::run::RUN_MAX);
    assert!(status.success(), "{}", waiting.log());
    assert_eq!(
        alice.browser.log(),
        visited,
        "a browser was opened here, too"
    );

    run(alice.jit_ssh(&["login", "prod"])).succeeds();
    let root = run(alice.jit_ssh(&["login", "prod", "--as", "root"])).exits_with(3);
    let named = "prod-root-needs-bound-sign-in";
    assert!(root.stderr.contains(named), "{}", root.stderr);

    // With a browser here, that is no longer what is missing.
    alice.logs_in(&["staging", "--fresh"]).succeeds();
    let root = ["login", "prod", "--as", "root", "--no-wait"];
    let root = run(alice.jit_ssh(&root)).exits_with(5);
    assert!(!root.stderr.contains(named), "{}", root.stderr);
    assert!(
        root.stdout.contains("waiting for 1 approval"),
        "{}",
        root.stdout
    );
}

#[test]
fn a_person_who_presses_cancel_is_not_signed_in() {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    let mut alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    alice.browser = Browser::refusing("alice");
    let refused = alice.logs_in(&["staging"]).exits_with(4);
    assert!(refused.stderr.contains("hint:"), "{}", refused.stderr);
    assert!(alice.agent.list().is_empty());
}
