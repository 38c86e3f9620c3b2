//! `ca-server policy check`: do the schema, the policies and the requirements hold together?

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;

use super::{EXIT_OK, PolicySetting, hex, refuse};
use crate::policy::{PolicySet, REQUIREMENTS_NAME};

pub(super) fn run(setting: &PolicySetting, json: bool, out: &mut dyn Write) -> io::Result<u8> {
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
