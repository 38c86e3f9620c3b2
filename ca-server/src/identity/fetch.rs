//! One fetch of a provider's keys (OpenID Connect Discovery §4, RFC 7517 §5): bounded in time and
//! size, redirects not followed, the issuer compared exactly. Keeps nothing.

use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, HeaderMap};
use serde::Deserialize;

use super::{IssuerConfig, KeySet, KeySetError, ProvidersError};
use crate::outgoing::{self, usable_url};

/// Longest wait for one document, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest document read, bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Bounds of what a provider may say about how long its keys are good.
const LIFETIME_MIN: Duration = Duration::from_secs(5 * 60);
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// When the provider says nothing.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The discovery document names another issuer (mix-up, or a trailing slash).
    #[error("discovery document is of issuer {found:?}")]
    Issuer {
        /// The issuer found.
        found: String,
    },
    /// The key set is unusable.
    #[error("key set is unusable")]
    Keys(#[from] KeySetError),
    /// The key set lies at an address that is not https (http only on loopback).
    #[error("jwks_uri {found:?} is not an https url")]
    KeysUrl {
        /// The address found.
        found: String,
    },
    /// No answer, or not a whole one.
    #[error("provider does not answer")]
    Network(#[from] reqwest::Error),
    /// The discovery document does not parse.
    #[error("discovery document does not parse")]
    Shape(#[from] serde_json::Error),
    /// An answer other than 200.
    #[error("provider answers with status {0}")]
    Status(u16),
    /// Larger than is read.
    #[error("document is larger than {DOCUMENT_BYTES_MAX} bytes")]
    TooLarge,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// The HTTP client for one issuer, after a check of its configuration.
pub(super) fn client(config: &IssuerConfig) -> Result<reqwest::Client, ProvidersError> {
    let issuer = || config.issuer.clone();
    let url = usable_url(&config.issuer).filter(|url| url.query().is_none());
    let url = url.ok_or_else(|| ProvidersError::Url { issuer: issuer() })?;
    outgoing::client(&url, config.ca_file.as_deref(), TIMEOUT).map_err(|source| {
        ProvidersError::Roots {
            issuer: issuer(),
            source,
        }
    })
}

/// The provider's keys and for how long they are fresh.
pub(super) async fn keys(
    client: &reqwest::Client,
    issuer: &str,
) -> Result<(KeySet, Duration), FetchError> {
    // Discovery §4.1: a trailing slash of the issuer is removed before the path is appended.
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let (document, _) = get(client, &format!("{base}/.well-known/openid-configuration")).await?;
    let metadata: Metadata = serde_json::from_slice(&document)?;
    if metadata.issuer != issuer {
        let found = metadata.issuer;
        return Err(FetchError::Issuer { found });
    }
    if usable_url(&metadata.jwks_uri).is_none() {
        let found = metadata.jwks_uri;
        return Err(FetchError::KeysUrl { found });
    }
    let (document, headers) = get(client, &metadata.jwks_uri).await?;
    Ok((KeySet::parse(&document)?, lifetime(&headers)))
}

async fn get(client: &reqwest::Client, url: &str) -> Result<(Vec<u8>, HeaderMap), FetchError> {
    let mut answer = client.get(url).send().await?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(answer.status().as_u16()));
    }
    let headers = std::mem::take(answer.headers_mut());
    let mut document = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if document.len().saturating_add(chunk.len()) > DOCUMENT_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok((document, headers))
}

/// `max-age` of Cache-Control (RFC 9111 §5.2.2.1) within our bounds.
fn lifetime(headers: &HeaderMap) -> Duration {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let (name, seconds) = directive.trim().split_once('=')?;
            let seconds = seconds.trim_matches('"').parse().ok()?;
            name.eq_ignore_ascii_case("max-age")
                .then(|| Duration::from_secs(seconds))
        })
        .unwrap_or(LIFETIME_DEFAULT)
        .clamp(LIFETIME_MIN, LIFETIME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &'static str) -> u64 {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, value.parse().unwrap());
        lifetime(&headers).as_secs()
    }

    #[test]
    fn the_lifetime_is_what_the_provider_says_within_five_minutes_and_a_day() {
        assert_eq!(said("public, Max-Age=7200, must-revalidate"), 7200);
        assert_eq!(said("max-age=0"), 300);
        assert_eq!(said("max-age=18446744073709551615"), 86_400);
        assert_eq!(said("no-store"), 3600);
        assert_eq!(lifetime(&HeaderMap::new()).as_secs(), 3600);
    }
}
