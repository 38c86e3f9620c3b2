//! A snapshot saves time and changes nothing.

use super::{EPOCH, Folder, fill, key_of, record, replayed};
use crate::ledger::load::seal_snapshot;
use crate::state::{Snapshot, State};
use crate::store::Store;
use crate::store::faulty::{Call, Fault};

const NO_SNAPSHOT: Fault = Fault {
    call: Some(Call::PutSnapshot),
    nth: 1,
    effect: false,
    lasting: true,
};

#[tokio::test]
async fn a_snapshot_and_the_records_after_it_give_the_state_of_a_replay() {
    let folder = Folder::new();
    folder.create_with(300).await.stop();
    let running = folder.open().unwrap();
    let snapshot = running.store.snapshot().unwrap().unwrap();
    let (state, _) = Snapshot::from_bytes(&snapshot[32..]).unwrap();
    assert_eq!(state.size(), 300);
    fill(&running.ledger, 610).await;
    running.store.set(Some(NO_SNAPSHOT));
    running.stop();

    let store = folder.faulty_store();
    let expected = replayed(store.inner());
    let running = folder.open_with(store, |_| {}).unwrap();
    // Read from the middle on, not from the start.
    assert!(running.store.calls(Some(Call::Records)) < 6);
    assert_eq!(running.state().await, expected);
    assert_eq!(expected.size(), 610);
    running.stop();
}

#[tokio::test]
async fn a_snapshot_that_was_tampered_with_is_ignored() {
    let folder = Folder::new();
    folder.create_with(30).await.stop();
    let sealed = folder.faulty_store().snapshot().unwrap().unwrap();
    let forged = |bytes: Vec<u8>| seal_snapshot(&key_of(9, EPOCH), bytes);
    let mut tampered: Vec<Vec<u8>> = (0..sealed.len())
        .step_by(7)
        .map(|at| {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1;
            bytes
        })
        .collect();
    tampered.push(forged(sealed[32..].to_vec()));
    tampered.push(sealed[..sealed.len() / 2].to_vec());
    tampered.push(Vec::new());
    for bytes in tampered {
        let store = folder.faulty_store();
        store.put_snapshot(&bytes).unwrap();
        let expected = replayed(store.inner());
        let running = folder.open_with(store, |_| {}).unwrap();
        assert_eq!(running.state().await, expected);
        running.store.set(Some(NO_SNAPSHOT));
        running.stop();
    }
}

#[tokio::test]
async fn a_snapshot_of_ours_that_belongs_to_another_tree_is_ignored() {
    let folder = Folder::new();
    folder.create_with(30).await.stop();
    let other = Folder::new();
    let running = other.create();
    record(&running.ledger, 777).await.unwrap();
    fill(&running.ledger, 20).await;
    running.stop();
    let foreign = other.faulty_store().snapshot().unwrap().unwrap();
    // And one that claims more records than there are.
    let mut state = State::default();
    for n in 0..40 {
        state.apply(super::start_time(), &super::event(n));
    }
    let root = ca_core::tlog::hash::EMPTY_ROOT;
    let longer = Snapshot::to_bytes(&state, root).unwrap();
    for snapshot in [foreign, seal_snapshot(&key_of(1, EPOCH), longer)] {
        let store = folder.faulty_store();
        store.put_snapshot(&snapshot).unwrap();
        let expected = replayed(store.inner());
        let running = folder.open_with(store, |_| {}).unwrap();
        assert_eq!(running.state().await, expected);
        assert_eq!(running.ledger.size(), 30);
        running.store.set(Some(NO_SNAPSHOT));
        running.stop();
    }
}
