//! Policies in force: what a set must pass, what the log keeps of it, and why somebody got a no.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::dev::Dev;
use crate::support::programs::{command, program};
use crate::support::run::{Finished, run};
use crate::support::serve::Installation;
use crate::support::wait;

/// Never asked: nobody signs in here.
const ISSUER: &str = "https://id.example";

const LIMIT: Duration = Duration::from_secs(30);

fn made() -> Installation {
    Installation::plain_made_for(ISSUER)
}

fn must_pass(ca: Installation, checks: &[&str]) -> Installation {
    ca.configured(|config| {
        let checks: toml::Value = checks.to_vec().into();
        let table = toml::Table::from_iter([("must_pass".to_owned(), checks)]);
        config.insert("policy_changes".to_owned(), table.into());
    })
}

fn policies(ca: &Installation) -> PathBuf {
    ca.place().join("policies")
}

/// Changes one file of the policy folder.
#[track_caller]
fn edit(ca: &Installation, file: &str, from: &str, to: &str) {
    let path = policies(ca).join(file);
    let text = std::fs::read_to_string(&path).expect("the file");
    assert!(text.contains(from), "{file} holds no {from:?}");
    std::fs::write(path, text.replace(from, to)).expect("write");
}

/// `serve` that ends by itself.
#[track_caller]
fn serve(ca: &Installation, arguments: &[&str]) -> Finished {
    serve_with(ca, arguments, &[])
}

#[track_caller]
fn serve_with(ca: &Installation, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let mut serve = command(&program("ca-server"), &ca.place());
    serve.arg("serve").arg("--config").arg(ca.config_file());
    serve.args(arguments).envs(variables.iter().copied());
    run(serve)
}

#[track_caller]
fn history(ca: &Installation) -> Vec<Value> {
    let listed = ca.ca_server(&["policy", "history", "--json"]).succeeds();
    let lines = listed.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

const STAGING: &str = "context.duration <= 28800";

#[test]
fn a_set_whose_cases_fail_does_not_start_unless_the_operator_says_why_and_that_is_recorded() {
    let ca = must_pass(made(), &["cases"]);
    edit(&ca, "routine.cedar", STAGING, "context.duration <= 60");
    let refused = serve(&ca, &[]).exits_with(78);
    for part in ["cases: ", "routine.toml:", "--accept-policies"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let mut ca = ca.arguments(&["--accept-policies", "cases lag behind, OPS-17"]);
    ca.start_again();
    let load = history(&ca).pop().expect("a record");
    assert_eq!(load["failed"], serde_json::json!(["cases"]));
    assert_eq!(load["accepted"], "cases lag behind, OPS-17");
}

/// What the example policies do not say.
const WRONG_CASE: &str = r#"[[case]]
name = "mallory is root"
user = "mallory"
groups = []
environment = "prod"
accounts = ["root"]
expect = "permit"
"#;

#[test]
fn a_change_whose_cases_fail_is_refused_while_the_old_set_goes_on_and_mending_the_case_lets_it_in()
{
    let ca = must_pass(made(), &["cases"]).start();
    let case = policies(&ca).join("cases/wishes.toml");
    std::fs::write(&case, WRONG_CASE).expect("write");
    edit(&ca, "routine.cedar", STAGING, "context.duration <= 28801");
    wait::until("the refusal", LIMIT, || {
        let log = ca.log();
        let said = log.contains("NOT RELOADED") && log.contains("wishes.toml:1");
        said.then_some(())
    });
    assert_eq!(history(&ca).len(), 1);
    std::fs::remove_file(case).expect("remove");
    let loads = wait::until("the second set", LIMIT, || {
        let loads = history(&ca);
        (loads.len() == 2).then_some(loads)
    });
    assert_eq!(loads[1]["passed"], serde_json::json!(["cases"]));
}

#[test]
fn a_change_that_leaves_nobody_to_break_glass_is_refused() {
    let ca = must_pass(made(), &["break-glass"]).start();
    let file = policies(&ca).join("break_glass.cedar");
    let whole = std::fs::read_to_string(&file).expect("the policies");
    std::fs::remove_file(&file).expect("remove");
    let said = wait::until("the refusal", LIMIT, || {
        let log = ca.log();
        log.contains("NOT RELOADED").then_some(log)
    });
    let loss = "nobody could break glass any more in prod";
    assert!(said.contains(loss), "{said}");
    // Less for some is not nothing for everybody.
    std::fs::write(&file, whole.replace("<= 3600", "<= 1800")).expect("write");
    let loads = wait::until("the second set", LIMIT, || {
        let loads = history(&ca);
        (loads.len() == 2).then_some(loads)
    });
    assert_eq!(loads[1]["passed"], serde_json::json!(["break-glass"]));
}

#[test]
fn a_set_that_is_not_proved_does_not_start_and_neither_does_one_without_a_solver() {
    let ca = must_pass(made(), &["proofs"]);
    // One file of invariants: the others are proved by tests of their own.
    for entry in std::fs::read_dir(policies(&ca).join("invariants")).expect("invariants") {
        let path = entry.expect("an entry").path();
        if !path.ends_with("sensitive.never.cedar") {
            std::fs::remove_file(path).expect("remove");
        }
    }
    let file = policies(&ca).join("sensitive.cedar");
    let whole = std::fs::read_to_string(&file).expect("the policies");
    edit(
        &ca,
        "sensitive.cedar",
        "met.contains(\"prod-root\")",
        "token_bound",
    );
    let refused = serve(&ca, &[]).exits_with(78);
    for part in [
        "proofs: ",
        "root-in-prod-takes-an-approver: violated",
        "sensitive.never.cedar:",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    std::fs::write(&file, whole).expect("write");
    let refused = serve_with(&ca, &[], &[("CVC5", "/nowhere/cvc5")]).exits_with(78);
    for part in ["proofs: ", "/nowhere/cvc5", "apt-get install cvc5"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let mut ca = ca.start();
    let load = history(&ca).pop().expect("a record");
    assert_eq!(load["passed"], serde_json::json!(["proofs"]));
    // What passed once need not pass again: a start at night does not hang on a solver.
    ca.stop();
    let mut ca = ca.environment("CVC5", "/nowhere/cvc5");
    ca.start_again();
    assert_eq!(history(&ca).len(), 1);
    // An invariant less is a change, and leaves a trace.
    ca.stop();
    let invariants = policies(&ca).join("invariants/sensitive.never.cedar");
    let text = std::fs::read_to_string(&invariants).expect("the invariants");
    std::fs::write(&invariants, text + "\n// changed\n").expect("write");
    let refused = serve_with(&ca, &[], &[("CVC5", "/nowhere/cvc5")]).exits_with(78);
    assert!(
        refused.stderr.contains("apt-get install cvc5"),
        "{}",
        refused.stderr
    );
    let mut ca = ca.environment("CVC5", "cvc5");
    ca.start_again();
    let loads = history(&ca);
    assert_eq!(loads.len(), 2);
    assert_eq!(loads[0]["digest"], loads[1]["digest"]);
}

#[test]
fn every_set_that_was_in_force_can_be_written_out_of_the_log_as_it_was() {
    let ca = must_pass(made(), &[]).start();
    let before = std::fs::read_to_string(policies(&ca).join("routine.cedar")).expect("text");
    edit(&ca, "routine.cedar", STAGING, "context.duration <= 60");
    let loads = wait::until("the second set", LIMIT, || {
        let loads = history(&ca);
        (loads.len() == 2).then_some(loads)
    });
    let digest = loads[0]["digest"].as_str().expect("a digest");
    let then = ca.place().join("then");
    let folder = then.to_str().expect("UTF-8");
    let write = ["policy", "history", &digest[..12], "--write", folder];
    ca.ca_server(&write).succeeds();
    let text = std::fs::read_to_string(then.join("routine.cedar")).expect("text");
    assert_eq!(text, before);
    let checked = ca_server(&["policy", "check", "--json", "--policies", folder]).succeeds();
    let checked: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!(checked["digest"], digest);
    // Never over what is there, never a set that was not.
    assert!(!ca.ca_server(&write).succeeded());
    let never = ["policy", "history", "0123456789abcdef", "--write", "x"];
    let never = ca.ca_server(&never).exits_with(1);
    assert!(never.stderr.contains("came into force"), "{}", never.stderr);
}

#[track_caller]
fn ca_server(arguments: &[&str]) -> Finished {
    let mut server = command(&program("ca-server"), std::path::Path::new("/"));
    server.args(arguments);
    run(server)
}

#[test]
fn whoever_was_refused_is_told_why_and_what_to_do_and_nobody_else_is() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod", "--for", "2h"]).exits_with(3);
    let why = run(alice.jit_ssh(&["why"])).succeeds().stdout;
    let first = why.lines().next().expect("a line");
    assert!(first.starts_with("denied: prod as deploy for 2 h"), "{why}");
    assert!(
        why.contains("jit-ssh login prod --as deploy --for 1h"),
        "{why}"
    );
    let shown = run(alice.jit_ssh(&["why", "LAST", "--json"]))
        .succeeds()
        .stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["answer"], "deny");
    let index = shown["index"].to_string();
    // A certificate is explained by its serial, too.
    let issued = alice.login(&["staging", "--json"]).succeeds().stdout;
    let issued: Value = serde_json::from_str(&issued).expect("JSON");
    let serial = issued["serial"].to_string();
    let why = run(alice.jit_ssh(&["why", &serial])).succeeds().stdout;
    assert!(why.starts_with("permitted: staging as deploy"), "{why}");
    assert!(why.contains("policy staging-for-builders: "), "{why}");
    let bob = dev.person("bob");
    bob.login(&["staging"]).succeeds();
    for number in [index.as_str(), serial.as_str(), "999999", "0"] {
        let told = run(bob.jit_ssh(&["why", number])).exits_with(2);
        assert!(told.stderr.contains("no such"), "{}", told.stderr);
        assert!(!told.stderr.contains("alice"), "{}", told.stderr);
    }
    let typo = run(bob.jit_ssh(&["why", "lats"])).exits_with(2);
    assert!(
        typo.stderr.contains("neither LAST nor a number"),
        "{}",
        typo.stderr
    );
}
