//! Reading the evidence: through the API for people whom policy lets, and offline for anybody.

use crate::support::dev::{Dev, Person};
use crate::support::programs::{command, program};
use crate::support::run::{Finished, run};

/// `ca-server audit …` through the API with this person's session.
fn audit(dev: &Dev, person: &Person, arguments: &[&str]) -> Finished {
    let mut auditor = command(&program("ca-server"), person.home.path());
    auditor.arg("audit").args(arguments);
    auditor.args(["--url", &dev.text("/ca_url")]);
    auditor.args(["--ca-certificate", &dev.text("/ca_certificate")]);
    auditor.arg("--session-file").arg(person.session_file());
    run(auditor)
}

#[test]
fn who_policy_lets_reads_the_records_through_the_api_and_that_is_recorded_too() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    alice.login(&["prod"]).succeeds();
    let carols = carol.login(&["staging"]);
    assert!(
        carols.succeeded() || carols.code == Some(3),
        "{}",
        carols.stderr
    );
    let found = audit(&dev, &carol, &["search", "--person", "alice", "--json"]).succeeds();
    assert!(
        found.stdout.contains("certificate-issued"),
        "{}",
        found.stdout
    );
    let refused = audit(&dev, &alice, &["search", "--person", "carol"]);
    assert!(
        !refused.succeeded() && !refused.stderr.is_empty(),
        "{}",
        refused.stdout
    );
    let kind = ["audit", "search", "--kind", "audit-read", "--json"];
    assert!(dev.ca_server(&kind).succeeds().stdout.contains("carol"));
}

#[test]
fn exported_lines_prove_themselves_to_somebody_who_has_only_the_logs_key() {
    let dev = Dev::start();
    dev.person("alice").login(&["prod"]).succeeds();
    let export = dev.ca_server(&["audit", "export"]).succeeds().stdout;
    let first: serde_json::Value =
        serde_json::from_str(export.lines().next().expect("a line")).expect("JSON");
    let key = first["event"]["log_key"]
        .as_str()
        .expect("record 0 names the key")
        .to_owned();
    let folder = tempfile::TempDir::new().expect("a folder");
    let verify = |lines: &str| {
        let file = folder.path().join("export.jsonl");
        std::fs::write(&file, lines).expect("a file");
        let mut verifier = command(&program("ca-server"), folder.path());
        verifier
            .args(["audit", "verify", "--log-key", &key, "--export"])
            .arg(file);
        run(verifier)
    };
    verify(&export).succeeds();
    // Any line alone, too.
    verify(export.lines().last().expect("a line")).succeeds();
    let issued = export
        .lines()
        .find(|line| line.contains("certificate-issued"))
        .expect("one");
    let mut lie: serde_json::Value = serde_json::from_str(issued).expect("JSON");
    lie["opening"]["salt"] = first["opening"]["salt"].clone();
    assert!(
        !verify(&lie.to_string()).succeeded(),
        "another opening was believed"
    );
    let mut lie: serde_json::Value = serde_json::from_str(issued).expect("JSON");
    lie["event"]["asked"]["environment"] = "staging".into();
    assert!(
        !verify(&lie.to_string()).succeeded(),
        "what is shown is not what was hashed"
    );
}

#[test]
fn search_finds_by_person_account_environment_kind_serial_and_time() {
    let mut dev = Dev::start();
    let alice = dev.person("alice");
    let login = alice.login(&["prod", "--json"]).succeeds();
    let granted: serde_json::Value = serde_json::from_str(&login.stdout).expect("JSON");
    let serial = granted["serial"].to_string();
    for running in [true, false] {
        if !running {
            dev.stop();
        }
        let hits = |arguments: &[&str]| {
            let all = [&["audit", "search", "--json"], arguments].concat();
            dev.ca_server(&all).succeeds().stdout.contains(&serial)
        };
        assert!(hits(&["--person", "alice"]));
        assert!(hits(&["--account", "prod/deploy", "--environment", "prod"]));
        assert!(hits(&["--kind", "certificate-issued"]));
        assert!(hits(&["--serial", &serial]));
        assert!(hits(&["--since", "2020-01-01T00:00:00Z"]));
        assert!(!hits(&["--person", "bob"]));
        assert!(!hits(&["--account", "staging/deploy"]));
        assert!(!hits(&["--until", "2020-01-01T00:00:00Z"]));
    }
    let table = dev
        .ca_server(&["audit", "search", "--person", "alice"])
        .succeeds()
        .stdout;
    assert!(
        table.contains("prod/deploy") && table.contains("alice"),
        "{table}"
    );
}
