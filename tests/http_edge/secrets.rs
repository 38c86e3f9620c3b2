//! What is secret is neither said nor kept in clear.

use std::path::Path;

use serde_json::json;

use crate::support::oidc::Provider;
use crate::support::serve::{Api, Installation, Person, SignIn};
use crate::support::signing_key::Alg;

/// The files below `folder` that contain `wanted`.
fn files_with(folder: &Path, wanted: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, wanted));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(wanted.len()).any(|window| window == wanted)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn no_seed_token_code_or_ticket_is_in_the_trace_the_records_or_the_store() {
    let provider = Provider::with(Alg::EdDsa).start();
    let mut ca = Installation::made_for(&provider.issuer())
        .environment("RUST_LOG", "debug,ca_server=trace")
        .start();
    let api = Api::of(&ca);
    let alice = Person::of("alice", &ca);
    let mut secrets = alice.enrols(&[]);
    secrets.push(alice.authenticator().secret());
    alice.logs_in(&["staging"]).succeeds();
    let sign_in = SignIn::of(&provider, "alice");
    let refused = sign_in.with_code("918273");
    api.post("/v1/sessions", &refused).has_status(401);
    let carol = api.enrol(&provider, "carol");
    let session = api.session(&provider, "carol", &carol);
    let tickets = api.post_as(&session, "/v1/totp/tickets", &json!({"user": "bob"}));
    let ticket = tickets.has_status(201).json()["ticket"].clone();
    let signature = sign_in.id_token.rsplit('.').next().expect("a signature");
    let mut records = String::new();
    for kind in [
        "totp-offered",
        "totp-confirmed",
        "session-opened",
        "ticket-issued",
        "refused",
    ] {
        let events = api.events(&session, kind);
        assert!(!events.is_empty(), "{kind}");
        records += &format!("{events:?}");
    }
    secrets.extend([session, signature.to_owned(), carol.secret()]);
    secrets.push(ticket.as_str().expect("a ticket").to_owned());
    let trace = ca.log();
    assert!(trace.lines().count() > 20, "{trace}");
    assert!(trace.lines().all(|line| line.starts_with('{')), "{trace}");
    let seed = totp_rs::Secret::try_from_base32(alice.authenticator().secret());
    let seed = seed.expect("base32");
    ca.stop();
    for secret in &secrets {
        assert!(!trace.contains(secret), "{secret} is in the trace");
        assert!(!records.contains(secret), "{secret} is in a record");
        let found = files_with(&ca.place(), secret.as_bytes());
        assert!(found.is_empty(), "{secret} is in {found:?}");
    }
    let found = files_with(&ca.place(), seed.as_bytes());
    assert!(found.is_empty(), "a seed is in {found:?}");
    // The search finds what is there.
    assert!(!files_with(&ca.place(), b"session-opened").is_empty());
}
