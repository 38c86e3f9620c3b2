//! The second factor: set up, replaced, and by whose leave.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::oath;
use crate::support::oidc::Provider;
use crate::support::pty::Terminal;
use crate::support::serve::{Api, Installation, Person, SignIn};
use crate::support::signing_key::Alg;

fn ca() -> (Provider, Installation) {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    (provider, ca)
}

#[test]
fn at_a_terminal_a_qr_code_is_shown_a_first_code_asked_for_and_ten_recovery_codes_are_printed() {
    let (_provider, ca) = ca();
    let alice = Person::of("alice", &ca);
    let mut terminal = Terminal::start(alice.jit_ssh(&["totp", "enroll"]));
    let picture = terminal.expect("enter the secret by hand:");
    let rows = picture
        .lines()
        .filter(|line| line.matches(['█', '▀', '▄']).count() > 15);
    assert!(rows.count() > 15, "no QR code:\n{picture}");
    let secret = terminal.expect("first code of the new factor: ");
    let secret: String = secret.split_whitespace().collect();
    assert!(!terminal.echoes(), "the code would be shown");
    let step = oath::step_now();
    let code = oath::code_of_step(&secret, step);
    terminal.type_line(&code);
    let (exit, screen) = terminal.finish();
    assert_eq!(exit, Some(0), "{screen}");
    let (_, shown) = screen.split_once("Recovery codes").expect("recovery codes");
    let codes = shown
        .lines()
        .filter(|line| line.starts_with("  ") && line.len() > 8);
    let codes: BTreeSet<&str> = codes.map(str::trim).collect();
    assert_eq!(codes.len(), 10, "{shown}");
    assert!(!shown.contains(&code));

    alice
        .authenticator()
        .scan(&format!("otpauth://totp/a?secret={secret}"));
    // The first code is used up.
    alice.logs_in_with(&code, &["staging"]).exits_with(4);
    let next = oath::code_of_step(&secret, step + 1);
    alice.logs_in_with(&next, &["staging"]).succeeds();
}

#[test]
fn who_logs_in_before_enrolling_is_told_what_to_do() {
    let (_provider, ca) = ca();
    let alice = Person::of("alice", &ca);
    let refused = alice.logs_in_with("123456", &["staging"]).exits_with(4);
    assert!(
        refused.stderr.contains("jit-ssh totp enroll"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_first_code_that_is_wrong_sets_up_nothing() {
    let (provider, ca) = ca();
    let api = Api::of(&ca);
    let sign_in = SignIn::of(&provider, "alice");
    let begin = json!({
        "id_token": sign_in.id_token, "session_public_key": sign_in.session_public_key,
    });
    api.post("/v1/totp", &begin).has_status(201);
    let confirm = sign_in.with_code("000000");
    let refused = api.post("/v1/totp/confirm", &confirm).has_status(401);
    assert_eq!(refused.json()["type"], "login-refused");
    let login = SignIn::of(&provider, "alice").with_code("000000");
    let refused = api.post("/v1/sessions", &login).has_status(401);
    assert_eq!(refused.json()["type"], "totp-not-enrolled");
}

#[test]
fn a_recovery_code_opens_one_session_and_no_second() {
    let (provider, ca) = ca();
    let alice = Person::of("alice", &ca);
    let codes = alice.enrols(&[]);
    let login = || {
        let arguments = ["login", "staging", "--fresh", "--recovery-code"];
        Terminal::start(alice.jit_ssh(&arguments))
    };
    let mut first = login();
    first.expect("recovery code: ");
    // As somebody types it who reads it from paper.
    first.type_line(&codes[3].to_uppercase());
    let (exit, screen) = first.finish();
    assert_eq!(exit, Some(0), "{screen}");

    let mut second = login();
    for _ in 0..2 {
        second.expect("recovery code: ");
        second.type_line(&codes[3]);
    }
    let (exit, screen) = second.finish();
    assert_eq!(exit, Some(4), "{screen}");

    let api = Api::of(&ca);
    let carol = api.enrol(&provider, "carol");
    let auditor = api.session(&provider, "carol", &carol);
    let opened = &api.events(&auditor, "session-opened")[0];
    assert_eq!(opened["second_factor"], "recovery-code");
    assert_eq!(api.refusals(&auditor), ["recovery-code-wrong"; 2]);
}

#[test]
fn a_factor_is_replaced_only_by_showing_it_and_the_old_one_is_worthless_then() {
    let (provider, ca) = ca();
    let alice = Person::of("alice", &ca);
    let old_recovery = alice.enrols(&[]);
    let old = alice.authenticator().secret();
    let api = Api::of(&ca);
    for (shown, kind) in [
        (json!({}), "totp-required"),
        (json!({"totp": "000000"}), "login-refused"),
        (
            json!({"recovery_code": "aaaa-aaaa-aaaa-aaaa"}),
            "login-refused",
        ),
        (
            json!({"tickets": ["a-ticket-that-nobody-issued"]}),
            "totp-required",
        ),
    ] {
        let thief = SignIn::of(&provider, "alice");
        let mut body = shown;
        body["id_token"] = json!(thief.id_token);
        body["session_public_key"] = json!(thief.session_public_key);
        let refused = api.post("/v1/totp", &body).has_status(401);
        assert_eq!(refused.json()["type"], kind);
    }
    alice.enrols(&["--replace"]);
    assert_ne!(alice.authenticator().secret(), old);
    let stale = oath::code_of_step(&old, alice.authenticator().step());
    alice.logs_in_with(&stale, &["staging"]).exits_with(4);
    let mut body = SignIn::of(&provider, "alice").with_code("");
    body.as_object_mut().expect("an object").remove("totp");
    body["recovery_code"] = json!(old_recovery[0]);
    api.post("/v1/sessions", &body).has_status(401);
    alice.logs_in(&["staging"]).succeeds();
}

#[test]
fn where_tickets_are_needed_an_administrators_ticket_lets_one_person_enrol_once() {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer()).configured(|config| {
        config.insert("enrolment".to_owned(), "ticket".into());
        config.insert("administrators".to_owned(), vec!["carol"].into());
    });
    let ca = ca.start();
    let administrator = Api::of(&ca).enrol(&provider, "carol");
    let api = Api::of(&ca);
    let carol = api.session(&provider, "carol", &administrator);

    let bob = Person::of("bob", &ca);
    bob.tries_to_enrol(&[]).exits_with(4);
    let tickets = "/v1/totp/tickets";
    let for_bob = json!({"user": "bob"});
    let issued = api
        .post_as(&carol, tickets, &for_bob)
        .has_status(201)
        .json();
    let ticket = issued["ticket"].as_str().expect("a ticket").to_owned();
    let alice = Person::of("alice", &ca);
    alice.tries_to_enrol(&["--ticket", &ticket]).exits_with(4);
    bob.enrols(&["--ticket", &ticket]);
    bob.logs_in(&["staging"]).succeeds();

    // Spent: it replaces nothing, and for a new factor one administrator would not be enough.
    let again = || {
        let thief = SignIn::of(&provider, "bob");
        let body = json!({
            "id_token": thief.id_token, "session_public_key": thief.session_public_key,
            "tickets": [ticket],
        });
        api.post("/v1/totp", &body).has_status(401).json()
    };
    assert_eq!(again()["type"], "totp-required");
    // Who is no administrator issues none.
    let session = api.session(&provider, "bob", bob.authenticator());
    let denied = api.post_as(&session, tickets, &json!({"user": "alice"}));
    assert_eq!(denied.has_status(403).json()["type"], "denied");
    let stranger = api.post_as("no-session", tickets, &json!({"user": "alice"}));
    assert_eq!(stranger.has_status(401).json()["type"], "session-required");
}
