//! `ca-server policy check`: do the schema, the policies, the requirements, the cases and the
//! invariants hold together? Runs and proves none of them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;

use super::{EXIT_OK, PolicySetting, hex, refuse};
use crate::policy::{Cases, PolicySet, Problem, REQUIREMENTS_NAME};
use crate::policy_files::{self, PolicyFilesError};

pub(super) fn run(setting: &PolicySetting, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    let (policies, beside) = match read(setting) {
        Ok(read) => read,
        Err(error) => return refuse(&error, json, out),
    };
    let count = policies.policies().len();
    let table = policies.requirements().iter();
    let unused = unused(&policies);
    let Beside { cases, invariants } = beside;
    let digest = hex(policies.digest());
    if json {
        let about = policies.policies();
        writeln!(
            out,
            "{}",
            json!({"ok": true, "policies": about, "digest": digest,
                   "cases": cases, "invariants": invariants,
                   "warnings": policies.warnings().iter().map(Problem::in_one_line)
                       .chain(unused).collect::<Vec<_>>(),
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
        writeln!(out, "{cases} cases and {invariants} invariants can be read")?;
        for warning in policies.warnings() {
            write!(out, "warning: {warning}")?;
        }
        for warning in unused {
            writeln!(out, "warning: {warning}")?;
        }
        writeln!(out, "digest {digest}")?;
    }
    Ok(EXIT_OK)
}

/// How much there is beside the policies.
struct Beside {
    cases: usize,
    invariants: usize,
}

/// Everything in the folder. Cases need not be there.
fn read(setting: &PolicySetting) -> Result<(PolicySet, Beside), PolicyFilesError> {
    let policies = setting.load()?;
    let folder = setting.policy_dir.join("cases");
    let files = match folder.exists() {
        true => policy_files::load_cases(&folder, &policies)?,
        false => Vec::new(),
    };
    let environments = setting.environments();
    let invariants =
        policy_files::load_invariants(&setting.policy_dir, &policies, environments.as_ref())?;
    let cases = files.iter().map(|file| Cases::cases(file).len()).sum();
    let invariants = invariants.len();
    Ok((policies, Beside { cases, invariants }))
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
