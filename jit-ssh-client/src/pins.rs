//! What this machine believes about the CA: the keys seen at `setup` or first use, kept with the
//! last discovery document. A changed key is an error, never an update.
//!
//! Deliberately not pinned: issuers, host patterns, defaults. TLS vouches for those, and they change.

use std::path::PathBuf;

use ca_core::api::{DiscoveredEnvironment, Discovery};
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::file;
use crate::terminal::plain;

/// How old a stored document may get before it is fetched again, seconds.
const AGE_SECONDS_MAX: u64 = 24 * 3600;

/// The pinned document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pins {
    /// When it was fetched, by this machine's clock.
    pub(crate) fetched_at: Timestamp,
    /// The document, whose keys are binding.
    pub(crate) discovery: Discovery,
}

/// A key that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangedKey {
    /// `log key` or `CA key of prod`.
    pub(crate) what: String,
    /// As pinned.
    pub(crate) pinned: String,
    /// As seen now.
    pub(crate) seen: String,
}

impl Pins {
    /// Where they are kept.
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.state.join("pins.json")
    }

    /// The stored pins, if any.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the file is there but unreadable: starting afresh would trust anybody.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, Failure> {
        let path = Self::path(config);
        let Some(text) = file::read(&path)? else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::local(format!("{} is damaged: {error}", path.display()))
                .hint("after checking the keys with your administrator: jit-ssh setup --accept-new-keys URL")
        })
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// A [`Failure`] naming the file.
    pub(crate) fn save(&self, config: &Config) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::local(format!("cannot write pins: {error}")))?;
        file::replace(&Self::path(config), text.as_bytes())
    }

    /// Whether a refresh is due at `now`; also when the clock was set back.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        now < self.fetched_at || now.since(self.fetched_at).as_secs() > AGE_SECONDS_MAX
    }

    /// The environment called `name`.
    pub(crate) fn environment(&self, name: &str) -> Option<&DiscoveredEnvironment> {
        let mut all = self.discovery.environments.iter();
        all.find(|environment| environment.name.as_str() == name)
    }

    /// A moment that no certificate issued until `now` outlives.
    pub(crate) fn latest_end(&self, now: Timestamp) -> Timestamp {
        let environments = self.discovery.environments.iter();
        let longest = environments.map(|e| e.duration_seconds_max).max();
        // A minute for clocks that differ.
        let seconds = longest.unwrap_or(86_400).saturating_add(60);
        Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(seconds))
    }

    /// The keys that `seen` changes. New environments are not changes; neither are vanished ones.
    pub(crate) fn changes(&self, seen: &Discovery) -> Vec<ChangedKey> {
        let mut changes = Vec::new();
        let mut compare = |what: String, pinned: &str, seen: &str| {
            if pinned != seen {
                changes.push(ChangedKey {
                    what,
                    pinned: pinned.to_owned(),
                    seen: seen.to_owned(),
                });
            }
        };
        let (log, seen_log) = (&self.discovery.log, &seen.log);
        compare("log name".into(), &log.origin, &seen_log.origin);
        compare("log key".into(), &log.verifier_key, &seen_log.verifier_key);
        for environment in &seen.environments {
            let Some(pinned) = self.environment(environment.name.as_str()) else {
                continue;
            };
            compare(
                format!("CA key of {}", environment.name),
                key_part(&pinned.ca_public_key),
                key_part(&environment.ca_public_key),
            );
            let host_keys = (&pinned.host_ca_public_key, &environment.host_ca_public_key);
            if let (Some(pinned), Some(seen)) = host_keys {
                let what = format!("host CA key of {}", environment.name);
                compare(what, key_part(pinned), key_part(seen));
            }
        }
        changes
    }

    /// These pins with the newer document. What the CA no longer names (an environment, its host CA
    /// key) keeps its pin, so it cannot come back with another key.
    ///
    /// # Errors
    ///
    /// [`Exit::Broken`] naming every changed key and what to do.
    pub(crate) fn refreshed(self, seen: Discovery, now: Timestamp) -> Result<Self, Failure> {
        let changes = self.changes(&seen);
        if !changes.is_empty() {
            return Err(changed(&changes));
        }
        let mut discovery = seen;
        for pinned in self.discovery.environments {
            let mut all = discovery.environments.iter_mut();
            match all.find(|environment| environment.name == pinned.name) {
                Some(seen) if seen.host_ca_public_key.is_none() => {
                    seen.host_ca_public_key = pinned.host_ca_public_key;
                }
                Some(_) => {}
                None => discovery.environments.push(pinned),
            }
        }
        Ok(Self {
            fetched_at: now,
            discovery,
        })
    }
}

/// Type and key of an OpenSSH one-liner, without the comment.
pub(crate) fn key_part(line: &str) -> &str {
    let end = line.match_indices(' ').nth(1).map(|(at, _)| at);
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

fn changed(changes: &[ChangedKey]) -> Failure {
    let what = "the CA shows other keys than the ones this machine trusts; nothing was done";
    let failure = changes
        .iter()
        .fold(Failure::new(Exit::Broken, what), |failure, change| {
            failure
                .line(format!("{} pinned: {}", change.what, plain(&change.pinned)))
                .line(format!("{} seen:   {}", change.what, plain(&change.seen)))
        });
    failure.hint("if your administrator confirms the change by another way: jit-ssh setup --accept-new-keys URL")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn discovery() -> Discovery {
        serde_json::from_str(
            r#"{"issuers":[{"issuer":"https://idp","client_id":"c","scopes":["openid"]}],
            "environments":[{"name":"prod","ca_public_key":"ssh-ed25519 AAAA one","host_patterns":["*.prod.example.com"],
            "default_principals":["deploy"],"default_duration_seconds":3600,"duration_seconds_max":7200}],
            "log":{"origin":"ca/log","verifier_key":"ca/log+1+A","epoch":1},
            "server_time":"2026-01-01T00:00:00Z","version":"0"}"#,
        )
        .unwrap()
    }

    fn pins() -> Pins {
        Pins {
            fetched_at: Timestamp::from_unix_seconds(1000),
            discovery: discovery(),
        }
    }

    #[test]
    fn a_changed_key_is_refused_with_both_values_and_the_way_out() {
        let mut seen = discovery();
        seen.environments[0].ca_public_key = "ssh-ed25519 BBBB one".into();
        seen.log.verifier_key = "ca/log+2+B\u{1b}[2J".into();
        let failure = pins().refreshed(seen, Timestamp::default()).unwrap_err();
        assert_eq!(failure.exit, Exit::Broken);
        assert_eq!(failure.lines.len(), 4);
        assert!(failure.lines[2].contains("CA key of prod pinned: ssh-ed25519 AAAA"));
        assert!(failure.hints[0].contains("--accept-new-keys"));
        assert!(failure.lines[1].ends_with(r"ca/log+2+B\u{1b}[2J"));
    }

    #[test]
    fn another_comment_or_a_new_environment_is_no_change() {
        let mut seen = discovery();
        seen.environments[0].ca_public_key = "ssh-ed25519 AAAA two".into();
        let mut other = seen.environments[0].clone();
        other.name = "staging".parse().unwrap();
        other.ca_public_key = "ssh-ed25519 CCCC".into();
        seen.environments.push(other);
        let refreshed = pins().refreshed(seen, Timestamp::default()).unwrap();
        assert!(refreshed.environment("staging").is_some());
    }

    #[test]
    fn an_environment_that_vanished_keeps_its_pin() {
        let mut seen = discovery();
        seen.environments.clear();
        let refreshed = pins().refreshed(seen, Timestamp::default()).unwrap();
        assert!(refreshed.environment("prod").is_some());
    }

    #[test]
    fn a_host_authority_may_appear_but_neither_change_nor_come_back_as_another() {
        let with = |key: Option<&str>| {
            let mut seen = discovery();
            seen.environments[0].host_ca_public_key = key.map(str::to_owned);
            seen
        };
        let at = Timestamp::default();
        let pinned = pins().refreshed(with(Some("ssh-ed25519 HHHH one")), at);
        let pinned = pinned.unwrap();
        let same = pinned
            .clone()
            .refreshed(with(Some("ssh-ed25519 HHHH two")), at);
        assert!(same.is_ok());
        let other = pinned.clone().refreshed(with(Some("ssh-ed25519 IIII")), at);
        let failure = other.unwrap_err();
        assert_eq!(failure.exit, Exit::Broken);
        assert!(failure.lines[0].contains("host CA key of prod pinned: ssh-ed25519 HHHH"));
        let silent = pinned.refreshed(with(None), at).unwrap();
        assert!(
            silent
                .refreshed(with(Some("ssh-ed25519 IIII")), at)
                .is_err()
        );
    }

    #[test]
    fn a_document_is_old_after_a_day_or_when_it_is_from_the_future() {
        let at = Timestamp::from_unix_seconds;
        assert!(!pins().is_old(at(1000 + AGE_SECONDS_MAX)));
        assert!(pins().is_old(at(1001 + AGE_SECONDS_MAX)));
        assert!(pins().is_old(at(999)));
    }
}
