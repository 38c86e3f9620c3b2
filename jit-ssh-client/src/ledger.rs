//! What this machine gave back and until when that matters: certificates that were revoked, or
//! still have to be, and keys that stayed behind in an agent which could not be reached.
//!
//! Deliberately no secrets and no decisions about exit codes; entries leave with their certificate.

use std::path::PathBuf;

use ca_core::name::Environment;
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::Failure;
use crate::file;
use crate::grant::Grant;

/// One certificate that was given back, or was to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its serial number.
    pub(crate) serial: u64,
    /// Where it opens doors; none when the CA named the serial only.
    pub(crate) environment: Option<Environment>,
    /// Who it was issued to; empty when the CA named the serial only.
    pub(crate) user: String,
    /// First moment at which it is worthless anyway.
    pub(crate) end: Timestamp,
    /// Whether the CA confirmed that it is revoked.
    pub(crate) revoked: bool,
    /// Whether its key may still be in an agent.
    pub(crate) in_agent: bool,
}

/// All of them. A serial is in it once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    /// Where it is kept.
    pub(crate) fn path(config: &Config) -> PathBuf {
        config.state.join("given-back.json")
    }

    /// The stored one without what is over at `now`. A damaged file counts as empty.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the file cannot be read.
    pub(crate) fn load(config: &Config, now: Timestamp) -> Result<Self, Failure> {
        let text = file::read(&Self::path(config))?;
        let stored = text.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        let mut ledger = stored.unwrap_or_default();
        ledger.entries.retain(|entry| now < entry.end);
        Ok(ledger)
    }

    /// Stores it; an empty one leaves no file.
    ///
    /// # Errors
    ///
    /// A [`Failure`] naming the file.
    pub(crate) fn save(&self, config: &Config) -> Result<(), Failure> {
        let path = Self::path(config);
        if self.entries.is_empty() {
            return file::remove(&path);
        }
        let text = serde_json::to_vec(self);
        let text = text.map_err(|e| Failure::local(format!("cannot write the ledger: {e}")))?;
        file::replace(&path, &text)
    }

    /// Notes that `grant` is being given back; `in_agent` when its key could not be removed. What
    /// is known about it already stays.
    pub(crate) fn note(&mut self, grant: &Grant, in_agent: bool) {
        let serial = grant.certificate.serial;
        if let Some(known) = self.entries.iter_mut().find(|e| e.serial == serial) {
            known.environment = Some(grant.environment.clone());
            known.user = grant.user().to_owned();
            known.end = grant.end();
            known.in_agent = in_agent;
            return;
        }
        self.entries.push(Entry {
            serial,
            environment: Some(grant.environment.clone()),
            user: grant.user().to_owned(),
            end: grant.end(),
            revoked: false,
            in_agent,
        });
    }

    /// Notes that the CA revoked `serials`, none of which outlives `end`.
    pub(crate) fn revoked(&mut self, serials: &[u64], end: Timestamp) {
        for serial in serials {
            if let Some(known) = self.entries.iter_mut().find(|e| e.serial == *serial) {
                known.revoked = true;
                continue;
            }
            self.entries.push(Entry {
                serial: *serial,
                environment: None,
                user: String::new(),
                end,
                revoked: true,
                in_agent: false,
            });
        }
    }

    /// Notes that nothing of `user` in `environment` is live at the CA any more.
    pub(crate) fn nothing_live(&mut self, environment: &Environment, user: &str) {
        for entry in &mut self.entries {
            if entry.environment.as_ref() == Some(environment) && entry.user == user {
                entry.revoked = true;
            }
        }
    }

    /// Notes that an agent answered: what is ours there was removed.
    pub(crate) fn agent_is_clean(&mut self, environment: Option<&Environment>) {
        for entry in &mut self.entries {
            if environment.is_none_or(|wanted| entry.environment.as_ref() == Some(wanted)) {
                entry.in_agent = false;
            }
        }
    }

    /// Whether the certificate with this number was revoked.
    pub(crate) fn is_revoked(&self, serial: u64) -> bool {
        let mut all = self.entries.iter();
        all.any(|entry| entry.serial == serial && entry.revoked)
    }

    /// The entries of `environment` (of all for none).
    pub(crate) fn of<'a>(
        &'a self,
        environment: Option<&'a Environment>,
    ) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| {
            environment.is_none_or(|wanted| entry.environment.as_ref() == Some(wanted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Timestamp = Timestamp::from_unix_seconds;

    fn owed(serial: u64, user: &str) -> Entry {
        Entry {
            serial,
            environment: Some("prod".parse().unwrap()),
            user: user.into(),
            end: AT(100),
            revoked: false,
            in_agent: true,
        }
    }

    #[test]
    fn what_is_revoked_for_one_person_stays_owed_for_the_other() {
        let mut ledger = Ledger {
            entries: vec![owed(1, "alice"), owed(2, "bob")],
        };
        ledger.nothing_live(&"staging".parse().unwrap(), "alice");
        assert!(!ledger.is_revoked(1));
        ledger.nothing_live(&"prod".parse().unwrap(), "alice");
        assert!(ledger.is_revoked(1));
        assert!(!ledger.is_revoked(2));
    }

    #[test]
    fn a_serial_named_by_the_ca_counts_as_revoked_once() {
        let mut ledger = Ledger {
            entries: vec![owed(1, "alice")],
        };
        ledger.revoked(&[1, 7, 7], AT(200));
        assert!(ledger.is_revoked(1) && ledger.is_revoked(7));
        assert!(!ledger.is_revoked(8));
        assert_eq!(ledger.of(None).count(), 2);
    }

    #[test]
    fn an_agent_that_answered_holds_nothing_of_that_environment_any_more() {
        let mut ledger = Ledger {
            entries: vec![owed(1, "alice")],
        };
        ledger.agent_is_clean(Some(&"staging".parse().unwrap()));
        assert!(ledger.of(None).all(|entry| entry.in_agent));
        ledger.agent_is_clean(None);
        assert!(!ledger.of(None).any(|entry| entry.in_agent));
    }
}
