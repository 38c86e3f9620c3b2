//! The main job, from sign-in to a shell, with everybody's own agent and a stock sshd.

use crate::support::dev::{Dev, Person};
use crate::support::keygen;
use crate::support::run::run;
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;

/// An sshd that trusts the CA of `environment`, with one account where `deploy` may log in.
fn host_of(dev: &Dev, environment: &str) -> (Sshd, UnixAccount) {
    let account = UnixAccount::create();
    let setup = Sshd::trusting(&[&dev.ca_line(environment)]);
    (setup.account(&account, &["deploy"]).start(), account)
}

fn ssh(sshd: &Sshd, account: &UnixAccount, person: &Person, remote: &str) -> (bool, String) {
    let session = Ssh::to(sshd, account.name()).agent(person.agent.socket());
    let finished = session.run(remote);
    (finished.succeeded(), finished.stdout)
}

#[test]
fn alice_logs_in_and_plain_ssh_runs_a_command_on_a_stock_sshd() {
    let dev = Dev::start();
    let (mut sshd, account) = host_of(&dev, "prod");
    let alice = dev.person("alice");
    let login = alice.login(&["prod", "--json"]).succeeds();
    let granted: serde_json::Value = serde_json::from_str(&login.stdout).expect("one document");
    let (let_in, said) = ssh(&sshd, &account, &alice, "echo inside");
    assert!(let_in && said.contains("inside"), "{}", sshd.log());

    let held = alice.agent.list();
    assert_eq!(
        held.len(),
        1,
        "only the certificate is in the agent: {held:?}"
    );
    let shown = keygen::describe_line(&held[0]);
    assert!(
        shown.algorithm.contains("ED25519-CERT") || shown.kind.contains("user"),
        "{shown:?}"
    );
    assert_eq!(shown.principals, ["deploy"]);
    assert_eq!(shown.extensions, ["permit-pty"]);
    assert!(shown.critical_options.is_empty());
    assert_eq!(Some(shown.serial), granted["serial"].as_u64());
    assert_eq!(shown.key_id, format!("alice@prod#{}", shown.serial));
    assert_eq!(granted["key_id"], shown.key_id);
    assert_eq!(granted["environment"], "prod");
    assert_eq!(granted["principals"], serde_json::json!(["deploy"]));
    let (after, before) = (shown.valid_after.unwrap(), shown.valid_before.unwrap());
    assert_eq!(
        before - after,
        3600 + 60,
        "one hour, back-dated by a minute"
    );
    // sshd's own line leads to the record.
    let line = sshd.wait_for_log("Accepted publickey");
    assert!(
        line.contains(&format!("(serial {})", shown.serial)),
        "{line}"
    );
}

#[test]
fn a_staging_certificate_is_worthless_in_prod() {
    let dev = Dev::start();
    let (sshd, account) = host_of(&dev, "prod");
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    assert!(!ssh(&sshd, &account, &alice, "true").0, "{}", sshd.log());
    alice.login(&["prod"]).succeeds();
    assert!(ssh(&sshd, &account, &alice, "true").0, "{}", sshd.log());
}

#[test]
fn a_certificate_opens_no_other_account_and_forwards_nothing() {
    let dev = Dev::start();
    let (sshd, account) = host_of(&dev, "prod");
    let other = UnixAccount::create();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    assert!(
        !ssh(&sshd, &other, &alice, "true").0,
        "no principals, yet it opened"
    );
    let session = Ssh::to(&sshd, account.name()).agent(alice.agent.socket());
    let target = format!("127.0.0.1:{}", sshd.port());
    let forwarded = session.run_with(&["-W", &target], "127.0.0.1", "");
    assert!(
        !forwarded.succeeded(),
        "a port was forwarded: {}",
        forwarded.stdout
    );
    let agent = session.run_with(&["-A"], "127.0.0.1", "test -z \"$SSH_AUTH_SOCK\"");
    assert!(agent.succeeded(), "the agent was forwarded");
}

#[test]
fn a_second_login_asks_nobody_and_makes_no_second_certificate() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let first = alice.login(&["prod", "--json"]).succeeds().stdout;
    let again = run(alice.jit_ssh(&["login", "prod", "--json"])).succeeds();
    let serial = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).expect("JSON")["serial"].clone()
    };
    assert_eq!(serial(&first), serial(&again.stdout));
    assert_eq!(alice.agent.list().len(), 1);
    // Another environment: the session is open, so neither browser nor code.
    run(alice.jit_ssh(&["login", "staging"])).succeeds();
    assert_eq!(alice.agent.list().len(), 2);
}

#[test]
fn a_denial_names_policy_reason_and_the_nearest_thing_allowed() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let long = alice.login(&["prod", "--for", "2h"]).exits_with(3);
    assert!(
        long.stderr.contains("prod-deploy-for-engineering") || long.stderr.contains("no policy"),
        "{}",
        long.stderr
    );
    assert!(
        long.stderr.contains("jit-ssh login prod --for 1h"),
        "{}",
        long.stderr
    );
    assert!(
        alice.agent.list().is_empty(),
        "a denied request left something in the agent"
    );
}

#[test]
fn wishes_that_make_no_sense_are_answered_with_what_is_allowed() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["staging"]).succeeds();
    for (arguments, exit, word) in [
        (["login", "prod", "--as", "a,root"].as_slice(), 2, "','"),
        (&["login", "prod", "--as", "ro ot"], 2, "' '"),
        (&["login", "prod", "--as", "*"], 2, "'*'"),
        (&["login", "prod", "--as", "../etc"], 2, "'.'"),
        (&["login", "prod", "--as", "Root"], 2, "'R'"),
        (&["login", "prod", "--as", "ro\u{43e}t"], 2, "[a-z_]"),
        (&["login", "prod", "--as", ""], 2, "empty"),
        (&["login", "prod", "--for", "0"], 2, "--for"),
        (&["login", "prod", "--for", "-1h"], 2, "--for"),
        (&["login", "prod", "--for", "soon"], 2, "--for"),
        (
            &["login", "prod", "--for", "99999999999999999999h"],
            2,
            "--for",
        ),
        (&["login", "prod", "--for", "9h"], 2, "prod allows"),
        (&["login", "mars"], 2, "mars"),
    ] {
        let refused = run(alice.jit_ssh(arguments)).exits_with(exit);
        assert!(
            refused.stderr.contains(word),
            "{arguments:?}: {}",
            refused.stderr
        );
    }
    assert_eq!(alice.agent.list().len(), 1);
}

#[test]
fn a_wrong_a_malformed_and_a_used_code_get_one_answer() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let mut faces = Vec::new();
    for code in ["000000", "123456"] {
        faces.push(alice.login_with_code(code, &["prod"]).exits_with(4).stderr);
    }
    alice.login(&["staging"]).succeeds();
    let used = alice.used_code();
    let replayed = alice
        .login_with_code(&used, &["prod", "--fresh"])
        .exits_with(4);
    faces.push(replayed.stderr);
    let errors: Vec<&str> = faces
        .iter()
        .map(|face| {
            face.lines()
                .find(|line| line.starts_with("error:"))
                .expect("an error")
        })
        .collect();
    assert!(errors.iter().all(|error| error == &errors[0]), "{errors:?}");
    // The reasons are in the records only.
    let records = dev
        .ca_server(&["audit", "search", "--kind", "refused", "--json"])
        .succeeds();
    assert!(records.stdout.contains("totp-wrong"), "{}", records.stdout);
    assert!(
        records.stdout.contains("totp-replayed"),
        "{}",
        records.stdout
    );
}

#[test]
fn a_code_in_another_shape_never_leaves_the_client() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    for code in ["12345", "1234567", "12 345", "\u{ff11}23456", ""] {
        let refused = alice.login_with_code(code, &["prod"]);
        assert_eq!(refused.code, Some(4), "{code:?}: {}", refused.stderr);
    }
}

#[test]
fn six_wrong_codes_lock_out_even_the_right_one_and_say_for_how_long() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    for _ in 0..6 {
        alice.login_with_code("000000", &["prod"]).exits_with(4);
    }
    let locked = alice.login(&["prod"]).exits_with(4);
    assert!(locked.stderr.contains("wait"), "{}", locked.stderr);
    // Others are not disturbed.
    dev.person("bob").login(&["staging"]).succeeds();
}

#[test]
fn done_takes_the_key_from_the_agent_and_revokes_at_the_ca() {
    let dev = Dev::start();
    let account = UnixAccount::create();
    let setup = Sshd::trusting(&[&dev.ca_line("prod")]).account(&account, &["deploy"]);
    let sshd = setup.with_revocation_list(&[]).start();
    let alice = dev.person("alice");
    let login = alice.login(&["prod", "--json"]).succeeds();
    let granted: serde_json::Value = serde_json::from_str(&login.stdout).expect("JSON");
    let certificate = std::fs::read(alice.certificate_file("prod")).expect("the certificate");
    run(alice.jit_ssh(&["done", "prod"])).succeeds();
    assert!(alice.agent.list().is_empty());
    assert!(!ssh(&sshd, &account, &alice, "true").0);
    let kind = [
        "audit",
        "search",
        "--kind",
        "certificates-revoked",
        "--json",
    ];
    let records = dev.ca_server(&kind).succeeds();
    assert!(
        records.stdout.contains(&granted["serial"].to_string()),
        "{}",
        records.stdout
    );
    assert!(!certificate.is_empty());
    // Nothing is left to give back, and that is no error.
    run(alice.jit_ssh(&["done", "prod"])).succeeds();
}

#[test]
fn logout_ends_the_session_and_gives_everything_back() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    run(alice.jit_ssh(&["login", "staging"])).succeeds();
    run(alice.jit_ssh(&["logout"])).succeeds();
    assert!(alice.agent.list().is_empty());
    let status = run(alice.jit_ssh(&["status", "--check"]));
    assert_eq!(status.code, Some(4), "{}", status.stdout);
}

#[test]
fn what_others_keep_in_the_agent_is_never_touched() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    let own = keygen::generate(alice.home.path(), "own");
    alice.agent.add(&own.private);
    alice.login(&["prod"]).succeeds();
    alice.login(&["prod", "--fresh"]).succeeds();
    assert_eq!(
        alice.agent.list().len(),
        2,
        "the old certificate was replaced"
    );
    run(alice.jit_ssh(&["logout"])).succeeds();
    let left = alice.agent.list();
    assert_eq!(left.len(), 1);
    assert!(left[0].contains(own.public_line().split(' ').nth(1).expect("a key")));
}

#[test]
fn without_an_agent_or_with_a_locked_one_nothing_is_issued() {
    let dev = Dev::start();
    let alice = dev.person("alice");
    alice.agent.lock("secret");
    let code = alice.code();
    let arguments = ["prod", "--login-hint", "alice", "--totp-command"];
    let locked = alice.login_with_code(&code, &["prod"]).exits_with(7);
    assert!(locked.stderr.contains("hint:"), "{}", locked.stderr);
    let mut client = alice.jit_ssh(&["login"]);
    client
        .args(arguments)
        .arg(format!("echo {code}"))
        .env_remove("SSH_AUTH_SOCK");
    let absent = run(client).exits_with(7);
    assert!(absent.stderr.contains("SSH_AUTH_SOCK"), "{}", absent.stderr);
    let kind = ["audit", "search", "--kind", "certificate-issued", "--json"];
    let records = dev.ca_server(&kind).succeeds().stdout;
    assert!(!records.contains("certificate-issued"), "{records}");
}

#[test]
fn plain_ssh_logs_in_by_itself_through_the_included_block_and_falls_through_without_the_ca() {
    let mut dev = Dev::start();
    let (sshd, account) = host_of(&dev, "prod");
    let alice = dev.person("alice");
    let url = dev.text("/ca_url");
    let root = dev.text("/ca_certificate");
    let mut setup = alice.jit_ssh(&["setup", &url, "--ca-certificate", &root]);
    setup.arg("--write-ssh-config");
    run(setup).succeeds();
    // The session is open, but there is no certificate for prod.
    alice.login(&["staging"]).succeeds();
    let config = alice.home.path().join(".ssh/config");
    let include = std::fs::read_to_string(&config).expect("~/.ssh/config");
    let include = include
        .lines()
        .find(|line| line.starts_with("Include"))
        .expect("an Include");
    let reach = |person: &Person| {
        let session = Ssh::to(&sshd, account.name())
            .first(include)
            .agent(person.agent.socket())
            .env("HOME", &person.home.path().to_string_lossy())
            .env("SSH_AUTH_SOCK", &person.agent.socket().to_string_lossy())
            .env(
                "PATH",
                &crate::support::dev::path_with_programs().to_string_lossy(),
            );
        session.run_with(
            &["-o", "HostName=127.0.0.1", "-l", account.name()],
            "web1.prod.example.com",
            "echo inside",
        )
    };
    let first = reach(&alice);
    assert!(first.succeeded(), "{}\n{}", first.stderr, sshd.log());
    assert_eq!(
        alice.agent.list().len(),
        2,
        "ssh itself got the certificate for prod"
    );
    run(alice.jit_ssh(&["done", "prod"])).succeeds();
    dev.stop();
    let begun = std::time::Instant::now();
    let without = reach(&alice);
    assert!(!without.succeeded());
    assert!(
        begun.elapsed().as_secs() < 10,
        "ssh was held up by an absent CA"
    );
    assert!(
        without.stderr.contains("Permission denied"),
        "{}",
        without.stderr
    );
}
