//! From a configuration to a running authority.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::name::Environment;

use crate::break_glass_keys;
use crate::ca::{Ca, Challenges, Lists, OnCall, Settings, Signing, Waiting};
use crate::clock::Clock;
use crate::config::{Config, EnvironmentConfig, KeyConfig};
use crate::environment::{EnvironmentRules, HostRules};
use crate::high_water::HighWater;
use crate::identity::Providers;
use crate::key_file;
use crate::ledger::{Ledger, LogKey, Opened};
use crate::notify::{Notifier, Pace, Targets};
use crate::policy_files::PolicyFiles;
use crate::seal::SealKey;
use crate::signer::Signer;
use crate::signer::agent::AgentSigner;
use crate::signer::file::FileSigner;
use crate::store::Store;
use crate::store::sled::SledStore;

/// A CA and the thread behind its ledger.
#[derive(Debug)]
pub struct Running {
    /// The use cases.
    pub ca: Arc<Ca>,
    /// Tells the webhooks until it is dropped.
    pub notifier: Notifier,
    /// Ends when the last handle to the ledger is dropped.
    pub sequencer: std::thread::JoinHandle<()>,
}

/// The log's key, with its name and epoch.
///
/// # Errors
///
/// When the key file cannot be used.
pub fn log_key(config: &Config) -> anyhow::Result<LogKey> {
    let signing = key_file::read_ed25519(&config.log.key).context("the log's key")?;
    Ok(LogKey::new(
        config.log.origin.clone(),
        config.log.epoch,
        signing,
    ))
}

/// Creates the log of a new CA.
///
/// # Errors
///
/// When there is one already, or files cannot be made.
pub fn create_log(config: &Config, clock: Clock) -> anyhow::Result<()> {
    let store: Arc<dyn Store> = Arc::new(SledStore::create(&config.store, config.reserve_bytes)?);
    let high_water = HighWater::create(&config.high_water)?;
    let Opened { ledger, sequencer } = Ledger::create(store, log_key(config)?, clock, high_water)?;
    drop(ledger);
    sequencer
        .join()
        .map_err(|_| anyhow::anyhow!("the ledger's thread failed"))
}

/// Opens everything the configuration names, checks it, and records what is in force. With `accept`,
/// policies that do not pass what they must are let in all the same, for that reason.
///
/// # Errors
///
/// With what is wrong and what to do. Nothing listens yet.
pub async fn start(
    config: &Config,
    clock: Clock,
    accept: Option<String>,
) -> anyhow::Result<Running> {
    // The cheap checks first: a typing error must not cost a replay.
    let names = config.environments.keys().cloned().collect();
    let policies = PolicyFiles::open(&config.policy_dir, names).context("policies")?;
    let providers = Providers::new(config.issuers.clone())?;
    let webhooks = Targets::new(&config.webhooks, Pace::default())?;
    let seal_key = SealKey::read(&config.seal_key)
        .with_context(|| format!("seal key {:?}", config.seal_key))?;
    let mut environments = BTreeMap::new();
    for (name, environment) in &config.environments {
        let break_glass_key = break_glass_keys::current(&config.break_glass_key(name))
            .with_context(|| format!("environment {name}: break-glass key"))?;
        let signing = signing(name, environment, break_glass_key)
            .await
            .with_context(|| format!("environment {name}"))?;
        environments.insert(name.clone(), signing);
    }
    check_keys_differ(&environments)?;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&config.store, config.reserve_bytes)?);
    let high_water = HighWater::open(&config.high_water)?;
    let mut challenge_key = [0; 32];
    getrandom::fill(&mut challenge_key)?;
    let opened = Ledger::open(
        Arc::clone(&store),
        log_key(config)?,
        clock.clone(),
        high_water,
    )?;
    let ca = Arc::new(Ca {
        ledger: opened.ledger,
        store,
        seal_key,
        providers,
        policies,
        change_control: config.policy_changes.control(),
        environments,
        challenges: Challenges::new(challenge_key),
        lists: Lists::default(),
        seen: Arc::default(),
        waiting: Waiting::default(),
        settings: settings(config),
        clock,
    });
    ca.admit_policies(&ca.policies.current(), accept).await?;
    ca.record_start().await?;
    let notifier = webhooks.start(&ca.ledger, &ca.clock, &config.webhook_state())?;
    Ok(Running {
        ca,
        notifier,
        sequencer: opened.sequencer,
    })
}

fn settings(config: &Config) -> Settings {
    let host = config.url.split("://").last().unwrap_or_default();
    Settings {
        session: Duration::from_secs(u64::from(config.session_hours) * 3600),
        request: Duration::from_secs(u64::from(config.request_hours) * 3600),
        break_glass_after: Duration::from_secs(u64::from(config.break_glass_days) * 86_400),
        enrolment: config.enrolment,
        administrators: config.administrators.clone(),
        // otpauth labels cannot hold a colon.
        totp_issuer: format!(
            "jit-ssh {}",
            host.split([':', '/']).next().unwrap_or_default()
        ),
        on_call: Arc::new(OnCall {
            users: config.on_call.users.clone(),
            groups: config.on_call.groups.clone(),
        }),
    }
}

async fn signing(
    name: &Environment,
    config: &EnvironmentConfig,
    break_glass_key: Option<AuthorityKey>,
) -> anyhow::Result<Signing> {
    let signer = signer(&config.key).await?;
    let host_signer = match &config.hosts.key {
        Some(key) => Some(self::signer(key).await.context("host CA key")?),
        None => None,
    };
    let hosts = &config.hosts;
    let mut warn_before_seconds = hosts.warn_before_seconds.clone();
    warn_before_seconds.sort_unstable_by(|a, b| b.cmp(a));
    let rules = EnvironmentRules {
        name: name.clone(),
        profile: config.profile.clone(),
        authority_key: signer.public_key().clone(),
        host_patterns: config.host_patterns.clone(),
        default_principals: config.default_principals.clone(),
        accounts: config.accounts.clone(),
        default_duration_seconds: config.default_duration_seconds,
        hosts: HostRules {
            certificate_life: Duration::from_secs(u64::from(hosts.certificate_hours) * 3600),
            staleness: hosts.staleness,
            stale_after_seconds: hosts.stale_after_seconds,
            warn_before_seconds,
            break_glass_key: break_glass_key.map(|key| key.to_string()),
        },
    };
    Ok(Signing {
        rules,
        signer,
        host_signer,
        distrusted: AtomicBool::new(false),
    })
}

async fn signer(key: &KeyConfig) -> anyhow::Result<Box<dyn Signer>> {
    Ok(match key {
        KeyConfig::Agent {
            agent_socket,
            public_key,
        } => {
            let signer = AgentSigner::new(agent_socket, public_key.parse()?);
            signer.check().await?;
            Box::new(signer)
        }
        KeyConfig::File {
            file,
            passphrase_file,
        } => {
            let passphrase = passphrase_file.as_deref().map(passphrase).transpose()?;
            Box::new(FileSigner::read(file, passphrase.as_ref())?)
        }
    })
}

fn passphrase(path: &Path) -> anyhow::Result<secrecy::SecretString> {
    use secrecy::ExposeSecret as _;
    let text = key_file::read_private(path)?;
    Ok(text.expose_secret().trim_end_matches(['\r', '\n']).into())
}

/// One key for two environments would make a staging certificate good in prod.
fn check_keys_differ(environments: &BTreeMap<Environment, Signing>) -> anyhow::Result<()> {
    let mut seen = BTreeMap::new();
    for (name, signing) in environments {
        for signer in std::iter::once(&signing.signer).chain(&signing.host_signer) {
            let key = signer.public_key().to_string();
            if let Some(other) = seen.insert(key, name) {
                anyhow::bail!(
                    "environments {other} and {name} have the same CA key: each needs its own, and \
                     another one for hosts"
                );
            }
        }
    }
    Ok(())
}
