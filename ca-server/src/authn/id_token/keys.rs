//! The keys of a provider (RFC 7517) and what they sign.
//!
//! The algorithm is a property of the key, never of the token: a token can only agree with it.
//! Keys of another kind, for another use or too weak are left out when the set is read.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::IdTokenError;

/// Most keys read from one set.
const KEYS_MAX: usize = 64;

/// Usable signature keys of one provider.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why a document is not a usable key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// No key in it is for signatures, of an accepted kind and strong enough.
    #[error("key set holds no usable signature key (RS256 of 2048 bits or more, ES256, EdDSA)")]
    Empty,
    /// Not a JWK set.
    #[error("key set does not parse")]
    Shape(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct RawSet {
    // One key of an unknown kind must not make the others unusable (RFC 7517 §5).
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set, leaving out what is not a usable signature key.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] when nothing usable remains.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let RawSet { keys } = serde_json::from_slice(json)?;
        let keys: Vec<Key> = keys
            .into_iter()
            .filter_map(|key| Key::from_raw(&serde_json::from_value(key).ok()?))
            .take(KEYS_MAX)
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self { keys })
    }

    /// Whether a key of this id is in the set. Without an id: whether the set has a key at all.
    #[must_use]
    pub fn contains(&self, key_id: Option<&str>) -> bool {
        key_id.is_none() || self.keys.iter().any(|key| key.id.as_deref() == key_id)
    }

    /// Checks `signature` (base64url) over `signed` with the key that `key_id` names. Without an
    /// id there must be exactly one key of that algorithm (OpenID Connect Core §10.1).
    pub(super) fn verify(
        &self,
        algorithm: &str,
        key_id: Option<&str>,
        signed: &[u8],
        signature: &str,
    ) -> Result<(), IdTokenError> {
        let algorithm = accepted(algorithm).ok_or(IdTokenError::Algorithm)?;
        let mut named = self
            .keys
            .iter()
            .filter(|key| key_id.is_none() || key.id.as_deref() == key_id)
            .peekable();
        if named.peek().is_none() {
            return Err(IdTokenError::KeyUnknown);
        }
        let mut fitting = named.filter(|key| key.algorithm == algorithm);
        let key = fitting.next().ok_or(IdTokenError::Algorithm)?;
        if fitting.next().is_some() {
            return Err(IdTokenError::KeyUnknown);
        }
        match jsonwebtoken::crypto::verify(signature, signed, &key.key, key.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(IdTokenError::Signature),
        }
    }
}

/// The algorithm of this name, if tokens signed with it are accepted at all.
fn accepted(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        // RFC 9864 §2.2 gives the Ed25519 case of EdDSA its own name.
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

impl Key {
    fn from_raw(raw: &RawKey) -> Option<Self> {
        if raw.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let (algorithm, key) = match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", None) => (Algorithm::RS256, rsa(raw.n.as_ref()?, raw.e.as_ref()?)?),
            ("EC", Some("P-256")) => (
                Algorithm::ES256,
                DecodingKey::from_ec_components(raw.x.as_ref()?, raw.y.as_ref()?).ok()?,
            ),
            ("OKP", Some("Ed25519")) => (
                Algorithm::EdDSA,
                DecodingKey::from_ed_components(raw.x.as_ref()?).ok()?,
            ),
            _ => return None,
        };
        // A key announced for another algorithm (PS256, say) is not ours to use.
        if raw.alg.as_deref().map_or(Some(algorithm), accepted) != Some(algorithm) {
            return None;
        }
        Some(Self {
            id: raw.kid.clone(),
            algorithm,
            key,
        })
    }
}

/// An RSA key of 2048 to 8192 bits with an odd exponent of at least 3.
fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    use base64::Engine;
    let decode = |text: &str| {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .ok()?;
        let leading = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(bytes.into_iter().skip(leading).collect::<Vec<u8>>())
    };
    let (modulus, exponent) = (decode(modulus)?, decode(exponent)?);
    let unused_bits = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    let bits = (modulus.len() * 8).checked_sub(unused_bits)?;
    let odd = exponent.last()? % 2 == 1 && exponent != [1];
    ((2048..=8192).contains(&bits) && odd && exponent.len() <= 8)
        .then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}
