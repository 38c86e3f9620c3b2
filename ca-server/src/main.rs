//! The `ca-server` program: flags, tracing, exit codes.

use std::process::ExitCode;

use ca_server::command::audit::AuditCommand;
use ca_server::command::break_glass::BreakGlassCommand;
use ca_server::command::hosts::HostsCommand;
use ca_server::command::init::Init;
use ca_server::command::place::{Place, UsageError, told_once};
use ca_server::command::policy::{EXIT_USAGE, PolicyCommand, PolicySetting};
use ca_server::command::serve::{EXIT_STOPPED, Ended, Serve};
use ca_server::command::sshd_config::SshdConfig;
use ca_server::command::webhook::WebhookCommand;
use ca_server::config::{Config, ConfigError};
use ca_server::identity::ProvidersError;
use ca_server::notify::WebhookError;
use ca_server::policy_changes::NotPassed;
use ca_server::policy_files::PolicyFilesError;
use ca_server::{clock::Clock, command, dev::Dev};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// The authority of jit-ssh: just-in-time SSH certificates, recorded before they are signed.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Try it on this machine: ca-server dev --dir ./demo"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Audit(Box<AuditCommand>),
    BreakGlass(Box<BreakGlassCommand>),
    Dev(Dev),
    Hosts(HostsCommand),
    Init(Init),
    Policy(Box<PolicyCommand>),
    Serve(Serve),
    SshdConfig(SshdConfig),
    Webhook(WebhookCommand),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let long_running = matches!(cli.verb, Verb::Serve(_));
    trace(long_running);
    match run(cli.verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", told_once(&error));
            ExitCode::from(if error.is::<UsageError>() {
                EXIT_USAGE
            } else if misconfigured(&error) {
                EXIT_CONFIG
            } else {
                1
            })
        }
    }
}

/// What the operator must mend before another start makes sense (sysexits: EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

fn misconfigured(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<ConfigError>()
            || cause.is::<PolicyFilesError>()
            || cause.is::<NotPassed>()
            || cause.is::<ProvidersError>()
            || cause.is::<WebhookError>()
    })
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        anyhow::bail!("another TLS provider is installed already");
    }
    match verb {
        Verb::BreakGlass(command) => command.run().map(|()| ExitCode::SUCCESS),
        Verb::Audit(command) => Ok(ExitCode::from(command.run()?)),
        Verb::Dev(dev) => ended(runtime()?.block_on(dev.run())?),
        Verb::Hosts(command) => command.run().map(|()| ExitCode::SUCCESS),
        Verb::Init(init) => init.run().map(|()| ExitCode::SUCCESS),
        Verb::Policy(command) => run_policy(&command),
        Verb::Serve(serve) => ended(runtime()?.block_on(serve.run())?),
        Verb::SshdConfig(command) => command.run().map(|()| ExitCode::SUCCESS),
        Verb::Webhook(command) => {
            let mut out = std::io::stdout();
            runtime()?
                .block_on(command.run(&mut out))
                .map(ExitCode::from)
        }
    }
}

fn ended(ended: Ended) -> anyhow::Result<ExitCode> {
    match ended {
        Ended::Asked => Ok(ExitCode::SUCCESS),
        Ended::LedgerStopped => {
            eprintln!(
                "error: the ledger stopped because the outcome of a write is unknown\n\
                 hint: start again; the start checks what was written"
            );
            Ok(ExitCode::from(EXIT_STOPPED))
        }
    }
}

fn run_policy(command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &command.policies {
        let setting = PolicySetting {
            policy_dir: folder.clone(),
            accounts: None,
            now: Clock::System.now(),
            config: None,
        };
        let code = command::policy::run(command, &setting, &mut std::io::stdout().lock())?;
        return Ok(ExitCode::from(code));
    }
    let place = Place {
        dir: command.dir.clone(),
        config: command.config.clone(),
    };
    if place.dir.is_none() && place.config.is_none() {
        return Err(UsageError(
            "name the CA with --dir DIR or --config FILE, or the policies with --policies FOLDER",
        )
        .into());
    }
    let config: Config = place.config()?;
    let environments = config.environments.iter();
    let accounts = environments.map(|(name, config)| (name.clone(), config.accounts.clone()));
    let setting = PolicySetting {
        policy_dir: config.policy_dir.clone(),
        accounts: Some(accounts.collect()),
        now: Clock::System.now(),
        config: Some(Box::new(config)),
    };
    let code = command::policy::run(command, &setting, &mut std::io::stdout().lock())?;
    Ok(ExitCode::from(code))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// JSON lines on stderr for `serve`, short lines for people otherwise. `RUST_LOG` chooses.
fn trace(long_running: bool) {
    let filter = |default: &str| {
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default))
    };
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr);
    if long_running {
        builder.json().with_env_filter(filter("info")).init();
    } else {
        builder
            .without_time()
            .with_target(false)
            .with_env_filter(filter("warn"))
            .init();
    }
}
