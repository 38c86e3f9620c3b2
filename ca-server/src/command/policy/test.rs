//! `ca-server policy test`: do the policies decide as their cases say?

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::{EXIT_FAILED, EXIT_OK, PolicySetting, refuse};
use crate::policy::Outcome;
use crate::policy_files;

pub(super) fn run(
    setting: &PolicySetting,
    cases: &Path,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let loaded = setting.load().and_then(|policies| {
        let cases = policy_files::load_cases(cases, &policies)?;
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
