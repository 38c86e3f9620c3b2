//! What the contract of [`Store`] promises, as checks that every adapter passes.
//!
//! The checks say nothing about durability: only a killed process and a system call trace can.

use std::path::Path;

use ca_core::tlog::hash::{Hash, leaf_hash};

use self::log::record;
pub(crate) use self::log::{Log, sample};
use self::search::search_equals_looking;
use super::{Batch, FullTile, Record, Search, Store, StoreError, TILE_WIDTH};

mod log;
mod search;

/// Makes the store at a path, or opens what an earlier call made there.
pub(crate) type Make<'a> = &'a dyn Fn(&Path) -> Box<dyn Store>;

/// Runs every check, each in a folder of its own.
pub(crate) fn run(make: Make<'_>) {
    type Check = fn(Make<'_>, &Path);
    let checks: [(&str, Check); 9] = [
        ("an empty store has nothing", an_empty_store_has_nothing),
        (
            "a batch is appended whole, after the right head only",
            only_the_right_batch_is_appended,
        ),
        (
            "every range of records reads back",
            every_range_of_records_reads_back,
        ),
        (
            "large, erased and foreign records read back",
            odd_records_read_back,
        ),
        (
            "tiles are found by level and index",
            tiles_are_found_by_level_and_index,
        ),
        (
            "a search finds what looking at every record finds",
            search_equals_looking,
        ),
        ("secrets are replaced by name", secrets_are_replaced_by_name),
        ("a snapshot is replaced whole", a_snapshot_is_replaced_whole),
        (
            "everything is there after opening again",
            everything_is_there_after_opening_again,
        ),
    ];
    for (claim, check) in checks {
        println!("{claim}");
        let folder = tempfile::tempdir().unwrap();
        check(make, &folder.path().join("store"));
    }
}

fn tile(level: u8, index: u64) -> FullTile {
    let hash = |n: u64| {
        leaf_hash(
            &[[u64::from(level), index, n].map(u64::to_be_bytes)]
                .concat()
                .concat(),
        )
    };
    FullTile {
        level,
        index,
        hashes: (0..TILE_WIDTH).map(hash).collect::<Vec<Hash>>(),
    }
}

fn an_empty_store_has_nothing(make: Make<'_>, path: &Path) {
    let store = make(path);
    assert_eq!(store.head().unwrap(), None);
    assert_eq!(store.records(0, 10).unwrap(), []);
    assert_eq!(store.tile(0, 0).unwrap(), None);
    assert_eq!(store.secret("a").unwrap(), None);
    assert_eq!(store.snapshot().unwrap(), None);
    let everything = Search {
        limit: 10,
        ..Search::default()
    };
    assert_eq!(store.search(&everything).unwrap(), super::Found::default());
}

fn only_the_right_batch_is_appended(make: Make<'_>, path: &Path) {
    let store = make(path);
    let mut log = Log::default();
    let first = log.next(3);
    let mut second = log.next(2);
    second.tiles.push(tile(0, 0));
    let conflict = |batch: &Batch, found: u64, follows: u64| match store.append(batch) {
        Err(StoreError::Conflict { size, expected }) => {
            assert_eq!((size, expected), (found, follows));
        }
        other => panic!("{other:?}"),
    };
    conflict(&second, 0, 3);
    assert_eq!(store.head().unwrap(), None);
    assert_eq!(store.records(0, 10).unwrap(), []);
    assert_eq!(store.tile(0, 0).unwrap(), None);

    store.append(&first).unwrap();
    assert_eq!(store.head().unwrap(), Some(first.head));
    conflict(&first, 3, 0);
    store.append(&second).unwrap();
    conflict(&second, 5, 3);
    assert_eq!(store.head().unwrap(), Some(second.head));
    assert_eq!(store.records(0, 10).unwrap(), log.records);

    // A head that claims fewer records than its batch brings follows nothing.
    let mut impossible = Log::default().next(3);
    impossible.head.size = 2;
    assert!(matches!(
        store.append(&impossible),
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(store.records(0, 10).unwrap(), log.records);
}

fn every_range_of_records_reads_back(make: Make<'_>, path: &Path) {
    let store = make(path);
    let mut log = Log::default();
    for count in [1, 1, 30, 2, 64, 7] {
        store.append(&log.next(count)).unwrap();
    }
    let all = &log.records;
    for start in 0..all.len() + 2 {
        for limit in [0, 1, 2, 9, 40, 1000] {
            let end = all.len().min(start + limit);
            let expected = all.get(start..end.max(start)).unwrap_or_default();
            let found = store.records(u64::try_from(start).unwrap(), limit).unwrap();
            assert_eq!(found, expected, "{start} {limit}");
        }
    }
    assert_eq!(store.records(u64::MAX, usize::MAX).unwrap(), []);
    assert_eq!(&store.records(0, usize::MAX).unwrap(), all);
}

fn odd_records_read_back(make: Make<'_>, path: &Path) {
    let store = make(path);
    let mut log = Log::default();
    let largest = (0..64).map(|n| record(n, vec![b'{'; 16 << 10], Some(vec![2; 8 << 10])));
    store.append(&log.batch(largest.collect())).unwrap();
    let erased = Record {
        opening: None,
        ..sample(64)
    };
    store
        .append(&log.batch(vec![erased, record(65, Vec::new(), None)]))
        .unwrap();
    store.append(&log.next(300)).unwrap();
    assert_eq!(store.records(0, 1000).unwrap(), log.records);
    assert_eq!(store.records(63, 3).unwrap(), log.records[63..66]);
}

fn tiles_are_found_by_level_and_index(make: Make<'_>, path: &Path) {
    let store = make(path);
    let mut log = Log::default();
    let mut batch = log.next(2);
    let places = [(0, 0), (0, 1), (0, 256), (1, 0), (2, 1), (7, u64::MAX)];
    batch.tiles = places.map(|(level, index)| tile(level, index)).into();
    store.append(&batch).unwrap();
    for (level, index) in places {
        assert_eq!(store.tile(level, index).unwrap(), Some(tile(level, index)));
    }
    for (level, index) in [(0, 2), (1, 1), (2, 0), (3, 0)] {
        assert_eq!(store.tile(level, index).unwrap(), None);
    }
}

fn secrets_are_replaced_by_name(make: Make<'_>, path: &Path) {
    let store = make(path);
    let large = vec![5; 4096];
    store.put_secret("a", &large).unwrap();
    store.put_secret("ab", b"other").unwrap();
    store.put_secret("", b"nameless").unwrap();
    assert_eq!(store.secret("a").unwrap(), Some(large));
    for value in [&b"short"[..], b"", &[7; 20_000], b"last"] {
        store.put_secret("a", value).unwrap();
        assert_eq!(store.secret("a").unwrap().as_deref(), Some(value));
    }
    drop(store);
    let store = make(path);
    assert_eq!(store.secret("a").unwrap().as_deref(), Some(&b"last"[..]));
    assert_eq!(store.secret("ab").unwrap().as_deref(), Some(&b"other"[..]));
    assert_eq!(store.secret("").unwrap().as_deref(), Some(&b"nameless"[..]));
    assert_eq!(store.secret("b").unwrap(), None);
}

fn a_snapshot_is_replaced_whole(make: Make<'_>, path: &Path) {
    let store = make(path);
    let megabyte: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_be_bytes).collect();
    for snapshot in [&b"first"[..], &megabyte, b"", &megabyte[..70_000]] {
        store.put_snapshot(snapshot).unwrap();
        assert_eq!(store.snapshot().unwrap().as_deref(), Some(snapshot));
    }
    store.append(&Log::default().next(1)).unwrap();
    drop(store);
    assert_eq!(
        make(path).snapshot().unwrap().as_deref(),
        Some(&megabyte[..70_000])
    );
}

fn everything_is_there_after_opening_again(make: Make<'_>, path: &Path) {
    let mut log = Log::default();
    for round in 0..4 {
        let store = make(path);
        assert_eq!(store.head().unwrap(), (round > 0).then(|| log.head()));
        assert_eq!(store.records(0, 1000).unwrap(), log.records);
        for index in 0..round {
            assert_eq!(store.tile(0, index).unwrap(), Some(tile(0, index)));
        }
        let mut batch = log.next(90);
        batch.tiles.push(tile(0, round));
        store.append(&batch).unwrap();
    }
}
