//! Claims about `policy test`. That the XML is XML is tested end to end, by another reader.

use std::path::Path;

use serde_json::Value;

use super::super::tests::{folder, policy};
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};

const POLICIES: &str = "@id(\"deploy\")\n@reason(\"engineering uses deploy\")\n\
    permit (principal in Group::\"engineering\", action == Action::\"login\", resource)\n\
    when { context.duration <= 3600 };\n\n\
    @id(\"two-keys\")\n@reason(\"root takes two\")\n\
    forbid (principal, action == Action::\"login\", resource == Account::\"prod/root\")\n\
    unless { context.met.contains(\"two-keys\") };\n";

/// A folder with two policies, a requirement of two alternatives and these cases.
fn small(cases: &str) -> tempfile::TempDir {
    let dir = folder();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == "cedar") {
            std::fs::remove_file(path).unwrap();
        }
    }
    for part in ["cases", "invariants"] {
        std::fs::remove_dir_all(dir.path().join(part)).unwrap();
    }
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.cedar", POLICIES);
    let table =
        "[requirements]\ntwo-keys = [[\"1 of leads\", \"1 of security\"], [\"2 of security\"]]\n";
    write("requirements.toml", table);
    write("cases/a.toml", cases);
    dir
}

const DEPLOY: &str = "[people]\nalice = [\"engineering\"]\nlena = [\"leads\"]\nsam = [\"security\"]\n\n\
    [[case]]\nname = \"deploy\"\nuser = \"alice\"\nenvironment = \"prod\"\naccounts = [\"deploy\"]\n\
    expect = \"permit\"\n\n";

const ROOT: &str = "[[table]]\nname = \"root\"\nuser = \"alice\"\nenvironment = \"prod\"\n\
    accounts = [\"root\"]\nrows = [\n  { expect = \"approval\" },\n  \
    { approvals = [\"lena\", \"sam\"], expect = \"permit\" },\n";

#[test]
fn the_cases_beside_the_policies_are_run() {
    let dir = folder();
    let (code, text) = policy(dir.path(), "test");
    assert_eq!(code, EXIT_OK, "{text}");
    assert!(text.ends_with(" cases pass\n"), "{text}");
}

#[test]
fn the_examples_are_exercised_without_a_gap() {
    let dir = folder();
    let (code, text) = policy(dir.path(), "test --require-coverage");
    assert_eq!(code, EXIT_OK, "{text}");
}

#[test]
fn a_failing_case_shows_what_decided_and_what_would_have_been_as_expected() {
    let case = "[[case]]\nname = \"root at once\"\nuser = \"alice\"\ngroups = [\"engineering\"]\n\
                environment = \"prod\"\naccounts = [\"root\"]\nexpect = \"permit\"\n";
    let dir = small(case);
    let (code, text) = policy(dir.path(), "test");
    assert_eq!(code, EXIT_FAILED);
    let shown = "cases/a.toml:1: root at once\n  expected permit\n  \
        got      approval by two-keys, obligation \"1 of leads and 1 of security\", \
        hint \"needs 2 approvals: 1 of leads and 1 of security\"\n    \
        two-keys (a.cedar:6): root takes two\n  \
        as expected approved by 1 of leads and 1 of security:\n    \
        approvals = [{ user = \"person1\", groups = [\"leads\"] }, \
        { user = \"person2\", groups = [\"security\"] }]\n";
    assert!(text.contains(shown), "{text}");
    assert!(text.ends_with("1 of 1 cases fail\n"), "{text}");
    let (_, json) = policy(dir.path(), "test --json");
    let json: Value = serde_json::from_str(&json).unwrap();
    let nearest = &json["cases"][0]["nearest"];
    assert_eq!(nearest["words"], "approved by 1 of leads and 1 of security");
    assert_eq!(json["cases"][0]["verdict"], "approval");
    assert_eq!(
        (json["ok"].as_bool(), json["failed"].as_u64()),
        (Some(false), Some(1))
    );
}

#[test]
fn what_no_case_exercises_is_named_and_fails_only_where_that_is_asked_for() {
    let dir = small(DEPLOY);
    let missing = "a.cedar:6: no case is refused by two-keys\n";
    let (code, text) = policy(dir.path(), "test");
    assert_eq!(code, EXIT_OK, "{text}");
    assert!(text.contains(&format!("coverage: {missing}")), "{text}");
    assert!(
        text.contains("coverage: 1 of 2 policies decide a case that passes\n"),
        "{text}"
    );
    let (code, text) = policy(dir.path(), "test --require-coverage");
    assert_eq!(code, EXIT_FAILED, "{text}");
    assert!(text.contains(&format!("error: {missing}")), "{text}");

    let dir = small(&format!("{DEPLOY}{ROOT}]\n"));
    let (code, text) = policy(dir.path(), "test --require-coverage");
    assert_eq!(code, EXIT_FAILED, "{text}");
    let missing =
        "error: requirements.toml:2: no case is permitted with 2 of security for two-keys\n";
    assert!(text.contains(missing), "{text}");
    assert!(text.contains("coverage: 2 of 2 policies"), "{text}");

    let other = "  { approvals = [\"sam\", { user = \"sue\", groups = [\"security\"] }], \
                 expect = \"permit\" },\n]\n";
    let dir = small(&format!("{DEPLOY}{ROOT}{other}"));
    let (code, text) = policy(dir.path(), "test --require-coverage");
    assert_eq!(code, EXIT_OK, "{text}");
    let (_, json) = policy(dir.path(), "test --json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["coverage"]["unexercised"], serde_json::json!([]));
    assert_eq!(json["coverage"]["alternatives"], 2);
}

#[test]
fn a_case_that_fails_exercises_nothing() {
    let dir = small(&DEPLOY.replace("expect = \"permit\"", "expect = \"deny\""));
    let (_, text) = policy(dir.path(), "test");
    assert!(
        text.contains("a.cedar:1: no case is permitted by deploy\n"),
        "{text}"
    );
}

#[test]
fn a_folder_without_cases_is_no_success() {
    let dir = folder();
    let empty = tempfile::tempdir().unwrap();
    let (code, text) = policy(dir.path(), &format!("test {}", empty.path().display()));
    assert_eq!(code, EXIT_FAILED);
    assert!(text.contains(" holds no case\n"), "{text}");
}

#[test]
fn every_wrong_case_of_every_file_is_shown_and_none_is_run() {
    let dir = small(&DEPLOY.replace("user =", "usr ="));
    let other = "[[case]]\nname = \"x\"\nuser = \"alice\"\naction = \"read_audit\"\n\
                 expect = \"deny\"\npolicy = \"two-kes\"\n";
    std::fs::write(dir.path().join("cases/b.toml"), other).unwrap();
    let (code, text) = policy(dir.path(), "test");
    assert_eq!(code, EXIT_USAGE);
    assert!(text.contains("a.toml:8:1: unknown key `usr`\n"), "{text}");
    assert!(
        text.contains("b.toml:6:10: there is no policy \"two-kes\"\n"),
        "{text}"
    );
    assert!(
        text.contains("hint: did you mean \"two-keys\"?\n"),
        "{text}"
    );
    assert!(
        text.ends_with("error: 2 problems; nothing was loaded\n"),
        "{text}"
    );
}

#[test]
fn the_report_for_ci_is_the_same_every_time_and_also_there_when_nothing_loads() {
    let dir = small(&format!("{DEPLOY}{ROOT}]\n"));
    let file = dir.path().join("report.xml");
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let line = format!("test --junit {}", file.display());
    assert_eq!(policy(dir.path(), &line).0, EXIT_OK);
    let first = read(&file);
    assert!(first.contains("tests=\"3\" failures=\"0\""), "{first}");
    policy(dir.path(), &line);
    assert_eq!(read(&file), first);
    std::fs::write(dir.path().join("cases/b.toml"), "[[cas]]\n").unwrap();
    assert_eq!(policy(dir.path(), &line).0, EXIT_USAGE);
    assert!(read(&file).contains("unknown key `cas`"), "{}", read(&file));
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let dir = small(DEPLOY);
    let line = format!("test --junit {}/none/report.xml", dir.path().display());
    let (code, text) = policy(dir.path(), &line);
    assert_eq!(code, EXIT_USAGE);
    assert!(text.contains("error: can not write "), "{text}");
    let (code, text) = policy(dir.path(), &format!("{line} --json"));
    assert_eq!(code, EXIT_USAGE);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["ok"], false);
}
