//! Claims of ID tokens, and what the tests of signatures share.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://id.example.com";
const CLIENT: &str = "jit-ssh";
const SESSION_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNlc3Npb24=";
const NOW: u64 = 1_800_000_000;

mod signature;

struct TestKey {
    algorithm: Algorithm,
    key: EncodingKey,
    id: &'static str,
    jwk: Value,
}

impl TestKey {
    fn new(algorithm: Algorithm, id: &'static str) -> Self {
        let pair = match algorithm {
            Algorithm::RS256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256),
            Algorithm::ES256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            _ => rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519),
        }
        .unwrap();
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        }
        .unwrap();
        let mut jwk = match algorithm {
            Algorithm::EdDSA => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig"})
            }
            other => serde_json::to_value(Jwk::from_encoding_key(&key, other).unwrap()).unwrap(),
        };
        jwk["kid"] = json!(id);
        Self {
            algorithm,
            key,
            id,
            jwk,
        }
    }

    fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "kid": self.id, "typ": "JWT"})
    }

    fn sign(&self, header: &Value, claims: &str) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), &claims.to_string())
    }
}

fn key_set(keys: &[&TestKey]) -> KeySet {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn ed() -> TestKey {
    TestKey::new(Algorithm::EdDSA, "ed")
}

fn good() -> Value {
    json!({
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "0b6a",
        "iat": NOW - 5,
        "exp": NOW + 300,
        "nonce": nonce(SESSION_KEY),
        "preferred_username": "alice",
        "email": "alice@example.com",
        "email_verified": true,
        "groups": ["engineering", "on-call"],
    })
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn judge(token: &str, keys: &KeySet) -> Result<Identity, IdTokenError> {
    let issuer = IssuerConfig::new(ISSUER, CLIENT);
    verify(token, SESSION_KEY, &issuer, keys, now())
}

/// The verdict on the good claims with `changes` merged in; `null` removes a claim.
fn judge_changed(changes: &Value) -> Result<Identity, IdTokenError> {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, v| !v.is_null());
    let key = ed();
    judge(&key.token(&claims), &key_set(&[&key]))
}

#[test]
fn a_good_token_of_each_accepted_algorithm_proves_the_identity() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let key = TestKey::new(algorithm, "k");
        let token = key.token(&good());
        let identity = judge(&token, &key_set(&[&key])).unwrap();
        let signed = token.rsplit_once('.').unwrap().0;
        let wanted = Identity {
            person: Person {
                subject: Subject::new(ISSUER, "0b6a").unwrap(),
                user: "alice".parse().unwrap(),
            },
            groups: ["engineering", "on-call"].map(str::to_owned).into(),
            id_token: Digest::of(signed.as_bytes()),
            id_token_expires: Timestamp::from_unix_seconds(NOW + 300),
            token_bound: true,
        };
        assert_eq!(identity, wanted);
    }
}

#[test]
fn every_wrong_claim_is_refused_with_its_own_code() {
    let many: Vec<String> = (0..=GROUPS_MAX).map(|n| n.to_string()).collect();
    for (changes, code) in [
        (json!({"iss": "https://id.example.com/"}), "id-token-issuer"),
        (json!({"iss": null}), "id-token-issuer"),
        (json!({"aud": "console"}), "id-token-audience"),
        (json!({"aud": null}), "id-token-audience"),
        (json!({"aud": []}), "id-token-audience"),
        (json!({"aud": "JIT-SSH"}), "id-token-audience"),
        (
            json!({"aud": [CLIENT, "console"]}),
            "id-token-authorized-party",
        ),
        (
            json!({"aud": [CLIENT, "console"], "azp": "console"}),
            "id-token-authorized-party",
        ),
        (json!({"azp": "console"}), "id-token-authorized-party"),
        (json!({"exp": NOW}), "id-token-expired"),
        (json!({"exp": null}), "id-token-expired"),
        (json!({"exp": "never"}), "id-token-malformed"),
        (json!({"exp": -1}), "id-token-malformed"),
        (json!({"iat": NOW + 61}), "id-token-issued-at"),
        (json!({"iat": null}), "id-token-issued-at"),
        (json!({"iat": NOW - 600}), "id-token-too-old"),
        (json!({"nbf": NOW + 61}), "id-token-not-yet-valid"),
        (json!({"sub": null}), "id-token-subject"),
        (json!({"sub": ""}), "id-token-subject"),
        (json!({"sub": "a".repeat(256)}), "id-token-subject"),
        (json!({"nonce": "n-0S6_WzA2Mj"}), "id-token-nonce"),
        (json!({"nonce": ""}), "id-token-nonce"),
        (json!({"nonce": 7}), "id-token-nonce"),
        (json!({"preferred_username": null}), "id-token-user-name"),
        (json!({"preferred_username": "Alice"}), "id-token-user-name"),
        (json!({"preferred_username": "a b"}), "id-token-user-name"),
        (json!({"groups": ["a", 7]}), "id-token-groups"),
        (json!({"groups": [""]}), "id-token-groups"),
        (json!({"groups": {"a": true}}), "id-token-groups"),
        (json!({"groups": ["a".repeat(129)]}), "id-token-groups"),
        (json!({"groups": many}), "id-token-groups"),
        (
            json!({"groups": null, "_claim_names": {"groups": "src1"}}),
            "id-token-groups",
        ),
    ] {
        let refused = judge_changed(&changes).err().map(IdTokenError::code);
        assert_eq!(refused, Some(code), "{changes}");
    }
}

#[test]
fn values_just_inside_their_bounds_are_accepted() {
    let most: Vec<String> = (0..GROUPS_MAX).map(|n| n.to_string()).collect();
    for changes in [
        json!({"exp": NOW + 1}),
        json!({"iat": NOW + 60}),
        json!({"iat": NOW - 599}),
        json!({"exp": 1_800_000_001.5}),
        json!({"nbf": NOW + 60}),
        json!({"aud": [CLIENT]}),
        json!({"aud": ["console", CLIENT], "azp": CLIENT}),
        json!({"sub": "a".repeat(255)}),
        json!({"groups": most}),
        json!({"groups": ["a".repeat(128)]}),
    ] {
        assert!(judge_changed(&changes).is_ok(), "{changes}");
    }
}

#[test]
fn groups_may_be_absent_or_a_single_name() {
    let none = judge_changed(&json!({"groups": null})).unwrap();
    assert!(none.groups().is_empty());
    let one = judge_changed(&json!({"groups": "sre"})).unwrap();
    assert_eq!(one.groups(), &["sre".to_owned()].into());
}

#[test]
fn a_token_is_forgotten_when_it_expires_or_is_too_old_whichever_is_sooner() {
    let old = judge_changed(&json!({"exp": NOW + 86_400, "iat": NOW - 5})).unwrap();
    assert_eq!(
        old.id_token_expires(),
        Timestamp::from_unix_seconds(NOW - 5 + 600)
    );
}

#[test]
fn a_token_without_nonce_is_accepted_as_unbound() {
    assert!(
        !judge_changed(&json!({"nonce": null}))
            .unwrap()
            .token_bound()
    );
}

#[test]
fn a_token_bound_to_one_session_key_is_refused_with_another() {
    let key = ed();
    let (keys, issuer) = (key_set(&[&key]), IssuerConfig::new(ISSUER, CLIENT));
    let token = key.token(&good());
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG90aGVy";
    let refused = verify(&token, other, &issuer, &keys, now());
    assert_eq!(refused.err(), Some(IdTokenError::Nonce));
    let commented = format!("{SESSION_KEY} alice@laptop");
    assert!(verify(&token, &commented, &issuer, &keys, now()).is_ok());
}

#[test]
fn the_nonce_is_the_documented_hash() {
    // printf 'jit-ssh/nonce/v1\0ssh-ed25519 AAAA' | openssl dgst -sha256 -binary | basenc --base64url
    assert_eq!(
        nonce("ssh-ed25519 AAAA"),
        "ahGm3jPpcPewHpRvIJSjpYBhJVji-TmtGm20YqEylxI"
    );
}

#[test]
fn an_address_is_a_name_only_when_it_is_verified() {
    let key = ed();
    let keys = key_set(&[&key]);
    let mut issuer = IssuerConfig::new(ISSUER, CLIENT);
    issuer.user_claim = "email".to_owned();
    for (verified, wanted) in [
        (json!(true), Ok("alice@example.com".to_owned())),
        (json!(false), Err(IdTokenError::EmailUnverified)),
        (json!("true"), Err(IdTokenError::EmailUnverified)),
        (json!(1), Err(IdTokenError::EmailUnverified)),
        (json!(null), Err(IdTokenError::EmailUnverified)),
    ] {
        let mut claims = good();
        claims["email_verified"] = verified;
        let verdict = verify(&key.token(&claims), SESSION_KEY, &issuer, &keys, now());
        let user = verdict.map(|identity| identity.person().user.to_string());
        assert_eq!(user, wanted);
    }
}

#[test]
fn a_repeated_claim_is_refused_though_signed() {
    let key = ed();
    let claims = good().to_string();
    let doubled = claims.replacen('{', r#"{"sub":"root","#, 1);
    let verdict = judge(&key.sign(&key.header(), &doubled), &key_set(&[&key]));
    assert_eq!(verdict.err(), Some(IdTokenError::Malformed));
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let keys = key_set(&[&ed()]);
    let deep = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":{}", "[".repeat(5000)));
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.e30",
        "e30.e30",
        "é.é.é",
        "W10.W10.",
        "bnVsbA.e30.",
        &format!("{deep}.e30.AAAA"),
    ] {
        assert!(judge(text, &keys).is_err(), "{text:?}");
        assert!(peek(text).is_err(), "{text:?}");
    }
    let (longest, long) = ("a".repeat(TOKEN_BYTES_MAX), "a".repeat(TOKEN_BYTES_MAX + 1));
    assert_eq!(judge(&long, &keys).err(), Some(IdTokenError::TooLong));
    assert_eq!(peek(&long), Err(IdTokenError::TooLong));
    assert_eq!(judge(&longest, &keys).err(), Some(IdTokenError::Malformed));
}

#[test]
fn peeking_tells_issuer_and_key_id() {
    let key = ed();
    let claimed = Unverified {
        issuer: ISSUER.to_owned(),
        key_id: Some("ed".to_owned()),
    };
    assert_eq!(peek(&key.token(&good())), Ok(claimed));
}

#[test]
fn the_configuration_refuses_misspelt_names() {
    let minimal = r#"{"issuer":"https://id.example.com","client_id":"jit-ssh"}"#;
    let config: IssuerConfig = serde_json::from_str(minimal).unwrap();
    assert_eq!(config, IssuerConfig::new(ISSUER, CLIENT));
    let misspelt = r#"{"issuer":"https://i","client_id":"c","group_claim":"g"}"#;
    assert!(serde_json::from_str::<IssuerConfig>(misspelt).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_claims_make_the_checks_panic(
        text in "[a-zA-Z0-9_.=-]{0,80}",
        name in "iss|aud|azp|exp|iat|nbf|nonce|sub|groups|preferred_username|_claim_names",
        value in proptest::prelude::any::<f64>(),
    ) {
        let keys = KeySet::parse(
            br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        ).unwrap();
        assert!(judge(&text, &keys).is_err());
        let mut claims = good();
        for value in [json!(value), json!(text), json!([value, text]), json!({"a": value})] {
            claims[&name] = value;
            let object: Object = serde_json::from_str(&claims.to_string()).unwrap();
            let issuer = IssuerConfig::new(ISSUER, CLIENT);
            let _: [bool; 5] = [
                check_parties(&object, &issuer).is_ok(),
                check_times(&object, &issuer, now()).is_ok(),
                check_nonce(&object, SESSION_KEY).is_ok(),
                user_name(&object, &issuer).is_ok(),
                groups(&object, &issuer).is_ok(),
            ];
        }
    }
}
