//! A yes, and what it opens.

use std::time::Duration;

use super::asking::{ROOT, Waiting, records, signed_in, signing_in};
use crate::support::clock;
use crate::support::dev::{Dev, Person};
use crate::support::keygen;
use crate::support::process::Process;
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;
use crate::support::wait;

#[test]
fn carol_approves_and_the_login_that_waits_opens_a_stock_sshd_as_root() {
    let dev = Dev::start();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&dev.ca_line("prod")]).account(&account, &["root"]);
    let sshd = sshd.start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    let to_approve = signing_in(&carol, &["requests", "--to-approve"]).succeeds();
    assert!(
        to_approve.stdout.contains(&id.to_string()),
        "{}",
        to_approve.stdout
    );
    assert!(to_approve.stdout.contains("alice"), "{}", to_approve.stdout);
    assert!(alice.agent.list().is_empty(), "granted before the approval");

    let id = id.to_string();
    let approving = Process::start("jit-ssh approve", carol.jit_ssh(&["approve", &id, "--yes"]));
    let held = wait::until("the certificate", Duration::from_secs(30), || {
        let held = alice.agent.list();
        (!held.is_empty()).then_some(held)
    });
    let there = clock::unix_milliseconds();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(0), "{said}");
    drop(approving);
    let took = there.saturating_sub(approved_at(&dev));
    println!("approval to certificate in the agent: {took} ms (ssh-add included)");

    let shown = keygen::describe_line(&held[0]);
    assert_eq!(shown.principals, ["root"]);
    let session = Ssh::to(&sshd, account.name()).agent(alice.agent.socket());
    let finished = session.run("echo inside");
    assert!(finished.stdout.contains("inside"), "{}", sshd.log());

    is_used_once_and_told_whole(&alice, &id);
}

/// When the approval was recorded, milliseconds since 1970.
fn approved_at(dev: &Dev) -> u128 {
    let approved = records(dev, "request-approved");
    let time = approved[0]["time"].clone();
    let time: ca_core::time::Timestamp = serde_json::from_value(time).expect("a time");
    time.unix_milliseconds().into()
}

fn is_used_once_and_told_whole(alice: &Person, id: &str) {
    // Another login asks anew.
    signed_in(alice, &["done", "prod"]).succeeds();
    let next = [
        "login",
        "prod",
        "--as",
        "root",
        "--reason",
        "INC-42 db down",
        "--no-wait",
    ];
    let next = signed_in(alice, &next).exits_with(5);
    assert!(
        !next.stdout.contains(&format!("request {id} ")),
        "{}",
        next.stdout
    );
    // The whole story.
    let history = signed_in(alice, &["history", id]).succeeds().stdout;
    for part in [
        "asked for prod as root",
        "approved 3600 s",
        "issued",
        "given back",
    ] {
        assert!(history.contains(part), "{part}: {history}");
    }
    assert!(history.contains("carol"), "{history}");
}

#[test]
fn ctrl_c_keeps_the_request_and_the_next_login_picks_it_up() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    waiting.interrupt();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(&format!("request {id} stays open")), "{said}");
    signing_in(&carol, &["approve", &id.to_string(), "--yes"]).succeeds();
    assert!(alice.agent.list().is_empty(), "approved is not activated");
    let login = signed_in(&alice, &["login", "prod"]).succeeds();
    assert!(
        login.stderr.contains(&format!("request {id}")),
        "{}",
        login.stderr
    );
    let held = alice.agent.list();
    assert_eq!(keygen::describe_line(&held[0]).principals, ["root"]);
    assert_eq!(records(&dev, "request-opened").len(), 1);
}

#[test]
fn an_approver_may_allow_less_and_the_certificate_is_that_short() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (waiting, id) = Waiting::for_root(&alice);
    let longer = ["approve", &id.to_string(), "--yes", "--for", "2h"];
    let longer = signing_in(&carol, &longer);
    assert_ne!(longer.code, Some(0), "{}", longer.stdout);
    signed_in(
        &carol,
        &["approve", &id.to_string(), "--yes", "--for", "10m"],
    )
    .succeeds();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(0), "{said}");
    let shown = keygen::describe_line(&alice.agent.list()[0]);
    let window = shown.valid_before.expect("an end") - shown.valid_after.expect("a start");
    assert_eq!(window, 10 * 60 + 60);
}

#[test]
fn two_terminals_that_wait_for_one_request_get_one_certificate() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (first, id) = Waiting::for_root(&alice);
    let second = Waiting::again(&alice);
    signing_in(&carol, &["approve", &id.to_string(), "--yes"]).succeeds();
    let ends = [first.ends(), second.ends()];
    let got = ends.iter().filter(|(code, _)| *code == Some(0)).count();
    assert!(got >= 1, "{ends:?}");
    assert_eq!(records(&dev, "certificate-issued").len(), 1, "{ends:?}");
    assert_eq!(records(&dev, "request-opened").len(), 1);
}

#[test]
fn an_approved_request_comes_before_what_is_held_already_unless_asked_anew() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    alice.login(&["prod"]).succeeds();
    let asked = signed_in(&alice, &[&ROOT[..], &["--no-wait", "--json"]].concat()).exits_with(5);
    let asked: serde_json::Value = serde_json::from_str(&asked.stdout).expect("JSON");
    let id = asked["request"]["id"].to_string();
    signing_in(&carol, &["approve", &id, "--yes"]).succeeds();
    let held = signed_in(&alice, &["login", "prod", "--new"]).succeeds();
    assert!(held.stdout.contains("prod as deploy"), "{}", held.stdout);
    assert_eq!(records(&dev, "certificate-issued").len(), 1);
    let used = signed_in(&alice, &["login", "prod"]).succeeds();
    assert!(used.stdout.contains("prod as root"), "{}", used.stdout);
}
