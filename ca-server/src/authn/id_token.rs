//! When an ID token proves who is asking (OpenID Connect Core §3.1.3.7, RFC 8725).
//!
//! Token, trusted issuer, its keys and `now` are arguments. Fetching keys is the adapter's work
//! ([`crate::identity`]); whether a token was used before, and whether an unbound one is enough,
//! is decided by the caller. `at_hash` is not looked at: we are never given an access token.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::api::NONCE_LABEL;
use ca_core::digest::Digest;
use ca_core::event::Person;
use ca_core::name::Subject;
use ca_core::time::Timestamp;
use subtle::ConstantTimeEq;

use claims::Object;

pub use error::IdTokenError;
pub use issuer::IssuerConfig;
pub use keys::{KeySet, KeySetError};

mod claims;
mod error;
mod issuer;
mod keys;

/// Longest token looked at, bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Most groups one token may name.
pub const GROUPS_MAX: usize = 200;

/// Longest group name, bytes.
pub const GROUP_BYTES_MAX: usize = 128;

/// How far ahead of ours the provider's clock may be.
const SKEW: Duration = Duration::from_secs(60);

/// What a token says about itself, believed by nobody: good for finding the keys to check it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// The issuer it claims to be from.
    pub issuer: String,
    /// The key it claims to be signed with.
    pub key_id: Option<String>,
}

/// Who signed in, proven by an ID token. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    person: Person,
    groups: BTreeSet<String>,
    id_token: Digest,
    id_token_expires: Timestamp,
    token_bound: bool,
}

impl Identity {
    /// Issuer, `sub` and the name shown.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.person
    }

    /// Groups the token names.
    #[must_use]
    pub const fn groups(&self) -> &BTreeSet<String> {
        &self.groups
    }

    /// SHA-256 of what the token's signature covers: the key under which its use is remembered.
    #[must_use]
    pub const fn id_token(&self) -> Digest {
        self.id_token
    }

    /// From this moment on [`verify`] refuses the token by itself, so its use may be forgotten.
    #[must_use]
    pub const fn id_token_expires(&self) -> Timestamp {
        self.id_token_expires
    }

    /// Whether the nonce commits to the session key. False when there is no nonce (device flow).
    #[must_use]
    pub const fn token_bound(&self) -> bool {
        self.token_bound
    }
}

/// The nonce that commits to a session key: base64url of SHA-256 over label and key text. The text
/// is `ssh-ed25519 AAAA…`: a comment after it does not count.
#[must_use]
pub fn nonce(session_public_key: &str) -> String {
    let mut fields = session_public_key.split_ascii_whitespace();
    let (kind, key) = (
        fields.next().unwrap_or_default(),
        fields.next().unwrap_or_default(),
    );
    let digest = Digest::of(&[NONCE_LABEL, kind.as_bytes(), b" ", key.as_bytes()].concat());
    URL_SAFE_NO_PAD.encode(digest.as_bytes())
}

/// Reads issuer and key id without believing them.
///
/// # Errors
///
/// [`IdTokenError`] when the token is too long or no JWT.
pub fn peek(token: &str) -> Result<Unverified, IdTokenError> {
    let parts = Parts::split(token)?;
    let claims = parts.claims()?;
    let issuer = claims.text("iss")?.ok_or(IdTokenError::Issuer)?;
    Ok(Unverified {
        issuer: issuer.to_owned(),
        key_id: parts.header()?.text("kid")?.map(str::to_owned),
    })
}

/// The identity that `token` proves, given the one issuer it may be from and that issuer's keys.
/// `session_public_key` is the key the client asks a session for, as OpenSSH text.
///
/// # Errors
///
/// [`IdTokenError`] names the first check that failed; outside all have one face.
pub fn verify(
    token: &str,
    session_public_key: &str,
    issuer: &IssuerConfig,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Identity, IdTokenError> {
    let parts = Parts::split(token)?;
    let header = parts.header()?;
    // Signature first: no claim is looked at before it is known who wrote it.
    keys.verify(
        header.text("alg")?.unwrap_or_default(),
        header.text("kid")?,
        parts.signed.as_bytes(),
        parts.signature,
    )?;
    let claims = parts.claims()?;
    check_parties(&claims, issuer)?;
    let id_token_expires = check_times(&claims, issuer, now)?;
    let token_bound = check_nonce(&claims, session_public_key)?;
    let sub = claims.text("sub")?.ok_or(IdTokenError::Subject)?;
    Ok(Identity {
        person: Person {
            subject: Subject::new(&issuer.issuer, sub).map_err(|_| IdTokenError::Subject)?,
            user: user_name(&claims, issuer)?,
        },
        groups: groups(&claims, issuer)?,
        // Without the signature part: an ECDSA signature can be altered and stay valid, and the
        // same token must not count as a new one then.
        id_token: Digest::of(parts.signed.as_bytes()),
        id_token_expires,
        token_bound,
    })
}

/// The three parts of a JWS in compact form (RFC 7515 §7.1).
struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, IdTokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(IdTokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(IdTokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(IdTokenError::Malformed)?;
        if claims.contains('.') {
            return Err(IdTokenError::Malformed);
        }
        Ok(Self {
            header,
            claims,
            signed,
            signature,
        })
    }

    fn header(&self) -> Result<Object, IdTokenError> {
        let header = decode(self.header)?;
        // RFC 7515 §4.1.11: we understand no extension, so every `crit` is refused.
        if header.get("crit").is_some() {
            return Err(IdTokenError::Header);
        }
        // RFC 8725 §3.11: an access or logout token of the same provider is not an ID token.
        match header.text("typ")? {
            Some(kind) if !kind.eq_ignore_ascii_case("JWT") => Err(IdTokenError::Header),
            _ => Ok(header),
        }
    }

    fn claims(&self) -> Result<Object, IdTokenError> {
        decode(self.claims)
    }
}

fn decode(part: &str) -> Result<Object, IdTokenError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| IdTokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| IdTokenError::Malformed)
}

fn check_parties(claims: &Object, issuer: &IssuerConfig) -> Result<(), IdTokenError> {
    if claims.text("iss")? != Some(issuer.issuer.as_str()) {
        return Err(IdTokenError::Issuer);
    }
    let audience = claims.texts("aud")?.ok_or(IdTokenError::Audience)?;
    if !audience.contains(&issuer.client_id.as_str()) {
        return Err(IdTokenError::Audience);
    }
    match claims.text("azp")? {
        Some(party) if party != issuer.client_id => Err(IdTokenError::AuthorizedParty),
        None if audience.len() > 1 => Err(IdTokenError::AuthorizedParty),
        _ => Ok(()),
    }
}

/// When the token stops being accepted: at `exp` or when it is too old, whichever is sooner.
fn check_times(
    claims: &Object,
    issuer: &IssuerConfig,
    now: Timestamp,
) -> Result<Timestamp, IdTokenError> {
    let expires = claims.time("exp")?.ok_or(IdTokenError::Expired)?;
    let issued = claims.time("iat")?.ok_or(IdTokenError::IssuedAt)?;
    if now >= expires {
        return Err(IdTokenError::Expired);
    }
    if issued > now.plus(SKEW) {
        return Err(IdTokenError::IssuedAt);
    }
    let too_old = issued.plus(Duration::from_secs(issuer.id_token_age_seconds_max));
    if now >= too_old {
        return Err(IdTokenError::TooOld);
    }
    if claims
        .time("nbf")?
        .is_some_and(|begins| begins > now.plus(SKEW))
    {
        return Err(IdTokenError::NotYetValid);
    }
    Ok(expires.min(too_old))
}

fn check_nonce(claims: &Object, session_public_key: &str) -> Result<bool, IdTokenError> {
    let Some(found) = claims.text("nonce").map_err(|_| IdTokenError::Nonce)? else {
        return Ok(false);
    };
    let wanted = nonce(session_public_key);
    if bool::from(found.as_bytes().ct_eq(wanted.as_bytes())) {
        Ok(true)
    } else {
        Err(IdTokenError::Nonce)
    }
}

fn user_name(
    claims: &Object,
    issuer: &IssuerConfig,
) -> Result<ca_core::name::UserName, IdTokenError> {
    // Anybody can type somebody else's address into a provider that does not check it.
    if issuer.user_claim == "email"
        && claims.get("email_verified") != Some(&serde_json::Value::Bool(true))
    {
        return Err(IdTokenError::EmailUnverified);
    }
    claims
        .text(&issuer.user_claim)?
        .ok_or(IdTokenError::UserName)?
        .parse()
        .map_err(|_| IdTokenError::UserName)
}

fn groups(claims: &Object, issuer: &IssuerConfig) -> Result<BTreeSet<String>, IdTokenError> {
    // OpenID Connect Core §5.6.2: some providers move long lists out of the token. Reading that
    // as "no groups" would let a person slip past a policy that forbids a group.
    let moved = claims.get("_claim_names");
    if moved.is_some_and(|names| names.get(&issuer.groups_claim).is_some()) {
        return Err(IdTokenError::Groups);
    }
    let names = claims
        .texts(&issuer.groups_claim)
        .map_err(|_| IdTokenError::Groups)?
        .unwrap_or_default();
    let fits = |name: &&str| {
        !name.is_empty() && name.len() <= GROUP_BYTES_MAX && !name.chars().any(char::is_control)
    };
    if names.len() > GROUPS_MAX || !names.iter().all(fits) {
        return Err(IdTokenError::Groups);
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
