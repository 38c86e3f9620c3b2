//! The OpenID provider gives tokens that are right, and wrong ones when it is told to.

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::http::Client;
use crate::support::oidc::{CLIENT_ID, OTHER_CLIENT_ID, Provider};
use crate::support::sign_in::{self, code_flow, device_flow, id_token};
use crate::support::signing_key::{Alg, claims_of, token_none};

/// The `kid`s that the provider publishes.
fn published(provider: &Provider) -> Vec<Value> {
    let jwks_uri = sign_in::discover(provider)["jwks_uri"]
        .as_str()
        .unwrap()
        .to_owned();
    let jwks = Client::new(None).get(&jwks_uri).has_status(200).json();
    jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].clone())
        .collect()
}

fn header_of(token: &str) -> Value {
    // A header and claims are encoded alike.
    claims_of(&format!(".{}", token.split('.').next().unwrap()))
}

fn code_flow_gives_a_token_signed_with(alg: Alg) {
    let provider = Provider::with(alg).start();
    let token = id_token(code_flow(&provider, CLIENT_ID, "alice", "a-nonce"));
    assert_eq!(header_of(&token)["alg"], alg.name());
    let claims = provider.key().verify(&token, CLIENT_ID).unwrap();
    assert_eq!(claims["iss"], json!(provider.issuer()));
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["nonce"], "a-nonce");
    assert_eq!(claims["groups"], json!(["engineering"]));
    assert_eq!(
        (&claims["email"], &claims["email_verified"]),
        (&json!("alice@example.com"), &json!(true))
    );
    assert_eq!(claims["preferred_username"], "alice");
}

#[test]
fn the_code_flow_gives_a_verifiable_rs256_token_with_groups() {
    code_flow_gives_a_token_signed_with(Alg::Rs256);
}

#[test]
fn the_code_flow_gives_a_verifiable_es256_token_with_groups() {
    code_flow_gives_a_token_signed_with(Alg::Es256);
}

#[test]
fn the_code_flow_gives_a_verifiable_eddsa_token_with_groups() {
    code_flow_gives_a_token_signed_with(Alg::EdDsa);
}

#[test]
fn the_device_flow_gives_a_verifiable_token_without_nonce() {
    for alg in Alg::ALL {
        let provider = Provider::with(alg).start();
        let token = id_token(device_flow(&provider, CLIENT_ID, &Browser::of("bob")));
        let claims = provider.key().verify(&token, CLIENT_ID).unwrap();
        assert_eq!((&claims["sub"], claims.get("nonce")), (&json!("bob"), None));
    }
}

#[test]
fn a_person_who_refuses_gives_no_token() {
    let provider = Provider::with(Alg::EdDsa).start();
    let answer = device_flow(&provider, CLIENT_ID, &Browser::refusing("bob"));
    assert_eq!(answer.has_status(400).json()["error"], "access_denied");
}

#[test]
fn a_stranger_cannot_sign_in() {
    let provider = Provider::with(Alg::EdDsa).start();
    let metadata = sign_in::discover(&provider);
    let url = format!(
        "{}?client_id={CLIENT_ID}&response_type=code&scope=openid&redirect_uri=http://127.0.0.1:1/callback\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        metadata["authorization_endpoint"].as_str().unwrap()
    );
    let browser = Browser::of("nobody");
    browser.visit(&url).exits_with(1);
    assert!(!browser.log().contains("/callback"), "{}", browser.log());
}

#[test]
fn a_token_of_another_client_is_for_another_audience() {
    let provider = Provider::with(Alg::Es256).start();
    let token = id_token(code_flow(&provider, OTHER_CLIENT_ID, "alice", "a-nonce"));
    assert_eq!(claims_of(&token)["aud"], OTHER_CLIENT_ID);
    provider.key().verify(&token, CLIENT_ID).unwrap_err();
}

#[test]
fn a_replaced_key_is_no_longer_published_and_an_added_one_is_beside_the_old() {
    let mut provider = Provider::with(Alg::Es256).start();
    let (issuer, old) = (provider.issuer(), provider.key().clone());
    assert_eq!(published(&provider), ["key-1"]);
    provider.replace_key(Alg::Es256, "key-2");
    assert_eq!(published(&provider), ["key-2"]);
    provider.add_key(Alg::Es256, "key-3");
    assert_eq!(published(&provider), ["key-3", "key-2"]);
    let token = id_token(code_flow(&provider, CLIENT_ID, "alice", "a-nonce"));
    assert_eq!(
        (&header_of(&token)["kid"], provider.issuer()),
        (&json!("key-3"), issuer)
    );
    provider.key().verify(&token, CLIENT_ID).unwrap();
    old.verify(&token, CLIENT_ID).unwrap_err();
}

#[test]
fn a_stopped_provider_is_unreachable_and_comes_back_on_the_same_port() {
    let mut provider = Provider::with(Alg::EdDsa).start();
    let url = format!("{}/jwks", provider.issuer());
    let client = Client::new(None);
    provider.stop();
    client
        .try_send(client.request(reqwest::Method::GET, &url))
        .unwrap_err();
    provider.start_again();
    client.get(&url).has_status(200);
    assert_eq!(provider.count("GET /jwks 200"), 1);
}

#[test]
fn a_forged_token_with_honest_claims_verifies_and_any_changed_one_can_be_made() {
    for alg in Alg::ALL {
        let provider = Provider::with(alg).start();
        let honest = provider.claims("alice", "a-nonce");
        let token = provider.key().token(&honest);
        assert_eq!(provider.key().verify(&token, CLIENT_ID).unwrap(), honest);
        let genuine = id_token(code_flow(&provider, CLIENT_ID, "alice", "a-nonce"));
        for name in honest
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "auth_time")
        {
            assert!(
                claims_of(&genuine).get(name).is_some(),
                "genuine tokens have no {name}"
            );
        }
        let mut late = honest.clone();
        late["exp"] = json!(1_000_000_000);
        provider
            .key()
            .verify(&provider.key().token(&late), CLIENT_ID)
            .unwrap_err();
        let confused = provider.key().token_hs256(&honest);
        provider.key().verify(&confused, CLIENT_ID).unwrap_err();
        provider.key().verify_hs256(&confused, CLIENT_ID).unwrap();
        provider
            .key()
            .verify(&token_none(&honest), CLIENT_ID)
            .unwrap_err();
    }
}

#[test]
fn a_tampering_provider_signs_whatever_it_is_told() {
    for alg in Alg::ALL {
        let provider = Provider::with(alg).start();
        let sign_in = || id_token(code_flow(&provider, CLIENT_ID, "alice", "a-nonce"));
        provider.tamper(&json!({"claims": {"iss": "https://wrong.example"}, "unset": ["sub"]}));
        let claims = provider.key().verify(&sign_in(), CLIENT_ID).unwrap();
        assert_eq!(
            (&claims["iss"], claims.get("sub")),
            (&json!("https://wrong.example"), None)
        );
        provider.tamper(&json!({"header": {"alg": "none"}}));
        assert!(sign_in().ends_with('.'));
        provider.tamper(&json!({"header": {"alg": "HS256"}}));
        provider.key().verify_hs256(&sign_in(), CLIENT_ID).unwrap();
        provider.tamper(&Value::Null);
        provider.key().verify(&sign_in(), CLIENT_ID).unwrap();
    }
}
