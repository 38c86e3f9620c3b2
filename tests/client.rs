//! `jit-ssh` at a person's own machine: what goes wrong there is said, and nothing is half-written.

use crate::support::agent::{Agent, Confirmation};
use crate::support::dev::{Dev, Person};
use crate::support::pty::Terminal;
use crate::support::run::{Finished, run};
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;

#[test]
fn at_a_terminal_the_code_is_asked_for_without_showing_it() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let client = alice.jit_ssh(&["login", "prod", "--login-hint", "alice"]);
    let mut terminal = Terminal::start(client);
    terminal.expect("TOTP code");
    let code = alice.code();
    terminal.type_line(&code);
    let (exit, screen) = terminal.finish();
    assert_eq!(exit, Some(0), "{screen}");
    assert!(
        !screen.contains(&code),
        "the code is on the screen:\n{screen}"
    );
    assert!(screen.contains("prod as deploy until"), "{screen}");
}

#[test]
fn ctrl_c_at_the_prompt_leaves_nothing_behind() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let client = alice.jit_ssh(&["login", "prod", "--login-hint", "alice"]);
    let mut terminal = Terminal::start(client);
    terminal.expect("TOTP code");
    terminal.interrupt();
    let (exit, screen) = terminal.finish();
    assert_eq!(exit, Some(130), "{screen}");
    assert!(alice.agent.list().is_empty());
    let records = dev.ca_server(&["audit", "search", "--kind", "session-opened", "--json"]);
    assert!(!records.succeeds().stdout.contains("alice"));
    alice.login(&["prod"]).succeeds();
}

#[test]
fn doctor_says_what_is_well_and_what_to_do_about_the_rest() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    let well = run(alice.jit_ssh(&["doctor"]));
    assert_eq!(well.code, Some(0), "{}{}", well.stdout, well.stderr);
    alice.agent.lock("secret");
    dev.stop();
    let ill = run(alice.jit_ssh(&["doctor"])).exits_with(1);
    let said = ill.stdout + &ill.stderr;
    assert!(
        said.contains("FAIL") && said.contains("locked") && said.contains("hint"),
        "{said}"
    );
}

#[test]
fn a_certificate_loaded_with_confirm_asks_before_each_use() {
    let dev = Dev::start();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&dev.ca_line("prod")])
        .account(&account, &["deploy"])
        .start();
    for (name, answer, lets_in) in [
        ("alice", Confirmation::Agree, true),
        ("bob", Confirmation::Refuse, false),
    ] {
        let mut person = dev.person(name);
        person.agent = Agent::start_confirming(answer);
        person.login(&["prod", "--confirm"]).succeeds();
        let session = Ssh::to(&sshd, account.name()).agent(person.agent.socket());
        assert_eq!(session.run("true").succeeded(), lets_in, "{answer:?}");
    }
}

#[test]
fn without_an_agent_on_request_the_key_is_a_private_file_that_ssh_takes() {
    use std::os::unix::fs::PermissionsExt as _;
    let dev = Dev::start();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&dev.ca_line("prod")])
        .account(&account, &["deploy"])
        .start();
    let alice = dev.person("alice");
    alice.login(&["prod", "--no-agent"]).succeeds();
    assert!(alice.agent.list().is_empty());
    let certificate = alice.certificate_file("prod");
    let key = certificate.with_file_name("prod");
    let mode = std::fs::metadata(&key)
        .expect("a key file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    Ssh::to(&sshd, account.name())
        .identity(&key)
        .run("true")
        .succeeds();
    run(alice.jit_ssh(&["done", "prod"])).succeeds();
    assert!(!key.exists(), "done left the key");
}

#[test]
fn the_file_recipe_of_the_manual_works_with_a_certificate_only_agent() {
    let dev = Dev::start();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&dev.ca_line("prod")])
        .account(&account, &["deploy"])
        .start();
    let alice = dev.person("alice");
    // Seven identities before ours: without the recipe the server would hang up first.
    for number in 0..7 {
        let name = format!("other{number}");
        let key = crate::support::keygen::generate(alice.home.path(), &name);
        alice.agent.add(&key.private);
    }
    alice.login(&["prod"]).succeeds();
    let session = Ssh::to(&sshd, account.name())
        .agent(alice.agent.socket())
        .first("IdentitiesOnly yes")
        .identity(&alice.certificate_file("prod"));
    session.run("true").succeeds();
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let bash = run(alice.jit_ssh(&["completions", "bash"]))
        .succeeds()
        .stdout;
    assert!(bash.contains("jit-ssh") && bash.contains("login"));
    let page = run(alice.jit_ssh(&["man"])).succeeds().stdout;
    assert!(page.contains(".TH jit-ssh"), "{page}");
}

/// `jit-ssh` of `person` without an agent.
fn without_agent(person: &Person, arguments: &[&str]) -> Finished {
    let mut client = person.jit_ssh(arguments);
    client.env_remove("SSH_AUTH_SOCK");
    run(client)
}

/// A sign-in of `guest` at the machine of `host`.
fn login_as(host: &Person, guest: &Person, environment: &str) -> Finished {
    let mut client = host.jit_ssh(&["login", environment, "--login-hint", &guest.name]);
    client.args(["--totp-command", &format!("echo {}", guest.code())]);
    run(client)
}

#[test]
fn a_revoked_certificate_whose_agent_was_away_is_never_offered_again() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    let done = without_agent(&alice, &["done", "staging"]).exits_with(7);
    for word in [
        "revoked at the CA",
        "could not be taken out of the agent",
        "done staging",
    ] {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
    assert!(!done.stdout.contains('\u{2713}'), "{}", done.stdout);
    // As long as the key is there, it is not done.
    without_agent(&alice, &["done"]).exits_with(7);
    let status = without_agent(&alice, &["status"]).succeeds();
    assert!(status.stderr.contains("SSH_AUTH_SOCK"), "{}", status.stderr);
    assert_eq!(alice.agent.list().len(), 1);
    run(alice.jit_ssh(&["status", "--check"])).exits_with(4);
    assert!(alice.agent.list().is_empty(), "the revoked key stayed");
    run(alice.jit_ssh(&["done"])).succeeds();
}

#[test]
fn a_locked_agent_does_not_pass_for_an_empty_one() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    alice.agent.lock("secret");
    let done = run(alice.jit_ssh(&["done", "staging"])).exits_with(7);
    assert!(done.stderr.contains("locked"), "{}", done.stderr);
}

#[test]
fn whoever_signs_in_after_alice_ends_her_session_and_gets_nothing_of_hers() {
    let dev = Dev::start();
    let (alice, bob) = (dev.person("alice"), dev.person("bob"));
    let granted = alice.login(&["prod", "--json"]).succeeds().stdout;
    let granted: serde_json::Value = serde_json::from_str(&granted).expect("JSON");
    let changed = login_as(&alice, &bob, "staging").succeeds();
    assert!(
        changed.stderr.contains("this ends alice's session"),
        "{}",
        changed.stderr
    );
    let kind = ["audit", "search", "--kind", "session-closed", "--json"];
    let records = dev.ca_server(&kind).succeeds().stdout;
    assert!(
        records.contains(&granted["serial"].to_string()),
        "{records}"
    );
    let status = run(alice.jit_ssh(&["status"])).succeeds().stdout;
    assert!(status.contains("WHO") && status.contains("bob"), "{status}");
    assert!(!status.contains("alice"), "{status}");
    run(alice.jit_ssh(&["done"])).succeeds();
}

#[test]
fn a_certificate_of_somebody_else_is_neither_handed_out_nor_called_given_back() {
    let dev = Dev::start();
    let (alice, bob) = (dev.person("alice"), dev.person("bob"));
    alice.login(&["prod"]).succeeds();
    // Her session is lost, so nobody here can end it.
    std::fs::remove_file(alice.session_file()).expect("the session");
    login_as(&alice, &bob, "staging").succeeds();
    let done = run(alice.jit_ssh(&["done"])).exits_with(4);
    assert!(
        done.stderr.contains("NOT revoked: it is alice's"),
        "{}",
        done.stderr
    );
    assert!(!done.stdout.contains("prod given back"), "{}", done.stdout);
    let prod = run(alice.jit_ssh(&["login", "prod", "--json"])).succeeds();
    assert!(prod.stdout.contains("bob@prod#"), "{}", prod.stdout);
}

#[test]
fn what_a_logout_without_the_ca_left_unrevoked_is_revoked_when_the_ca_is_back() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    dev.stop();
    let logout = run(alice.jit_ssh(&["logout"])).exits_with(6);
    assert!(
        logout.stderr.contains("jit-ssh done prod again"),
        "{}",
        logout.stderr
    );
    assert!(alice.agent.list().is_empty());
    run(alice.jit_ssh(&["done"])).exits_with(6);
    dev.start_again();
    let session = alice.session_file();
    let kept = std::fs::read(&session).expect("the session");
    std::fs::remove_file(&session).expect("the session");
    let owed = run(alice.jit_ssh(&["done"])).exits_with(4);
    assert!(owed.stderr.contains("sign in again"), "{}", owed.stderr);
    std::fs::write(&session, kept).expect("the session");
    let done = run(alice.jit_ssh(&["done", "prod"])).succeeds();
    assert!(done.stdout.contains("revoked serial"), "{}", done.stdout);
    run(alice.jit_ssh(&["logout"])).succeeds();
}

#[test]
fn doctor_asks_the_provider_and_tries_whether_anything_can_be_kept() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    let well = run(alice.jit_ssh(&["doctor"])).succeeds().stdout;
    assert!(well.contains("provider"), "{well}");
    assert!(well.contains("can be written"), "{well}");
    let mut nowhere = alice.jit_ssh(&["doctor"]);
    nowhere.env("XDG_STATE_HOME", "/proc/nowhere");
    let said = run(nowhere).exits_with(1).stdout;
    assert!(said.contains("FAIL  state"), "{said}");
    dev.stop();
    let said = run(alice.jit_ssh(&["doctor"])).exits_with(1).stdout;
    assert!(said.contains("FAIL  provider"), "{said}");
    assert!(!said.contains("jit-ssh doctor"), "{said}");
}

#[test]
fn a_file_that_is_no_certificate_and_an_unknown_environment_are_named() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    let file = alice.home.path().join("letter.txt");
    std::fs::write(&file, "dear CA").expect("a file");
    let mut setup = alice.jit_ssh(&["setup", &dev.text("/ca_url"), "--ca-certificate"]);
    setup.arg(&file);
    let refused = run(setup).exits_with(2);
    assert!(
        refused
            .stderr
            .contains("letter.txt is not a PEM certificate"),
        "{}",
        refused.stderr
    );
    for verb in ["status", "done"] {
        let unknown = run(alice.jit_ssh(&[verb, "nosuch"])).exits_with(2);
        assert!(unknown.stderr.contains("staging"), "{}", unknown.stderr);
    }
}

#[test]
fn without_a_terminal_ensure_says_one_line_that_names_the_way_out() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    run(alice.jit_ssh(&["status"])).succeeds();
    let ensured = run(alice.jit_ssh(&["ensure", "prod", "--no-prompt"])).exits_with(4);
    assert_eq!(
        ensured.stderr.trim(),
        "jit-ssh: no certificate for prod; run: jit-ssh login prod"
    );
}
