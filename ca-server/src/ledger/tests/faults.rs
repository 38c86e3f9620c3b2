//! Every write fails once, with and without its effect. Afterwards: nobody was told of what is not
//! durable, and nothing that was signed is forgotten.

use super::{CommitError, Folder, OpenError, Running, assert_one_history, fill, record, replayed};
use crate::store::Store;
use crate::store::faulty::{Call, Fault};

/// What callers saw of a run: signed checkpoints, and the number of records acknowledged.
#[derive(Default)]
struct Seen {
    checkpoints: Vec<String>,
    acknowledged: u64,
}

impl Seen {
    /// Commits one by one until the ledger stops.
    async fn until_it_stops(running: &Running) -> Self {
        let mut seen = Self {
            checkpoints: vec![running.ledger.checkpoint().to_string()],
            acknowledged: running.ledger.size(),
        };
        for n in 0..10 {
            match record(&running.ledger, n).await {
                Ok(recorded) => {
                    let receipt = recorded.receipt().unwrap();
                    seen.checkpoints.push(receipt.checkpoint().to_owned());
                    seen.acknowledged = recorded.index() + 1;
                }
                Err(CommitError::Stopped) => break,
                Err(CommitError::Busy(why)) => panic!("{why}"),
            }
        }
        running.ledger.stopped().await;
        let later = record(&running.ledger, 99).await;
        assert!(matches!(later, Err(CommitError::Stopped)));
        let checkpoint = running.ledger.checkpoint();
        seen.checkpoints.push(checkpoint.to_string());
        seen
    }

    /// After a restart: all is there that was acknowledged, and the log goes on from it.
    async fn holds_after(mut self, folder: &Folder, size: u64) {
        let running = folder.open().unwrap();
        assert_eq!(running.ledger.size(), size);
        assert!(size >= self.acknowledged);
        let checkpoint = running.ledger.checkpoint();
        self.checkpoints.push(checkpoint.to_string());
        assert_eq!(record(&running.ledger, 1).await.unwrap().index(), size);
        fill(&running.ledger, size + 300).await;
        let checkpoint = running.ledger.checkpoint();
        self.checkpoints.push(checkpoint.to_string());
        assert_one_history(running.store.as_ref(), &self.checkpoints);
        assert_eq!(running.state().await, replayed(running.store.as_ref()));
        running.stop();
    }
}

#[tokio::test]
async fn an_append_that_fails_stops_the_ledger_and_is_there_whole_or_not_at_all() {
    for nth in 1..=3 {
        for effect in [false, true] {
            let folder = Folder::new();
            let running = folder.create_with(254).await;
            running.store.set(Some(Fault {
                call: Some(Call::Append),
                nth,
                effect,
                lasting: false,
            }));
            let seen = Seen::until_it_stops(&running).await;
            assert_eq!(seen.acknowledged, 254 + nth - 1);
            running.stop();
            let size = seen.acknowledged + u64::from(effect);
            seen.holds_after(&folder, size).await;
        }
    }
}

#[tokio::test]
async fn a_high_water_write_that_fails_stops_the_ledger_before_anybody_is_told() {
    for nth in 1..=3 {
        for effect in [false, true] {
            let folder = Folder::new();
            folder.create_with(254).await.stop();
            let store = folder.faulty_store();
            let arrange = |file: &mut crate::high_water::HighWater| {
                file.arrange_fault(nth, effect);
            };
            let running = folder.open_with(store, arrange).unwrap();
            let seen = Seen::until_it_stops(&running).await;
            assert_eq!(seen.acknowledged, 254 + nth - 1);
            running.stop();
            // The store had it before the mark was to be written.
            let size = seen.acknowledged + 1;
            seen.holds_after(&folder, size).await;
        }
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_costs_nothing_but_time() {
    for effect in [false, true] {
        let folder = Folder::new();
        let running = folder.create_with(20).await;
        running.store.set(Some(Fault {
            call: Some(Call::PutSnapshot),
            nth: 1,
            effect,
            lasting: true,
        }));
        record(&running.ledger, 1).await.unwrap();
        running.stop();
        let running = folder.open().unwrap();
        assert_eq!(running.ledger.size(), 21);
        assert_eq!(running.state().await, replayed(running.store.as_ref()));
        running.stop();
    }
}

#[tokio::test]
async fn a_read_that_fails_at_the_start_refuses_the_start_and_harms_nothing() {
    let folder = Folder::new();
    folder.create_with(600).await.stop();
    for call in [Call::Head, Call::Records, Call::Tile, Call::Snapshot] {
        let mut failed = 0;
        for nth in 1.. {
            let store = folder.faulty_store();
            store.set(Some(Fault {
                call: Some(call),
                nth,
                effect: false,
                lasting: false,
            }));
            match folder.open_with(store, |_| {}) {
                Err(OpenError::Store(_)) => failed += 1,
                Err(other) => panic!("{call:?} {nth}: {other}"),
                Ok(running) => {
                    assert_eq!(running.ledger.size(), 600);
                    assert_eq!(running.state().await, replayed(running.store.inner()));
                    running.stop();
                    break;
                }
            }
        }
        assert!(failed > 0, "{call:?} never failed");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room_and_needs_no_restart() {
    let folder = Folder::new();
    let running = folder.create_with(254).await;
    let before = running.state().await;
    let checkpoint = running.ledger.checkpoint();
    running.store.set_full(true);
    for n in 0..3 {
        let refused = record(&running.ledger, n).await;
        assert!(matches!(refused, Err(CommitError::Busy(_))));
        assert_eq!(running.state().await, before);
        assert_eq!(running.ledger.checkpoint(), checkpoint);
    }
    running.store.set_full(false);
    assert_eq!(record(&running.ledger, 1).await.unwrap().index(), 254);
    fill(&running.ledger, 520).await;
    assert_eq!(running.state().await, replayed(running.store.as_ref()));
    let newest = running.ledger.checkpoint();
    let checkpoints = [checkpoint.to_string(), newest.to_string()];
    assert_one_history(running.store.as_ref(), &checkpoints);
    running.stop();
    assert_eq!(folder.open().unwrap().ledger.size(), 520);
}

#[tokio::test]
async fn a_full_disk_that_cannot_be_read_again_stops_the_ledger() {
    let folder = Folder::new();
    let running = folder.create_with(10).await;
    running.store.set_full(true);
    running.store.set(Some(Fault {
        call: Some(Call::Head),
        nth: 1,
        effect: false,
        lasting: false,
    }));
    let refused = record(&running.ledger, 1).await;
    assert!(matches!(refused, Err(CommitError::Busy(_))));
    running.ledger.stopped().await;
    let later = record(&running.ledger, 1).await;
    assert!(matches!(later, Err(CommitError::Stopped)));
    assert_eq!(running.store.inner().head().unwrap().unwrap().size, 10);
    running.stop();
}
