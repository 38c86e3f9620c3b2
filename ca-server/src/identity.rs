//! The OpenID providers as we know them: their metadata and keys, fetched and kept.
//!
//! Reads no clock (`now` is passed in) and judges no token: that is [`crate::authn::id_token`].
//! Keys are kept as long as the provider says (5 min to 24 h), fetched again early for an unknown
//! key id at most once per 30 s, and used on while the provider is unreachable, for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ca_core::time::Timestamp;
use tokio::sync::Mutex;

use crate::authn::id_token::{
    IdTokenError, Identity, IssuerConfig, KeySet, KeySetError, peek, verify,
};

mod fetch;

/// Pause between two fetches caused by unknown key ids, and between two tries to renew old keys:
/// longer than an attacker can make useful, short enough that a sign-in after two rotations in a
/// row works at the second try at worst. The first unknown id after any other fetch asks at once.
const REFETCH_PAUSE: Duration = Duration::from_secs(30);

/// Pause between two tries while there are no keys at all.
const FIRST_FETCH_PAUSE: Duration = Duration::from_secs(2);

/// Every configured provider.
#[derive(Debug)]
pub struct Providers {
    providers: Vec<Provider>,
}

#[derive(Debug)]
struct Provider {
    config: IssuerConfig,
    client: reqwest::Client,
    cached: ArcSwapOption<Cached>,
    /// Held locked while a fetch runs, so there is one at a time.
    last_fetch: Mutex<LastFetch>,
}

/// When the last fetches began.
#[derive(Debug, Default)]
struct LastFetch {
    /// For whatever reason.
    any: Option<Timestamp>,
    /// Because fresh keys lacked a key id.
    for_unknown_id: Option<Timestamp>,
}

#[derive(Debug)]
struct Cached {
    keys: Arc<KeySet>,
    fetched: Timestamp,
    fresh_until: Timestamp,
}

/// Why the configured providers cannot be used; found at start.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    /// The same issuer twice.
    #[error("issuer {issuer:?} is configured twice")]
    Duplicate {
        /// The issuer as configured.
        issuer: String,
    },
    /// The CA file, or the system's certificates, cannot be read or hold no certificate.
    #[error("issuer {issuer:?}: ca_file or the system's certificates are unusable")]
    Roots {
        /// The issuer as configured.
        issuer: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not `https://`, nor `http://` on loopback, or with query, fragment or user name.
    #[error("issuer {issuer:?}: must be an https url (http only on loopback) without query")]
    Url {
        /// The issuer as configured.
        issuer: String,
    },
}

/// Why there are no keys to check a token with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeysError {
    /// No provider of this issuer is configured.
    #[error("issuer is not trusted")]
    Issuer,
    /// The provider cannot be reached, or answers nonsense, and no recent keys are known.
    #[error("the identity provider cannot be reached")]
    Unreachable,
}

/// Why nobody could be identified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentifyError {
    /// The token is refused.
    #[error(transparent)]
    Token(#[from] IdTokenError),
    /// Try again later: the provider is away.
    #[error("the identity provider cannot be reached")]
    Unreachable,
}

impl IdentifyError {
    /// Stable name for records.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Token(error) => error.code(),
            Self::Unreachable => "provider-unreachable",
        }
    }
}

impl Providers {
    /// Prepares a client per issuer. Touches the network only when keys are first asked for.
    ///
    /// # Errors
    ///
    /// [`ProvidersError`] names the issuer whose configuration is unusable.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Self, ProvidersError> {
        let mut providers: Vec<Provider> = Vec::with_capacity(issuers.len());
        for config in issuers {
            let issuer = &config.issuer;
            if providers.iter().any(|known| &known.config.issuer == issuer) {
                let issuer = issuer.clone();
                return Err(ProvidersError::Duplicate { issuer });
            }
            providers.push(Provider {
                client: fetch::client(&config)?,
                config,
                cached: ArcSwapOption::empty(),
                last_fetch: Mutex::default(),
            });
        }
        Ok(Self { providers })
    }

    /// The configured issuers, in order.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerConfig> {
        self.providers.iter().map(|provider| &provider.config)
    }

    /// The configuration of `issuer`, if it is trusted.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> Option<&IssuerConfig> {
        self.issuers().find(|config| config.issuer == issuer)
    }

    /// The keys of `issuer`, fetched if they are not known, too old, or lack `key_id`.
    ///
    /// The set may still lack `key_id`: then the provider does not know it either, or was asked
    /// for an unknown id less than 30 s ago.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub async fn keys(
        &self,
        issuer: &str,
        key_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, KeysError> {
        self.providers
            .iter()
            .find(|provider| provider.config.issuer == issuer)
            .ok_or(KeysError::Issuer)?
            .keys(key_id, now)
            .await
    }

    /// Who `token` proves to be asking, for the session key `session_public_key`: finds the
    /// issuer, gets its keys, verifies.
    ///
    /// # Errors
    ///
    /// [`IdentifyError`].
    pub async fn identify(
        &self,
        token: &str,
        session_public_key: &str,
        now: Timestamp,
    ) -> Result<Identity, IdentifyError> {
        let claimed = peek(token)?;
        let config = self.issuer(&claimed.issuer).ok_or(IdTokenError::Issuer)?;
        let keys = self
            .keys(&config.issuer, claimed.key_id.as_deref(), now)
            .await
            .map_err(|error| match error {
                KeysError::Issuer => IdentifyError::Token(IdTokenError::Issuer),
                KeysError::Unreachable => IdentifyError::Unreachable,
            })?;
        Ok(verify(token, session_public_key, config, &keys, now)?)
    }
}

impl Provider {
    async fn keys(&self, key_id: Option<&str>, now: Timestamp) -> Result<Arc<KeySet>, KeysError> {
        if let Some(keys) = self.fresh(key_id, now) {
            return Ok(keys);
        }
        let mut last_fetch = if self.usable(now).is_some_and(|keys| keys.contains(key_id)) {
            // Somebody is fetching already; the keys are merely not fresh, so nobody else waits.
            match self.last_fetch.try_lock() {
                Ok(last_fetch) => last_fetch,
                Err(_) => return self.usable(now).ok_or(KeysError::Unreachable),
            }
        } else {
            self.last_fetch.lock().await
        };
        if let Some(keys) = self.fresh(key_id, now) {
            return Ok(keys);
        }
        // The keys are fresh and the id is unknown: perhaps the provider has just changed its key.
        let unknown_id = self.fresh(None, now).is_some();
        let (last, pause) = match self.usable(now) {
            Some(_) if unknown_id => (last_fetch.for_unknown_id, REFETCH_PAUSE),
            Some(_) => (last_fetch.any, REFETCH_PAUSE),
            None => (last_fetch.any, FIRST_FETCH_PAUSE),
        };
        // A clock that was set back must not stop fetching until it has caught up.
        let too_soon = last.is_some_and(|last| last <= now && now.since(last) < pause);
        if !too_soon {
            last_fetch.any = Some(now);
            if unknown_id {
                last_fetch.for_unknown_id = Some(now);
            }
            match fetch::keys(&self.client, &self.config.issuer).await {
                Ok((keys, lifetime)) => self.cached.store(Some(Arc::new(Cached {
                    keys: Arc::new(keys),
                    fetched: now,
                    fresh_until: now.plus(lifetime),
                }))),
                Err(error) => tracing::warn!(
                    issuer = self.config.issuer,
                    error = %error,
                    cause = std::error::Error::source(&error).map(tracing::field::display),
                    "keys of the identity provider could not be fetched"
                ),
            }
        }
        self.usable(now).ok_or(KeysError::Unreachable)
    }

    /// The cached keys, if they need no fetch.
    fn fresh(&self, key_id: Option<&str>, now: Timestamp) -> Option<Arc<KeySet>> {
        let cached = self.cached.load();
        let cached = cached.as_ref()?;
        (now < cached.fresh_until && cached.keys.contains(key_id)).then(|| Arc::clone(&cached.keys))
    }

    /// The cached keys, if they may be used while the provider is away.
    fn usable(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        let cached = self.cached.load();
        let cached = cached.as_ref()?;
        let stale_max = Duration::from_secs(self.config.keys_stale_seconds_max);
        let until = cached.fresh_until.max(cached.fetched.plus(stale_max));
        (now < until).then(|| Arc::clone(&cached.keys))
    }
}

#[cfg(test)]
mod tests;
