//! `ca-server policy unused`: what is permitted and nobody needed, with a tighter set and what it
//! would have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ca_core::name::{Environment, Principal};
use clap::Args;
use serde_json::json;
use similar::TextDiff;

use super::period::{ProgressLine, days_long};
use super::replay::not_read;
use super::{EXIT_FAILED, EXIT_OK, PolicySetting, place, refuse};
use crate::audit;
use crate::policy::{PolicySet, Source, words};
use crate::reach::{Actor, Limits, Survey, Target};
use crate::recorded;
use crate::replay::{Report, Sets, Window, replay};
use crate::store::Store;
use crate::unused::{Evidence, Finding, findings, proposal};

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy unused --dir ./ca
  ca-server policy unused --dir ./ca --days 30 --write ./tighter
  ca-server policy test --policies ./tighter

Whoever could is found by asking the policies about the people who signed in, with their newest
groups. Only permits for logins are edited: emergencies and oversight are rare by nature.

Exit codes: 0 done, 1 the proposal would have refused something that was granted (a bug: report it),
2 the policies do not load or there is no log.";

/// Names shown of those who could and did not.
const NAMES_MAX: usize = 5;

/// Find out what is permitted and nobody needed, and propose a tighter set.
#[derive(Clone, Debug, Args)]
pub struct Unused {
    /// The days to look back.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// Write the proposed set, cases and invariants included, to this folder. It must not exist.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

/// Everything that is told.
struct Told<'a> {
    days: u32,
    covered: bool,
    people: usize,
    evidence: &'a Evidence,
    findings: &'a [Finding],
    policies: &'a PolicySet,
    proposed: &'a [Source],
    replayed: Option<&'a Report>,
}

/// Runs it; the value is the exit code.
pub(super) fn run(
    asked: &Unused,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let policies = match setting.load() {
        Ok(policies) => policies,
        Err(error) => return Ok(refuse(&error, json, out)?),
    };
    let source = setting.log()?;
    let store = source.store.as_ref();
    let since = setting.now.minus(days_long(asked.days));
    let mut line = ProgressLine::new("reading", json);
    let mut evidence = Evidence::default();
    let read = recorded::decisions(store, &mut |done, all| line.tell(done, all), &mut |found| {
        found
            .iter()
            .for_each(|one| evidence.take(one, since, &policies));
    });
    if let Err(error) = read {
        return not_read(&error, json, out);
    }
    let directory = match audit::people(store, &mut |done, all| line.tell(done, all)) {
        Ok(directory) => directory,
        Err(error) => return not_read(&error, json, out),
    };
    line.end();
    let limits = Limits::none(setting.now);
    let survey = Survey::new(&policies, &limits);
    let actors: Vec<Actor> = Actor::seen(&directory).collect();
    let reach = survey.reach(&actors, &targets(setting, &survey), &|_, _| {});
    let covered = evidence.covers(since);
    let found = findings(&policies, (&actors, &reach), &evidence, covered);
    let proposed = proposal(&policies, &found);
    let window = Window {
        since: Some(since),
        until: None,
    };
    let replayed = replayed(store, (&policies, &proposed), window)?;
    if let Some(folder) = asked.write.as_deref().filter(|_| replayed.is_some()) {
        write(&setting.policy_dir, &proposed, folder)?;
    }
    let told = Told {
        days: asked.days,
        covered,
        people: actors.len(),
        evidence: &evidence,
        findings: &found,
        policies: &policies,
        proposed: &proposed,
        replayed: replayed.as_ref(),
    };
    if json {
        told.json(out)?;
    } else {
        told.print(out)?;
    }
    Ok(if told.lost() > 0 {
        EXIT_FAILED
    } else {
        EXIT_OK
    })
}

/// What the proposal would have decided otherwise; none where nothing is proposed.
fn replayed(
    store: &dyn Store,
    (policies, proposed): (&PolicySet, &[Source]),
    window: Window,
) -> anyhow::Result<Option<Report>> {
    if proposed == policies.sources() {
        return Ok(None);
    }
    let other = PolicySet::from_sources(proposed).context("the proposal does not load")?;
    let sets = Sets {
        other: &other,
        in_force: Some(policies),
    };
    Ok(Some(replay(store, sets, window, &mut |_, _| {})?))
}

/// Everything that somebody might get: accounts of the configuration and of the policies.
fn targets(setting: &PolicySetting, survey: &Survey<'_>) -> Vec<Target> {
    let mut accounts: BTreeMap<Environment, BTreeSet<Principal>> = survey.accounts();
    for (environment, names) in setting.accounts.iter().flatten() {
        let known = accounts.entry(environment.clone()).or_default();
        known.extend(names.iter().cloned());
    }
    Target::all(&accounts)
}

/// The proposed texts in a new folder, with everything else of the old one.
fn write(from: &Path, proposed: &[Source], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(folder).map_err(|error| {
        let hint = "name a folder that does not exist yet";
        anyhow::anyhow!("cannot make the folder {folder:?}: {error}\nhint: {hint}")
    })?;
    for source in proposed {
        let path = folder.join(&source.name);
        std::fs::write(&path, &source.text).with_context(|| format!("cannot write {path:?}"))?;
    }
    for part in ["cases", "invariants"] {
        let (from, to) = (from.join(part), folder.join(part));
        if !from.is_dir() {
            continue;
        }
        std::fs::create_dir(&to).with_context(|| format!("cannot make the folder {to:?}"))?;
        for entry in std::fs::read_dir(&from).with_context(|| format!("cannot read {from:?}"))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

impl Told<'_> {
    fn lost(&self) -> u64 {
        // What the set in force would refuse as well is not the proposal's.
        let own = |report: &Report| report.lost().saturating_sub(report.already.unwrap_or(0));
        self.replayed.map_or(0, own)
    }

    fn diff(&self) -> String {
        let pairs = self.policies.sources().iter().zip(self.proposed);
        let changed = pairs.filter(|(old, new)| old.text != new.text);
        let diff = |(old, new): (&Source, &Source)| {
            TextDiff::from_lines(&old.text, &new.text)
                .unified_diff()
                .header(&format!("a/{}", old.name), &format!("b/{}", new.name))
                .to_string()
        };
        changed.map(diff).collect()
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let (days, decisions, people) = (self.days, self.evidence.decisions(), self.people);
        writeln!(
            out,
            "{decisions} decisions in {days} days; {people} people have ever signed in"
        )?;
        if !self.covered {
            writeln!(
                out,
                "the log is younger than {days} days: no policy is proposed for removal"
            )?;
        }
        for finding in self.findings {
            self.finding(finding, out)?;
        }
        let Some(replayed) = self.replayed else {
            return writeln!(out, "nothing to propose, nothing written");
        };
        writeln!(out, "\nproposal:\n{}", self.diff())?;
        let (all, lost) = (replayed.all(), self.lost());
        writeln!(
            out,
            "replay of {all} decisions of these days: {lost} of them would be allowed less"
        )
    }

    fn finding(&self, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
        let id = &finding.policy;
        let at = place(self.policies, id);
        let (did, could, times) = (finding.did, finding.could, finding.times);
        let plural = if times == 1 { "" } else { "s" };
        let who = format!("{did} of {could} who could");
        write!(out, "\n{id} ({at}): used {times} time{plural} by {who}")?;
        if let (Some(longest), Some(usual)) = (finding.longest, finding.usual) {
            let [longest, usual] = [longest, usual].map(words);
            write!(out, ", for at most {longest} (19 of 20: {usual})")?;
        }
        if let Some(allowed) = finding.allowed {
            write!(out, "; {} allowed", words(allowed))?;
        }
        writeln!(out)?;
        let shown: Vec<&str> = finding.idle.iter().map(|name| name.as_str()).collect();
        if !shown.is_empty() {
            let names: Vec<&str> = shown.iter().copied().take(NAMES_MAX).collect();
            let more = shown.len().saturating_sub(names.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            writeln!(out, "  could and did not: {}{more}", names.join(", "))?;
        }
        if !finding.idle_groups.is_empty() {
            let groups: Vec<&str> = finding.idle_groups.iter().map(String::as_str).collect();
            writeln!(out, "  nobody used it of: {}", groups.join(", "))?;
        }
        Ok(())
    }

    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let seconds = |length: Option<Duration>| length.map(|length| length.as_secs());
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|one| {
                json!({
                    "policy": one.policy, "could": one.could, "did": one.did,
                    "times": one.times, "idle": one.idle, "idle_groups": one.idle_groups,
                    "longest_seconds": seconds(one.longest),
                    "usual_seconds": seconds(one.usual),
                    "allowed_seconds": seconds(one.allowed),
                })
            })
            .collect();
        let document = json!({
            "days": self.days, "covered": self.covered, "people": self.people,
            "decisions": self.evidence.decisions(), "policies": findings,
            "proposal": self.diff(),
            "replay": self.replayed.map(|report| json!({
                "decisions": report.all(), "changed": report.changed(), "lost": report.lost(),
            })),
        });
        writeln!(out, "{document}")
    }
}
