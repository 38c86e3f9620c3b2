//! The record in the log: verified, once, with the server stopped or running.

use serde_json::Value;
use tempfile::TempDir;

use super::ceremony::{Ceremony, REASON};
use crate::support::dev::Dev;
use crate::support::run::Finished;

fn import(ceremony: &Ceremony, record: &str) -> Finished {
    ceremony.at_ca(&["break-glass", "import", record, "--by", "operator-7"])
}

#[track_caller]
fn found(ceremony: &Ceremony, filter: &[&str]) -> Vec<Value> {
    let search = [&["audit", "search", "--json"], filter].concat();
    let found = ceremony.at_ca(&search).succeeds().stdout;
    serde_json::from_str(&found).expect("JSON")
}

#[test]
fn a_record_goes_into_the_log_once_and_the_log_verifies_and_shows_it() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let signed = ceremony.sign(&[]);
    let record = signed.record.to_str().expect("UTF-8");
    assert!(
        import(&ceremony, record)
            .succeeds()
            .stdout
            .contains("Recorded at index")
    );
    let verified = ceremony.at_ca(&["audit", "verify"]).succeeds();
    assert!(verified.stdout.contains("records"), "{}", verified.stdout);
    let serial = signed.serial().to_string();
    for filter in [
        ["--kind", "break-glass-imported"],
        ["--person", "alice"],
        ["--account", "prod/deploy"],
        ["--serial", serial.as_str()],
    ] {
        let hits = found(&ceremony, &filter);
        assert_eq!(hits.len(), 1, "{filter:?}");
        assert_eq!(hits[0]["event"]["record"]["reason"], REASON);
        assert_eq!(hits[0]["event"]["imported_by"], "operator-7");
        assert_eq!(hits[0]["serial"].to_string(), serial);
    }
    let table = ceremony
        .at_ca(&["audit", "search", "--person", "alice"])
        .succeeds();
    assert!(
        table.stdout.contains("break-glass-imported"),
        "{}",
        table.stdout
    );
    let second = import(&ceremony, record).exits_with(1);
    assert!(
        second.stderr.contains("in the log already"),
        "{}",
        second.stderr
    );
    assert_eq!(found(&ceremony, &["--person", "alice"]).len(), 1);
}

#[test]
fn a_changed_record_and_one_of_another_authority_are_refused() {
    let ceremony = Ceremony::new();
    ceremony.seal();
    let signed = ceremony.sign(&[]);
    let text = std::fs::read_to_string(&signed.record).expect("a record");
    let refused = |ceremony: &Ceremony, text: &str, what: &str| {
        let file = ceremony.path("wrong.json");
        std::fs::write(&file, text).expect("a file");
        let refused = import(ceremony, file.to_str().expect("UTF-8")).exits_with(1);
        assert!(refused.stderr.contains(what), "{what}: {}", refused.stderr);
    };
    refused(
        &ceremony,
        &text.replace(REASON, "only a drill"),
        "changed after it was signed",
    );
    refused(
        &ceremony,
        &text.replace("carol", "dave"),
        "changed after it was signed",
    );
    refused(
        &ceremony,
        &text.replace("\"prod\"", "\"nowhere\""),
        "no environment",
    );
    refused(&ceremony, "{}", "not a break-glass record");
    refused(
        &ceremony,
        &text.replace("\"prod\"", "\"staging\""),
        "no break-glass key of staging",
    );
    let other = Ceremony::new();
    other.seal();
    refused(&other, &text, "no break-glass key of prod");
    assert!(found(&ceremony, &["--kind", "break-glass-imported"]).is_empty());
}

#[test]
fn a_running_server_takes_the_record_and_remembers_it_when_it_starts_again() {
    let mut dev = Dev::start();
    let ceremony = Ceremony::at(TempDir::new().expect("a folder"), dev.place());
    ceremony.seal();
    let (first, second) = (ceremony.sign(&[]), ceremony.sign(&[]));
    let [first, second] = [&first, &second].map(|signed| signed.record.to_str().expect("UTF-8"));
    import(&ceremony, first).succeeds();
    let again = import(&ceremony, first).exits_with(1);
    assert!(
        again.stderr.contains("in the log already"),
        "{}",
        again.stderr
    );
    dev.stop();
    let stopped = import(&ceremony, first).exits_with(1);
    assert!(
        stopped.stderr.contains("in the log already"),
        "{}",
        stopped.stderr
    );
    import(&ceremony, second).succeeds();
    dev.start_again();
    let running = import(&ceremony, second).exits_with(1);
    assert!(
        running.stderr.contains("in the log already"),
        "{}",
        running.stderr
    );
    ceremony.at_ca(&["audit", "verify"]).succeeds();
    assert_eq!(
        found(&ceremony, &["--kind", "break-glass-imported"]).len(),
        2
    );
}
