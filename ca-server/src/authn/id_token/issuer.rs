//! Configuration of one trusted OpenID issuer: what its tokens must say.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One trusted OpenID issuer, as in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// Issuer URL, byte for byte as in its tokens and its discovery document.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Claim that holds the name shown in key ids and tables. `email` counts only if verified.
    #[serde(default = "user_claim")]
    pub user_claim: String,
    /// Claim that holds the list of groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Scopes the client asks for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// PEM file with the only CA certificates trusted for this provider; without it the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Oldest token accepted, seconds after its `iat`.
    #[serde(default = "id_token_age_seconds_max")]
    pub id_token_age_seconds_max: u64,
    /// How long keys fetched before are used while the provider is unreachable, seconds.
    #[serde(default = "keys_stale_seconds_max")]
    pub keys_stale_seconds_max: u64,
}

fn user_claim() -> String {
    "preferred_username".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email", "groups"]
        .map(str::to_owned)
        .into()
}

const fn id_token_age_seconds_max() -> u64 {
    600
}

const fn keys_stale_seconds_max() -> u64 {
    24 * 3600
}

impl IssuerConfig {
    /// This issuer and client with every default.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            user_claim: user_claim(),
            groups_claim: groups_claim(),
            scopes: scopes(),
            ca_file: None,
            id_token_age_seconds_max: id_token_age_seconds_max(),
            keys_stale_seconds_max: keys_stale_seconds_max(),
        }
    }
}
