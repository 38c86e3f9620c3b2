//! `ca-server policy check | test | explain | who`: what the policies in a folder are, whether they
//! decide as their cases say, why somebody may or may not do something, and who can.
//!
//! Finds no folder by itself: the caller resolves `--dir` or `--config` and passes it in.

mod check;
mod explain;
mod history;
mod period;
mod prove;
mod replay;
mod test;
mod unused;
mod who;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

pub use self::explain::Explain;
pub use self::history::History;
pub use self::prove::Prove;
pub use self::replay::Replay;
pub use self::test::Test;
pub use self::unused::Unused;
pub use self::who::Who;
use super::place::UsageError;
use crate::audit::Source;
use crate::config::Config;
use crate::policy::{PolicySet, Question};
use crate::policy_files::{self, PolicyFilesError};

/// Done, and the answer is yes: for `explain`, a permit.
pub const EXIT_OK: u8 = 0;
/// `test`: a case failed.
pub const EXIT_FAILED: u8 = 1;
/// The policies or cases do not load, or the arguments make no sense.
pub const EXIT_USAGE: u8 = 2;
/// `explain`: the answer is deny.
pub const EXIT_DENIED: u8 = 3;

/// Check, test and explain the access policies.
#[derive(Clone, Debug, Args)]
pub struct PolicyCommand {
    /// Folder made by `init` or `dev`; the policies are in DIR/policies.
    #[arg(long, value_name = "DIR", global = true,
          conflicts_with_all = ["config", "policies"])]
    pub dir: Option<PathBuf>,
    /// Configuration file that names the policy folder.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "policies")]
    pub config: Option<PathBuf>,
    /// The policy folder itself, without a configuration: environments are not checked then.
    #[arg(long, value_name = "FOLDER", global = true)]
    pub policies: Option<PathBuf>,
    /// Print one JSON document for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: PolicyVerb,
}

/// The verbs of `ca-server policy`.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyVerb {
    /// Validate the schema and every policy.
    #[command(after_help = "Example:\n  ca-server policy check --dir ./ca")]
    Check,
    /// Run the cases that say what the policies should decide.
    #[command(after_help = test::EXAMPLES)]
    Test(Test),
    /// Say why somebody may or may not do something, and what would change it.
    #[command(after_help = explain::EXAMPLES)]
    Explain(Box<Explain>),
    /// List the sets that came into force, or write one out as it was.
    #[command(after_help = history::EXAMPLES)]
    History(History),
    /// Decide everything in the log again with an edited set, and say what would change.
    #[command(after_help = replay::EXAMPLES)]
    Replay(Replay),
    /// Find out what is permitted and nobody needed, and propose a tighter set.
    #[command(after_help = unused::EXAMPLES)]
    Unused(Unused),
    /// Say who can get what and what it takes, and what other policies would change about it.
    #[command(after_help = who::EXAMPLES)]
    Who(Box<Who>),
    /// Prove what holds of every request, or show one of which it does not.
    #[command(after_help = prove::EXAMPLES)]
    Prove(Prove),
}

/// What the commands need from the configuration.
#[derive(Clone, Debug)]
pub struct PolicySetting {
    /// Folder with `schema.cedarschema`, `*.cedar` and `cases/`.
    pub policy_dir: PathBuf,
    /// The environments that exist, each with the accounts that `explain` may suggest. Without
    /// them no name of an environment is checked.
    pub accounts: Option<BTreeMap<Environment, Vec<Principal>>>,
    /// The moment `explain` asks about unless told otherwise.
    pub now: Timestamp,
    /// The configuration; none when only the policy folder was named.
    pub config: Option<Box<Config>>,
}

impl PolicySetting {
    fn environments(&self) -> Option<BTreeSet<Environment>> {
        let accounts = self.accounts.as_ref();
        accounts.map(|accounts| accounts.keys().cloned().collect())
    }

    /// The other accounts of the environment that `question` is about, for hints.
    fn accounts_beside(&self, question: &Question) -> &[Principal] {
        let environment = question.on.environment();
        let accounts = environment.and_then(|name| self.accounts.as_ref()?.get(name));
        accounts.map_or(&[], Vec::as_slice)
    }

    /// The log that decisions are read back from.
    fn log(&self) -> anyhow::Result<Source> {
        let config = self.config.as_deref().ok_or(UsageError(
            "the log is needed: name the CA with --dir DIR or --config FILE",
        ))?;
        super::audit::source(config)
    }

    fn load(&self) -> Result<PolicySet, PolicyFilesError> {
        policy_files::load(&self.policy_dir, self.environments().as_ref())
    }
}

/// Runs `command` and writes to `out` what it found; the value is the exit code.
///
/// # Errors
///
/// Those of `out`, and a log that cannot be read.
pub fn run(
    command: &PolicyCommand,
    setting: &PolicySetting,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let json = command.json;
    let done = match &command.verb {
        PolicyVerb::Check => check::run(setting, json, out),
        PolicyVerb::Test(asked) => test::run(asked, setting, json, out),
        PolicyVerb::Explain(asked) => return explain::run(asked, setting, json, out),
        PolicyVerb::History(asked) => return history::run(asked, setting, json, out),
        PolicyVerb::Replay(asked) => return replay::run(asked, setting, json, out),
        PolicyVerb::Unused(asked) => return unused::run(asked, setting, json, out),
        PolicyVerb::Who(asked) => return who::run(asked, setting, json, out),
        PolicyVerb::Prove(asked) => return prove::run(asked, setting, json, out),
    };
    Ok(done?)
}

/// Prints why the folder does not load.
fn refuse(error: &PolicyFilesError, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    if json {
        let problems = match error {
            PolicyFilesError::Policy(policy) => json!(policy.problems),
            _ => Value::Null,
        };
        let message = with_causes(error);
        writeln!(
            out,
            "{}",
            json!({"ok": false, "error": message, "problems": problems})
        )?;
    } else if let PolicyFilesError::Policy(policy) = error {
        writeln!(out, "{policy}")?;
        let count = policy.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        writeln!(out, "error: {count} problem{plural}; nothing was loaded")?;
    } else {
        writeln!(out, "error: {}", with_causes(error))?;
    }
    Ok(EXIT_USAGE)
}

/// The error and its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// `production.cedar:15`
fn place(policies: &PolicySet, id: &str) -> String {
    let info = policies.policies().get(id);
    info.map_or_else(String::new, |info| format!("{}:{}", info.file, info.line))
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
