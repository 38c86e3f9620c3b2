//! `ca-server audit verify | search | export`: the log, checked and read by whoever keeps it; and
//! through the API by people whom policy lets.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::assembly;
use crate::audit::{LogPlace, Source, SourceError};
use crate::command::place::{Place, UsageError};
use crate::config::Config;
use crate::high_water::HighWaterError;
use crate::key_file;
use crate::ledger::LogKey;
use export::Export;
use remote::Remote;
use search::Find;
use verify::Verify;

mod export;
mod remote;
mod search;
#[cfg(test)]
mod tests;
mod verify;

/// Done, and nothing is wrong.
pub const EXIT_OK: u8 = 0;
/// `verify`: something is wrong.
pub const EXIT_DAMAGED: u8 = 1;
/// The arguments make no sense.
pub const EXIT_USAGE: u8 = 2;

/// Verify, search and export the log.
#[derive(Clone, Debug, Args)]
pub struct AuditCommand {
    /// Folder made by `init` or `dev`; the server may be running or not.
    #[arg(long, value_name = "DIR", global = true, conflicts_with_all = ["config", "url"])]
    pub dir: Option<PathBuf>,
    /// Configuration file of the CA.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "url")]
    pub config: Option<PathBuf>,
    /// Ask a running server's API instead, as a person.
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// File with that person's session token, or the client's JSON with `token` in it.
    #[arg(long, value_name = "FILE", global = true, requires = "url")]
    pub session_file: Option<PathBuf>,
    /// Certificate (PEM) that the server's is checked against, besides the system's.
    #[arg(long, value_name = "FILE", global = true, requires = "url")]
    pub ca_certificate: Option<PathBuf>,
    /// Print JSON for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: AuditVerb,
}

/// The verbs of `ca-server audit`.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditVerb {
    /// Check the whole log from its stored bytes, or exported lines by themselves.
    #[command(after_help = verify::EXAMPLES)]
    Verify(Verify),
    /// Find records.
    #[command(after_help = search::EXAMPLES)]
    Search(Box<Find>),
    /// Write records as JSON lines that each prove themselves.
    #[command(after_help = export::EXAMPLES)]
    Export(Export),
}

impl AuditCommand {
    /// Runs it, writing to standard output; the value is the exit code. Must not be called inside
    /// an async runtime.
    ///
    /// # Errors
    ///
    /// With what is wrong and what to do.
    pub fn run(&self) -> anyhow::Result<u8> {
        let out = &mut std::io::BufWriter::new(std::io::stdout().lock());
        let done = self.run_into(out);
        match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
            // Whoever read the output wants no more, as `head` does.
            Err(error) if is_broken_pipe(&error) => Ok(EXIT_OK),
            done => done,
        }
    }

    /// As [`AuditCommand::run`], writing to `out`.
    ///
    /// # Errors
    ///
    /// As [`AuditCommand::run`], and those of `out`.
    pub fn run_into(&self, out: &mut dyn std::io::Write) -> anyhow::Result<u8> {
        match (&self.verb, self.remote()?) {
            (AuditVerb::Verify(verify), remote) if verify.export.is_some() || remote.is_some() => {
                verify.exported(|| Ok(self.place()?.verifier), self.json, out)
            }
            (AuditVerb::Verify(verify), _) => verify.stored(&self.source()?, self.json, out),
            (AuditVerb::Search(find), Some(remote)) => find.remote(&remote, self.json, out),
            (AuditVerb::Search(find), None) => find.stored(&self.source()?, self.json, out),
            (AuditVerb::Export(export), Some(remote)) => export.remote(&remote, out),
            (AuditVerb::Export(export), None) => export.stored(&mut self.source()?, out),
        }
    }

    fn remote(&self) -> anyhow::Result<Option<Remote>> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let session = self.session_file.as_deref();
        let session = session.ok_or_else(|| anyhow::anyhow!("--url needs --session-file FILE"))?;
        Remote::new(url, session, self.ca_certificate.as_deref()).map(Some)
    }

    fn source(&self) -> anyhow::Result<Source> {
        open(self.place()?)
    }

    fn place(&self) -> anyhow::Result<LogPlace> {
        if self.dir.is_none() && self.config.is_none() {
            return Err(UsageError(
                "name the CA with --dir DIR or --config FILE, or a running server with --url URL",
            )
            .into());
        }
        let place = Place {
            dir: self.dir.clone(),
            config: self.config.clone(),
        };
        log_place(&place.config()?)
    }
}

/// The log of the CA that `config` is about: through its server if that runs, else from the store.
pub(super) fn source(config: &Config) -> anyhow::Result<Source> {
    open(log_place(config)?)
}

fn open(place: LogPlace) -> anyhow::Result<Source> {
    Source::open(place).map_err(|error| match error {
        SourceError::HighWater(HighWaterError::Absent(path)) => anyhow::anyhow!(
            "no high-water file at {path:?}: the log's memory is gone, or this is not a CA's \
             folder"
        ),
        other => other.into(),
    })
}

/// Where the configured log is. Its key must be readable: it is the user's who runs the server.
fn log_place(config: &Config) -> anyhow::Result<LogPlace> {
    let key: LogKey = assembly::log_key(config)?;
    Ok(LogPlace {
        store: config.store.clone(),
        high_water: config.high_water.clone(),
        socket: config.admin_socket.clone(),
        verifier: key.verifier(),
        key: Some(key),
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The token in a session file: the only line, or `token` of the JSON that the client keeps.
fn session_token(path: &std::path::Path) -> anyhow::Result<secrecy::SecretString> {
    use secrecy::ExposeSecret as _;
    let text = key_file::read_private(path)?;
    let text = text.expose_secret().trim();
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(fields)) => match fields.get("token") {
            Some(serde_json::Value::String(token)) => Ok(token.as_str().into()),
            _ => anyhow::bail!("{path:?} holds no \"token\""),
        },
        _ => Ok(text.into()),
    }
}
