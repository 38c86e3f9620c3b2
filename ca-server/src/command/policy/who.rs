//! `ca-server policy who`: who can get what and what it takes, by account, by person or by policy;
//! and what another set of policies would change about it.
//!
//! Finds nothing out by itself: `reach` asks the policies, the log says who there is.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;
use clap::Args;
use serde_json::json;

use self::select::{Selection, Sources, limits};
use super::{EXIT_OK, EXIT_USAGE, PolicySetting, refuse};
use crate::audit;
use crate::directory::Directory;
use crate::policy::{Action, PolicySet};
use crate::policy_files::{self, PolicyFilesError};
use crate::reach::{OTHER_ACCOUNT, Survey};

mod against;
mod document;
mod select;
mod table;
mod words;

/// Work that takes longer shows how far it is.
const SILENT: Duration = Duration::from_secs(2);

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy who --dir ./ca --account prod/root
  ca-server policy who --dir ./ca --environment prod --action break_glass
  ca-server policy who --dir ./ca --person alice
  ca-server policy who --dir ./ca --group sre --group approver
  ca-server policy who --dir ./ca --policy prod-root
  ca-server policy who --dir ./ca --against ./edited/policies

People are those who signed in, with the groups of their newest sign-in. \"anyone in group G\" is a
person whose only group is G: what takes two groups is found with two --group. Accounts are those of
the configuration and of the policies; ENV/* is every other one.

Everything is found by asking the policies, under the best circumstances and then under worse ones.
Hours of the week are asked one by one, durations from 1 min up. Of the address ranges that policies
name one address each is tried, and one of no range. Reasons and tickets are tried with any text and
with texts that fit the policies' patterns. What depends on two of these at once in other ways than by
`and` may be told in part. Facts that policies want to be absent are looked for one at a time.

Exit codes: 0 done (--against: no difference), 1 --against found a difference, 2 the policies or
arguments are wrong.";

/// Whom and what to tell of; everybody and everything unless told otherwise.
#[derive(Clone, Debug, Default, Args)]
pub struct Who {
    /// Only this account; ENV/* is every account that is not listed. May be given several times.
    #[arg(long = "account", value_name = "ENV/NAME", value_parser = account)]
    accounts: Vec<(Environment, Principal)>,
    /// Only this environment; may be given several times.
    #[arg(long = "environment", value_name = "ENV")]
    environments: Vec<Environment>,
    /// Only this action; may be given several times.
    #[arg(long = "action", value_enum)]
    actions: Vec<Action>,
    /// Only this person, by name or as issuer#sub; may be given several times.
    #[arg(long = "person", value_name = "NAME")]
    people: Vec<String>,
    /// Only anyone in this group and no other; given several times, in all of them.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Only what this policy permits, or asks something for; may be given several times.
    #[arg(long = "policy", value_name = "ID", conflicts_with = "against")]
    thanks_to: Vec<String>,
    /// Tell what would change with the policies of this folder.
    #[arg(long, value_name = "NEW_DIR")]
    against: Option<PathBuf>,
    /// From when on (RFC 3339) [default: now].
    #[arg(long = "now", value_name = "WHEN")]
    moment: Option<Timestamp>,
}

fn account(text: &str) -> Result<(Environment, Principal), String> {
    let parts = text.split_once('/');
    let (environment, name) = parts.ok_or("write it as ENV/NAME, for example prod/root")?;
    let name = if name == "*" { OTHER_ACCOUNT } else { name };
    let environment = environment.parse().map_err(|error| format!("{error}"))?;
    Ok((
        environment,
        name.parse().map_err(|error| format!("{error}"))?,
    ))
}

pub(super) fn run(
    asked: &Who,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let directory = |needed| {
        if needed {
            read(setting, json).map(Some)
        } else {
            Ok(None)
        }
    };
    tell((asked, setting), &directory, json, out)
}

/// Tells it, of the people that `directory` yields where they are needed.
fn tell(
    (asked, setting): (&Who, &PolicySetting),
    directory: &dyn Fn(bool) -> anyhow::Result<Option<Directory>>,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let policies = match setting.load() {
        Ok(policies) => policies,
        Err(error) => return Ok(refuse(&error, json, out)?),
    };
    let edited = match asked.against.as_deref().map(|dir| edited(dir, setting)) {
        None => None,
        Some(Ok(edited)) => Some(edited),
        Some(Err((dir, error))) => {
            if !json {
                writeln!(out, "in {}:", dir.display())?;
            }
            return Ok(refuse(&error, json, out)?);
        }
    };
    let limits = limits(setting, asked.moment);
    let survey = Survey::new(&policies, &limits);
    let edited = edited
        .as_ref()
        .map(|edited| (edited, Survey::new(edited, &limits)));
    let directory = directory(asked.needs_people(setting))?;
    let sources = Sources {
        setting,
        directory: directory.as_ref(),
        surveys: std::iter::once(&survey)
            .chain(edited.as_ref().map(|(_, new)| new))
            .collect(),
    };
    let selection = match asked
        .check(&policies)
        .and_then(|()| Selection::new(asked, &sources))
    {
        Ok(selection) => selection,
        Err(message) => return Ok(misused(&message, json, out)?),
    };
    let progress = progress("asking", json);
    let reach =
        |survey: &Survey<'_>| survey.reach(&selection.actors, &selection.targets, &progress);
    let before = reach(&survey);
    if let Some((edited, new)) = &edited {
        let changes = against::changes(&before, &reach(new));
        let sets = (&policies, *edited);
        return Ok(against::show(&changes, (&selection, sets), json, out)?);
    }
    let shown = (&selection, &policies, before.as_slice());
    if json {
        document::show(shown, &asked.thanks_to, out)?;
    } else {
        table::show(shown, &asked.thanks_to, out)?;
    }
    Ok(EXIT_OK)
}

/// The edited set, or its folder and why it does not load.
fn edited<'a>(
    dir: &'a Path,
    setting: &PolicySetting,
) -> Result<PolicySet, (&'a Path, PolicyFilesError)> {
    let environments = setting.environments();
    policy_files::load(dir, environments.as_ref()).map_err(|error| (dir, error))
}

/// Prints what about the arguments makes no sense.
fn misused(message: &str, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    if json {
        writeln!(out, "{}", json!({"ok": false, "error": message}))?;
    } else {
        writeln!(out, "error: {message}")?;
    }
    Ok(EXIT_USAGE)
}

impl Who {
    /// Whether this is about people, and there is a log that knows some.
    fn needs_people(&self, setting: &PolicySetting) -> bool {
        let named = !self.people.is_empty();
        named || (self.groups.is_empty() && setting.config.is_some())
    }

    fn check(&self, policies: &PolicySet) -> Result<(), String> {
        let mut ids = self.thanks_to.iter();
        match ids.find(|id| !policies.policies().contains_key(*id)) {
            Some(id) => Err(format!(
                "there is no policy {id:?}\nhint: `ca-server policy check --json` lists them"
            )),
            None => Ok(()),
        }
    }
}

/// Everybody whom the log knows.
fn read(setting: &PolicySetting, json: bool) -> anyhow::Result<Directory> {
    let source = setting.log()?;
    let progress = progress("reading records", json);
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut progress = |done, all| progress(count(done), count(all));
    Ok(audit::people(source.store.as_ref(), &mut progress)?)
}

/// Tells a terminal how far `what` is, once it takes long.
fn progress(what: &'static str, json: bool) -> impl Fn(usize, usize) + Sync {
    let started = Instant::now();
    let shown = io::stderr().is_terminal() && !json;
    let last = Mutex::new(usize::MAX);
    move |done, all| {
        if !shown || started.elapsed() < SILENT {
            return;
        }
        let percent = done.saturating_mul(100) / all.max(1);
        if let Ok(mut last) = last.lock()
            && *last != percent
        {
            *last = percent;
            if done < all {
                eprint!("\r{what}: {done} of {all} ({percent} %)");
            } else {
                eprint!("\r\x1b[K");
            }
        }
    }
}

#[cfg(test)]
mod tests;
