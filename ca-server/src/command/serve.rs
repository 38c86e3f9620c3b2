//! `ca-server serve`: the authority for real use.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::assembly::{self, Running};
use crate::ca::Ca;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{self, HttpSettings, ListenLimits, Listener, Rate};
use crate::policy::PolicySet;
use crate::policy_files::Reload;
use crate::{admin, ledger};

/// Exit code when the ledger stopped because an outcome was unknown: start again.
pub const EXIT_STOPPED: u8 = 75;

/// Run the CA.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  ca-server serve --config /etc/jit-ssh/ca-server.toml")]
pub struct Serve {
    /// Configuration file made by `ca-server init`.
    #[arg(long)]
    pub config: PathBuf,
    /// Start although the policies do not pass what `policy_changes.must_pass` asks for, and record
    /// why. Changes while the server runs must still pass.
    #[arg(long, value_name = "WHY", value_parser = NonEmptyStringValueParser::new())]
    pub accept_policies: Option<String>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Asked to stop; everything is written.
    Asked,
    /// The ledger stopped: the outcome of a write is unknown until the next start reads it.
    LedgerStopped,
}

impl Serve {
    /// Runs until SIGTERM or SIGINT, or until the ledger stops.
    ///
    /// # Errors
    ///
    /// With what is wrong and what to do, before anything listens.
    pub async fn run(&self) -> anyhow::Result<Ended> {
        let config = Config::read(&self.config)?;
        let listener = bind(&config)?;
        let running = assembly::start(&config, Clock::System, self.accept_policies.clone()).await?;
        let ready = || {
            tracing::info!(url = config.url, listen = config.listen, "ready");
            Ok(())
        };
        run(&config, running, (listener, asked_to_stop()?), ready).await
    }
}

/// Serves a started CA until `stop` completes or its ledger stops. Calls `ready` when everything is
/// in place: from then on a changed policy file is noticed.
///
/// # Errors
///
/// When a socket or a thread fails.
pub async fn run(
    config: &Config,
    running: Running,
    (listener, stop): (Listener, impl Future<Output = ()> + Send + 'static),
    ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Ended> {
    let Running {
        ca,
        notifier,
        sequencer,
    } = running;
    let ledger = ca.ledger.clone();
    let (stopping, mut stopped) = tokio::sync::watch::channel(Ended::Asked);
    let waiting = Arc::clone(&ca);
    let stop = async move {
        tokio::select! {
            () = stop => {}
            () = ledger_stopped(ledger, &stopping) => {}
        }
        // Those who wait for news are answered now, not at the end of their wait.
        waiting.waiting.end();
        waiting.change_control.stop();
    };
    let sweep = tokio::spawn(expire_requests(Arc::downgrade(&ca)));
    let watch = watch_policies(&ca)?;
    let admin = admin::listen(&ca.ledger, &ca.store, &ca.seen, &config.admin_socket)?;
    let router = http::router(Arc::clone(&ca), settings(config));
    let limits = ListenLimits {
        unlimited_from: config.trusted_proxies.clone(),
        ..ListenLimits::default()
    };
    http::raise_file_limit().context("the limit of open files")?;
    ready()?;
    http::listen(router, listener, limits, stop).await?;
    let ended = *stopped.borrow_and_update();
    sweep.abort();
    drop((watch, admin, notifier, ca));
    // The last handle is gone: the sequencer writes its snapshot and ends.
    tokio::task::spawn_blocking(move || sequencer.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the ledger's thread failed"))?;
    Ok(ended)
}

/// Records the ends of access requests whose time is over.
async fn expire_requests(ca: std::sync::Weak<Ca>) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tick.tick().await;
        let Some(ca) = ca.upgrade() else {
            return;
        };
        if let Err(error) = ca.expire_requests().await {
            tracing::warn!(%error, "ends of access requests are not recorded yet");
        }
    }
}

/// Time between two looks for access requests that are over.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(5);

async fn ledger_stopped(ledger: ledger::Ledger, stopping: &tokio::sync::watch::Sender<Ended>) {
    ledger.stopped().await;
    stopping.send_replace(Ended::LedgerStopped);
}

/// The HTTP edge's part of the configuration.
#[must_use]
pub fn settings(config: &Config) -> HttpSettings {
    let rate = |per_second| Rate {
        per_second,
        burst: per_second.saturating_mul(5),
    };
    let defaults = HttpSettings::default();
    HttpSettings {
        trusted_proxies: config.trusted_proxies.clone(),
        unix_peers_are_proxies: true,
        sign_in_rate: defaults
            .sign_in_rate
            .filter(|_| config.requests_per_second > 0),
        rate: Some(rate(config.requests_per_second)).filter(|rate| rate.per_second > 0),
        ..defaults
    }
}

/// Opens the socket that the configuration names. Without TLS only where nobody listens in.
///
/// # Errors
///
/// When the address is taken or may not be used in clear.
pub fn bind(config: &Config) -> anyhow::Result<Listener> {
    if let Some(path) = config.listen.strip_prefix("unix:") {
        let path = std::path::Path::new(path);
        if let Ok(found) = std::fs::symlink_metadata(path) {
            use std::os::unix::fs::FileTypeExt as _;
            let left = std::os::unix::net::UnixStream::connect(path).is_err();
            anyhow::ensure!(
                found.file_type().is_socket() && left,
                "listen on {path:?}: something else is there"
            );
            // Nobody answers: a socket left behind by a process that was killed.
            std::fs::remove_file(path).with_context(|| format!("{path:?}"))?;
        }
        let listener = std::os::unix::net::UnixListener::bind(path);
        return Ok(Listener::Unix(
            listener.with_context(|| format!("listen on {path:?}"))?,
        ));
    }
    let address: SocketAddr = config.listen.parse().with_context(|| {
        format!(
            "listen = {:?}: expected ADDRESS:PORT or unix:PATH",
            config.listen
        )
    })?;
    anyhow::ensure!(
        config.tls.is_some() || address.ip().is_loopback(),
        "listen = {address} without [tls] would send tokens in clear: add [tls], or listen on \
         loopback or a unix socket behind a proxy"
    );
    let socket = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    Ok(match &config.tls {
        Some(tls) => Listener::Tls {
            socket,
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
        },
        None => Listener::Plain(socket),
    })
}

/// Completes at SIGTERM or SIGINT.
///
/// # Errors
///
/// When signals cannot be received.
pub fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Reloads policies when their files change. A set comes into force when it has passed what it must
/// and is recorded.
fn watch_policies(ca: &Arc<Ca>) -> anyhow::Result<crate::policy_files::Watch> {
    let (runtime, weak) = (tokio::runtime::Handle::current(), Arc::downgrade(ca));
    let admit = move |set: &PolicySet| {
        let ca = weak.upgrade().context("the server is stopping")?;
        runtime.block_on(ca.admit_policies(set, None))
    };
    let report = move |reload: Reload| match reload {
        Reload::Kept(error) => {
            metrics::counter!("ca_policy_reloads_total", "outcome" => "refused").increment(1);
            tracing::error!("POLICIES NOT RELOADED, the old set stays in force:\n{error:#}");
        }
        Reload::Swapped(set) => {
            metrics::counter!("ca_policy_reloads_total", "outcome" => "swapped").increment(1);
            tracing::info!(policies = set.policies().len(), "policies reloaded");
        }
        Reload::Repaired => tracing::info!("policies are valid again; nothing else changed"),
        Reload::Unchanged => {}
    };
    Ok(ca.policies.watch(admit, report)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::IssuerConfig;
    use crate::command::init::plan;
    use ca_core::time::Timestamp;

    #[test]
    fn a_file_that_is_no_socket_is_not_removed_to_listen_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listen");
        let url = "https://ca.example".parse().unwrap();
        let issuer = IssuerConfig::new("https://id.example", "jit-ssh");
        let environments = ["prod".parse().unwrap()];
        let mut config = plan(&url, issuer, &environments, Timestamp::default()).unwrap();
        config.listen = format!("unix:{}", path.display());
        std::fs::write(&path, "precious").unwrap();
        assert!(bind(&config).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        drop(bind(&config).unwrap());
        assert!(path.exists());
        drop(bind(&config).unwrap());
    }
}
