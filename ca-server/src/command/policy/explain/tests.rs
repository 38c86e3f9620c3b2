//! Claims about `policy explain`. Decisions in a log are explained end to end.

use clap::Parser as _;
use serde_json::Value;

use super::super::tests::{Program, folder, policy};
use super::{EXIT_DENIED, EXIT_OK, EXIT_USAGE};

const ROOT: &str = "explain --user alice --group engineering --environment prod --account root";

#[test]
fn explain_names_policies_conditions_and_what_would_help() {
    let dir = folder();
    let (code, text) = policy(dir.path(), ROOT);
    assert_eq!(code, EXIT_DENIED);
    assert_eq!(
        text,
        "deny\n  root: prod-root-needs-approval (sensitive.cedar:20): root in prod needs the \
         approval of another person from group approver\n\
         obligation: 1 of approver; approvals alone make it a permit\n\
         requirement prod-root (1 of approver) lacks 1 of approver\n\
         root: prod-root-needs-approval (sensitive.cedar:20) forbids it:\n  \
         unless context.met.contains(\"prod-root\") (sensitive.cedar:27) – context.met is []\n\
         hint: needs 1 approval: 1 of approver\nhint: account deploy is allowed\n"
    );
    let (code, text) = policy(dir.path(), &format!("{ROOT} --approved-by carol:approver"));
    assert_eq!(code, EXIT_OK);
    assert!(
        text.starts_with("permit\n  prod-root (sensitive.cedar:8): "),
        "{text}"
    );
    let met = "requirement prod-root (1 of approver) is met\n";
    assert!(text.ends_with(met), "{text}");
}

#[test]
fn a_permit_that_does_not_apply_is_told_with_the_fact_that_it_fails_on() {
    let dir = folder();
    let (_, text) = policy(dir.path(), &format!("{ROOT} --for 2h"));
    let told = "root: prod-root (sensitive.cedar:8) does not permit it:\n  \
                context.duration <= 3600 (sensitive.cedar:17) – context.duration is 7200 (2 h)\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn where_no_hint_helps_the_nearest_permit_is_told() {
    let dir = folder();
    let line = "explain --user mallory --environment staging --account deploy";
    let (code, text) = policy(dir.path(), line);
    assert_eq!(code, EXIT_DENIED);
    assert!(
        text.ends_with("it would be permitted in group engineering\n"),
        "{text}"
    );
    let (_, json) = policy(dir.path(), &format!("{line} --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["nearest"]["toml"], "groups = [\"engineering\"]\n");
}

/// As [`policy`], with words that have blanks in them.
fn explain_case(dir: &std::path::Path, name: &str, more: &[&str]) -> (u8, String) {
    let words = ["policy", "explain", "--case", name];
    let program = Program::try_parse_from(words.iter().chain(more)).unwrap();
    super::super::tests::run_in(dir, None, &program)
}

const CASES: &str = "[[case]]\nname = \"alice takes deploy\"\nuser = \"alice\"\n\
    groups = [\"engineering\"]\nenvironment = \"prod\"\naccounts = [\"deploy\"]\n";

#[test]
fn a_case_is_explained_by_its_name() {
    let dir = folder();
    let (code, text) = explain_case(dir.path(), "root in prod waits for an approval", &[]);
    assert_eq!(code, EXIT_DENIED);
    assert!(
        text.contains("/sensitive.toml:13: root in prod waits for an approval\n"),
        "{text}"
    );
    assert!(
        text.contains(": passes\ndeny\n  root: prod-root-needs-approval "),
        "{text}"
    );
    let (code, text) = explain_case(dir.path(), "root in prod waits for an aproval", &[]);
    assert_eq!(code, EXIT_USAGE);
    let hint = "did you mean \"root in prod waits for an approval\"?\n";
    assert!(text.ends_with(hint), "{text}");
}

#[test]
fn a_case_that_wants_a_denial_is_told_why_it_got_a_permit() {
    let dir = folder();
    let text = format!("{CASES}expect = \"deny\"\n");
    std::fs::write(dir.path().join("cases/wrong.toml"), text).unwrap();
    let (code, text) = explain_case(dir.path(), "alice takes deploy", &[]);
    assert_eq!(code, EXIT_OK);
    assert!(
        text.contains("  expected deny: fails\n  as expected for 1 h 1 s:\n    for = \"1h 1s\"\n"),
        "{text}"
    );
    assert!(
        text.contains("deploy: prod-deploy-for-engineering (routine.cedar:19) permits it:\n"),
        "{text}"
    );
    assert!(text.contains(" does not forbid it:\n"), "{text}");
    let (_, json) = explain_case(dir.path(), "alice takes deploy", &["--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["case"]["passed"], false);
    assert_eq!(json["verdict"], "permit");
}

#[test]
fn a_name_that_two_files_use_is_no_answer() {
    let dir = folder();
    let text = format!("{CASES}expect = \"permit\"\n");
    std::fs::write(dir.path().join("cases/x.toml"), &text).unwrap();
    std::fs::write(dir.path().join("cases/y.toml"), &text).unwrap();
    let (code, text) = explain_case(dir.path(), "alice takes deploy", &[]);
    assert_eq!(code, EXIT_USAGE);
    assert!(
        text.contains("/x.toml:1, ") && text.contains("/y.toml:1\n"),
        "{text}"
    );
}

#[test]
fn a_case_or_a_record_brings_its_own_facts() {
    for line in [
        "policy explain --case x --for 2h",
        "policy explain --index 1 --user alice",
        "policy explain --index 1 --case x",
        "policy explain --cases ./x --user alice",
        "policy explain",
    ] {
        let words = line.split_whitespace();
        assert!(Program::try_parse_from(words).is_err(), "{line}");
    }
}

#[test]
fn explain_speaks_json() {
    let dir = folder();
    let line = "explain --json --user alice --group engineering --environment prod \
                --account deploy --for 2h";
    let (code, text) = policy(dir.path(), line);
    assert_eq!(code, EXIT_DENIED);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["decision"], "deny");
    assert_eq!(json["verdict"], "deny");
    let findings = json["findings"].as_array().unwrap();
    let own = |finding: &&Value| finding["policy"] == "prod-deploy-for-engineering";
    let condition = &findings.iter().find(own).unwrap()["conditions"][0];
    let fact = &condition["facts"]["context.duration"];
    assert_eq!(fact, "7200 (2 h)", "{text}");
    assert_eq!(json["hints"][0]["changes"][0]["seconds_max"], 3600);
    assert_eq!(json["hints"][0]["sentence"], "allowed for at most 1 h");
}

#[test]
fn explain_refuses_a_question_without_an_account() {
    let dir = folder();
    let (code, text) = policy(dir.path(), "explain --user alice --environment prod");
    assert_eq!(code, EXIT_USAGE);
    assert!(text.contains("--account"), "{text}");
}
