//! Keys, algorithms, headers and signatures of ID tokens.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;

#[test]
fn no_algorithm_and_symmetric_ones_are_refused() {
    let key = TestKey::new(Algorithm::RS256, "k");
    let keys = key_set(&[&key]);
    let claims = URL_SAFE_NO_PAD.encode(good().to_string());
    for name in [
        "none", "None", "NONE", "", "HS256", "HS512", "PS256", "RS384", "ES384",
    ] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": name, "kid": "k"}).to_string());
        for signature in ["", "AAAA"] {
            let verdict = judge(&format!("{header}.{claims}.{signature}"), &keys);
            assert_eq!(verdict.err(), Some(IdTokenError::Algorithm), "{name:?}");
        }
    }
    // The public key as HMAC secret, in every spelling an implementation might take it.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"k"}"#);
    let signed = format!("{header}.{claims}");
    let jwk = key.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    for secret in [
        modulus.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        jwk.to_string().into_bytes(),
    ] {
        let secret = EncodingKey::from_secret(&secret);
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &secret, Algorithm::HS256).unwrap();
        let verdict = judge(&format!("{signed}.{signature}"), &keys);
        assert_eq!(verdict.err(), Some(IdTokenError::Algorithm));
    }
}

#[test]
fn the_header_cannot_choose_another_algorithm_than_its_key_has() {
    let (rsa, ec) = (
        TestKey::new(Algorithm::RS256, "rsa"),
        TestKey::new(Algorithm::ES256, "ec"),
    );
    let keys = key_set(&[&rsa, &ec]);
    let mut header = ec.header();
    header["kid"] = json!("rsa");
    let verdict = judge(&ec.sign(&header, &good().to_string()), &keys);
    assert_eq!(verdict.err(), Some(IdTokenError::Algorithm));
}

#[test]
fn unknown_keys_other_keys_and_altered_tokens_are_refused() {
    let (ours, theirs) = (ed(), TestKey::new(Algorithm::EdDSA, "theirs"));
    let keys = key_set(&[&ours]);
    let unknown = judge(&theirs.token(&good()), &keys);
    assert_eq!(unknown.err(), Some(IdTokenError::KeyUnknown));
    let forged = judge(&theirs.sign(&ours.header(), &good().to_string()), &keys);
    assert_eq!(forged.err(), Some(IdTokenError::Signature));
    let token = ours.token(&good());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut claims = good();
    claims["sub"] = json!("root");
    let altered = URL_SAFE_NO_PAD.encode(claims.to_string());
    let header = signed.split_once('.').unwrap().0;
    let verdict = judge(&format!("{header}.{altered}.{signature}"), &keys);
    assert_eq!(verdict.err(), Some(IdTokenError::Signature));
    let unsigned = judge(&format!("{signed}."), &keys);
    assert_eq!(unsigned.err(), Some(IdTokenError::Signature));
}

#[test]
fn without_a_key_id_the_key_must_be_unambiguous() {
    let (one, two) = (ed(), TestKey::new(Algorithm::EdDSA, "two"));
    let token = one.sign(&json!({"alg": "EdDSA"}), &good().to_string());
    assert!(judge(&token, &key_set(&[&one])).is_ok());
    let verdict = judge(&token, &key_set(&[&one, &two]));
    assert_eq!(verdict.err(), Some(IdTokenError::KeyUnknown));
}

#[test]
fn headers_of_other_tokens_are_refused() {
    let key = ed();
    let keys = key_set(&[&key]);
    for (name, value) in [
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("typ", json!("at+jwt")),
        ("typ", json!("logout+jwt")),
    ] {
        let mut header = key.header();
        header[name] = value;
        let verdict = judge(&key.sign(&header, &good().to_string()), &keys);
        assert_eq!(verdict.err(), Some(IdTokenError::Header), "{header}");
    }
}

#[test]
fn the_same_token_signed_again_counts_as_used() {
    // ECDSA signatures are not unique: whoever holds a token can make another valid signature.
    let key = TestKey::new(Algorithm::ES256, "k");
    let (one, two) = (key.token(&good()), key.token(&good()));
    assert_ne!(one, two);
    let keys = key_set(&[&key]);
    assert_eq!(
        judge(&one, &keys).unwrap().id_token(),
        judge(&two, &keys).unwrap().id_token()
    );
}

#[test]
fn weak_foreign_and_encryption_keys_are_left_out() {
    let rsa = |bits: usize, exponent: &str| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        let modulus = URL_SAFE_NO_PAD.encode(modulus);
        json!({"kty": "RSA", "n": modulus, "e": exponent, "kid": "k"})
    };
    let with = |mut jwk: Value, name: &str, value: &str| {
        jwk[name] = json!(value);
        jwk
    };
    let parses = |jwk: Value| KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).is_ok();
    assert!(parses(rsa(2048, "AQAB")));
    assert!(parses(ed().jwk()));
    for jwk in [
        rsa(1024, "AQAB"),
        rsa(2047, "AQAB"),
        rsa(8193, "AQAB"),
        rsa(2048, "AQ"),
        rsa(2048, "AA"),
        with(rsa(2048, "AQAB"), "use", "enc"),
        with(rsa(2048, "AQAB"), "alg", "PS256"),
        with(rsa(2048, "AQAB"), "alg", "RS384"),
        with(ed().jwk(), "crv", "X25519"),
        json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "k"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!("text"),
    ] {
        assert!(!parses(jwk.clone()), "{jwk}");
        let both = json!({"keys": [jwk, ed().jwk()]}).to_string();
        assert!(KeySet::parse(both.as_bytes()).is_ok(), "{both}");
    }
    assert!(KeySet::parse(b"not json").is_err());
    assert!(KeySet::parse(br#"{"keys":[]}"#).is_err());
}
