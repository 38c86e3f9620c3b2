//! What a stock sshd makes of a certificate of the sealed key.

use std::time::Duration;

use super::ceremony::{Ceremony, REASON, Signed};
use crate::support::clock::unix_now;
use crate::support::keygen;
use crate::support::run::Finished;
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;
use crate::support::wait;

/// Logs in to `account` with what was signed.
fn attempt(ceremony: &Ceremony, signed: &Signed, sshd: &Sshd, account: &UnixAccount) -> Finished {
    Ssh::to(sshd, account.name())
        .identity(&ceremony.user().private)
        .certificate(&signed.certificate)
        .run("echo inside")
}

fn ca_line(ceremony: &Ceremony, environment: &str) -> String {
    let file = ceremony.ca().join(format!("keys/{environment}.pub"));
    std::fs::read_to_string(file)
        .expect("a key")
        .trim()
        .to_owned()
}

#[test]
fn two_of_four_holders_open_the_door_of_a_host_that_trusts_both_keys_and_no_other_door() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let signed = ceremony.sign(&[]);
    let (account, other) = (UnixAccount::create(), UnixAccount::create());
    let both = [ca_line(&ceremony, "prod"), ceremony.public_line()];
    let sshd = Sshd::trusting(&[&both[0], &both[1]])
        .account(&account, &["deploy"])
        .account(&other, &["root"])
        .start();
    let entered = attempt(&ceremony, &signed, &sshd, &account);
    assert!(entered.stdout.contains("inside"), "{}", sshd.log());
    assert!(sshd.log().contains("+break-glass"), "{}", sshd.log());
    let refused = attempt(&ceremony, &signed, &sshd, &other);
    assert!(!refused.succeeded(), "another principal's account opened");
    // A host of prod before the key was given to it, and one of staging.
    for environment in ["prod", "staging"] {
        let stranger = Sshd::trusting(&[&ca_line(&ceremony, environment)])
            .account(&account, &["deploy"])
            .start();
        let refused = attempt(&ceremony, &signed, &stranger, &account);
        assert!(!refused.succeeded(), "{environment} opened");
    }
    let brief = ceremony.sign(&["--for", "1s"]);
    wait::until("the end of a second", Duration::from_secs(10), || {
        let end = brief.json()["record"]["valid_before"].as_u64();
        (unix_now() > end.expect("an end")).then_some(())
    });
    let expired = attempt(&ceremony, &brief, &sshd, &account);
    assert!(!expired.succeeded() && sshd.log().contains("expired"));
}

#[test]
fn the_certificate_is_as_narrow_as_it_says_and_loud() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let signed = ceremony.sign(&["--as", "web", "--as", "db"]);
    let seen = keygen::describe(&signed.certificate);
    assert_eq!(seen.principals, ["web", "db"]);
    assert_eq!(seen.extensions, ["permit-pty"]);
    assert!(seen.critical_options.is_empty());
    assert_eq!(seen.serial >> 40, (1 << 23) - 1);
    assert_eq!(
        seen.key_id,
        format!("alice@prod#{}+break-glass", seen.serial)
    );
    let window = seen.valid_before.expect("an end") - seen.valid_after.expect("a start");
    assert_eq!(window, 30 * 60 + 60);
    let record = signed.json();
    assert_eq!(record["record"]["reason"], REASON);
    assert_eq!(
        record["record"]["holders"],
        serde_json::json!(["alice", "carol"])
    );
    let loud = &signed.finished.stderr;
    assert!(
        loud.contains("*** BREAK-GLASS") && loud.contains(REASON),
        "{loud}"
    );
    assert!(loud.contains("break-glass import"), "{loud}");
}

#[test]
fn the_lines_for_a_host_hold_the_sealed_key_as_soon_as_there_is_one() {
    let ceremony = Ceremony::new();
    let lines = || ceremony.at_ca(&["sshd-config", "prod"]).succeeds().stdout;
    assert!(!lines().contains("break-glass CA prod"));
    ceremony.seal();
    assert!(lines().contains(&ceremony.public_line()), "{}", lines());
    let json = ceremony
        .at_ca(&["sshd-config", "prod", "--json"])
        .succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let key = json["break_glass_public_key"].as_str().expect("a key");
    assert!(ceremony.public_line().starts_with(key));
    assert!(
        !ceremony
            .at_ca(&["sshd-config", "staging"])
            .succeeds()
            .stdout
            .contains("break-glass CA")
    );
}
