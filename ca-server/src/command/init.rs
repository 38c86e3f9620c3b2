//! `ca-server init`: a new CA in a folder. Refuses to overwrite anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ca_core::event::PolicyCheck;
use ca_core::name::{Environment, UserName};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use clap::Args;

use crate::authn::IssuerConfig;
use crate::ca::Enrolment;
use crate::clock::Clock;
use crate::config::{Config, EnvironmentConfig, FILE_NAME, KeyConfig, LogConfig, OnCallConfig};
use crate::policy::{EXAMPLES, REQUIREMENTS_NAME, SCHEMA_NAME};
use crate::policy_changes::PolicyChangesConfig;
use crate::seal::SealKey;
use crate::{assembly, key_file};

/// Make a new CA: configuration, keys, policies, log.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example:\n  ca-server init --dir /etc/jit-ssh --url https://ca.example.com \
    --issuer https://id.example.com --client-id jit-ssh"
)]
pub struct Init {
    /// Folder to make; must not exist, or be empty.
    #[arg(long)]
    pub dir: PathBuf,
    /// Where clients will reach the CA.
    #[arg(long)]
    pub url: url::Url,
    /// OpenID issuer, exactly as in its tokens.
    #[arg(long)]
    pub issuer: String,
    /// Our client id at the issuer.
    #[arg(long)]
    pub client_id: String,
    /// Environments to make, each with a CA key of its own.
    #[arg(long = "environment", default_values = ["staging", "prod"])]
    pub environments: Vec<Environment>,
    /// User name of somebody who enrols a second factor without a ticket; may be given several
    /// times. Everybody else needs a ticket from one of them.
    #[arg(long = "administrator", value_name = "USER")]
    pub administrators: Vec<UserName>,
    /// Upper part of serials. When CA keys of an earlier log are copied over: larger than its.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..Serial::OFFLINE_EPOCH.into()))]
    pub epoch: u32,
}

impl Init {
    /// Makes the CA and says what to do next.
    ///
    /// # Errors
    ///
    /// When the folder holds something, or cannot be written.
    pub fn run(&self) -> anyhow::Result<()> {
        self.check()?;
        let mut config = plan(
            &self.url,
            IssuerConfig::new(&self.issuer, &self.client_id),
            &self.environments,
            Clock::System.now(),
        )?;
        if let Some(address) = loopback(&self.url) {
            config.listen = address.to_string();
        }
        config.log.epoch = self.epoch;
        config.administrators = self.administrators.iter().cloned().collect();
        create(&self.dir, &config)?;
        self.say_what_next();
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    fn say_what_next(&self) {
        let dir = self.dir.display();
        println!("Made a CA in {dir}. What next:");
        println!(
            "  1. In {dir}/{FILE_NAME}: set listen and [tls] (or keep loopback behind a proxy)."
        );
        println!("  2. Edit {dir}/policies/*.cedar, then: ca-server policy test --dir {dir}");
        println!("  3. ca-server serve --config {dir}/{FILE_NAME}");
        println!("  4. On each host of ENV, the lines of: ca-server sshd-config ENV --dir {dir}");
        println!("  5. Everybody: jit-ssh setup {}", self.url);
        println!("Keep {dir}/high-water out of the backups of {dir}/store.");
    }

    /// What `serve` would refuse, before anything is made.
    fn check(&self) -> anyhow::Result<()> {
        check_url("--url", &self.url)?;
        let issuer = url::Url::parse(&self.issuer)
            .with_context(|| format!("--issuer {:?} is no URL", self.issuer))?;
        check_url("--issuer", &issuer)?;
        anyhow::ensure!(!self.client_id.is_empty(), "--client-id must not be empty");
        let mut seen = BTreeSet::new();
        for name in &self.environments {
            let name = name.as_str();
            anyhow::ensure!(seen.insert(name), "--environment {name} is given twice");
        }
        Ok(())
    }
}

fn check_url(flag: &str, url: &url::Url) -> anyhow::Result<()> {
    let local = url
        .host_str()
        .is_some_and(|host| matches!(host, "127.0.0.1" | "[::1]" | "localhost"));
    anyhow::ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && local),
        "{flag} must be https:// (http:// only on loopback)"
    );
    Ok(())
}

/// Where to listen for a URL on this machine itself.
fn loopback(url: &url::Url) -> Option<std::net::SocketAddr> {
    let ip = match url.host()? {
        url::Host::Domain("localhost") => std::net::Ipv4Addr::LOCALHOST.into(),
        url::Host::Domain(_) => return None,
        url::Host::Ipv4(ip) => std::net::IpAddr::V4(ip),
        url::Host::Ipv6(ip) => std::net::IpAddr::V6(ip),
    };
    let port = url.port_or_known_default()?;
    ip.is_loopback().then(|| (ip, port).into())
}

/// The configuration of a new CA, paths relative to its folder.
///
/// # Errors
///
/// When the URL has no host.
pub fn plan(
    url: &url::Url,
    issuer: IssuerConfig,
    environments: &[Environment],
    now: Timestamp,
) -> anyhow::Result<Config> {
    let host = url.host_str().context("the URL has no host")?;
    let year: String = now.to_string().chars().take(4).collect();
    let environments: BTreeMap<_, _> = environments
        .iter()
        .map(|name| environment(name, host).map(|config| (name.clone(), config)))
        .collect::<anyhow::Result<_>>()?;
    Ok(Config {
        url: url.as_str().trim_end_matches('/').to_owned(),
        listen: "127.0.0.1:7443".to_owned(),
        trusted_proxies: Vec::new(),
        store: "store".into(),
        high_water: "high-water".into(),
        admin_socket: "admin.sock".into(),
        policy_dir: "policies".into(),
        seal_key: "keys/seal.key".into(),
        reserve_bytes: 64 * 1024 * 1024,
        session_hours: 10,
        request_hours: 12,
        break_glass_days: 30,
        enrolment: Enrolment::default(),
        administrators: BTreeSet::new(),
        requests_per_second: 200,
        webhook_state: None,
        log: LogConfig {
            origin: format!("{host}/{year}-{}", now.unix_seconds()).try_into()?,
            epoch: 1,
            key: "keys/log.key".into(),
        },
        tls: None,
        policy_changes: PolicyChangesConfig {
            must_pass: [PolicyCheck::BreakGlass, PolicyCheck::Cases].into(),
            ..PolicyChangesConfig::default()
        },
        on_call: OnCallConfig::default(),
        issuers: vec![issuer],
        webhooks: Vec::new(),
        environments,
    })
}

fn environment(name: &Environment, host: &str) -> anyhow::Result<EnvironmentConfig> {
    let domain = host
        .split_once('.')
        .map_or("example.com", |(_, domain)| domain);
    let domain = if domain.parse::<f32>().is_ok() || domain.is_empty() {
        "example.com"
    } else {
        domain
    };
    let domain = if host.parse::<std::net::IpAddr>().is_ok() {
        "example.com"
    } else {
        domain
    };
    Ok(serde_json::from_value(serde_json::json!({
        "host_patterns": [format!("*.{name}.{domain}")],
        "default_principals": ["deploy"],
        "accounts": ["deploy", "root"],
        "default_duration_seconds": 3600,
        "profile": { "max_duration_seconds": 28800 },
        "key": { "file": format!("keys/{name}.ca") },
        "hosts": { "key": { "file": format!("keys/{name}.host-ca") } },
    }))?)
}

/// Writes everything that `config` names, below `dir`, and creates the log.
///
/// # Errors
///
/// When the folder holds something already, or cannot be written.
pub fn create(dir: &Path, config: &Config) -> anyhow::Result<()> {
    let existed = dir.exists();
    let occupied = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(
        !occupied,
        "{dir:?} is not empty: a CA is never made over something else"
    );
    write_all(dir, config).map_err(|error| {
        // It was empty or absent: all that is in it was made just now.
        match remove_made(dir, existed) {
            Ok(()) => error.context(format!("no CA was made in {dir:?}")),
            Err(why) => error.context(format!(
                "no CA was made; remove what is in {dir:?} before the next try ({why})"
            )),
        }
    })
}

/// Empties `dir`, and removes it unless it existed before.
fn remove_made(dir: &Path, existed: bool) -> std::io::Result<()> {
    if !existed {
        return match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write_all(dir: &Path, config: &Config) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700).recursive(true);
    for folder in ["keys", "policies/cases", "policies/invariants"] {
        builder
            .create(dir.join(folder))
            .with_context(|| format!("{:?}", dir.join(folder)))?;
    }
    for (path, text) in EXAMPLES {
        let text = match path {
            SCHEMA_NAME | REQUIREMENTS_NAME => text.to_owned(),
            _ => without_others(text, &config.environments),
        };
        // A file without a policy, or without a case, would be refused later on.
        let always = [SCHEMA_NAME, REQUIREMENTS_NAME].contains(&path);
        let holds = ["@id(", "[[case]]", "[[table]]"].map(|one| text.contains(one));
        if always || holds.contains(&true) {
            std::fs::write(dir.join("policies").join(path), text)?;
        }
    }
    key_file::create_ed25519(&dir.join(&config.log.key), "jit-ssh log", &random()?)?;
    SealKey::create(&dir.join(&config.seal_key), random()?)?;
    for (name, environment) in &config.environments {
        let keys = [
            (Some(&environment.key), "CA"),
            (environment.hosts.key.as_ref(), "host CA"),
        ];
        for (key, role) in keys {
            let Some(KeyConfig::File { file, .. }) = key else {
                continue;
            };
            let comment = format!("jit-ssh {role} {name}");
            let key = key_file::create_ed25519(&dir.join(file), &comment, &random()?)?;
            let public = key.public_key().to_openssh().context("public key")?;
            // `prod.pub` for people's certificates, as ever; `prod.host-ca.pub` for hosts'.
            let public_file = match role {
                "CA" => dir.join(file).with_extension("pub"),
                _ => dir.join(format!("{}.pub", file.display())),
            };
            std::fs::write(public_file, format!("{public}\n"))?;
        }
    }
    let path = dir.join(FILE_NAME);
    key_file::write_private(&path, toml::to_string_pretty(config)?.as_bytes())?;
    assembly::create_log(&Config::read(&path)?, Clock::System)
}

/// Environments that the example policies and their cases talk about.
const EXAMPLE_ENVIRONMENTS: [&str; 2] = ["staging", "prod"];

/// An example without the policies and cases of environments that this CA does not have: a policy
/// about one of those is refused. They are separated by empty lines.
fn without_others(text: &str, environments: &BTreeMap<Environment, EnvironmentConfig>) -> String {
    let foreign = |part: &&str| {
        EXAMPLE_ENVIRONMENTS
            .into_iter()
            .filter(|name| !environments.keys().any(|known| known.as_str() == *name))
            .any(|name| {
                [
                    format!("Environment::\"{name}\""),
                    format!("Account::\"{name}/"),
                    format!("environment = \"{name}\""),
                ]
                .iter()
                .any(|named| part.contains(named))
            })
    };
    let parts: Vec<&str> = text
        .trim_end()
        .split("\n\n")
        .filter(|part| !foreign(part))
        .collect();
    parts.join("\n\n") + "\n"
}

/// Fresh random bytes.
///
/// # Errors
///
/// When the operating system has none.
pub fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
