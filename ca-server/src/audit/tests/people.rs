//! People, read from a store with an erased record in it.

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{Event, Person, SessionOpened};
use ca_core::name::Subject;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::{Kind, Leaf, NO_SUBJECT};

use crate::audit::people;
use crate::store::conformance::Log;
use crate::store::sled::SledStore;
use crate::store::{Opening, Record, Store, StoreError};

fn signed_in(name: &str, group: &str, seconds: u64) -> Record {
    let time = Timestamp::from_unix_seconds(1_800_000_000 + seconds);
    let event = Event::SessionOpened(Box::new(SessionOpened {
        person: Person {
            subject: Subject::new("https://id.example", name).unwrap(),
            user: name.parse().unwrap(),
        },
        groups: [group.to_owned()].into(),
        session: Digest::of(name.as_bytes()),
        id_token: Digest::of(b"token"),
        id_token_expires: time,
        token_bound: true,
        second_factor: SecondFactor::Totp,
        totp_step: Some(1),
        recovery_code: None,
        expires: time,
        source: "::1".parse().unwrap(),
    }));
    let leaf = Leaf {
        kind: event.kind(),
        time,
        subject_digest: NO_SUBJECT,
        context_digest: [0; 32],
    };
    let opening = Opening {
        event: event.to_bytes().unwrap(),
        salt: [0; 32],
        precertificate: None,
    };
    Record {
        leaf: leaf.encode(),
        opening: Some(opening),
    }
}

/// A record about something else, which nobody has to read.
fn other() -> Record {
    let mut record = signed_in("eve", "none", 0);
    let mut leaf = Leaf::decode(&record.leaf).unwrap();
    leaf.kind = Kind::UserCertificate;
    record.leaf = leaf.encode();
    record
}

fn stored(records: Vec<Record>) -> (tempfile::TempDir, SledStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::create(&folder.path().join("store"), 0).unwrap();
    store.append(&Log::default().batch(records)).unwrap();
    (folder, store)
}

#[test]
fn people_are_read_from_the_whole_log_and_an_erased_sign_in_is_counted() {
    let mut records: Vec<Record> = vec![other(); 1500];
    records.insert(3, signed_in("alice", "dev", 1));
    records.insert(1200, signed_in("alice", "sre", 2));
    let mut erased = signed_in("bob", "sre", 3);
    erased.opening = None;
    records.push(erased);
    let (_folder, store) = stored(records);
    let mut heard = Vec::new();
    let found = people(&store, &mut |done, all| heard.push((done, all))).unwrap();
    assert_eq!((found.records(), found.erased()), (1503, 1));
    let known: Vec<_> = found.people().collect();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].1.groups, ["sre".to_owned()].into());
    assert_eq!(heard, [(1024, 1503), (1503, 1503)]);
}

#[test]
fn a_sign_in_that_cannot_be_read_is_told_with_its_number() {
    let mut broken = signed_in("alice", "dev", 1);
    broken.opening.as_mut().unwrap().event = b"{}".to_vec();
    let (_folder, store) = stored(vec![other(), broken]);
    let error = people(&store, &mut |_, _| {}).unwrap_err();
    let StoreError::Damaged(what) = error else {
        panic!("{error}");
    };
    assert!(what.starts_with("record 1: "), "{what}");
}

#[test]
fn an_empty_store_knows_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::create(&folder.path().join("store"), 0).unwrap();
    let found = people(&store, &mut |_, _| {}).unwrap();
    assert_eq!((found.records(), found.people().count()), (0, 0));
}
