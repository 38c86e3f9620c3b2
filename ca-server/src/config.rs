//! The configuration file (TOML). Its doc comments are its reference; unknown keys are errors;
//! paths are relative to the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ca_core::api::Staleness;
use ca_core::certificate::principals::Principals;
use ca_core::certificate::profile::Profile;
use ca_core::name::{Environment, Principal, UserName};
use ca_core::serial::Serial;
use ca_core::tlog::note::KeyName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::authn::IssuerConfig;
use crate::ca::Enrolment;
use crate::notify::WebhookConfig;
use crate::policy_changes::PolicyChangesConfig;

/// Name of the file in a folder made by `init` or `dev`.
pub const FILE_NAME: &str = "ca-server.toml";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where clients reach the CA: `https://ca.example.com`.
    pub url: String,
    /// `ADDRESS:PORT`, or `unix:PATH`. Without `[tls]` only loopback and unix.
    pub listen: String,
    /// Proxies whose `X-Forwarded-For` is believed. A unix socket's peer always is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<IpNet>,
    /// Folder of the store.
    pub store: PathBuf,
    /// The high-water file: outside the store, better on another disk.
    pub high_water: PathBuf,
    /// Socket for `ca-server audit` while the server runs.
    pub admin_socket: PathBuf,
    /// Folder of policies.
    pub policy_dir: PathBuf,
    /// Key that seals TOTP seeds.
    pub seal_key: PathBuf,
    /// Bytes kept free on the store's disk; below that nothing is issued. 64 MiB.
    #[serde(default = "reserve_bytes")]
    pub reserve_bytes: u64,
    /// Length of a session, hours.
    #[serde(default = "session_hours")]
    pub session_hours: u32,
    /// How long an access request waits for approvals and activation, hours.
    #[serde(default = "request_hours")]
    pub request_hours: u32,
    /// How long after somebody's last sign-in through a provider their break-glass key still works,
    /// days.
    #[serde(default = "break_glass_days")]
    pub break_glass_days: u32,
    /// `ticket`: an administrator lets people enrol; `open`: whoever signs in first enrols.
    #[serde(default)]
    pub enrolment: Enrolment,
    /// With `ticket`: who enrols their first factor without one, so that somebody can issue tickets.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub administrators: BTreeSet<UserName>,
    /// Requests per second and address before 429, for all but sign-in. 0 is off.
    #[serde(default = "requests_per_second")]
    pub requests_per_second: u32,
    /// Folder that remembers how far each webhook was told; `webhooks` beside the high-water file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_state: Option<PathBuf>,
    /// The transparency log.
    pub log: LogConfig,
    /// Certificate of the HTTPS server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// What a policy set must pass.
    #[serde(default)]
    pub policy_changes: PolicyChangesConfig,
    /// Who is on call.
    #[serde(default)]
    pub on_call: OnCallConfig,
    /// OpenID providers, the default first.
    pub issuers: Vec<IssuerConfig>,
    /// Whom to tell what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookConfig>,
    /// Environments by name.
    pub environments: BTreeMap<Environment, EnvironmentConfig>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Its name, scheme-less, never used for another log: `ca.example.com/2026a`.
    pub origin: KeyName,
    /// Upper part of serials: 1 to 8388606, larger than that of any log before.
    pub epoch: u32,
    /// Its Ed25519 key (OpenSSH file, mode 0600).
    pub key: PathBuf,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain, PEM. Read again when it changes.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// `[on_call]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnCallConfig {
    /// By user name.
    pub users: BTreeSet<UserName>,
    /// By group.
    pub groups: BTreeSet<String>,
}

/// `[environments.NAME]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// Host patterns for ssh_config.
    #[serde(default)]
    pub host_patterns: Vec<String>,
    /// Login names when none is asked for.
    pub default_principals: Principals,
    /// Login names that hints may suggest.
    #[serde(default)]
    pub accounts: Vec<Principal>,
    /// Window when none is asked for, seconds.
    pub default_duration_seconds: u64,
    /// What its certificates may be.
    pub profile: Profile,
    /// The key that signs.
    pub key: KeyConfig,
    /// What its hosts trust and do.
    #[serde(default)]
    pub hosts: HostsConfig,
}

/// `[environments.NAME.hosts]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostsConfig {
    /// The key that signs host certificates, another one than for people. Without it hosts show
    /// their plain keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyConfig>,
    /// Life of a host certificate, hours; it is renewed at two thirds.
    pub certificate_hours: u32,
    /// `best_effort`: hosts go on with the last revocation list; `strict`: they refuse certificates
    /// of this environment while their list is stale.
    pub staleness: Staleness,
    /// Age of the list from which on it is stale, seconds; at least 60.
    pub stale_after_seconds: u64,
    /// How long before its end a grant is warned of on its terminals, seconds.
    pub warn_before_seconds: Vec<u64>,
}

impl Default for HostsConfig {
    fn default() -> Self {
        Self {
            key: None,
            certificate_hours: 72,
            staleness: Staleness::BestEffort,
            stale_after_seconds: 300,
            warn_before_seconds: vec![300],
        }
    }
}

/// `[environments.NAME.key]`: a file, or a key in an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum KeyConfig {
    /// In an ssh-agent; hardware keys work through theirs.
    Agent {
        /// Its socket.
        agent_socket: PathBuf,
        /// Which key: OpenSSH one-line text.
        public_key: String,
    },
    /// An OpenSSH private key file, mode 0600.
    File {
        /// The file.
        file: PathBuf,
        /// File with its passphrase, mode 0600.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passphrase_file: Option<PathBuf>,
    },
}

const fn reserve_bytes() -> u64 {
    64 * 1024 * 1024
}

const fn session_hours() -> u32 {
    10
}

const fn request_hours() -> u32 {
    12
}

const fn break_glass_days() -> u32 {
    30
}

const fn requests_per_second() -> u32 {
    200
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value makes no sense.
    #[error("{path:?}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which, and what is allowed.
        what: String,
    },
    /// Not TOML of the known keys.
    #[error("{path:?}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// With line and caret.
        source: Box<toml::de::Error>,
    },
    /// It cannot be read.
    #[error("{path:?}: {source} (`ca-server init` makes one)")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Config {
    /// Reads and checks a file; all paths come out absolute or relative to the current folder.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        config.check().map_err(|what| ConfigError::Invalid {
            path: path.to_owned(),
            what,
        })?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Where the public half of an environment's offline break-glass key is, if one was sealed:
    /// `NAME.break-glass.pub` beside the key that seals TOTP seeds.
    #[must_use]
    pub fn break_glass_key(&self, name: &Environment) -> PathBuf {
        self.seal_key
            .with_file_name(format!("{name}.break-glass.pub"))
    }

    /// See `webhook_state`.
    #[must_use]
    pub fn webhook_state(&self) -> PathBuf {
        let beside = || self.high_water.with_file_name("webhooks");
        self.webhook_state.clone().unwrap_or_else(beside)
    }

    fn check(&self) -> Result<(), String> {
        if self.issuers.is_empty() {
            return Err("at least one [[issuers]] is needed".to_owned());
        }
        if self.environments.is_empty() {
            return Err("at least one [environments.NAME] is needed".to_owned());
        }
        if !(1..Serial::OFFLINE_EPOCH).contains(&self.log.epoch) {
            return Err(format!(
                "log.epoch is {}, 1 to 8388606 are allowed",
                self.log.epoch
            ));
        }
        if !(1..=168).contains(&self.session_hours) {
            return Err(format!(
                "session_hours is {}, 1 to 168 are allowed",
                self.session_hours
            ));
        }
        if !(1..=365).contains(&self.break_glass_days) {
            return Err(format!(
                "break_glass_days is {}, 1 to 365 are allowed",
                self.break_glass_days
            ));
        }
        if !(1..=168).contains(&self.request_hours) {
            return Err(format!(
                "request_hours is {}, 1 to 168 are allowed",
                self.request_hours
            ));
        }
        if self.high_water.starts_with(&self.store) {
            return Err(
                "high_water must lie outside the store's folder: restoring one must not \
                        restore the other"
                    .to_owned(),
            );
        }
        for (name, environment) in &self.environments {
            let hosts = &environment.hosts;
            if !(1..=720).contains(&hosts.certificate_hours) || hosts.stale_after_seconds < 60 {
                return Err(format!(
                    "environments.{name}.hosts: certificate_hours is 1 to 720, and \
                     stale_after_seconds at least 60"
                ));
            }
            let seconds_max = u64::from(environment.profile.max_duration_seconds.get());
            if !(60..=seconds_max).contains(&environment.default_duration_seconds) {
                return Err(format!(
                    "environments.{name}.default_duration_seconds is {}, 60 to {seconds_max} are \
                     allowed",
                    environment.default_duration_seconds
                ));
            }
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        let mut paths = vec![
            &mut self.store,
            &mut self.high_water,
            &mut self.admin_socket,
            &mut self.policy_dir,
            &mut self.seal_key,
            &mut self.log.key,
        ];
        if let Some(tls) = &mut self.tls {
            paths.extend([&mut tls.certificate, &mut tls.key]);
        }
        paths.extend(
            self.issuers
                .iter_mut()
                .filter_map(|issuer| issuer.ca_file.as_mut()),
        );
        paths.extend(self.webhook_state.as_mut());
        for webhook in &mut self.webhooks {
            paths.extend(webhook.secret_file.as_mut());
            paths.extend(webhook.ca_file.as_mut());
        }
        for environment in self.environments.values_mut() {
            for key in std::iter::once(&mut environment.key).chain(&mut environment.hosts.key) {
                match key {
                    KeyConfig::Agent { agent_socket, .. } => paths.push(agent_socket),
                    KeyConfig::File {
                        file,
                        passphrase_file,
                    } => {
                        paths.push(file);
                        paths.extend(passphrase_file.as_mut());
                    }
                }
            }
        }
        for path in paths {
            *path = folder.join(&path);
        }
    }
}

#[cfg(test)]
mod tests;
