//! sshd lets in who it should, and nobody else.

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::keygen::{self, KeyFiles, Wanted};
use crate::support::run::Finished;
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;

/// A CA, a key and an account; `log_in` starts an sshd and tries.
struct Scene {
    dir: TempDir,
    ca: KeyFiles,
    key: KeyFiles,
    account: UnixAccount,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = keygen::generate(dir.path(), "ca");
        let key = keygen::generate(dir.path(), "key");
        Self {
            dir,
            ca,
            key,
            account: UnixAccount::create(),
        }
    }

    fn log_in(&self, sshd: &Sshd) -> Finished {
        Ssh::to(sshd, self.account.name())
            .identity(&self.key.private)
            .run("id -un; tty")
    }

    fn wanted<'a>(&'a self, principals: &'a [&'a str]) -> Wanted<'a> {
        Wanted {
            principals,
            key_id: "alice@prod#7",
            serial: 7,
            ..Wanted::default()
        }
    }
}

/// Signs as wanted, logs in where the account accepts `deploy`: the exit code and sshd's log.
fn judged(change: impl FnOnce(&mut Wanted<'_>)) -> (Option<i32>, String) {
    let scene = Scene::new();
    let mut wanted = scene.wanted(&["deploy"]);
    change(&mut wanted);
    keygen::sign(&scene.ca, &scene.key, &wanted);
    let sshd = Sshd::trusting(&[&scene.ca.public_line()])
        .account(&scene.account, &["deploy"])
        .start();
    // From the agent: of a file, ssh itself would not offer a host certificate.
    let agent = Agent::start();
    agent.add(&scene.key.private);
    let ssh = Ssh::to(&sshd, scene.account.name()).agent(agent.socket());
    (ssh.run("true").code, sshd.log())
}

#[track_caller]
fn refused_because(reason: &str, change: impl FnOnce(&mut Wanted<'_>)) {
    let (code, log) = judged(change);
    assert_eq!(code, Some(255), "{log}");
    assert!(log.contains(reason), "{log}");
}

#[test]
fn a_certificate_of_the_trusted_ca_opens_the_account_and_is_logged_with_its_serial() {
    let scene = Scene::new();
    keygen::sign(&scene.ca, &scene.key, &scene.wanted(&["deploy"]));
    let mut sshd = Sshd::trusting(&[&scene.ca.public_line()])
        .account(&scene.account, &["root", "deploy"])
        .start();
    let finished = scene.log_in(&sshd).exits_with(1);
    assert_eq!(
        finished.stdout,
        format!("{}\nnot a tty\n", scene.account.name())
    );
    let line = sshd.wait_for_log("Accepted publickey for");
    assert!(line.contains("ID alice@prod#7 (serial 7)"), "{line}");
}

#[test]
fn a_certificate_in_the_agent_is_enough() {
    let scene = Scene::new();
    keygen::sign(
        &scene.ca,
        &scene.key,
        &scene.wanted(&[scene.account.name()]),
    );
    let sshd = Sshd::trusting(&[&scene.ca.public_line()]).start();
    let agent = Agent::start();
    agent.add(&scene.key.private);
    Ssh::to(&sshd, scene.account.name())
        .agent(agent.socket())
        .run("true")
        .succeeds();
}

#[test]
fn a_plain_key_without_certificate_is_refused() {
    let scene = Scene::new();
    let sshd = Sshd::trusting(&[&scene.ca.public_line()]).start();
    scene.log_in(&sshd).exits_with(255);
}

#[test]
fn a_certificate_of_another_ca_is_refused() {
    let scene = Scene::new();
    let other = keygen::generate(scene.dir.path(), "other-ca");
    keygen::sign(&other, &scene.key, &scene.wanted(&[scene.account.name()]));
    let sshd = Sshd::trusting(&[&scene.ca.public_line()]).start();
    scene.log_in(&sshd).exits_with(255);
    // The same sshd that trusts both lets it in: nothing but the CA was wrong.
    let sshd = Sshd::trusting(&[&scene.ca.public_line(), &other.public_line()]).start();
    scene.log_in(&sshd).exits_with(1);
}

#[test]
fn the_scene_of_the_refusals_below_lets_an_unchanged_certificate_in() {
    let (code, log) = judged(|_| {});
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn another_principal_is_refused() {
    refused_because("does not contain an authorized principal", |w| {
        w.principals = &["root"]
    });
}

#[test]
fn an_expired_certificate_is_refused() {
    refused_because("Certificate invalid: expired", |w| w.validity = "-2h:-1h");
}

#[test]
fn a_certificate_that_is_not_yet_valid_is_refused() {
    refused_because("Certificate invalid: not yet valid", |w| {
        w.validity = "+1h:+2h"
    });
}

#[test]
fn a_host_certificate_is_refused() {
    refused_because("not a user certificate", |w| w.host = true);
}

#[test]
fn an_unknown_critical_option_is_refused() {
    let options = &["critical:unknown@example.com=x"];
    refused_because("is not supported", |w| w.options = options);
}

#[test]
fn a_wrong_source_address_is_refused() {
    let reason = "not from a permitted source address";
    refused_because(reason, |w| w.options = &["source-address=192.0.2.0/24"]);
}

#[test]
fn a_revoked_serial_is_refused_from_the_moment_the_list_is_replaced() {
    let scene = Scene::new();
    keygen::sign(
        &scene.ca,
        &scene.key,
        &scene.wanted(&[scene.account.name()]),
    );
    let krl = |specification: &str| {
        let file = scene.dir.path().join("krl");
        keygen::write_krl(&file, &scene.ca, specification);
        std::fs::read(file).unwrap()
    };
    let mut sshd = Sshd::trusting(&[&scene.ca.public_line()])
        .with_revocation_list(&krl("serial: 8\n"))
        .start();
    scene.log_in(&sshd).exits_with(1);
    sshd.replace_revocation_list(&krl("serial: 7-8\n"));
    scene.log_in(&sshd).exits_with(255);
    sshd.wait_for_log("revoked");
}

#[test]
fn an_unknown_host_key_is_refused_by_the_client() {
    let scene = Scene::new();
    keygen::sign(
        &scene.ca,
        &scene.key,
        &scene.wanted(&[scene.account.name()]),
    );
    let [sshd, other] = [0; 2].map(|_| Sshd::trusting(&[&scene.ca.public_line()]).start());
    let to_other = Ssh::to(&sshd, scene.account.name())
        .identity(&scene.key.private)
        .first(&format!("Port {}", other.port()))
        .run("true")
        .exits_with(255);
    assert!(
        to_other.stderr.contains("Host key verification failed"),
        "{}",
        to_other.stderr
    );
}

#[test]
fn settings_of_the_test_win_over_the_defaults() {
    let scene = Scene::new();
    keygen::sign(
        &scene.ca,
        &scene.key,
        &scene.wanted(&[scene.account.name()]),
    );
    let sshd = Sshd::trusting(&[&scene.ca.public_line()])
        .setting("ForceCommand echo forced")
        .start();
    assert_eq!(scene.log_in(&sshd).succeeds().stdout, "forced\n");
}
