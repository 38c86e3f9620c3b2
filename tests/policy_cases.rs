//! Cases of policies as CI runs them: the report is read by a reader that is not ours.

use serde_json::Value;

use crate::support::dev::Dev;
use crate::support::programs::{command, program, repository};
use crate::support::python::script;
use crate::support::run::{Finished, run};

#[track_caller]
fn policy_test(arguments: &[&str]) -> Finished {
    let mut server = command(&program("ca-server"), std::path::Path::new("/"));
    server.args(["policy", "test", "--policies"]);
    server.arg(repository().join("policies")).args(arguments);
    run(server)
}

#[track_caller]
fn read(report: &std::path::Path) -> Value {
    let mut reader = script("read_junit.py");
    reader.arg(report);
    serde_json::from_str(&run(reader).succeeds().stdout).expect("JSON")
}

#[test]
fn the_report_for_ci_is_xml_whatever_the_names_of_cases_hold() {
    let dir = tempfile::tempdir().expect("a folder");
    let report = dir.path().join("report.xml");
    let report_name = report.to_str().expect("UTF-8");
    let cases = dir.path().join("cases");
    std::fs::create_dir(&cases).expect("a folder");
    let text = "[[table]]\nname = \"<root> & \\\"co\\\" ]]> ü\"\nuser = \"alice\"\n\
                groups = [\"engineering\"]\nenvironment = \"prod\"\naccounts = [\"root\"]\n\
                rows = [\n  { expect = \"approval\" },\n  { expect = \"permit\", name = \"now\" },\n]\n";
    std::fs::write(cases.join("odd.toml"), text).expect("write");
    let folder = cases.to_str().expect("UTF-8");
    policy_test(&["--junit", report_name, folder]).exits_with(1);
    let told = read(&report);
    assert_eq!(
        (told["tests"].as_u64(), told["failures"].as_u64()),
        (Some(2), Some(1))
    );
    let case = &told["cases"][1];
    assert_eq!(case["name"], "<root> & \"co\" ]]> ü: now");
    assert_eq!(case["line"], "9");
    let failure = &case["failure"];
    let message = failure["message"].as_str().expect("a message");
    assert!(
        message.starts_with("expected permit, got approval by prod-root-needs-approval"),
        "{message}"
    );
    let text = failure["text"].as_str().expect("a text");
    assert!(
        text.contains("\n  as expected approved by 1 of approver:\n"),
        "{text}"
    );
}

#[test]
fn the_examples_of_the_repository_pass_with_every_policy_exercised() {
    let dir = tempfile::tempdir().expect("a folder");
    let report = dir.path().join("report.xml");
    let report_name = report.to_str().expect("UTF-8");
    policy_test(&["--require-coverage", "--junit", report_name]).succeeds();
    let told = read(&report);
    assert_eq!(told["failures"], 0);
    assert!(told["tests"].as_u64().expect("a number") >= 100, "{told}");
}

#[test]
fn a_decision_in_the_log_is_explained_by_the_set_that_made_it_and_by_the_one_in_the_folder() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod", "--for", "2h"]).exits_with(3);
    let why = run(alice.jit_ssh(&["why", "--json"])).succeeds().stdout;
    let why: Value = serde_json::from_str(&why).expect("JSON");
    let index = why["index"].to_string();
    let explain = |dev: &Dev, more: &[&str]| {
        let line = ["policy", "explain", "--index", &index];
        dev.ca_server(&[&line, more].concat())
    };
    let told = explain(&dev, &[]).exits_with(3).stdout;
    assert!(
        told.starts_with(&format!("record {index} (refused) of ")),
        "{told}"
    );
    assert!(
        told.contains("alice asked to login in prod as deploy for 2 h\n"),
        "{told}"
    );
    assert!(told.contains("  context.duration <= 3600 ("), "{told}");
    assert!(told.contains("hint: allowed for at most 1 h\n"), "{told}");

    // With the server stopped the folder can be edited without the edit coming into force.
    dev.stop();
    let file = dev.place().join("policies/routine.cedar");
    let text = std::fs::read_to_string(&file).expect("the policies");
    assert!(text.contains("context.duration <= 3600"), "{text}");
    let longer = text.replace("context.duration <= 3600", "context.duration <= 7200");
    std::fs::write(&file, longer).expect("write");
    let told = explain(&dev, &["--json"]).exits_with(3).stdout;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let decision = &told["decisions"][0];
    assert_eq!(decision["verdict"], "deny");
    assert_eq!(decision["same_set"], false);
    assert_eq!(decision["then"]["verdict"], "deny");
    assert_eq!(decision["then"]["policy_digest"], decision["policy_digest"]);
    assert_eq!(decision["now"]["verdict"], "permit");
    let told = explain(&dev, &[]).exits_with(3).stdout;
    assert!(told.contains(" from the log:\ndeny\n"), "{told}");
    assert!(told.contains("\nnow, by the set in "), "{told}");

    let nothing = dev
        .ca_server(&["policy", "explain", "--index", "0"])
        .exits_with(2);
    assert!(
        nothing.stdout.contains("holds no decision of policy"),
        "{}",
        nothing.stdout
    );
    let beyond = dev
        .ca_server(&["policy", "explain", "--index", "999999"])
        .exits_with(2);
    assert!(
        beyond.stdout.contains("there is no record 999999"),
        "{}",
        beyond.stdout
    );
}
