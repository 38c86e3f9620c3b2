//! The CA as a command sees it: its configuration, a connection, and the keys trusted here.
//!
//! Deliberately asks the network as rarely as it can: a login with an open session is one call.

use std::time::Duration;

use ca_core::api::{DiscoveredEnvironment, Discovery};
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::name::Environment;
use ca_core::time::Timestamp;

use crate::api::{Api, Patience};
use crate::clock;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::known_hosts;
use crate::pins::Pins;
use crate::span;
use crate::terminal::Voice;

/// Differences of clocks up to this are not worth a word.
const SKEW_SECONDS_MAX: u64 = 30;

/// One CA.
#[derive(Clone, Debug)]
pub(crate) struct Ca {
    /// Where everything is.
    pub(crate) config: Config,
    /// Calls.
    pub(crate) api: Api,
    /// How to speak to the person.
    pub(crate) voice: Voice,
}

impl Ca {
    /// The CA of `config`. Connects at the first call.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the pinned TLS certificate is unusable.
    pub(crate) fn new(config: Config, patience: Patience, voice: Voice) -> Result<Self, Failure> {
        let api = Api::new(&config, patience)?;
        Ok(Self { config, api, voice })
    }

    /// The pinned keys: from the file, or seen for the first time. An old document is renewed, and
    /// an unreachable CA is no reason not to use it.
    ///
    /// # Errors
    ///
    /// A [`Failure`]: unreachable at first use, keys changed, file damaged.
    pub(crate) async fn pins(&self) -> Result<Pins, Failure> {
        match Pins::load(&self.config)? {
            None => self.first_use().await,
            Some(pins) if pins.is_old(clock::now()) => match self.refresh(pins.clone()).await {
                Err(failure) if failure.exit == Exit::Unreachable => Ok(pins),
                other => other,
            },
            Some(pins) => Ok(pins),
        }
    }

    /// Fetches the document again and stores it.
    ///
    /// # Errors
    ///
    /// A [`Failure`]: unreachable, keys changed.
    pub(crate) async fn refresh(&self, pins: Pins) -> Result<Pins, Failure> {
        let seen = self.discovery().await?;
        let pins = pins.refreshed(seen, clock::now())?;
        pins.save(&self.config)?;
        known_hosts::write(&self.config, &pins)?;
        Ok(pins)
    }

    /// The environment `name`, after asking the CA once more if it is not known yet.
    ///
    /// # Errors
    ///
    /// A [`Failure`] listing the environments there are.
    pub(crate) async fn environment(
        &self,
        pins: &mut Pins,
        name: &Environment,
    ) -> Result<DiscoveredEnvironment, Failure> {
        if let Some(found) = pins.environment(name.as_str()) {
            return Ok(found.clone());
        }
        *pins = self.refresh(pins.clone()).await?;
        pins.environment(name.as_str()).cloned().ok_or_else(|| {
            let names: Vec<&str> = pins
                .discovery
                .environments
                .iter()
                .map(|environment| environment.name.as_str())
                .collect();
            Failure::usage(format!("the CA has no environment {:?}", name.as_str()))
                .hint(format!("it has: {}", names.join(", ")))
        })
    }

    async fn first_use(&self) -> Result<Pins, Failure> {
        let discovery = self.discovery().await?;
        let pins = Pins {
            fetched_at: clock::now(),
            discovery,
        };
        pins.save(&self.config)?;
        known_hosts::write(&self.config, &pins)?;
        self.voice.progress(&format!(
            "First use of {}: its keys are trusted from now on",
            self.config.ca_url
        ));
        for line in fingerprints(&pins) {
            self.voice.progress(&format!("  {line}"));
        }
        Ok(pins)
    }

    /// The discovery document; says so when the clocks differ.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the CA is unreachable.
    pub(crate) async fn discovery(&self) -> Result<Discovery, Failure> {
        let discovery = self.api.discovery().await?;
        self.compare_clocks(discovery.server_time);
        Ok(discovery)
    }

    /// Warns when this machine's clock and the CA's are more than 30 s apart.
    pub(crate) fn compare_clocks(&self, server_time: Timestamp) {
        if let Some(line) = skew(server_time, clock::now()) {
            self.voice.warn(&line);
        }
    }
}

/// How this machine's clock differs from the CA's, if it matters.
pub(crate) fn skew(server: Timestamp, local: Timestamp) -> Option<String> {
    let (difference, way) = if local > server {
        (local.since(server), "ahead of")
    } else {
        (server.since(local), "behind")
    };
    (difference > Duration::from_secs(SKEW_SECONDS_MAX)).then(|| {
        format!(
            "this machine's clock is {} {way} the CA's; set it, or hosts and codes may not agree",
            span::show(difference)
        )
    })
}

/// The key that signs for `environment`, as pinned.
///
/// # Errors
///
/// A [`Failure`] when the pinned text is no key.
pub(crate) fn authority_key(environment: &DiscoveredEnvironment) -> Result<AuthorityKey, Failure> {
    environment.ca_public_key.parse().map_err(|error| {
        Failure::new(
            Exit::Broken,
            format!("the CA key of {} is not usable: {error}", environment.name),
        )
    })
}

/// The pinned keys, a line each, for comparing by eye.
pub(crate) fn fingerprints(pins: &Pins) -> Vec<String> {
    let environments = pins.discovery.environments.iter().flat_map(|environment| {
        let name = &environment.name;
        let user = Some((format!("CA key of {name}"), &environment.ca_public_key));
        let host = environment.host_ca_public_key.as_ref();
        let host = host.map(|key| (format!("host CA key of {name}"), key));
        let shown = user.into_iter().chain(host).map(|(what, key)| {
            let key = key.parse::<AuthorityKey>();
            let key = key.map_or_else(|error| error.to_string(), |key| key.fingerprint());
            crate::terminal::plain(&format!("{what}: {key}"))
        });
        shown.collect::<Vec<_>>()
    });
    let log = &pins.discovery.log.verifier_key;
    environments
        .chain([format!("log key: {}", crate::terminal::plain(log))])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_named_with_its_size_and_direction_beyond_half_a_minute() {
        let at = Timestamp::from_unix_seconds;
        assert_eq!(skew(at(1000), at(1030)), None);
        assert_eq!(skew(at(1030), at(1000)), None);
        let ahead = skew(at(1000), at(1600)).unwrap();
        assert!(ahead.contains("10 min ahead of the CA's"), "{ahead}");
        let behind = skew(at(1031), at(1000)).unwrap();
        assert!(behind.contains("31 s behind the CA's"), "{behind}");
    }
}
