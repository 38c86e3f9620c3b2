//! ssh-agent keeps, forgets, asks and locks.

use std::time::Duration;

use crate::support::agent::{Agent, Confirmation};
use crate::support::keygen::{self, Wanted};
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;
use crate::support::wait;

#[test]
fn an_added_key_and_its_certificate_are_listed_until_removed() {
    let dir = tempfile::tempdir().unwrap();
    let ca = keygen::generate(dir.path(), "ca");
    let key = keygen::generate(dir.path(), "key");
    keygen::sign(
        &ca,
        &key,
        &Wanted {
            principals: &["x"],
            ..Wanted::default()
        },
    );
    let agent = Agent::start();
    assert_eq!(agent.list(), Vec::<String>::new());
    agent.add(&key.private);
    let listed = agent.list();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0], key.public_line());
    assert!(
        listed[1].starts_with("ssh-ed25519-cert-v01@openssh.com "),
        "{listed:?}"
    );
    agent.ssh_add(&["-D"]).succeeds();
    assert_eq!(agent.list(), Vec::<String>::new());
}

#[test]
fn a_key_with_a_lifetime_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let key = keygen::generate(dir.path(), "key");
    let agent = Agent::start();
    agent
        .ssh_add(&["-q", "-t", "1", key.private.to_str().unwrap()])
        .succeeds();
    wait::until("the key to be forgotten", Duration::from_secs(10), || {
        agent.list().is_empty().then_some(())
    });
}

#[test]
fn a_locked_agent_lists_nothing_and_adds_nothing_until_it_is_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let [key, other] = ["key", "other"].map(|name| keygen::generate(dir.path(), name));
    let agent = Agent::start();
    agent.add(&key.private);
    agent.lock("open sesame");
    assert_eq!(agent.list(), Vec::<String>::new());
    assert!(
        !agent
            .ssh_add(&[other.private.to_str().unwrap()])
            .succeeded()
    );
    agent.unlock("open sesame");
    assert_eq!(agent.list(), [key.public_line()]);
}

#[test]
fn a_key_added_with_confirm_is_used_only_if_the_person_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let ca = keygen::generate(dir.path(), "ca");
    let key = keygen::generate(dir.path(), "key");
    let account = UnixAccount::create();
    keygen::sign(
        &ca,
        &key,
        &Wanted {
            principals: &[account.name()],
            ..Wanted::default()
        },
    );
    let sshd = Sshd::trusting(&[&ca.public_line()]).start();
    let log_in_when = |answer| {
        let agent = Agent::start_confirming(answer);
        agent
            .ssh_add(&["-q", "-c", key.private.to_str().unwrap()])
            .succeeds();
        Ssh::to(&sshd, account.name())
            .agent(agent.socket())
            .run("true")
            .code
    };
    assert_eq!(log_in_when(Confirmation::Agree), Some(0));
    assert_eq!(log_in_when(Confirmation::Refuse), Some(255));
}

#[test]
fn a_stopped_agent_no_longer_answers() {
    let mut agent = Agent::start();
    agent.stop();
    assert_eq!(agent.ssh_add(&["-L"]).code, Some(2));
}
