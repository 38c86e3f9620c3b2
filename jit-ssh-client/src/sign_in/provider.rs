//! The identity provider: what it offers (OpenID Connect Discovery 1.0) and the OAuth 2 client.
//!
//! Deliberately only a public client with PKCE: a program on a laptop keeps no secret.

use ca_core::api::DiscoveredIssuer;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthUrl, ClientId, DeviceAuthorizationUrl, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, RequestTokenError, StandardRevocableToken,
    StandardTokenResponse, TokenUrl,
};
use reqwest::Client;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::api::{causes, read_bounded};
use crate::config::parse_url;
use crate::failure::{Exit, Failure};
use crate::terminal::plain;

/// What we need of the provider's metadata.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The token response's field that we are here for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct IdTokenField {
    id_token: Option<String>,
}

impl std::fmt::Debug for IdTokenField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdTokenField(secret)")
    }
}

impl ExtraTokenFields for IdTokenField {}

/// The provider's answer at its token endpoint.
pub(super) type TokenResponse = StandardTokenResponse<IdTokenField, BasicTokenType>;

/// Our OAuth 2 client.
pub(super) type OAuthClient = oauth2::Client<
    BasicErrorResponse,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointMaybeSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Why a call to the provider brought no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// What comes back cannot be passed on.
    #[error("{0}")]
    Answer(String),
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
}

/// A provider whose metadata was read.
#[derive(Debug)]
pub(super) struct Provider {
    http: Client,
    metadata: Metadata,
    /// The client for both flows.
    pub(super) client: OAuthClient,
    /// Scopes to ask for.
    pub(super) scopes: Vec<String>,
}

impl Provider {
    /// Reads `ISSUER/.well-known/openid-configuration`, which must name exactly this issuer.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the provider is unreachable or describes another issuer.
    pub(super) async fn discover(http: Client, issuer: &DiscoveredIssuer) -> Result<Self, Failure> {
        let metadata = fetch_metadata(&http, &issuer.issuer).await?;
        if metadata.issuer != issuer.issuer {
            return Err(Failure::new(
                Exit::Broken,
                format!(
                    "the identity provider calls itself {:?}, the CA expects {:?}",
                    metadata.issuer, issuer.issuer
                ),
            ));
        }
        let url = |text: &str| parse_url_kept(text);
        let device = metadata.device_authorization_endpoint.as_deref();
        let device = device.map(url).transpose()?;
        let client = oauth2::Client::new(ClientId::new(issuer.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(url(&metadata.authorization_endpoint)?))
            .set_token_uri(TokenUrl::from_url(url(&metadata.token_endpoint)?))
            .set_device_authorization_url_option(device.map(DeviceAuthorizationUrl::from_url));
        Ok(Self {
            http,
            metadata,
            client,
            scopes: issuer.scopes.clone(),
        })
    }

    /// Its exact name.
    pub(super) fn issuer(&self) -> &str {
        &self.metadata.issuer
    }

    /// Whether it has promised to put `iss` into each answer (RFC 9207).
    pub(super) const fn promises_iss(&self) -> bool {
        self.metadata.authorization_response_iss_parameter_supported
    }

    /// Whether it has a device authorization endpoint (RFC 8628).
    pub(super) const fn offers_device_flow(&self) -> bool {
        self.metadata.device_authorization_endpoint.is_some()
    }

    /// One HTTP exchange for the `oauth2` crate, through our client and its trust.
    pub(super) async fn call(
        http: Client,
        request: HttpRequest,
    ) -> Result<HttpResponse, CallError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|error| CallError::Answer(error.to_string()))?;
        let response = http.execute(request).await;
        let response = response.map_err(|error| CallError::Connection(causes(&error)))?;
        let mut builder = oauth2::http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            builder = builder.header(name, value);
        }
        let body = read_bounded(response)
            .await
            .map_err(CallError::Connection)?;
        builder
            .body(body)
            .map_err(|error| CallError::Answer(error.to_string()))
    }

    /// A copy of the HTTP client, for [`Provider::call`].
    pub(super) fn http(&self) -> Client {
        self.http.clone()
    }

    /// The ID token of the provider's answer.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when there is none: the scope `openid` is missing.
    pub(super) fn id_token(&self, response: &TokenResponse) -> Result<SecretString, Failure> {
        let token = response.extra_fields().id_token.as_deref();
        token.map(SecretString::from).ok_or_else(|| {
            let what = format!("the identity provider {} sent no ID token", self.issuer());
            Failure::new(Exit::NotAuthenticated, what)
                .hint("the CA's configuration has to ask for the scope openid")
        })
    }

    /// The failure for a refused or broken exchange.
    pub(super) fn failed(
        &self,
        error: &RequestTokenError<CallError, BasicErrorResponse>,
    ) -> Failure {
        match error {
            RequestTokenError::ServerResponse(answer) => Failure::new(
                Exit::NotAuthenticated,
                format!(
                    "the identity provider refused the sign-in: {}",
                    plain(&answer.to_string())
                ),
            )
            .hint("try again: jit-ssh login ENV"),
            RequestTokenError::Request(why) => unreachable(self.issuer(), &why.to_string()),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                unreachable(self.issuer(), "its answer is not as RFC 6749 says")
            }
        }
    }
}

/// As [`parse_url`], but with query and path exactly as given.
fn parse_url_kept(text: &str) -> Result<Url, Failure> {
    parse_url(text)?;
    Url::parse(text).map_err(|error| Failure::usage(format!("{text:?}: {error}")))
}

async fn fetch_metadata(http: &Client, issuer: &str) -> Result<Metadata, Failure> {
    let address = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let url = parse_url_kept(&address)?;
    let response = http.get(url).send().await;
    let response = response.map_err(|error| unreachable(issuer, &causes(&error)))?;
    if !response.status().is_success() {
        let status = response.status().as_u16();
        return Err(unreachable(issuer, &format!("HTTP status {status}")));
    }
    let body = read_bounded(response).await;
    let body = body.map_err(|why| unreachable(issuer, &why))?;
    serde_json::from_slice(&body)
        .map_err(|error| unreachable(issuer, &format!("its metadata does not parse: {error}")))
}

fn unreachable(issuer: &str, why: &str) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!(
            "the identity provider {} cannot be reached: {}",
            plain(issuer),
            plain(why)
        ),
    )
    .hint("is the network up? check with: jit-ssh doctor")
}
