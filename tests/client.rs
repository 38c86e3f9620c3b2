//! `jit-ssh` at a person's own machine: what goes wrong there is said, and nothing is half-written.

use crate::support::agent::{Agent, Confirmation};
use crate::support::dev::Dev;
use crate::support::pty::Terminal;
use crate::support::run::run;
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
