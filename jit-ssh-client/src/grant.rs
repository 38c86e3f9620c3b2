//! Which identities on this machine are ours, what they open, and which are over.
//!
//! Deliberately narrow: ours is what carries our comment *and* was signed by a key pinned here.
//! Everything else is somebody else's and is never touched.

use std::path::PathBuf;
use std::time::Duration;

use ca_core::agent::answer::Identity;
use ca_core::certificate::key_id::{KeyId, Mark};
use ca_core::certificate::untrusted::{UntrustedCertificate, read_untrusted, read_untrusted_blob};
use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;

use crate::agent::{Agent, AgentError};
use crate::ca::authority_key;
use crate::config::Config;
use crate::failure::Failure;
use crate::file;
use crate::ledger::Ledger;
use crate::pins::Pins;
use crate::session::Session;

/// How the comments of our entries begin; the environment follows.
const COMMENT_PREFIX: &str = "jit-ssh:";
/// A grant that ends sooner than this does not stop a login from asking for the next.
const LEFT_SECONDS_MIN: u64 = 60;

/// Where the private key of a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the agent.
    Agent,
    /// In a file, because `--no-agent` asked for it.
    File,
}

/// A certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Where it opens doors.
    pub(crate) environment: Environment,
    /// What it says.
    pub(crate) certificate: UntrustedCertificate,
    /// Where its key is.
    pub(crate) place: Place,
}

impl Grant {
    /// First moment outside.
    pub(crate) const fn end(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.certificate.valid_before)
    }

    /// Rest of life at `now`.
    pub(crate) fn left(&self, now: Timestamp) -> Duration {
        self.end().since(now)
    }

    /// Whether it is over at `now`.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end()
    }

    /// Who it was issued to: the key id up to `@environment#serial`, which a mark may follow.
    pub(crate) fn user(&self) -> &str {
        let tail = format!("@{}#{}", self.environment, self.certificate.serial);
        let key_id = &self.certificate.key_id;
        match key_id.rsplit_once(&tail) {
            Some((user, rest)) if rest.is_empty() || rest.starts_with('+') => user,
            _ => key_id,
        }
    }

    /// Whether it was taken in an emergency.
    pub(crate) fn is_break_glass(&self) -> bool {
        let key_id = self.certificate.key_id.parse::<KeyId>();
        key_id.is_ok_and(|key_id| key_id.mark == Mark::BreakGlass)
    }

    /// Whether it may be handed to the person of `hint`, or of the open `session` without a hint.
    /// With neither, nobody said to be somebody else.
    pub(crate) fn is_for(&self, hint: Option<&str>, session: Option<&Session>) -> bool {
        let same = |session: &Session| session.user.as_str() == self.user();
        match hint {
            Some(hint) => self.user() == hint || session.is_some_and(|s| s.is_of(hint) && same(s)),
            None => session.is_none_or(same),
        }
    }

    /// Whether it serves a wish at `now`: every name in it, and enough time left. A person who
    /// repeats a command a little later wants the same grant, so half of what is asked is enough.
    pub(crate) fn covers(
        &self,
        principals: &[Principal],
        asked: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let issued = Timestamp::from_unix_seconds(self.certificate.valid_after);
        let whole = self.end().since(issued);
        let enough = asked.map_or_else(
            || (whole / 2).min(Duration::from_secs(LEFT_SECONDS_MIN)),
            |asked| asked / 2,
        );
        let named = |name: &Principal| {
            let mut held = self.certificate.principals.iter();
            held.any(|held| held == name.as_str())
        };
        !self.is_over(now) && self.left(now) >= enough && principals.iter().all(named)
    }
}

/// The comment of an entry of ours.
pub(crate) fn comment(environment: &Environment, key_id: &str) -> String {
    format!("{COMMENT_PREFIX}{environment} {key_id}")
}

/// The certificate file of `environment`: what `IdentityFile` names.
pub(crate) fn certificate_file(config: &Config, environment: &Environment) -> PathBuf {
    config
        .state
        .join("certs")
        .join(format!("{environment}-cert.pub"))
}

/// The private key file of `environment`, which exists after `--no-agent` only. `ssh -i` finds the
/// certificate beside it by itself.
pub(crate) fn key_file(config: &Config, environment: &Environment) -> PathBuf {
    config.state.join("certs").join(environment.as_str())
}

/// The identities among `identities` that are ours.
pub(crate) fn ours(identities: &[Identity], pins: &Pins) -> Vec<Grant> {
    let authorities = authorities(pins);
    identities
        .iter()
        .filter(|identity| identity.comment.starts_with(COMMENT_PREFIX))
        .filter_map(|identity| read_untrusted_blob(&identity.blob).ok())
        .filter_map(|certificate| by_known_authority(&authorities, certificate, Place::Agent))
        .collect()
}

fn authorities(pins: &Pins) -> Vec<(Environment, String)> {
    let environments = pins.discovery.environments.iter();
    environments
        .filter_map(|environment| {
            let key = authority_key(environment).ok()?;
            Some((environment.name.clone(), key.fingerprint()))
        })
        .collect()
}

fn by_known_authority(
    authorities: &[(Environment, String)],
    certificate: UntrustedCertificate,
    place: Place,
) -> Option<Grant> {
    let mut known = authorities.iter();
    let (environment, _) =
        known.find(|(_, fingerprint)| *fingerprint == certificate.authority_fingerprint)?;
    Some(Grant {
        environment: environment.clone(),
        certificate,
        place,
    })
}

/// The grants whose keys are in files (`--no-agent`).
fn in_files(config: &Config, pins: &Pins) -> Result<Vec<Grant>, Failure> {
    let mut grants = written(config, pins)?;
    grants.retain(|grant| key_file(config, &grant.environment).exists());
    Ok(grants)
}

/// The certificates that were written to files, wherever their keys are.
///
/// # Errors
///
/// A [`Failure`] when a file is there and cannot be read.
pub(crate) fn written(config: &Config, pins: &Pins) -> Result<Vec<Grant>, Failure> {
    let authorities = authorities(pins);
    let mut grants = Vec::new();
    for (environment, _) in &authorities {
        let text = file::read(&certificate_file(config, environment))?;
        let certificate = text.and_then(|line| read_untrusted(line.trim_end()).ok());
        grants.extend(certificate.and_then(|c| by_known_authority(&authorities, c, Place::File)));
    }
    Ok(grants)
}

/// Removes what is over or revoked from the agent and from the folder of key files; what is still
/// live comes back.
///
/// # Errors
///
/// A [`Failure`] when the agent or a file does not let go.
pub(crate) fn prune(
    config: &Config,
    pins: &Pins,
    agent: Option<&mut Agent>,
    now: Timestamp,
) -> Result<Vec<Grant>, Failure> {
    let ledger = Ledger::load(config, now)?;
    let worthless =
        |grant: &Grant| grant.is_over(now) || ledger.is_revoked(grant.certificate.serial);
    let mut live = Vec::new();
    if let Some(agent) = agent {
        for grant in ours(&agent.list()?, pins) {
            if worthless(&grant) {
                agent.remove(&grant.certificate.blob)?;
            } else {
                live.push(grant);
            }
        }
    }
    for grant in in_files(config, pins)? {
        if worthless(&grant) {
            remove_files(config, &grant.environment)?;
        } else {
            live.push(grant);
        }
    }
    Ok(live)
}

/// Removes key and certificate file of `environment`.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn remove_files(config: &Config, environment: &Environment) -> Result<(), Failure> {
    file::remove(&key_file(config, environment))?;
    file::remove(&certificate_file(config, environment))
}

/// Removes our entries of `environment` (all of them for none) from the agent; how many there were.
///
/// # Errors
///
/// [`AgentError`] when it does not answer.
pub(crate) fn remove_from_agent(
    agent: &mut Agent,
    pins: &Pins,
    environment: Option<&Environment>,
) -> Result<usize, AgentError> {
    let mut removed = 0;
    for grant in ours(&agent.list()?, pins) {
        if environment.is_none_or(|wanted| *wanted == grant.environment)
            && agent.remove(&grant.certificate.blob)?
        {
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests;
