//! Keys of an OpenID provider that the test also holds, so that it can forge any token.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};

/// The signature algorithms that a provider may use for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    /// RSA 2048 with SHA-256, PKCS #1 v1.5.
    Rs256,
    /// P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// The name in a token's header (RFC 7518 §3.1, RFC 8037 §3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    fn jsonwebtoken(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// A private key with its `kid`.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    alg: Alg,
    pem: String,
    public_pem: String,
}

impl SigningKey {
    /// Makes a key.
    pub fn generate(alg: Alg, kid: &str) -> Self {
        let kind = match alg {
            Alg::Rs256 => &rcgen::PKCS_RSA_SHA256,
            Alg::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Alg::EdDsa => &rcgen::PKCS_ED25519,
        };
        let pair = rcgen::KeyPair::generate_for(kind).expect("a key");
        Self {
            kid: kid.to_owned(),
            alg,
            pem: match alg {
                Alg::EdDsa => ed25519_pem(&pair.serialize_der()),
                Alg::Es256 | Alg::Rs256 => pair.serialize_pem(),
            },
            public_pem: pair.public_key_pem(),
        }
    }

    /// The key's algorithm.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// PKCS #8, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SubjectPublicKeyInfo, PEM.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// A token with the honest header for this key.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with_header(&json!({"alg": self.alg.name(), "kid": self.kid}), claims)
    }

    /// A token with any header, signed by this key as its kind does, whatever `alg` says.
    pub fn token_with_header(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let key = match self.alg {
            Alg::Rs256 => EncodingKey::from_rsa_pem(self.pem.as_bytes()),
            Alg::Es256 => EncodingKey::from_ec_pem(self.pem.as_bytes()),
            Alg::EdDsa => EncodingKey::from_ed_pem(self.pem.as_bytes()),
        };
        let key = key.expect("a PEM of ours");
        let algorithm = self.alg.jsonwebtoken();
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, algorithm);
        format!("{input}.{}", signature.expect("a signature"))
    }

    /// The classic confusion: HMAC with the public key's PEM as its secret, `alg` HS256.
    pub fn token_hs256(&self, claims: &Value) -> String {
        let input = signing_input(&json!({"alg": "HS256", "kid": self.kid}), claims);
        let key = EncodingKey::from_secret(self.public_pem.as_bytes());
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS256);
        format!("{input}.{}", signature.expect("a signature"))
    }

    /// The claims of a token if this key signed it for `audience` and it has not expired.
    ///
    /// # Errors
    ///
    /// What jsonwebtoken finds wrong.
    pub fn verify(&self, token: &str, audience: &str) -> jsonwebtoken::errors::Result<Value> {
        let pem = self.public_pem.as_bytes();
        let key = match self.alg {
            Alg::Rs256 => DecodingKey::from_rsa_pem(pem),
            Alg::Es256 => DecodingKey::from_ec_pem(pem),
            Alg::EdDsa => DecodingKey::from_ed_pem(pem),
        }?;
        let mut validation = Validation::new(self.alg.jsonwebtoken());
        validation.set_audience(&[audience]);
        Ok(jsonwebtoken::decode::<Value>(token, &key, &validation)?.claims)
    }

    /// What a verifier that falls for [`SigningKey::token_hs256`] would do.
    ///
    /// # Errors
    ///
    /// What jsonwebtoken finds wrong.
    pub fn verify_hs256(&self, token: &str, audience: &str) -> jsonwebtoken::errors::Result<Value> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience]);
        let key = DecodingKey::from_secret(self.public_pem.as_bytes());
        Ok(jsonwebtoken::decode::<Value>(token, &key, &validation)?.claims)
    }
}

/// A token without signature, `alg` none (RFC 7519 §6).
pub fn token_none(claims: &Value) -> String {
    format!("{}.", signing_input(&json!({"alg": "none"}), claims))
}

/// The claims of a token, not verified.
pub fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// PKCS #8 version 1: OpenSSL 3.0, and so Node, does not read version 2, which rcgen writes.
fn ed25519_pem(version_2: &[u8]) -> String {
    const PREFIX: [u8; 16] = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    // Both versions begin with two lengths, the version and the same algorithm.
    assert_eq!(
        version_2[5..16],
        PREFIX[5..],
        "rcgen writes Ed25519 keys in another way now"
    );
    let body = STANDARD.encode([&PREFIX, &version_2[16..48]].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}")
}
