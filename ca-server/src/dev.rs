//! `ca-server dev`: everything for a try on one machine, loopback only, loudly not for use.
//!
//! Nothing of this is reachable from `serve`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ca_core::event::Person;
use ca_core::name::Subject;
use clap::Args;
use serde_json::json;

use crate::assembly::{self, Running};
use crate::authn::{IssuerConfig, totp};
use crate::ca::Enrolment;
use crate::clock::Clock;
use crate::command::init::{create, plan, random};
use crate::command::serve::{self, Ended};
use crate::command::sshd_config;
use crate::config::{Config, FILE_NAME, OnCallConfig, TlsConfig};
use crate::key_file;

mod certificate;
pub mod provider;

/// Our client id at the dev provider.
const CLIENT_ID: &str = "jit-ssh";

/// Everything for a try on this machine: a CA, an OpenID provider, three people. NOT FOR USE.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  ca-server dev --dir ./demo &\n  \
    export JIT_SSH_CONFIG=$PWD/demo/client.toml\n  \
    BROWSER='curl -fsSLk -o /dev/null' jit-ssh login prod --login-hint alice")]
pub struct Dev {
    /// Folder; made when it is missing, continued when it is one of ours.
    #[arg(long)]
    pub dir: PathBuf,
    /// Loopback address of the CA. Default: a free port, kept for the next start.
    #[arg(long, value_name = "127.0.0.1:PORT")]
    pub listen: Option<SocketAddr>,
}

impl Dev {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// # Errors
    ///
    /// With what is wrong and what to do.
    pub async fn run(&self) -> anyhow::Result<Ended> {
        let loopback = self.listen.is_none_or(|address| address.ip().is_loopback());
        anyhow::ensure!(
            loopback,
            "--listen must be a loopback address: `dev` is not for use"
        );
        let dir = std::path::absolute(&self.dir)?;
        if !dir.join(FILE_NAME).exists() {
            create_dev(&dir, self.listen)?;
        }
        self.move_to_asked_port(&dir)?;
        let config = Config::read(&dir.join(FILE_NAME))?;
        let issuer = config
            .issuers
            .first()
            .context("no issuer in the configuration")?;
        let provider = listen_provider(&dir, &issuer.issuer)?;
        // Whoever waits for this file must not take the last run's for this one's. Not
        // before the port is ours: it may be that of a run that goes on.
        drop(std::fs::remove_file(dir.join("dev.json")));
        let listener = serve::bind(&config)?;
        let running = assembly::start(&config, Clock::System, None).await?;
        let secrets = enrol(&running, &dir, &issuer.issuer).await?;
        tokio::spawn(provider);
        let ready = || {
            write_dev_json(&dir, &config, &secrets)?;
            say_ready(&dir, &config);
            Ok(())
        };
        serve::run(&config, running, (listener, serve::asked_to_stop()?), ready).await
    }

    /// `--listen` on a later start moves the CA; its identity stays.
    fn move_to_asked_port(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(FILE_NAME);
        let mut config: Config = toml::from_str(&std::fs::read_to_string(&path)?)?;
        let Some(asked) = self.listen.map(free_port).transpose()? else {
            return Ok(());
        };
        if config.listen != asked.to_string() && self.listen.is_some_and(|a| a.port() != 0) {
            config.listen = asked.to_string();
            config.url = format!("https://{asked}");
            std::fs::write(&path, toml::to_string_pretty(&config)?)?;
        }
        Ok(())
    }
}

/// An address with a port: the one given, or a free one for port 0.
fn free_port(asked: SocketAddr) -> anyhow::Result<SocketAddr> {
    if asked.port() != 0 {
        return Ok(asked);
    }
    Ok(TcpListener::bind(asked)?.local_addr()?)
}

fn create_dev(dir: &Path, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // Both sockets are held until both ports are known, so they differ.
    let (first, second) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
    let ca = match listen.filter(|address| address.port() != 0) {
        Some(asked) => asked,
        None => first.local_addr()?,
    };
    let issuer = format!("http://{}", second.local_addr()?);
    drop((first, second));
    let environments = ["staging".parse()?, "prod".parse()?];
    let url = url::Url::parse(&format!("https://{ca}"))?;
    let issuer = IssuerConfig::new(&issuer, CLIENT_ID);
    let mut config = plan(&url, issuer, &environments, Clock::System.now())?;
    config.listen = ca.to_string();
    config.enrolment = Enrolment::Open;
    config.on_call = OnCallConfig {
        users: ["bob".parse()?].into(),
        ..OnCallConfig::default()
    };
    config.tls = Some(TlsConfig {
        certificate: "tls/server.pem".into(),
        key: "tls/server.key".into(),
    });
    create(dir, &config)?;
    certificate::create(&dir.join("tls"))?;
    key_file::write_private(&dir.join("keys/provider.seed"), &random()?)?;
    Ok(())
}

/// The provider at its address, as a future to be spawned.
fn listen_provider(
    dir: &Path,
    issuer: &str,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let address = issuer.trim_start_matches("http://");
    let socket = TcpListener::bind(address).with_context(|| {
        let dir = dir.display();
        format!(
            "another `ca-server dev` runs on {dir} (or something else took {address}, where the \
             identity provider must listen again, as people are known by it)"
        )
    })?;
    socket.set_nonblocking(true)?;
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let seed = std::fs::read(dir.join("keys/provider.seed"))?;
    let seed = <[u8; provider::SIGNING_SEED_BYTES]>::try_from(seed.as_slice())?;
    let router = provider::router(provider::ProviderConfig {
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        people: provider::people(),
        signing_seed: seed.into(),
        now: || Clock::System.now(),
    });
    Ok(async move {
        if let Err(error) = axum::serve(socket, router).await {
            tracing::error!(%error, "the identity provider ended");
        }
    })
}

/// Gives each person a TOTP seed, once; the URIs are kept for `dev.json`.
async fn enrol(
    running: &Running,
    dir: &Path,
    issuer: &str,
) -> anyhow::Result<BTreeMap<String, String>> {
    let path = dir.join("keys/totp.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(serde_json::from_str(&text)?);
    }
    let mut uris = BTreeMap::new();
    for person in provider::people() {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes)?;
        let seed = totp::Seed::new(bytes);
        let subject = Subject::new(issuer, &provider::sub(&person.name))?;
        let user = person.name.parse()?;
        let uri = seed.otpauth_uri("jit-ssh dev", &person.name)?.to_string();
        uris.insert(person.name, uri);
        let who = Person { subject, user };
        running
            .ca
            .enrol_directly(who, &seed, Ipv4Addr::LOCALHOST.into())
            .await?;
    }
    // A crash before this line enrols everybody again at the next start.
    key_file::write_private(&path, serde_json::to_string(&uris)?.as_bytes())?;
    Ok(uris)
}

fn write_dev_json(
    dir: &Path,
    config: &Config,
    uris: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let client = dir.join("client.toml");
    let tls_root = dir.join("tls/ca.pem");
    std::fs::write(
        &client,
        format!(
            "ca_url = {:?}\nca_certificate = {:?}\n",
            config.url, tls_root
        ),
    )?;
    let mut environments = serde_json::Map::new();
    for name in config.environments.keys() {
        let file = dir.join(format!("{name}-ca.pub"));
        let line = sshd_config::public_key(config, name)?;
        std::fs::write(&file, format!("{line} jit-ssh CA {name}\n"))?;
        environments.insert(name.to_string(), json!({ "ca_public_key_file": file }));
    }
    let people: serde_json::Map<_, _> = uris
        .iter()
        .map(|(name, uri)| (name.clone(), json!({ "totp_uri": uri })))
        .collect();
    let document = json!({
        "ca_url": config.url,
        "issuer": config.issuers.first().map(|issuer| &issuer.issuer),
        "client_config": client,
        "ca_certificate": tls_root,
        "environments": environments,
        "people": people,
    });
    // Renamed into place: whoever waits for this file never reads half of it.
    let (new, path) = (dir.join("dev.json.new"), dir.join("dev.json"));
    if new.exists() {
        std::fs::remove_file(&new)?;
    }
    key_file::write_private(&new, serde_json::to_string_pretty(&document)?.as_bytes())?;
    Ok(std::fs::rename(new, path)?)
}

#[expect(clippy::print_stdout, reason = "the one line that scripts wait for")]
fn say_ready(dir: &Path, config: &Config) {
    println!(
        "ready: {} (DEVELOPMENT ONLY, loopback only, NOT FOR USE) see {}",
        config.url,
        dir.join("dev.json").display()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_dev_in_one_folder_is_told_about_the_first() {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let issuer = format!("http://{}", first.local_addr().unwrap());
        let error = listen_provider(Path::new("demo"), &issuer).err().unwrap();
        let text = error.to_string();
        assert!(
            text.starts_with("another `ca-server dev` runs on demo (or "),
            "{text}"
        );
    }
}
