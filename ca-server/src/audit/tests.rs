//! A log with real certificates in it; then one byte of it is changed, anywhere.

mod log;
mod people;

use std::sync::Arc;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::AuditQuery;
use ed25519_dalek::SigningKey;

use self::log::{EPOCH, Running, SIZE, log_key, running_log};
use super::{LogPlace, Report, Source, export, verify, verify_export};
use crate::high_water::HighWater;
use crate::store::Store;
use crate::store::sled::SledStore;

fn log_in(folder: &Path) -> LogPlace {
    LogPlace {
        store: folder.join("store"),
        high_water: folder.join("high-water"),
        socket: folder.join("admin.sock"),
        verifier: log_key().verifier(),
        key: Some(log_key()),
    }
}

fn verified(folder: &Path) -> Report {
    let source = Source::open(log_in(folder)).unwrap();
    verify(&source, &mut |_, _| {}).unwrap()
}

fn findings(report: &Report) -> String {
    let texts: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

fn exported(source: &mut Source, range: std::ops::Range<u64>) -> Vec<String> {
    let checkpoint = source.signed_checkpoint().unwrap();
    let mut lines = Vec::new();
    let mut show = |record| {
        lines.push(serde_json::to_string(&record).unwrap());
        true
    };
    export(source.store.as_ref(), &checkpoint, range, &mut show).unwrap();
    lines
}

#[tokio::test]
async fn a_sound_log_verifies_and_the_report_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    running_log(folder.path()).await.stop();
    let report = verified(folder.path());
    assert!(report.is_clean(), "{}", findings(&report));
    assert_eq!((report.records, report.certificates), (SIZE, SIZE - 2));
    let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
    let expected = [
        "records",
        "times",
        "certificates",
        "tiles",
        "head",
        "high-water mark",
        "snapshot",
    ];
    assert_eq!(names, expected);
}

/// Changes one byte under `prefix` of a stopped store, behind the first `part` of a value.
fn alter(folder: &Path, prefix: &[u8], part: &[u8], offset: usize) {
    let tree = ::sled::open(folder.join("store")).unwrap();
    let found = tree.scan_prefix(prefix).find_map(|entry| {
        let (key, value) = entry.unwrap();
        let at = value
            .windows(part.len().max(1))
            .position(|w| w.starts_with(part))?;
        Some((key, value.to_vec(), at + offset))
    });
    let (key, mut value, at) = found.unwrap();
    value[at] ^= 1;
    tree.insert(key, value).unwrap();
    tree.flush().unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn one_altered_byte_anywhere_in_the_log_is_found_and_its_record_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    std::fs::create_dir(&whole).unwrap();
    let running = running_log(&whole).await;
    let record = |index| running.store.records(index, 1).unwrap().remove(0);
    let (early, late) = (record(3), record(SIZE - 1));
    running.stop();
    let opening = early.opening.unwrap();
    let certificate = opening.precertificate.unwrap();
    let changes: [(&[u8], &[u8], usize, &str); 12] = [
        (b"r", &early.leaf, 0, "record 3: not an entry of this log"),
        (b"r", &early.leaf, 17, "root"),
        (b"r", &early.leaf, 60, "record 3: its event is not"),
        (b"r", &late.leaf, 17, "root"),
        (b"r", &opening.salt, 31, "record 3: its event is not"),
        (b"r", &opening.event, 20, "record 3: its event is not"),
        (b"r", &certificate, 200, "record 3: its certificate is not"),
        (
            b"t\0\0\0\0\0\0\0\0\x01",
            b"",
            3210,
            "tile 0/1: its hash of record 356 is another",
        ),
        (b"h", b"", 20, "head: "),
        (b"h", b"", 83, "head: it was not made by the log key"),
        (b"p", b"\"size\":", 8, "snapshot: "),
        (b"p", b"\"serial\":", 12, "snapshot: "),
    ];
    for (n, (prefix, part, offset, expected)) in changes.into_iter().enumerate() {
        let copied = folder.path().join(n.to_string());
        copy(&whole, &copied);
        alter(&copied, prefix, part, offset);
        let report = verified(&copied);
        // A damaged snapshot is no snapshot: sled's adapter does not even show it.
        if prefix == b"p" {
            assert!(report.checks.iter().all(|check| check.name != "snapshot"));
            continue;
        }
        let text = findings(&report);
        assert!(
            text.contains(expected),
            "change {n}: {expected:?} not in {text:?}"
        );
        assert!(report.checks.iter().any(|check| !check.holds));
    }
}

#[tokio::test]
async fn a_snapshot_with_another_state_is_found_even_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    running_log(folder.path()).await.stop();
    let store = SledStore::open(&folder.path().join("store"), 0).unwrap();
    let sealed = String::from_utf8_lossy(&store.snapshot().unwrap().unwrap()[32..]).into_owned();
    let changed = sealed.replacen("\"alice\"", "\"malory\"", 1);
    assert_ne!(changed, sealed);
    store
        .put_snapshot(&[&[0; 32], changed.as_bytes()].concat())
        .unwrap();
    drop(store);
    assert!(findings(&verified(folder.path())).contains("snapshot: it was not made by the log"));
    let place = LogPlace {
        key: None,
        ..log_in(folder.path())
    };
    let report = verify(&Source::open(place).unwrap(), &mut |_, _| {}).unwrap();
    assert!(findings(&report).contains("its state is not that of a replay"));
}

#[tokio::test]
async fn a_store_that_lost_records_or_has_another_history_is_behind_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    running_log(folder.path()).await.stop();
    let mut high_water = HighWater::open(&folder.path().join("high-water")).unwrap();
    let root = ca_core::tlog::hash::EMPTY_ROOT;
    high_water.record(EPOCH, SIZE + 1, root).unwrap();
    let text = findings(&verified(folder.path()));
    assert!(
        text.contains("high-water mark: it knows 601 records, the log has fewer"),
        "{text}"
    );
}

#[tokio::test]
async fn a_record_that_lies_about_its_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::new(folder.path());
    running.add_ca_key().await;
    running.add(5, |_| {}).await;
    running.add(6, |_| {}).await;
    running.add(5, |event| event.valid_before += 1).await;
    running
        .add(5, |event| {
            event.asked.principals = vec!["other".parse().unwrap()]
        })
        .await;
    running.add(5, |event| event.serial += 1).await;
    running
        .add(5, |event| event.person.user = "other".parse().unwrap())
        .await;
    running.add(5, |event| event.subject_key.push('x')).await;
    running.stop();
    let report = verified(folder.path());
    let expected = [
        "record 4: certificate and event differ: end",
        "record 5: certificate and event differ: principals",
        "record 6: certificate and event differ: serial",
        "record 7: certificate and event differ: key id",
        "record 8: certificate and event differ: subject key",
        "record 3: the log names no such CA key for its environment",
    ];
    let text = findings(&report);
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} not in {text}");
    }
    assert!(!text.contains("record 2"), "{text}");
}

#[tokio::test]
async fn each_exported_line_proves_itself_and_a_changed_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    running_log(folder.path()).await.stop();
    let mut source = Source::open(log_in(folder.path())).unwrap();
    let verifier = source.verifier.clone();
    let lines = exported(&mut source, 0..u64::MAX);
    for (index, line) in (0..).zip(&lines) {
        let proven = verify_export(line, &verifier).unwrap();
        assert_eq!((proven.index, proven.checkpoint.size()), (index, SIZE));
    }
    assert_eq!(lines.len(), usize::try_from(SIZE).unwrap());
    assert_eq!(exported(&mut source, 250..260), lines[250..260]);

    let line = &lines[300];
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    let change = |path: &str, value: serde_json::Value| {
        let mut changed = record.clone();
        *changed.pointer_mut(path).unwrap() = value;
        changed.to_string()
    };
    let mut event = STANDARD
        .decode(record["opening"]["event"].as_str().unwrap())
        .unwrap();
    event[50] ^= 1;
    let receipt = record["receipt"].as_str().unwrap();
    let changes = [
        change("/index", 301.into()),
        change("/time", "2020-01-01T00:00:00Z".into()),
        change("/kind", "refused".into()),
        change("/serial", 7.into()),
        change("/event/person/user", "malory".into()),
        change("/opening/event", STANDARD.encode(event).into()),
        change("/opening/salt", STANDARD.encode([0; 32]).into()),
        change("/opening/precertificate", serde_json::Value::Null),
        change("/receipt", receipt.replace("\n600\n", "\n601\n").into()),
        change("/receipt", receipt.replace("index 300", "index 301").into()),
    ];
    for changed in changes {
        assert_ne!(&changed, line);
        assert!(verify_export(&changed, &verifier).is_err(), "{changed}");
    }
    let other = SigningKey::from_bytes(&[2; 32]).verifying_key();
    let other = ca_core::tlog::note::VerifierKey::new(verifier.name().clone(), other);
    assert!(verify_export(line, &other).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_answers_as_its_stopped_store_does() {
    let folder = tempfile::tempdir().unwrap();
    let running = running_log(folder.path()).await;
    let socket = folder.path().join("admin.sock");
    let admin =
        crate::admin::listen(&running.ledger, &running.store, &Arc::default(), &socket).unwrap();
    assert!(
        crate::admin::listen(&running.ledger, &running.store, &Arc::default(), &socket).is_err()
    );
    let query = AuditQuery {
        person: Some("alice".to_owned()),
        account: Some("prod/root".to_owned()),
        limit: Some(30),
        ..AuditQuery::default()
    };
    let search = super::search(&query).unwrap();
    let ask = move |path: std::path::PathBuf| {
        let mut source = Source::open(log_in(&path)).unwrap();
        let report = verify(&source, &mut |_, _| {}).unwrap();
        assert!(report.is_clean(), "{}", findings(&report));
        let all = source.store.records(0, usize::MAX).unwrap();
        let found = source.store.search(&search).unwrap();
        let has_checkpoint = source.checkpoint.is_some();
        (
            has_checkpoint,
            all,
            found,
            exported(&mut source, 0..50),
            report.certificates,
        )
    };
    let path = folder.path().to_owned();
    let (ask_again, path_again) = (ask.clone(), path.clone());
    let live = tokio::task::spawn_blocking(move || ask(path))
        .await
        .unwrap();
    drop(admin);
    assert!(!socket.exists());
    running.stop();
    let stopped = tokio::task::spawn_blocking(move || ask_again(path_again))
        .await
        .unwrap();
    assert!(live.0 && !stopped.0);
    assert_eq!(live.1, stopped.1);
    assert_eq!((live.2.indexes.len(), &live.2), (30, &stopped.2));
    assert_eq!(live.3, stopped.3);
    assert_eq!(live.4, stopped.4);
}

#[test]
fn a_misspelt_kind_is_an_error_that_names_those_there_are() {
    let query = |kind: &str| AuditQuery {
        kind: Some(kind.to_owned()),
        ..AuditQuery::default()
    };
    let (field, detail) = super::search(&query("refsued")).unwrap_err();
    assert_eq!(field, "kind");
    assert!(detail.contains("refused, request-approved"), "{detail}");
    assert!(super::search(&query("refused")).is_ok());
}
