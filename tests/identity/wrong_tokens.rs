//! Every wrong claim: the provider gives such a token, the client passes it on, the CA refuses it.
//! All have one face; only the record tells them apart.

use serde_json::{Value, json};

use crate::support::clock::unix_now;
use crate::support::oidc::{OTHER_CLIENT_ID, Provider};
use crate::support::run::run;
use crate::support::serve::{Api, Installation, Person, SignIn};
use crate::support::sign_in::{code_flow, id_token};
use crate::support::signing_key::Alg;

/// Refusals of one address that get a record of their own each minute: no more cases in a table.
const CASES_MAX: usize = 10;

/// `person` tries to log in with each changed token; the codes must be in the record, in order.
fn are_refused(person: &str, edit: impl FnOnce(&mut toml::Table), cases: &[(Value, &str)]) {
    assert!(cases.len() <= CASES_MAX);
    let provider = Provider::with(Alg::Es256).start();
    let ca = Installation::made_for(&provider.issuer())
        .configured(edit)
        .start();
    let client = Person::of(person, &ca);
    let mut errors = Vec::new();
    for (change, _) in cases {
        provider.tamper(change);
        let refused = client.logs_in_with("123456", &["staging"]).exits_with(4);
        let error = refused
            .stderr
            .lines()
            .find(|line| line.starts_with("error:"));
        errors.push(error.expect("an error").to_owned());
    }
    provider.tamper(&Value::Null);
    assert!(errors.iter().all(|error| error == &errors[0]), "{errors:?}");
    let api = Api::of(&ca);
    let carol = api.enrol(&provider, "carol");
    let auditor = api.session(&provider, "carol", &carol);
    let wanted: Vec<&str> = cases.iter().map(|(_, code)| *code).collect();
    assert_eq!(api.refusals(&auditor), wanted);
}

#[test]
fn a_token_without_a_signature_of_a_known_key_is_refused() {
    are_refused(
        "alice",
        |_| {},
        &[
            (json!({"header": {"alg": "none"}}), "id-token-algorithm"),
            (json!({"header": {"alg": "HS256"}}), "id-token-algorithm"),
            (
                json!({"header": {"kid": "nobody-knows"}}),
                "id-token-key-unknown",
            ),
            (
                json!({"header": {"kid": "../../etc/passwd"}}),
                "id-token-key-unknown",
            ),
            (json!({"header": {"typ": "at+jwt"}}), "id-token-header"),
            (json!({"header": {"crit": ["exp"]}}), "id-token-header"),
            (json!({"header": {"alg": 5}}), "id-token-malformed"),
        ],
    );
}

#[test]
fn a_token_of_another_time_or_for_somebody_else_is_refused() {
    let now = unix_now();
    let claims = |claims: Value| json!({"claims": claims});
    are_refused(
        "alice",
        |_| {},
        &[
            (
                claims(json!({"iss": "https://id.example.com"})),
                "id-token-issuer",
            ),
            (claims(json!({"aud": OTHER_CLIENT_ID})), "id-token-audience"),
            (
                claims(json!({"aud": ["jit-ssh", OTHER_CLIENT_ID]})),
                "id-token-authorized-party",
            ),
            (
                claims(json!({"azp": OTHER_CLIENT_ID})),
                "id-token-authorized-party",
            ),
            (claims(json!({"exp": now - 1})), "id-token-expired"),
            (json!({"unset": ["exp"]}), "id-token-expired"),
            (claims(json!({"iat": now + 3600})), "id-token-issued-at"),
            (json!({"unset": ["iat"]}), "id-token-issued-at"),
            (claims(json!({"iat": now - 700})), "id-token-too-old"),
            (claims(json!({"nbf": now + 3600})), "id-token-not-yet-valid"),
        ],
    );
}

#[test]
fn a_token_that_names_nobody_or_another_sign_in_is_refused() {
    let claims = |claims: Value| json!({"claims": claims});
    let other = crate::support::serve::api::nonce("ssh-ed25519 AAAA");
    are_refused(
        "alice",
        |_| {},
        &[
            (claims(json!({"nonce": other})), "id-token-nonce"),
            (claims(json!({"nonce": ""})), "id-token-nonce"),
            (claims(json!({"nonce": 7})), "id-token-nonce"),
            (json!({"unset": ["sub"]}), "id-token-subject"),
            (claims(json!({"sub": ""})), "id-token-subject"),
            (claims(json!({"sub": "a\nb"})), "id-token-subject"),
            (
                json!({"unset": ["preferred_username"]}),
                "id-token-user-name",
            ),
            (
                claims(json!({"preferred_username": "a b"})),
                "id-token-user-name",
            ),
            (claims(json!({"groups": {"a": 1}})), "id-token-groups"),
        ],
    );
}

fn named_by_email(config: &mut toml::Table) {
    let issuers = config["issuers"].as_array_mut().expect("issuers");
    let issuer = issuers[0].as_table_mut().expect("an issuer");
    issuer.insert("user_claim".to_owned(), "email".into());
}

#[test]
fn an_address_that_is_not_verified_names_nobody() {
    let mail = "id-token-email-unverified";
    are_refused(
        "mallory",
        named_by_email,
        &[
            (json!({}), mail),
            (json!({"claims": {"email_verified": "true"}}), mail),
            (json!({"unset": ["email_verified"]}), mail),
        ],
    );
}

#[test]
fn a_verified_address_names_its_owner() {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer());
    let ca = ca.configured(named_by_email).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    let login = alice.logs_in(&["staging", "--json"]).succeeds();
    let said: Value = serde_json::from_str(&login.stdout).expect("JSON");
    let key_id = said["key_id"].as_str().expect("a key id");
    assert!(key_id.starts_with("alice@example.com@staging#"), "{key_id}");
}

#[test]
fn a_genuine_token_of_another_client_is_refused() {
    let provider = Provider::with(Alg::Rs256).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    let api = Api::of(&ca);
    let alice = api.enrol(&provider, "alice");
    let mut sign_in = SignIn::of(&provider, "alice");
    let nonce = crate::support::serve::api::nonce(&sign_in.session_public_key);
    sign_in.id_token = id_token(code_flow(&provider, OTHER_CLIENT_ID, "alice", &nonce));
    let refused = api.post("/v1/sessions", &sign_in.with_code(&alice.code()));
    assert_eq!(refused.has_status(401).json()["type"], "login-refused");
    // It was not the code.
    let right = SignIn::of(&provider, "alice").with_code(&alice.used_code());
    api.post("/v1/sessions", &right).has_status(201);
}

#[test]
fn a_browser_sign_in_whose_token_lost_its_nonce_counts_as_unbound() {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::made_for(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    provider.tamper(&json!({"unset": ["nonce"]}));
    alice.logs_in(&["staging"]).succeeds();
    let root = run(alice.jit_ssh(&["login", "prod", "--as", "root"])).exits_with(3);
    assert!(
        root.stderr.contains("prod-root-needs-bound-sign-in"),
        "{}",
        root.stderr
    );
}
