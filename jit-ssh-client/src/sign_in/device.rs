//! Sign-in on another device (RFC 8628), for machines without a browser.
//!
//! Deliberately without a nonce: the flow has none, so policy sees `token_bound = false`.

use std::time::Duration;

use oauth2::{Scope, StandardDeviceAuthorizationResponse};
use secrecy::SecretString;

use super::callback::WAIT_SECONDS_MAX;
use super::provider::Provider;
use crate::failure::{Exit, Failure};
use crate::terminal::{Voice, plain};

/// Shows the code and waits until it was entered elsewhere; gives the ID token.
///
/// # Errors
///
/// A [`Failure`]: not offered, refused or not finished in time (4), unreachable (6).
pub(super) async fn sign_in(provider: &Provider, voice: Voice) -> Result<SecretString, Failure> {
    let request = provider.client.exchange_device_code().map_err(|_| {
        let what = format!("{} offers no sign-in by another device", provider.issuer());
        Failure::new(Exit::NotAuthenticated, what)
            .hint("sign in on a machine with a browser, or leave out --device")
    })?;
    let http = provider.http();
    let call = |request| Provider::call(http.clone(), request);
    let details: StandardDeviceAuthorizationResponse = request
        .add_scopes(provider.scopes.iter().cloned().map(Scope::new))
        .request_async(&call)
        .await
        .map_err(|error| provider.failed(&error))?;
    let address = plain(details.verification_uri());
    let code = plain(details.user_code().secret());
    voice.progress(&format!(
        "To sign in, visit {address} on any device and enter the code  {code}"
    ));
    if let Some(direct) = details.verification_uri_complete() {
        voice.progress(&format!("or visit {}", plain(direct.secret())));
    }
    voice.progress("Waiting …");
    let bound = Duration::from_secs(WAIT_SECONDS_MAX);
    let response = provider
        .client
        .exchange_device_access_token(&details)
        .request_async(&call, tokio::time::sleep, Some(bound))
        .await
        .map_err(|error| match error {
            oauth2::RequestTokenError::ServerResponse(answer) => Failure::new(
                Exit::NotAuthenticated,
                format!("nobody signed in: {}", plain(&answer.to_string())),
            )
            .hint("try again: the code is good for a few minutes only"),
            other => Failure::new(
                Exit::Unreachable,
                format!(
                    "the identity provider cannot be reached: {}",
                    plain(&other.to_string())
                ),
            ),
        })?;
    provider.id_token(&response)
}
