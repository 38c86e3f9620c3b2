//! `ca-server policy check | test | explain`: what the policies in a folder are, whether they
//! decide as their cases say, and why somebody may or may not do something.
//!
//! Finds no folder by itself: the caller resolves `--dir` or `--config` and passes it in.

mod explain;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

pub use self::explain::Explain;
use crate::policy::{Outcome, PolicySet, REQUIREMENTS_NAME};
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
    #[command(after_help = "Examples:\n  ca-server policy test --dir ./ca\n  \
                      ca-server policy test --dir ./ca ./my-cases")]
    Test {
        /// Folder of *.toml cases [default: the folder `cases` beside the policies].
        cases: Option<PathBuf>,
    },
    /// Say why somebody may or may not do something, and what would change it.
    #[command(after_help = explain::EXAMPLES)]
    Explain(Box<Explain>),
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
}

impl PolicySetting {
    fn environments(&self) -> Option<BTreeSet<Environment>> {
        let accounts = self.accounts.as_ref();
        accounts.map(|accounts| accounts.keys().cloned().collect())
    }

    fn load(&self) -> Result<PolicySet, PolicyFilesError> {
        policy_files::load(&self.policy_dir, self.environments().as_ref())
    }
}

/// Runs `command` and writes to `out` what it found; the value is the exit code.
///
/// # Errors
///
/// Those of `out`.
pub fn run(
    command: &PolicyCommand,
    setting: &PolicySetting,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let json = command.json;
    match &command.verb {
        PolicyVerb::Check => check(setting, json, out),
        PolicyVerb::Test { cases } => {
            let own = || setting.policy_dir.join("cases");
            let cases = cases.clone().unwrap_or_else(own);
            test(setting, &cases, json, out)
        }
        PolicyVerb::Explain(asked) => explain::run(asked, setting, json, out),
    }
}

fn check(setting: &PolicySetting, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    let policies = match setting.load() {
        Ok(policies) => policies,
        Err(error) => return refuse(&error, json, out),
    };
    let count = policies.policies().len();
    let table = policies.requirements().iter();
    let warnings = unused(&policies);
    let digest = hex(policies.digest());
    if json {
        let about = policies.policies();
        writeln!(
            out,
            "{}",
            json!({"ok": true, "policies": about, "digest": digest, "warnings": warnings,
                   "requirements": table.map(|(name, one)| (name, one.to_string()))
                       .collect::<BTreeMap<_, _>>()})
        )?;
    } else {
        writeln!(
            out,
            "{count} policies in {} are valid",
            setting.policy_dir.display()
        )?;
        for (name, one) in table {
            writeln!(out, "requirement {name}: {one}")?;
        }
        for warning in warnings {
            writeln!(out, "warning: {warning}")?;
        }
        writeln!(out, "digest {digest}")?;
    }
    Ok(EXIT_OK)
}

/// A name that no policy asks for may be a condition that somebody thinks is in force.
fn unused(policies: &PolicySet) -> Vec<String> {
    let unused = policies.unused_requirements().into_iter();
    let words = unused.map(|(name, requirement)| {
        let line = requirement.line();
        format!("{REQUIREMENTS_NAME}:{line}: no policy asks for requirement {name:?}")
    });
    words.collect()
}

fn test(setting: &PolicySetting, cases: &Path, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    let loaded = setting.load().and_then(|policies| {
        let cases = policy_files::load_cases(cases)?;
        Ok((policies, cases))
    });
    let (policies, files) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error, json, out),
    };
    let outcomes: Vec<Outcome> = files.iter().flat_map(|file| file.run(&policies)).collect();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    // No case is no proof: a mistyped folder must not look like success.
    let ok = failed == 0 && !outcomes.is_empty();
    if json {
        writeln!(
            out,
            "{}",
            json!({"ok": ok, "failed": failed, "cases": outcomes})
        )?;
    } else {
        for outcome in outcomes.iter().filter(|outcome| !outcome.passed) {
            writeln!(out, "{}:{}: {}", outcome.file, outcome.line, outcome.name)?;
            writeln!(out, "  expected {}", outcome.expected)?;
            writeln!(out, "  got      {}", outcome.got)?;
        }
        match (outcomes.len(), failed) {
            (0, _) => writeln!(out, "error: {} holds no case", cases.display())?,
            (all, 0) => writeln!(out, "{all} cases pass")?,
            (all, failed) => writeln!(out, "{failed} of {all} cases fail")?,
        }
    }
    Ok(if ok { EXIT_OK } else { EXIT_FAILED })
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

fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
