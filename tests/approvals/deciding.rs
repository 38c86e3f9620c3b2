//! Noes, second thoughts, and people who decide at the same moment.

use super::asking::{Waiting, records, signed_in, signing_in};
use crate::support::dev::Dev;
use crate::support::process::Process;

#[test]
fn a_no_ends_the_wait_with_who_and_why() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    let no = ["deny", &id.to_string(), "--reason", "use the runbook"];
    signing_in(&carol, &no).succeeds();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("carol denied") && said.contains("use the runbook"),
        "{said}"
    );
    let late = signed_in(&carol, &["approve", &id.to_string(), "--yes"]);
    assert_ne!(late.code, Some(0), "{}", late.stdout);
    assert!(alice.agent.list().is_empty());
}

#[test]
fn what_was_withdrawn_is_neither_waited_for_nor_approved() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    signed_in(&alice, &["withdraw", &id.to_string()]).succeeds();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("withdrawn"), "{said}");
    let late = signing_in(&carol, &["approve", &id.to_string(), "--yes"]);
    assert_ne!(late.code, Some(0), "{}", late.stdout);
    assert!(records(&dev, "request-approved").is_empty());
}

#[test]
fn neither_the_requester_nor_people_without_the_right_decide() {
    let dev = Dev::start();
    let (alice, bob) = (dev.person("alice"), dev.person("bob"));
    let (waiting, id) = Waiting::for_root(&alice);
    let id = id.to_string();
    let own = signed_in(&alice, &["approve", &id, "--yes"]).exits_with(3);
    assert!(own.stderr.contains("own"), "{}", own.stderr);
    let hidden = signing_in(&bob, &["show", &id]);
    assert_ne!(hidden.code, Some(0), "{}", hidden.stdout);
    let approved = signed_in(&bob, &["approve", &id, "--yes"]);
    assert_ne!(approved.code, Some(0), "{}", approved.stdout);
    waiting.interrupt();
    assert_eq!(waiting.ends().0, Some(5));
    assert!(records(&dev, "request-approved").is_empty());
}

#[test]
fn a_yes_said_many_times_at_once_is_one_yes() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    let id = id.to_string();
    signing_in(&carol, &["requests"]).succeeds();
    let all: Vec<Process> = (0..6)
        .map(|_| Process::start("jit-ssh approve", carol.jit_ssh(&["approve", &id, "--yes"])))
        .collect();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(0), "{said}");
    for mut approving in all {
        approving.wait_for_exit(std::time::Duration::from_secs(60));
    }
    assert_eq!(records(&dev, "request-approved").len(), 1);
    assert_eq!(records(&dev, "certificate-issued").len(), 1);
}

#[test]
fn of_a_yes_and_a_no_at_once_the_log_tells_one_story_and_the_wait_ends_with_it() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    let id = id.to_string();
    signing_in(&carol, &["requests"]).succeeds();
    let yes = carol.jit_ssh(&["approve", &id, "--yes"]);
    let no = carol.jit_ssh(&["deny", &id, "--reason", "not now"]);
    let both = [Process::start("approve", yes), Process::start("deny", no)];
    let (code, said) = waiting.ends();
    for mut deciding in both {
        deciding.wait_for_exit(std::time::Duration::from_secs(60));
    }
    let issued = records(&dev, "certificate-issued").len();
    let denied = records(&dev, "request-denied").len();
    assert_eq!(issued + denied, 1, "{said}");
    assert_eq!(code, Some(if issued == 1 { 0 } else { 3 }), "{said}");
    assert_eq!(alice.agent.list().len(), issued);
}
