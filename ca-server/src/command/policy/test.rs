//! `ca-server policy test`: do the policies decide as their cases say, and which policies does no
//! case try?

mod junit;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, PolicySetting, place, refuse};
use crate::policy::{Coverage, Outcome, PolicySet, run_all};
use crate::policy_files;

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy test --dir ./ca
  ca-server policy test --dir ./ca ./my-cases
  ca-server policy test --policies ./policies --require-coverage --junit cases.xml

Exit codes: 0 every case passes, 1 one does not (or --require-coverage: a policy decides no case),
2 the policies or cases do not load.";

/// What to test, and where to write what came of it.
#[derive(Clone, Debug, Args)]
pub struct Test {
    /// Folder of *.toml cases [default: the folder `cases` beside the policies].
    cases: Option<PathBuf>,
    /// Write the outcome as JUnit XML, too, for CI.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Fail if there is a policy, or an alternative of a requirement, that no case exercises.
    #[arg(long)]
    require_coverage: bool,
}

/// What came of the cases.
struct Report {
    outcomes: Vec<Outcome>,
    coverage: Coverage,
    /// Whether what no case exercises is a failure.
    coverage_counts: bool,
}

impl Report {
    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|one| !one.passed).count()
    }

    fn ok(&self) -> bool {
        let covered = self.coverage.is_complete() || !self.coverage_counts;
        // No case is no proof: a mistyped folder must not look like success.
        self.failed() == 0 && !self.outcomes.is_empty() && covered
    }
}

pub(super) fn run(
    asked: &Test,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let own = || setting.policy_dir.join("cases");
    let folder = asked.cases.clone().unwrap_or_else(own);
    let loaded = setting.load().and_then(|policies| {
        let cases = policy_files::load_cases(&folder, &policies)?;
        Ok((policies, cases))
    });
    let (policies, files) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let document = || junit::not_loaded(&error.to_string());
            return match save(asked, document) {
                Ok(()) => refuse(&error, json, out),
                Err(message) => fail(&message, json, out),
            };
        }
    };
    let outcomes = run_all(&files, &policies);
    let report = Report {
        coverage: Coverage::of(&policies, &files, &outcomes),
        coverage_counts: asked.require_coverage,
        outcomes,
    };
    let saved = save(asked, || junit::document(&report, &policies));
    match (&saved, json) {
        (Err(message), true) => return fail(message, json, out),
        (Ok(()), true) => print_json(&report, out)?,
        (_, false) => {
            if report.outcomes.is_empty() {
                writeln!(out, "error: {} holds no case", folder.display())?;
            }
            print(&report, &policies, out)?;
        }
    }
    match saved {
        Err(message) => fail(&message, json, out),
        Ok(()) if report.ok() => Ok(EXIT_OK),
        Ok(()) => Ok(EXIT_FAILED),
    }
}

/// Writes the document to the file that was asked for, if one was.
fn save(asked: &Test, document: impl FnOnce() -> String) -> Result<(), String> {
    let Some(file) = &asked.junit else {
        return Ok(());
    };
    std::fs::write(file, document())
        .map_err(|error| format!("can not write {}: {error}", file.display()))
}

fn fail(message: &str, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    if json {
        writeln!(out, "{}", json!({"ok": false, "error": message}))?;
    } else {
        writeln!(out, "error: {message}")?;
    }
    Ok(EXIT_USAGE)
}

fn print_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (ok, failed) = (report.ok(), report.failed());
    let (cases, coverage) = (&report.outcomes, &report.coverage);
    let document = json!({"ok": ok, "failed": failed, "cases": cases, "coverage": coverage});
    writeln!(out, "{document}")
}

fn print(report: &Report, policies: &PolicySet, out: &mut dyn Write) -> io::Result<()> {
    for outcome in report.outcomes.iter().filter(|outcome| !outcome.passed) {
        writeln!(out, "{}:{}: {}", outcome.file, outcome.line, outcome.name)?;
        write!(out, "{}", failure(outcome, policies))?;
    }
    for line in uncovered(&report.coverage) {
        let word = match report.coverage_counts {
            true => "error",
            false => "coverage",
        };
        writeln!(out, "{word}: {line}")?;
    }
    let Coverage {
        policies: all,
        unexercised,
        ..
    } = &report.coverage;
    let tried = all.saturating_sub(unexercised.len());
    writeln!(
        out,
        "coverage: {tried} of {all} policies decide a case that passes"
    )?;
    match (report.outcomes.len(), report.failed()) {
        (0, _) => Ok(()),
        (all, 0) => writeln!(out, "{all} cases pass"),
        (all, failed) => writeln!(out, "{failed} of {all} cases fail"),
    }
}

/// Why a case failed, with what would have been as expected.
fn failure(outcome: &Outcome, policies: &PolicySet) -> String {
    let mut text = format!(
        "  expected {}\n  got      {}\n",
        outcome.expected, outcome.got
    );
    for id in &outcome.policies {
        let reason = policies
            .policies()
            .get(id)
            .map_or("", |info| info.reason.as_str());
        text.push_str(&format!("    {id} ({}): {reason}\n", place(policies, id)));
    }
    if outcome.policies.is_empty() {
        text.extend(
            outcome
                .reasons
                .iter()
                .map(|reason| format!("    {reason}\n")),
        );
    }
    if let Some(nearest) = &outcome.nearest {
        text.push_str(&format!("  as expected {}:\n", nearest.words));
        text.extend(nearest.toml.lines().map(|line| format!("    {line}\n")));
    }
    text
}

/// A sentence for everything that no case exercises.
fn uncovered(coverage: &Coverage) -> Vec<String> {
    let policies = coverage.unexercised.iter().map(|one| {
        let (file, line, id) = (&one.file, one.line, &one.id);
        let does = if one.forbids { "refused" } else { "permitted" };
        format!("{file}:{line}: no case is {does} by {id}")
    });
    let people = coverage.unmet.iter().map(|one| {
        let (line, name, people) = (one.line, &one.requirement, &one.people);
        let file = crate::policy::REQUIREMENTS_NAME;
        format!("{file}:{line}: no case is permitted with {people} for {name}")
    });
    policies.chain(people).collect()
}

#[cfg(test)]
mod tests;
