//! Signing in at the identity provider: from nothing to an ID token that is bound to a key which
//! only this process has.
//!
//! Deliberately does not look into the ID token: it is for the CA, and the CA judges it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::api::{DiscoveredIssuer, Discovery, NONCE_LABEL};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

use crate::api::{Patience, http_client};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::random;
use crate::sign_in::provider::Provider;
use crate::terminal::Voice;

mod browser;
mod callback;
mod device;
mod provider;

/// How the person wants to sign in.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignInWish {
    /// `--login-hint`.
    pub(crate) login_hint: Option<String>,
    /// `--device`.
    pub(crate) device: bool,
}

/// Proof of a sign-in at the provider, for the CA.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// The ID token.
    pub(crate) id_token: SecretString,
    /// The key whose digest is the token's nonce (not with the device flow, which has no nonce).
    pub(crate) session_public_key: String,
}

/// Where this process runs, as far as it decides between browser and device flow.
#[derive(Clone, Debug, Default)]
struct Desk {
    /// `$BROWSER`, or `browser` of the configuration.
    browser: Option<String>,
    /// `$SSH_CONNECTION` or `$SSH_TTY` is set.
    remote: bool,
    /// There is something to show a window on.
    display: bool,
}

impl Desk {
    fn of_process(config: &Config) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let browser = std::env::var("BROWSER").ok();
        let browser = browser.filter(|command| !command.trim().is_empty());
        Self {
            browser: browser.or_else(|| config.file.browser.clone()),
            remote: set("SSH_CONNECTION") || set("SSH_TTY"),
            display: !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY"),
        }
    }

    /// Whether no browser can be opened here. A browser that was named is believed to work.
    fn has_no_browser(&self) -> bool {
        self.browser.is_none() && (self.remote || !self.display)
    }
}

/// The nonce that commits to `session_public_key` (type and base64, no comment).
pub(crate) fn nonce(session_public_key: &str) -> String {
    let digest = Sha256::new()
        .chain_update(NONCE_LABEL)
        .chain_update(session_public_key.as_bytes())
        .finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

/// Signs in at the first provider of `discovery`, through a browser here or on another device.
///
/// # Errors
///
/// A [`Failure`]: provider unreachable (6), sign-in refused, given up or not finished in 5 minutes (4).
pub(crate) async fn sign_in(
    config: &Config,
    discovery: &Discovery,
    wish: &SignInWish,
    voice: Voice,
) -> Result<SignedIn, Failure> {
    let issuer = discovery.issuers.first().ok_or_else(|| {
        Failure::new(Exit::Unreachable, "the CA names no identity provider")
            .hint("its administrator has to configure one")
    })?;
    let http = http_client(config.tls_root.as_deref(), Patience::Person)?;
    let provider = Provider::discover(http, issuer).await?;
    let session_public_key = fresh_public_key()?;
    let desk = Desk::of_process(config);
    let device = wish.device || (desk.has_no_browser() && provider.offers_device_flow());
    let id_token = if device {
        device::sign_in(&provider, voice).await?
    } else {
        let nonce = nonce(&session_public_key);
        let hint = wish.login_hint.as_deref();
        browser::sign_in(&provider, &nonce, hint, &desk, voice).await?
    };
    Ok(SignedIn {
        id_token,
        session_public_key,
    })
}

/// Whether the provider `issuer` answers with its configuration (`doctor`).
///
/// # Errors
///
/// A [`Failure`]: it does not answer, or with something else.
pub(crate) async fn reach_provider(
    config: &Config,
    issuer: &DiscoveredIssuer,
) -> Result<(), Failure> {
    let http = http_client(config.tls_root.as_deref(), Patience::Person)?;
    Provider::discover(http, issuer).await.map(|_| ())
}

/// A public key nobody had before. Its private half is dropped: the key commits the token to this
/// sign-in, nothing is signed with it.
fn fresh_public_key() -> Result<String, Failure> {
    let seed = random::bytes::<32>()?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let text = key.public_key().to_openssh();
    text.map_err(|error| Failure::new(Exit::Broken, format!("cannot make a key: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_is_the_digest_of_label_and_key_text() {
        // printf 'jit-ssh/nonce/v1\0ssh-ed25519 AAAA' | sha256sum, as base64url without padding
        let digest = Sha256::digest(b"jit-ssh/nonce/v1\0ssh-ed25519 AAAA");
        assert_eq!(nonce("ssh-ed25519 AAAA"), URL_SAFE_NO_PAD.encode(digest));
        assert_eq!(nonce("ssh-ed25519 AAAA").len(), 43);
    }

    #[test]
    fn a_session_key_is_two_words_and_new_each_time() {
        let (one, two) = (fresh_public_key().unwrap(), fresh_public_key().unwrap());
        assert_ne!(one, two);
        assert!(one.starts_with("ssh-ed25519 AAAA"));
        assert_eq!(one.split(' ').count(), 2);
    }

    #[test]
    fn the_device_flow_is_for_desks_where_no_browser_opens() {
        let desk = |browser: Option<&str>, remote, display| Desk {
            browser: browser.map(str::to_owned),
            remote,
            display,
        };
        assert!(desk(None, true, true).has_no_browser());
        assert!(desk(None, false, false).has_no_browser());
        assert!(!desk(None, false, true).has_no_browser());
        assert!(!desk(Some("curl"), true, false).has_no_browser());
    }
}
