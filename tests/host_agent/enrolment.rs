//! Joining: what is written, what is refused, and the host certificate afterwards.

use std::os::unix::fs::PermissionsExt;

use super::enrolled::Host;
use crate::support::clock::unix_now;
use crate::support::keygen;
use crate::support::ssh::Ssh;
use crate::support::wait;

#[test]
fn an_enrolled_host_is_found_right_by_its_own_check_but_for_what_the_test_replaces() {
    let host = Host::start(|_| {});
    let mode = |name: &str| {
        let path = host.state().join(name);
        std::fs::metadata(path).expect(name).permissions().mode() & 0o777
    };
    assert_eq!(mode("credential"), 0o600);
    assert_eq!(mode("revoked_keys"), 0o600);
    assert_eq!(mode("user_ca_keys"), 0o644);
    wait::until("a contact", wait::START_MAX, || {
        let check = host.run(&["check"]);
        let failed = check.stdout.lines().filter(|line| line.starts_with("FAIL"));
        // Its sshd has a PAM file that only it sees.
        let failed: Vec<&str> = failed.filter(|line| !line.contains("PAM calls")).collect();
        failed.is_empty().then_some(())
    });
    let key = host.certificate(990, unix_now() + 3600);
    assert!(host.lets_in(&key));
    let other = keygen::generate(&host.state(), "other-ca");
    assert!(!host.lets_in(&host.certificate_of(&other, 991, unix_now() + 3600)));
}

#[test]
fn an_enrolment_is_not_overwritten_unless_asked() {
    let host = Host::new(|_| {});
    let said = host.enrol(&[]).succeeds().stdout;
    for text in [
        "host 7 of prod",
        "pam_exec.so quiet",
        "systemctl enable",
        "sshd -t",
    ] {
        assert!(said.contains(text), "{said}");
    }
    let again = host.enrol(&[]).exits_with(7);
    assert!(
        again.stderr.contains("enrolled already"),
        "{}",
        again.stderr
    );
    host.enrol(&["--replace"]).succeeds();
}

#[test]
fn each_obstacle_to_enrolment_has_its_own_words_and_leaves_the_host_as_it_was() {
    let host = Host::new(|_| {});
    let tls = host.authority.tls_file();
    let url = host.authority.url();
    let token = host.enrol_with(&url, &tls, "another-token", &[]);
    assert!(token.clone().exits_with(4).stderr.contains("good once"));
    let away = host.enrol_with("https://127.0.0.1:9", &tls, "x", &[]);
    assert!(away.exits_with(6).stderr.contains("cannot be reached"));
    let other = super::stand_in::StandIn::start();
    let wrong = host.enrol_with(&url, &other.tls_file(), "x", &[]);
    let wrong = wrong.exits_with(1).stderr;
    assert!(wrong.contains("TLS certificate is not trusted"), "{wrong}");
    let plain = host.enrol_with(&url.replace("https", "http"), &tls, "x", &[]);
    assert!(plain.exits_with(2).stderr.contains("not an https"));
    let empty = host.enrol_with(&url, &tls, "", &[]);
    assert!(empty.exits_with(7).stderr.contains("no token"));
    let key = host.enrol(&["--host-key", "/nonexistent"]);
    assert!(!key.succeeded());
    assert!(!host.state().join("host.toml").exists());
    assert!(
        !host
            .sshd
            .dir()
            .join("sshd_config.d/10-jit-ssh.conf")
            .exists()
    );
    host.run(&["status"]).exits_with(7);
}

#[test]
fn the_host_certificate_spares_the_question_and_is_renewed_in_time() {
    let host = Host::new(|_| {});
    host.authority.change(|state| state.certificate_seconds = 8);
    host.enrol(&[]).succeeds();
    let mut host = host;
    host.sshd.reload();
    host.start_daemon();
    let key = host.certificate(995, unix_now() + 3600);
    let folder = tempfile::tempdir().expect("a folder");
    let known = folder.path().join("known_hosts");
    let line = format!(
        "@cert-authority * {}\n",
        host.authority.host_ca.public_line()
    );
    std::fs::write(&known, line).expect("a file");
    let ssh = Ssh::to(&host.sshd, host.account.name())
        .identity(&key.private)
        .first("HostKeyAlias web1.example.com")
        .first(&format!("UserKnownHostsFile {}", known.display()));
    ssh.run("true").succeeds();
    let first = host.authority.change(|state| state.certificates);
    wait::until("a renewal", wait::START_MAX, || {
        let file = host.state().join("host_key-cert.pub");
        (keygen::describe(&file).serial > first).then_some(())
    });
    ssh.run("true").succeeds();
}
