//! What a caller gets, alone and among others.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use ca_core::serial::Serial;
use ca_core::tlog::leaf::Leaf;
use tokio::task::JoinSet;

use super::{CommitError, EPOCH, Entry, Event, Folder, Ledger, State, assert_one_history, record};
use super::{event, leaf_hashes, replayed, start_time};
use crate::ledger::{QUEUE_MAX, Refusal};
use crate::store::Store;

/// Holds up the sequencer until told to go on.
struct Hold {
    go_on: mpsc::Sender<()>,
    held: tokio::task::JoinHandle<()>,
}

impl Hold {
    async fn new(ledger: &Ledger) -> Self {
        let (go_on, wait) = mpsc::channel();
        let (tell, told) = tokio::sync::oneshot::channel();
        let ledger = ledger.clone();
        let held = tokio::spawn(async move {
            let look = move |_: &State, _| {
                tell.send(()).unwrap();
                wait.recv().unwrap();
            };
            ledger.read(look).await.unwrap();
        });
        told.await.unwrap();
        Self { go_on, held }
    }

    async fn release(self) {
        self.go_on.send(()).unwrap();
        self.held.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_decision_gets_the_next_index_its_serial_and_a_receipt_across_tile_borders() {
    let folder = Folder::new();
    let running = folder.create_with(254).await;
    let ledger = &running.ledger;
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let mut made = Vec::new();
            for n in 0..60 {
                made.push(record(&ledger, 1000 * task + n).await.unwrap());
            }
            made
        });
    }
    let made: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let indexes: BTreeSet<u64> = made.iter().map(|recorded| recorded.index()).collect();
    assert_eq!(indexes, (254..734).collect());

    let leaves = leaf_hashes(running.store.as_ref());
    let mut checkpoints = vec![ledger.checkpoint().to_string()];
    for recorded in &made {
        let turn = recorded.get().turn;
        assert_eq!(turn.index(), recorded.index());
        let serial = Serial::new(EPOCH, recorded.index()).unwrap();
        assert_eq!(turn.serial(), Some(serial));
        assert_eq!(serial.get(), u64::from(EPOCH) << 40 | recorded.index());
        let receipt = recorded.receipt().unwrap();
        let leaf = receipt.extra().unwrap();
        receipt.verify(leaf, &ledger.verifier()).unwrap();
        let stored = leaves[usize::try_from(recorded.index()).unwrap()];
        assert_eq!(ca_core::tlog::hash::leaf_hash(leaf), stored);
        assert_eq!(Leaf::decode(leaf).unwrap().time, recorded.time());
        checkpoints.push(receipt.checkpoint().to_owned());
    }
    assert_one_history(running.store.as_ref(), &checkpoints);

    let all: Vec<u64> = (0..900).collect();
    let shown = ledger.show(&all).unwrap();
    assert_eq!(shown.len(), 734);
    for shown in shown {
        let leaf = shown.record.leaf;
        shown.receipt.verify(&leaf, &ledger.verifier()).unwrap();
        assert_eq!(shown.receipt.index(), shown.index);
    }
    for (tile, width) in [(0, 256), (1, 256), (2, 222)] {
        let start = usize::try_from(tile * 256).unwrap();
        let hashes = ledger.tile((0, tile), width).unwrap();
        assert_eq!(hashes.unwrap(), leaves[start..start + width]);
    }
    assert_eq!(ledger.tile((0, 2), 223).unwrap(), None);
    assert_eq!(running.state().await, replayed(running.store.as_ref()));
    running.stop();
}

#[tokio::test]
async fn a_batch_that_crosses_a_tile_border_at_any_size_is_found_again_after_opening() {
    for first in [1, 255, 256, 257, 511, 512, 513] {
        let folder = Folder::new();
        let running = folder.create_with(first).await;
        super::fill(&running.ledger, first + 300).await;
        let before = running.ledger.checkpoint();
        running.stop();
        let running = folder.open().unwrap();
        assert_eq!(running.ledger.checkpoint(), before);
        let next = record(&running.ledger, 1).await.unwrap();
        let receipt = next.receipt().unwrap();
        let leaf = receipt.extra().unwrap().to_vec();
        receipt.verify(&leaf, &running.ledger.verifier()).unwrap();
        let checkpoints = [before.to_string(), receipt.checkpoint().to_owned()];
        assert_one_history(running.store.as_ref(), &checkpoints);
        running.stop();
    }
}

#[tokio::test]
async fn a_full_queue_is_busy_and_loses_nothing_that_was_taken() {
    let folder = Folder::new();
    let running = folder.create();
    let hold = Hold::new(&running.ledger).await;
    let mut tasks = JoinSet::new();
    for n in 0..QUEUE_MAX {
        let ledger = running.ledger.clone();
        let n = u64::try_from(n).unwrap();
        tasks.spawn(async move { record(&ledger, n).await.unwrap().index() });
    }
    // The runtime polls a few tasks for each yield.
    for _ in 0..QUEUE_MAX {
        tokio::task::yield_now().await;
    }
    let waiting = Duration::from_secs(10);
    let refused = tokio::time::timeout(waiting, record(&running.ledger, 0)).await;
    assert!(
        matches!(refused, Ok(Err(CommitError::Busy(_)))),
        "{refused:?}"
    );
    hold.release().await;
    let indexes: BTreeSet<u64> = tasks.join_all().await.into_iter().collect();
    assert_eq!(indexes.len(), QUEUE_MAX);
    assert_eq!(indexes.last().copied(), u64::try_from(QUEUE_MAX).ok());
    running.stop();
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_lose_its_record() {
    let folder = Folder::new();
    let running = folder.create();
    let hold = Hold::new(&running.ledger).await;
    let ledger = running.ledger.clone();
    let caller = tokio::spawn(async move { record(&ledger, 7).await.unwrap().index() });
    tokio::task::yield_now().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    hold.release().await;
    assert_eq!(record(&running.ledger, 8).await.unwrap().index(), 2);
    let kept = running.store.records(1, 1).unwrap().remove(0);
    let bytes = kept.opening.unwrap().event;
    assert_eq!(Event::from_bytes(&bytes).unwrap(), event(7));
    running.stop();
}

#[tokio::test]
async fn a_decision_that_panics_is_one_error_and_everybody_else_goes_on() {
    let folder = Folder::new();
    let running = folder.create();
    let broken = running
        .ledger
        .commit(|_, _| -> Result<Entry, Refusal<()>> { panic!("a bug in a decision") })
        .await;
    assert!(matches!(broken, Err(CommitError::Stopped)));
    assert_eq!(record(&running.ledger, 1).await.unwrap().index(), 1);
    running.stop();
}

#[tokio::test]
async fn time_in_the_log_stands_still_while_the_clock_is_set_back() {
    let folder = Folder::new();
    let running = folder.create();
    let second = Duration::from_secs(1);
    let mut times = Vec::new();
    let clock = [
        start_time().plus(second),
        start_time(),
        start_time().minus(100 * second),
        start_time().plus(2 * second),
    ];
    for now in clock {
        folder.clock.set(now);
        times.push(record(&running.ledger, 1).await.unwrap().time());
    }
    let expected = [1, 1, 1, 2].map(|seconds| start_time().plus(seconds * second));
    assert_eq!(times, expected);
    running.stop();
}

#[tokio::test]
async fn a_batch_that_finds_no_room_gives_no_answer_that_rests_on_it() {
    let folder = Folder::new();
    let running = folder.create();
    let hold = Hold::new(&running.ledger).await;
    running.store.set_full(true);
    let ledger = running.ledger.clone();
    let writer = tokio::spawn(async move { record(&ledger, 7).await.map(|r| r.index()) });
    tokio::task::yield_now().await;
    let ledger = running.ledger.clone();
    let reader = tokio::spawn(async move { ledger.read(|state, _| state.policy()).await });
    tokio::task::yield_now().await;
    hold.release().await;
    assert!(matches!(writer.await.unwrap(), Err(CommitError::Busy(_))));
    assert!(matches!(reader.await.unwrap(), Err(CommitError::Busy(_))));
    assert_eq!(running.state().await.policy(), None);
    running.store.set_full(false);
    running.stop();
}
