//! `ca-server policy explain`: one question, the answer, the policies behind it, the conditions that
//! kept it from being another, and what would change it.
//!
//! The question is supposed, or that of a case, or that of a record in the log. Records nothing.

mod recorded;
mod supposed;
mod told;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use self::supposed::Supposed;
use self::told::Told;
use super::{EXIT_DENIED, EXIT_OK, EXIT_USAGE, PolicySetting, refuse};
use crate::policy::{Outcome, PolicySet, Verdict, case_named, run_all};
use crate::policy_files;

pub(super) const EXAMPLES: &str = "Examples:
  ca-server policy explain --dir ./ca --user alice --group engineering --environment prod --account root --for 2h
  ca-server policy explain --dir ./ca --user alice --group engineering --environment prod --account root --approved-by carol:approver
  ca-server policy explain --dir ./ca --user carol --group security --action read_audit
  ca-server policy explain --dir ./ca --case \"root in prod waits for an approval\"
  ca-server policy explain --dir ./ca --index 4711

Exit codes: 0 permit, 2 the policies or arguments are wrong, 3 deny (with --index: what was decided then).";

/// What to explain: supposed facts, a case, or a decision in the log.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    supposed: Supposed,
    /// The case of this name, instead of supposed facts.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["Supposed", "index"])]
    case: Option<String>,
    /// Folder of the cases [default: the folder `cases` beside the policies].
    #[arg(long, value_name = "FOLDER", requires = "case",
          conflicts_with_all = ["Supposed", "index"])]
    cases: Option<PathBuf>,
    /// The decision that the record of this index in the log is about.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["Supposed", "case"])]
    index: Option<u64>,
}

pub(super) fn run(
    asked: &Explain,
    setting: &PolicySetting,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let policies = match setting.load() {
        Ok(policies) => policies,
        Err(error) => return Ok(refuse(&error, json, out)?),
    };
    if let Some(index) = asked.index {
        return recorded::run(index, &policies, setting, json, out);
    }
    if let Some(name) = &asked.case {
        let own = || setting.policy_dir.join("cases");
        let folder = asked.cases.clone().unwrap_or_else(own);
        return Ok(case(name, &folder, &policies, json, out)?);
    }
    let question = match asked.supposed.question_in(setting) {
        Ok(question) => question,
        Err(message) => return Ok(wrong(&message, json, out)?),
    };
    let others = setting.accounts_beside(&question);
    let told = Told::of(&policies, &question, others, Verdict::Permit);
    if json {
        writeln!(out, "{}", told.json())?;
    } else {
        told.print(out)?;
    }
    Ok(exit_code(told.verdict()))
}

const fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Permit => EXIT_OK,
        Verdict::Approval | Verdict::Deny => EXIT_DENIED,
    }
}

fn wrong(message: &str, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    if json {
        writeln!(out, "{}", json!({"ok": false, "error": message}))?;
    } else {
        writeln!(out, "error: {message}")?;
    }
    Ok(EXIT_USAGE)
}

/// The case called `name`: what it expects, what it got, and why.
fn case(
    name: &str,
    folder: &Path,
    policies: &PolicySet,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let files = match policy_files::load_cases(folder, policies) {
        Ok(files) => files,
        Err(error) => return refuse(&error, json, out),
    };
    let (file, case) = match case_named(&files, name) {
        Ok(found) => found,
        Err(message) => return wrong(&message, json, out),
    };
    let outcomes = run_all(std::slice::from_ref(file), policies);
    let outcome = outcomes.into_iter().find(|one| one.line == case.line());
    let told = Told::of(policies, case.question(), case.others(), case.verdict());
    if json {
        let mut document = told.json();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("case".to_owned(), json!(outcome));
        }
        writeln!(out, "{document}")?;
    } else {
        if let Some(outcome) = outcome {
            print_outcome(&outcome, out)?;
        }
        told.print(out)?;
    }
    Ok(exit_code(told.verdict()))
}

fn print_outcome(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let Outcome {
        file,
        line,
        name,
        expected,
        ..
    } = outcome;
    writeln!(out, "{file}:{line}: {name}")?;
    if outcome.passed {
        return writeln!(out, "  expected {expected}: passes");
    }
    writeln!(out, "  expected {expected}: fails")?;
    if let Some(nearest) = &outcome.nearest {
        writeln!(out, "  as expected {}:", nearest.words)?;
        for line in nearest.toml.lines() {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
