//! The authority dies while people wait, and right after it took something away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::asking::{Waiting, records, signed_in, signing_in};
use crate::support::dev::{Dev, Person};
use crate::support::http::Client;
use crate::support::keygen;

#[test]
fn a_ca_that_dies_loses_neither_the_request_nor_the_approval_nor_the_one_who_waits() {
    let mut dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    let (mut waiting, id) = Waiting::for_root(&alice);
    dev.kill();
    waiting.says("still trying");
    dev.start_again();
    let id = id.to_string();
    signing_in(&carol, &["approve", &id, "--yes"]).succeeds();
    let (code, said) = waiting.ends();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(alice.agent.list().len(), 1);
    signed_in(&alice, &["done", "prod"]).succeeds();

    // Dies between the yes and its use.
    let (waiting, id) = Waiting::for_root(&alice);
    waiting.interrupt();
    assert_eq!(waiting.ends().0, Some(5));
    signed_in(&carol, &["approve", &id.to_string(), "--yes"]).succeeds();
    dev.kill();
    dev.start_again();
    signed_in(&alice, &["login", "prod"]).succeeds();
    assert_eq!(records(&dev, "request-approved").len(), 2);
    dev.stop();
    dev.ca_server(&["audit", "verify"]).succeeds();
}

/// A certificate for staging in a file, and its serial.
fn certificate(alice: &Person) -> (std::path::PathBuf, String) {
    let login = signed_in(alice, &["login", "staging", "--json"]).succeeds();
    let granted: serde_json::Value = serde_json::from_str(&login.stdout).expect("JSON");
    let copy = alice
        .home
        .path()
        .join(format!("{}-cert.pub", granted["serial"]));
    std::fs::copy(alice.certificate_file("staging"), &copy).expect("a copy");
    (copy, granted["serial"].to_string())
}

#[test]
fn killed_right_after_a_revocation_the_ca_still_has_it_in_the_list() {
    let mut dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    signing_in(&alice, &["login", "staging"]).succeeds();
    signing_in(&carol, &["reviews"]).succeeds();
    let krl = alice.home.path().join("krl");
    let mut revoked = Vec::new();
    for _ in 0..4 {
        alice.agent.ssh_add(&["-D"]);
        let (file, serial) = certificate(&alice);
        signed_in(
            &carol,
            &[
                "revoke", "--serial", &serial, "--reason", "a drill", "--yes",
            ],
        )
        .succeeds();
        dev.kill();
        dev.start_again();
        revoked.push(file);
        let root = dev.text("/ca_certificate");
        let client = Client::new(Some(root.as_ref()));
        let url = format!("{}/v1/environments/staging/krl", dev.text("/ca_url"));
        let list = client.get(&url).has_status(200).json();
        let bytes = STANDARD
            .decode(list["krl"].as_str().expect("a list"))
            .expect("base64");
        std::fs::write(&krl, bytes).expect("a file");
        for file in &revoked {
            assert!(
                keygen::is_revoked(&krl, file),
                "{} came back",
                file.display()
            );
        }
    }
    alice.agent.ssh_add(&["-D"]);
    let (file, _) = certificate(&alice);
    assert!(!keygen::is_revoked(&krl, &file));
}
