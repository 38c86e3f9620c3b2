//! `break-glass import`: the record of a certificate that was signed offline, into the log. With the
//! server running through its admin socket, else into the store directly.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use ca_core::break_glass::{RECORD_BYTES_MAX, RecordError, SignedRecord};
use ca_core::event::BreakGlassImported;
use ca_core::time::Timestamp;
use clap::Args;

use super::file;
use crate::admin::AdminStore;
use crate::assembly;
use crate::break_glass_keys;
use crate::ca::offline::{self, Imported};
use crate::clock::Clock;
use crate::command::place::Place;
use crate::config::Config;
use crate::high_water::HighWater;
use crate::ledger::Ledger;
use crate::store::sled::SledStore;

pub(super) const EXAMPLES: &str = "Example:\n  ca-server break-glass import --dir /etc/jit-ssh prod-9223370937343148032-record.json";

/// Import a record.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// What `break-glass sign` wrote: `ENV-SERIAL-record.json`.
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Who imports it; the user who runs this if not named.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Import {
    /// Verifies and records.
    ///
    /// # Errors
    ///
    /// When the record is not to be believed, or is in the log already.
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.place.config()?;
        let text = file::read_text(&self.file, RECORD_BYTES_MAX)?;
        let event = self
            .verified(&config, &text, Clock::System.now())
            .with_context(|| format!("{:?}", self.file))?;
        let record = event.record.clone();
        let imported = match AdminStore::connect(&config.admin_socket)? {
            Some(server) => server.import(&event)?,
            None => into_stopped(&config, event)?,
        };
        println!(
            "Recorded at index {}: serial {}, {} in {}, opened by {}. It waits for its review.",
            imported.index,
            record.serial,
            record.user,
            record.environment,
            super::share::names(&record.holders)
        );
        Ok(())
    }

    fn verified(
        &self,
        config: &Config,
        text: &str,
        now: Timestamp,
    ) -> anyhow::Result<BreakGlassImported> {
        let signed = SignedRecord::from_bytes(text.as_bytes())?;
        let environment = &signed.record.environment;
        let known = config.environments.contains_key(environment);
        anyhow::ensure!(known, "this CA has no environment {environment}");
        let path = config.break_glass_key(environment);
        let keys = break_glass_keys::read(&path)?;
        let key = keys.iter().find(|key| **key == signed.record.authority_key);
        let key = key.with_context(|| {
            format!(
                "it was signed by {}, which is no break-glass key of {environment} ({path:?})",
                signed.record.authority_key.fingerprint()
            )
        })?;
        signed.verify(key, now)?;
        let record_digest = signed.record.digest().map_err(RecordError::Shape)?;
        Ok(BreakGlassImported {
            record: signed.record,
            signature: signed.signature,
            record_digest,
            imported_by: self.operator()?,
        })
    }

    fn operator(&self) -> anyhow::Result<String> {
        let name = match &self.by {
            Some(name) => name.clone(),
            None => unix_user(),
        };
        anyhow::ensure!(
            offline::is_operator(&name),
            "--by: a name of 1 to 64 printable characters without blanks"
        );
        Ok(name)
    }
}

/// Opens the log of a server that does not run, as its start would, and closes it again.
fn into_stopped(config: &Config, event: BreakGlassImported) -> anyhow::Result<Imported> {
    let store = SledStore::open(&config.store, config.reserve_bytes)
        .context("the store cannot be opened: is the server starting or stopping?")?;
    let opened = Ledger::open(
        Arc::new(store),
        assembly::log_key(config)?,
        Clock::System,
        HighWater::open(&config.high_water)?,
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let imported = runtime.block_on(offline::import(&opened.ledger, event));
    drop(opened.ledger);
    let ended = opened.sequencer.join();
    ended.map_err(|_| anyhow::anyhow!("the ledger's thread failed"))?;
    Ok(imported?)
}

/// The name of the user who runs this, or their number.
fn unix_user() -> String {
    let id = nix::unistd::Uid::current();
    match nix::unistd::User::from_uid(id) {
        Ok(Some(user)) => user.name,
        _ => format!("uid-{id}"),
    }
}
