//! The contract on a real folder, refusals, damage, and a process that is killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::store::conformance::{self, Log};

pub(in crate::store) fn make(path: &Path) -> SledStore {
    if path.exists() {
        SledStore::open(path, 0).unwrap()
    } else {
        SledStore::create(path, 0).unwrap()
    }
}

#[test]
fn sled_keeps_the_contract() {
    conformance::run(&|path| Box::new(make(path)));
}

#[test]
fn no_value_is_spilled_to_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let store = make(&path);
    let mut log = Log::default();
    for _ in 0..8 {
        let mut batch = log.next(100);
        for record in &mut batch.records {
            let opening = record.opening.as_mut().unwrap();
            opening.event = vec![b' '; 16 << 10];
            opening.precertificate = Some(vec![0; 8 << 10]);
        }
        batch.tiles = (0..20)
            .map(|index| FullTile {
                level: 0,
                index: batch.head.size + index,
                hashes: vec![batch.head.root; 256],
            })
            .collect();
        store.append(&batch).unwrap();
        store
            .put_snapshot(&vec![batch.head.mac[0]; 3 << 20])
            .unwrap();
    }
    store.put_secret("large", &[1; 100_000]).unwrap();
    assert_eq!(std::fs::read_dir(path.join("blobs")).unwrap().count(), 0);
}

#[test]
fn a_disk_without_the_reserve_is_full_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut log = Log::default();
    make(&path).append(&log.next(5)).unwrap();
    let store = SledStore::open(&path, 1 << 60).unwrap();
    assert!(matches!(
        store.append(&log.next(1)),
        Err(StoreError::Full { .. })
    ));
    assert!(matches!(
        store.put_secret("a", b"b"),
        Err(StoreError::Full { .. })
    ));
    assert!(matches!(
        store.put_snapshot(b"b"),
        Err(StoreError::Full { .. })
    ));
    // Being full is not a failure: reading goes on.
    assert_eq!(store.records(0, 10).unwrap(), log.records[..5]);
    drop(store);
    let store = make(&path);
    assert_eq!(store.head().unwrap().unwrap().size, 5);
    assert_eq!(store.secret("a").unwrap(), None);
}

#[test]
fn after_one_failure_the_store_refuses_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut store = make(&path);
    let mut log = Log::default();
    store.append(&log.next(2)).unwrap();
    // fdatasync of a pipe fails (EINVAL): the barrier's own descriptor, exchanged.
    let (_reader, writer) = io::pipe().unwrap();
    store
        .disk
        .break_barrier(std::os::fd::OwnedFd::from(writer).into());
    assert!(matches!(
        store.append(&log.next(1)),
        Err(StoreError::Unknown(_))
    ));
    let refused = |result: Result<(), StoreError>| match result {
        Err(StoreError::Unknown(why)) => assert!(why.contains("opened again"), "{why}"),
        other => panic!("{other:?}"),
    };
    refused(store.append(&log.next(1)));
    refused(store.head().map(drop));
    refused(store.records(0, 1).map(drop));
    refused(store.tile(0, 0).map(drop));
    refused(store.search(&Search::default()).map(drop));
    refused(store.secret("a").map(drop));
    refused(store.put_secret("a", b"b"));
    refused(store.snapshot().map(drop));
    refused(store.put_snapshot(b"b"));
    drop(store);
    // Whole or not at all.
    let size = make(&path).head().unwrap().unwrap().size;
    assert!([2, 3].contains(&size));
}

#[test]
fn a_store_is_neither_made_by_opening_nor_opened_by_making_nor_opened_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    assert!(matches!(
        SledStore::open(&path, 0),
        Err(OpenError::Absent(_))
    ));
    assert!(!path.exists());
    let store = SledStore::create(&path, 0).unwrap();
    assert!(matches!(
        SledStore::create(&path, 0),
        Err(OpenError::Exists(_))
    ));
    assert!(matches!(
        SledStore::open(&path, 0),
        Err(OpenError::Sled { .. })
    ));
    drop(store);
    SledStore::open(&path, 0).unwrap();
}

#[test]
fn a_missing_run_of_records_is_damage_and_not_a_shorter_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = make(&folder.path().join("s"));
    let mut log = Log::default();
    for _ in 0..4 {
        store.append(&log.next(1)).unwrap();
    }
    for lost in [3, 1, 0] {
        store
            .tree
            .remove(layout::part_key(&layout::record_prefix(lost), 0))
            .unwrap();
        assert!(
            matches!(store.records(0, 10), Err(StoreError::Damaged(_))),
            "{lost}"
        );
        assert!(
            matches!(store.records(lost, 1), Err(StoreError::Damaged(_))),
            "{lost}"
        );
    }
    assert_eq!(store.records(2, 1).unwrap(), log.records[2..3]);
}

const FOLDER: &str = "JIT_SSH_TEST_KILL_FOLDER";

/// Sizes of batches, the same in parent and child: the one that follows `size` records.
fn batch_after(size: u64) -> u64 {
    1 + (size.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 40
}

#[test]
#[ignore = "the child of the test below"]
fn append_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = make(Path::new(&folder));
    let mut log = Log::of(store.records(0, usize::MAX).unwrap());
    loop {
        let batch = log.next(batch_after(log.head().size));
        store.append(&batch).unwrap();
        println!("\nappended {}", batch.head.size);
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_batch_is_torn_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(make(&path));
    let mut random: u64 = 42;
    let mut next = move |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    let mut last = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::sled::tests::append_until_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(FOLDER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged =
            lines.filter_map(|line| line.ok()?.strip_prefix("appended ")?.parse::<u64>().ok());
        let mut newest = last;
        for _ in 0..=next(25) {
            newest = acknowledged
                .next()
                .expect("the child appends until it is killed");
        }
        for _ in 0..next(300_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        newest = acknowledged.last().unwrap_or(newest);

        let store = make(&path);
        let head = store.head().unwrap().unwrap();
        assert!(
            head.size >= newest,
            "round {round}: {newest} acknowledged, {} kept",
            head.size
        );
        let mut border = 0;
        while border < head.size {
            border += batch_after(border);
        }
        assert_eq!(border, head.size, "round {round}: a batch is torn");
        let log = Log::of(store.records(0, usize::MAX).unwrap());
        assert_eq!(log.head(), head, "round {round}");
        last = head.size;
    }
    assert!(last > 500, "only {last} records");
}
