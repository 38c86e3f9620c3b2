//! Tells chats and programs what happened: outgoing webhooks, at least once, from the log.
//!
//! Each target has a task of its own that reads durable records behind a cursor, tells those it
//! wants, and moves the cursor only when the receiver has them. Nothing waits for it: a receiver
//! that hangs delays its own messages only. Decides nothing about access; a message holds the
//! command to decide, never a way to decide without the second factor.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::key_file::{self, KeyFileError};
use crate::ledger::Ledger;
use crate::outgoing::{self, Unusable, usable_url};

pub use body::Format;
pub use delivery::Outcome;
pub use message::{Data, Message, Topic, message};
pub use reminder::{REMIND_EVERY, Reminder, due as reminders};

mod body;
mod cursor;
mod delivery;
mod message;
mod reminder;
mod signature;
mod target;
#[cfg(test)]
mod tests;
mod text;

/// Longest name of a target, bytes.
const NAME_BYTES_MAX: usize = 100;

/// `[[webhooks]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to: https, or http on loopback.
    pub url: SecretUrl,
    /// Names the cursor and the figures, `[a-z0-9._-]`; the host of `url` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// File with the secret that signs (`whsec_…`, mode 0600). Chats check no signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// `chat`, `standard` or `teams`. With `secret_file` `standard`, else `chat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What to tell; everything but `approval-given` and `request-withdrawn` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<BTreeSet<Topic>>,
    /// TLS roots (PEM) instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// An address that is a secret: whoever knows that of a chat's webhook can write there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(pub String);

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretUrl")
    }
}

/// Why the configured webhooks cannot be used; found at start.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The cursor cannot be kept.
    #[error("webhook {name:?}: its cursor in {folder:?}")]
    Cursor {
        /// The target.
        name: String,
        /// Where cursors are.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Two targets would share a cursor.
    #[error("two webhooks are named {0:?}: give each its own name")]
    Duplicate(String),
    /// Not fit for a file's name.
    #[error("webhook name {0:?}: 1 to 100 of a-z 0-9 . _ - are allowed, the first no dot")]
    Name(String),
    /// The TLS roots are unusable.
    #[error("webhook {name:?}: ca_file or the system's certificates are unusable")]
    Roots {
        /// The target.
        name: String,
        /// What is wrong.
        #[source]
        source: Unusable,
    },
    /// The secret's file does not hold one.
    #[error("webhook {name:?}: {path:?}: {what} (make one: echo whsec_$(openssl rand -base64 32))")]
    Secret {
        /// The target.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The secret's file cannot be read, or others can.
    #[error("webhook {name:?}: its secret")]
    SecretFile {
        /// The target.
        name: String,
        /// Why not.
        #[source]
        source: KeyFileError,
    },
    /// Not an address that is asked.
    #[error("webhook {0:?}: url must be https (http only on loopback), without user and fragment")]
    Url(String),
}

/// How patient deliveries are.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest try, connecting included.
    pub timeout: Duration,
    /// Pause after the first failure; doubled with each.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// Tries of a message that the receiver refuses (4xx but 408 and 429) before it is skipped, so
    /// that it cannot hold back all after it.
    pub refusals_max: u32,
    /// Time between two looks for reminders that fell due.
    pub look: Duration,
}

impl Default for Pace {
    /// A refused message is skipped after two to four minutes.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(300),
            refusals_max: 8,
            look: Duration::from_secs(60),
        }
    }
}

/// The configured targets, checked and ready; nothing was sent yet.
#[derive(Debug)]
pub struct Targets {
    targets: Vec<target::Target>,
    pace: Pace,
}

impl Targets {
    /// Checks addresses, names, secrets and roots. Touches no network.
    ///
    /// # Errors
    ///
    /// [`WebhookError`] names the target.
    pub fn new(configs: &[WebhookConfig], pace: Pace) -> Result<Self, WebhookError> {
        let mut names = BTreeSet::new();
        let mut targets = Vec::with_capacity(configs.len());
        for config in configs {
            let target = open(config, pace)?;
            if !names.insert(target.name.clone()) {
                return Err(WebhookError::Duplicate(target.name));
            }
            targets.push(target);
        }
        Ok(Self { targets, pace })
    }

    /// Starts a task for each. `folder` keeps the cursors; a target without one begins at the end
    /// of the log as it is now.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Cursor`] when a cursor cannot be read or written.
    pub fn start(
        self,
        ledger: &Ledger,
        clock: &Clock,
        folder: &Path,
    ) -> Result<Notifier, WebhookError> {
        let mut tasks = JoinSet::new();
        for target in self.targets {
            let name = target.name.clone();
            let teller =
                target::Teller::new(target, (ledger.clone(), clock.clone()), folder, self.pace);
            let teller = teller.map_err(|source| WebhookError::Cursor {
                name,
                folder: folder.to_owned(),
                source,
            })?;
            tasks.spawn(teller.run());
        }
        Ok(Notifier { _tasks: tasks })
    }

    /// Sends one message to each target, once, and says how that ended.
    pub async fn test(&self, now: Timestamp) -> Vec<(String, Outcome)> {
        let mut outcomes = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            let message = Message {
                topic: Topic::Test,
                lines: vec![text::Line::new("jit-ssh: a test message; nothing happened")],
                data: Data::default(),
            };
            let id = format!("test-{}", now.unix_milliseconds());
            let outcome = target.send(&id, &message, (now, now)).await;
            outcomes.push((target.name.clone(), outcome));
        }
        outcomes
    }
}

/// The running tasks. They hold handles to the ledger and end when this is dropped.
#[derive(Debug)]
pub struct Notifier {
    _tasks: JoinSet<()>,
}

fn open(config: &WebhookConfig, pace: Pace) -> Result<target::Target, WebhookError> {
    let name = config.name.clone().unwrap_or_else(|| host(&config.url.0));
    let url = usable_url(&config.url.0);
    let url = url.ok_or_else(|| WebhookError::Url(name.clone()))?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(allowed);
    if !fits || name.starts_with('.') {
        return Err(WebhookError::Name(name));
    }
    let roots = |source| WebhookError::Roots {
        name: name.clone(),
        source,
    };
    let client = outgoing::client(&url, config.ca_file.as_deref(), pace.timeout).map_err(roots)?;
    let secrets = config
        .secret_file
        .as_deref()
        .map(|path| secrets(&name, path))
        .transpose()?;
    let format = match secrets {
        Some(_) => Format::Standard,
        None => Format::Chat,
    };
    Ok(target::Target {
        name,
        format: config.format.unwrap_or(format),
        events: config.events.clone(),
        receiver: delivery::Receiver {
            client,
            url,
            secrets,
        },
    })
}

/// The host of an address, as a name.
fn host(url: &str) -> String {
    let url = url::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str());
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host.replace(':', "-")
}

fn secrets(name: &str, path: &Path) -> Result<signature::Secrets, WebhookError> {
    let text = key_file::read_private(path).map_err(|source| WebhookError::SecretFile {
        name: name.to_owned(),
        source,
    })?;
    signature::Secrets::parse(&text).map_err(|what| WebhookError::Secret {
        name: name.to_owned(),
        path: path.to_owned(),
        what,
    })
}
