//! A log that is not the one this key signed for is never continued.

use std::path::Path;
use std::time::Duration;

use super::{EPOCH, Folder, Ledger, OpenError, fill, key_of, record, start_time};
use crate::high_water::{HighWater, HighWaterError};
use crate::ledger::LogKey;
use crate::store::Store;
use crate::store::sled::SledStore;

fn error_of(folder: &Folder) -> OpenError {
    match folder.open() {
        Ok(running) => panic!("opened with {} records", running.ledger.size()),
        Err(error) => error,
    }
}

fn assert_rolled_back(folder: &Folder, sizes: (u64, u64)) {
    let error = error_of(folder);
    let OpenError::Rollback {
        store_size,
        mark_size,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((store_size, mark_size), sizes);
    let text = error.to_string();
    for part in [
        "backup",
        "new epoch",
        "ca-server init",
        "Nothing was changed",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[tokio::test]
async fn an_older_copy_of_the_store_is_refused_and_the_newest_is_taken_again() {
    let folder = Folder::new();
    folder.create_with(300).await.stop();
    folder.copy("store", "older");
    let running = folder.open().unwrap();
    fill(&running.ledger, 310).await;
    running.stop();
    folder.copy("store", "newest");
    folder.copy("older", "store");
    assert_rolled_back(&folder, (300, 310));
    // Refusing has changed nothing: the right store still opens.
    folder.copy("newest", "store");
    let running = folder.open().unwrap();
    assert_eq!(running.ledger.size(), 310);
    running.stop();
}

/// A log of 300 records, continued to `true_size`; its store then replaced by one that was
/// continued otherwise to `other_size` by the same key.
async fn forked(true_size: u64, other_size: u64) -> Folder {
    let folder = Folder::new();
    folder.create_with(300).await.stop();
    folder.copy("store", "store-before");
    folder.copy("high-water", "mark-before");
    let running = folder.open().unwrap();
    fill(&running.ledger, true_size).await;
    running.stop();
    folder.copy("high-water", "mark-true");

    folder.copy("store-before", "store");
    folder.copy("mark-before", "high-water");
    let running = folder.open().unwrap();
    record(&running.ledger, 999).await.unwrap();
    fill(&running.ledger, other_size).await;
    running.stop();
    folder.copy("mark-true", "high-water");
    folder
}

#[tokio::test]
async fn another_history_is_refused_at_the_same_size_and_when_it_is_longer() {
    assert_rolled_back(&forked(301, 301).await, (301, 301));
    assert_rolled_back(&forked(305, 310).await, (310, 305));
    assert_rolled_back(&forked(400, 900).await, (900, 400));
}

#[tokio::test]
async fn a_store_ahead_of_the_mark_is_continued_and_never_forgotten_again() {
    let folder = Folder::new();
    folder.create_with(300).await.stop();
    folder.copy("high-water", "mark-before");
    folder.copy("store", "store-before");
    let running = folder.open().unwrap();
    fill(&running.ledger, 570).await;
    let checkpoint = running.ledger.checkpoint();
    running.stop();
    folder.copy("mark-before", "high-water");
    let running = folder.open().unwrap();
    assert_eq!(running.ledger.checkpoint(), checkpoint);
    running.stop();
    // What it signed when it opened is marked, though nothing was recorded.
    let mark = HighWater::open(&folder.high_water()).unwrap().read();
    assert_eq!(mark.size, 570);
    folder.copy("store-before", "store");
    assert_rolled_back(&folder, (300, 570));
}

fn open_as(folder: &Folder, key: LogKey) -> OpenError {
    let high_water = HighWater::open(&folder.high_water()).unwrap();
    let store = folder.faulty_store();
    Ledger::open(store, key, folder.clock.clone(), high_water).unwrap_err()
}

#[tokio::test]
async fn another_key_another_name_and_another_epoch_are_refused() {
    let folder = Folder::new();
    folder.create_with(3).await.stop();
    let error = open_as(&folder, key_of(2, EPOCH));
    assert!(matches!(error, OpenError::ForeignHead { .. }), "{error}");
    let named = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let named = LogKey::new("log.example/other".parse().unwrap(), EPOCH, named);
    let error = open_as(&folder, named);
    assert!(matches!(error, OpenError::ForeignHead { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("put the right key or store back")
    );
    let error = open_as(&folder, key_of(1, EPOCH + 1));
    assert!(matches!(error, OpenError::Rollback { .. }), "{error}");
    folder.open().unwrap().stop();
}

#[tokio::test]
async fn a_log_is_created_once() {
    let folder = Folder::new();
    folder.create_with(3).await.stop();
    let high_water = HighWater::open(&folder.high_water()).unwrap();
    let store = folder.faulty_store();
    let again = Ledger::create(store, key_of(1, EPOCH), folder.clock.clone(), high_water);
    assert!(matches!(again, Err(OpenError::Exists)));

    let empty = Folder::new();
    let store = SledStore::create(&empty.store(), 0).unwrap();
    drop(store);
    HighWater::create(&empty.high_water()).unwrap();
    let error = error_of(&empty);
    assert!(matches!(error, OpenError::Missing), "{error}");
    assert!(error.to_string().contains("ca-server init"));
}

#[tokio::test]
async fn a_missing_or_cut_high_water_file_is_refused() {
    let folder = Folder::new();
    folder.create_with(3).await.stop();
    let path = folder.high_water();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..30]).unwrap();
    let error = error_of(&folder);
    let damaged = OpenError::HighWater(HighWaterError::Damaged(path.clone()));
    assert_eq!(error.to_string(), damaged.to_string());
    std::fs::remove_file(&path).unwrap();
    let error = error_of(&folder);
    assert!(error.to_string().contains("no high-water file"), "{error}");
    // A new one in its place remembers nothing, and that is noticed.
    HighWater::create(&path).unwrap();
    assert_rolled_back(&folder, (3, 0));
    std::fs::write(&path, &whole).unwrap();
    folder.open().unwrap().stop();
}

#[tokio::test]
async fn a_clock_far_behind_the_newest_record_is_refused() {
    let folder = Folder::new();
    folder.create_with(3).await.stop();
    folder
        .clock
        .set(start_time().minus(Duration::from_millis(60_001)));
    let error = error_of(&folder);
    assert!(matches!(error, OpenError::Clock { behind_seconds: 60 }));
    assert!(error.to_string().contains("set the clock"));
    folder
        .clock
        .set(start_time().minus(Duration::from_secs(60)));
    let running = folder.open().unwrap();
    let next = record(&running.ledger, 1).await.unwrap();
    assert_eq!(next.time(), start_time());
    running.stop();
}

fn open_store(folder: &Folder, store: SledStore) -> Result<(), OpenError> {
    let store = std::sync::Arc::new(crate::store::faulty::FaultyStore::new(store));
    folder.open_with(store, |_| {}).map(super::Running::stop)
}

/// Where in a value to change a byte, none to leave it.
type Pick = Box<dyn Fn(&[u8]) -> Option<usize>>;

/// Changes a byte of the value under the first key with `prefix` for which `at` says where.
fn alter(store: &Path, prefix: &[u8], at: &Pick) {
    let tree = ::sled::open(store).unwrap();
    let found = tree.scan_prefix(prefix).find_map(|entry| {
        let (key, value) = entry.unwrap();
        at(&value).map(|at| (key, value.to_vec(), at))
    });
    let (key, mut value, at) = found.unwrap();
    value[at] ^= 1;
    tree.insert(key, value).unwrap();
    tree.flush().unwrap();
}

fn find(value: &[u8], part: &[u8]) -> Option<usize> {
    value.windows(part.len()).position(|window| window == part)
}

#[tokio::test]
async fn one_altered_byte_of_a_new_record_a_tile_or_the_head_is_refused() {
    let folder = Folder::new();
    let running = folder.create_with(600).await;
    let leaf = running.store.records(599, 1).unwrap().remove(0);
    let opening = leaf.opening.unwrap();
    // No snapshot, so that the state would be read from these records.
    running.store.set(Some(crate::store::faulty::Fault {
        call: Some(crate::store::faulty::Call::PutSnapshot),
        nth: 1,
        effect: false,
        lasting: true,
    }));
    running.stop();
    folder.copy("store", "whole");
    let in_record = |part: Vec<u8>, offset: usize| -> Pick {
        Box::new(move |value| find(value, &part).map(|at| at + offset))
    };
    let changes: [(&str, &[u8], Pick); 8] = [
        ("leaf: time", b"r", in_record(leaf.leaf.to_vec(), 12)),
        ("leaf: context", b"r", in_record(leaf.leaf.to_vec(), 81)),
        ("salt", b"r", in_record(opening.salt.to_vec(), 0)),
        ("event", b"r", in_record(opening.event.clone(), 40)),
        ("tile", b"t\0", Box::new(|_| Some(5000))),
        ("head: size", b"h", Box::new(|_| Some(11))),
        ("head: time", b"h", Box::new(|_| Some(50))),
        ("head: mac", b"h", Box::new(|_| Some(83))),
    ];
    for (what, prefix, at) in changes {
        folder.copy("whole", "store");
        alter(&folder.store(), prefix, &at);
        let accepted = SledStore::open(&folder.store(), 0)
            .is_ok_and(|store| open_store(&folder, store).is_ok());
        assert!(!accepted, "an altered {what} was accepted");
    }
    folder.copy("whole", "store");
    folder.open().unwrap().stop();
}
