//! `ca-server policy replay`: what an edited set would have decided otherwise.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::period::{Period, ProgressLine};
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, PolicySetting, refuse, with_causes};
use crate::command::place::UsageError;
use crate::policy_files;
use crate::replay::{Report, Sets, replay};

mod shown;

pub(super) use shown::Told;

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy replay --dir ./ca --against ./edited
  ca-server policy replay --dir ./ca --against ./edited --since 90d --fail-on loss --json

Exit codes: 0 nothing that --fail-on names, 1 something does, 2 the set does not load or there is no log.";

/// Decide everything in the log again with the policies of another folder, and say what would
/// change.
#[derive(Clone, Debug, Args)]
pub struct Replay {
    /// Folder with the other policies.
    #[arg(long, value_name = "FOLDER")]
    against: PathBuf,
    #[command(flatten)]
    period: Period,
    /// What is told by exit code 1.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "any")]
    fail_on: FailOn,
}

/// What is told by the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Everything that would come out otherwise.
    Any,
    /// What would be allowed no more, or only after approval.
    Loss,
    /// Nothing.
    None,
}

impl FailOn {
    fn fails(self, report: &Report) -> bool {
        match self {
            Self::Any => report.changed() > 0,
            Self::Loss => report.lost() > 0,
            Self::None => false,
        }
    }
}

/// Runs it; the value is the exit code.
pub(super) fn run(
    asked: &Replay,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let other = match policy_files::load(&asked.against, setting.environments().as_ref()) {
        Ok(other) => other,
        Err(error) => return Ok(refuse(&error, json, out)?),
    };
    let source = match setting.log() {
        Ok(source) => source,
        // Not the code of a change, which 1 is.
        Err(error) if !error.is::<UsageError>() => return not_read(error.as_ref(), json, out),
        Err(error) => return Err(error),
    };
    // The set in force only tells what is new about a change: without it, all of it is.
    let in_force = setting.load().ok();
    let mut line = ProgressLine::new("replaying", json);
    let sets = Sets {
        other: &other,
        in_force: in_force.as_ref(),
    };
    let window = asked.period.window(setting.now);
    let store = source.store.as_ref();
    let replayed = replay(store, sets, window, &mut |done, all| line.tell(done, all));
    line.end();
    let report = match replayed {
        Ok(report) => report,
        Err(error) => return not_read(&error, json, out),
    };
    let told = Told {
        report: &report,
        set: &other,
    };
    if json {
        writeln!(out, "{}", told.json())?;
    } else {
        told.print(out)?;
    }
    Ok(if asked.fail_on.fails(&report) {
        EXIT_FAILED
    } else {
        EXIT_OK
    })
}

/// Says why the log cannot be read. Not the code of a change.
pub(super) fn not_read(
    error: &dyn std::error::Error,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let message = with_causes(error);
    if json {
        let document = serde_json::json!({"ok": false, "error": message});
        writeln!(out, "{document}")?;
    } else {
        writeln!(out, "error: {message}")?;
        writeln!(
            out,
            "hint: `ca-server audit verify` names every record that is wrong"
        )?;
    }
    Ok(EXIT_USAGE)
}
