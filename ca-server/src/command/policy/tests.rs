use std::path::Path;

use clap::Parser;

use super::*;
use crate::policy::EXAMPLES;

#[derive(Parser)]
pub(super) struct Program {
    #[command(flatten)]
    policy: PolicyCommand,
}

pub(super) fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["cases", "invariants"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for (name, text) in EXAMPLES {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// Exit code and what was printed.
pub(super) fn policy(dir: &Path, line: &str) -> (u8, String) {
    let accounts = BTreeMap::from([
        (
            "prod".parse().unwrap(),
            vec!["deploy".parse().unwrap(), "root".parse().unwrap()],
        ),
        ("staging".parse().unwrap(), Vec::new()),
    ]);
    policy_with(dir, Some(accounts), line)
}

fn policy_with(
    dir: &Path,
    accounts: Option<BTreeMap<Environment, Vec<Principal>>>,
    line: &str,
) -> (u8, String) {
    let words = std::iter::once("policy").chain(line.split_whitespace());
    let program = Program::try_parse_from(words).unwrap();
    run_in(dir, accounts, &program)
}

pub(super) fn run_in(
    dir: &Path,
    accounts: Option<BTreeMap<Environment, Vec<Principal>>>,
    program: &Program,
) -> (u8, String) {
    let setting = PolicySetting {
        policy_dir: dir.to_owned(),
        accounts,
        now: Timestamp::from_unix_seconds(1_795_341_600),
        config: None,
    };
    let mut out = Vec::new();
    let code = run(&program.policy, &setting, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn check_counts_valid_policies() {
    let dir = folder();
    let (code, text) = policy(dir.path(), "check");
    assert_eq!(code, EXIT_OK);
    assert!(text.starts_with("40 policies in "), "{text}");
    assert!(
        text.contains("\nrequirement prod-root: 1 of approver\n"),
        "{text}"
    );
}

#[test]
fn check_warns_of_a_requirement_that_no_policy_asks_for() {
    let dir = folder();
    let path = dir.path().join("requirements.toml");
    let table = std::fs::read_to_string(&path).unwrap();
    let line = table.lines().count() + 1;
    let more = "three-keys = [[\"1 of a\", \"1 of b\"], [\"3 approvals\"]]\n";
    std::fs::write(&path, table + more).unwrap();
    let (code, text) = policy(dir.path(), "check");
    assert_eq!(code, EXIT_OK);
    let warning = format!(
        "warning: requirements.toml:{line}: no policy asks for requirement \"three-keys\"\n"
    );
    for words in [
        "requirement three-keys: 1 of a and 1 of b, or 3 approvals\n",
        &warning,
    ] {
        assert!(text.contains(words), "{text}");
    }
    let (_, text) = policy(dir.path(), "check --json");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["requirements"]["prod-root"], "1 of approver");
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn a_misspelt_environment_is_an_error_where_the_environments_are_known() {
    let dir = folder();
    let path = dir.path().join("routine.cedar");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"staging\"", "\"stagging\"")).unwrap();
    let (code, text) = policy(dir.path(), "check");
    assert_eq!(code, EXIT_USAGE);
    assert!(
        text.contains("no environment \"stagging\" (there are: prod, staging)"),
        "{text}"
    );
    assert_eq!(policy_with(dir.path(), None, "check").0, EXIT_OK);
}

#[test]
fn explain_refuses_an_environment_that_does_not_exist_and_names_the_others() {
    let dir = folder();
    let line = "explain --user alice --environment prdo --account root";
    let (code, text) = policy(dir.path(), line);
    assert_eq!(code, EXIT_USAGE);
    let expected = "error: there is no environment \"prdo\" (there are: prod, staging)\n";
    assert_eq!(text, expected);
    assert_eq!(policy_with(dir.path(), None, line).0, EXIT_DENIED);
}

#[test]
fn check_points_at_the_error_and_exits_2() {
    let dir = folder();
    let broken = "@id(\"x\")\n@reason(\"r\")\nforbid (principal, action, resource)\n\
                  when { context.durations > 1 };\n";
    std::fs::write(dir.path().join("x.cedar"), broken).unwrap();
    let (code, text) = policy(dir.path(), "check");
    assert_eq!(code, EXIT_USAGE);
    assert!(text.starts_with("x.cedar:4:8: "), "{text}");
    assert!(text.contains("^"), "{text}");
    let (code, text) = policy(dir.path(), "check --json");
    assert_eq!(code, EXIT_USAGE);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["problems"][0]["line"], 4, "{text}");
}
