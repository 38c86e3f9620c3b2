//! Refused attempts are on record, and nobody can bloat the log with them.

use std::net::IpAddr;
use std::time::Duration;

use ca_core::event::{Attempt, Event, Person, RefusalsSummarised, Refused};
use ca_core::name::Subject;
use tokio::task::JoinSet;

use super::{CommitError, Folder, Ledger, State, record, replayed, start_time};
use crate::ledger::Refusal;
use crate::store::Store;

fn refused(code: &str, source: &str, person: Option<&str>) -> Refused {
    let person = person.map(|name| Person {
        subject: Subject::new("https://id.example", name).unwrap(),
        user: name.parse().unwrap(),
    });
    Refused {
        approvers: None,
        request: None,
        not_before: None,
        judged: None,
        attempt: Attempt::SignIn,
        code: code.to_owned(),
        detail: String::new(),
        person,
        asked: None,
        policies: Vec::new(),
        policy_digest: None,
        source: source.parse::<IpAddr>().unwrap(),
    }
}

async fn refuse(ledger: &Ledger, refused: Refused) {
    let answer = ledger
        .commit(move |_: &State, _| {
            Err::<Event, _>(Refusal {
                why: "no",
                record: Some(Box::new(refused)),
            })
        })
        .await;
    assert!(matches!(answer, Err(CommitError::Refused("no"))));
}

async fn flood(ledger: &Ledger, attempts: impl Iterator<Item = Refused>) {
    let mut tasks = JoinSet::new();
    for attempt in attempts {
        let ledger = ledger.clone();
        tasks.spawn(async move { refuse(&ledger, attempt).await });
    }
    tasks.join_all().await;
}

fn events(store: &dyn Store) -> Vec<Event> {
    let records = store.records(0, usize::MAX).unwrap();
    let bytes = records.into_iter().map(|r| r.opening.unwrap().event);
    bytes.map(|b| Event::from_bytes(&b).unwrap()).collect()
}

fn summaries(events: &[Event]) -> Vec<&RefusalsSummarised> {
    let found = events.iter().filter_map(|event| match event {
        Event::RefusalsSummarised(summary) => Some(summary),
        _ => None,
    });
    found.collect()
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_ten_records_and_one_summary_a_minute() {
    let folder = Folder::new();
    let running = folder.create();
    for minute in 0..3 {
        folder
            .clock
            .set(start_time().plus(Duration::from_secs(61 * minute)));
        let attempt = || refused("id-token-nonce", "192.0.2.1", None);
        flood(&running.ledger, (0..500).map(|_| attempt())).await;
    }
    folder
        .clock
        .set(start_time().plus(Duration::from_secs(600)));
    record(&running.ledger, 1).await.unwrap();
    record(&running.ledger, 2).await.unwrap();
    let events = events(running.store.as_ref());
    // Creation, three times ten and a summary, the two records after.
    assert_eq!(events.len(), 1 + 33 + 2);
    for summary in summaries(&events) {
        assert_eq!((summary.count, summary.sources), (490, 1));
        let counted = summary.by_code.get("sign-in/id-token-nonce");
        assert_eq!(counted, Some(&490));
    }
    assert_eq!(summaries(&events).len(), 3);
    running.stop();
}

#[tokio::test]
async fn a_flood_from_everywhere_is_bounded_for_all_and_an_other_person_is_still_on_record() {
    let folder = Folder::new();
    let running = folder.create();
    let address = |n: u32| format!("10.0.{}.{}", n / 256, n % 256);
    let attempts = (0..3000).map(|n| refused(&format!("code-{}", n % 50), &address(n), None));
    flood(&running.ledger, attempts).await;
    assert_eq!(running.ledger.size(), 1 + 100);
    let denied = refused("denied", "10.0.0.1", Some("mallory"));
    refuse(&running.ledger, denied).await;
    assert_eq!(running.ledger.size(), 1 + 101, "hidden by the noise");
    folder.clock.set(start_time().plus(Duration::from_secs(60)));
    refuse(
        &running.ledger,
        refused("denied", "192.0.2.9", Some("alice")),
    )
    .await;
    let events = events(running.store.as_ref());
    let [summary] = summaries(&events)[..] else {
        panic!("not one summary");
    };
    assert_eq!(summary.count, 2900);
    assert_eq!(summary.by_code.values().sum::<u64>(), 2900);
    assert_eq!(summary.by_code.len(), 32);
    assert_eq!(summary.sources, 1024);
    assert!(matches!(events.last(), Some(Event::Refused(_))));
    running.stop();
}

#[tokio::test]
async fn a_wrong_second_factor_is_always_recorded_and_locks_only_that_person() {
    let folder = Folder::new();
    let running = folder.create();
    let noise = || refused("id-token-nonce", "192.0.2.1", None);
    flood(&running.ledger, (0..300).map(|_| noise())).await;
    let before = running.ledger.size();
    for code in ["totp-wrong", "totp-replayed", "recovery-code-wrong"] {
        for _ in 0..20 {
            refuse(&running.ledger, refused(code, "192.0.2.1", Some("alice"))).await;
        }
    }
    refuse(
        &running.ledger,
        refused("totp-locked", "192.0.2.1", Some("bob")),
    )
    .await;
    assert_eq!(running.ledger.size(), before + 61);
    let state = running.state().await;
    let alice = refused("", "::1", Some("alice")).person.unwrap().subject;
    let bob = refused("", "::1", Some("bob")).person.unwrap().subject;
    let lockout = state.factor(&alice).unwrap().lockout;
    assert_eq!(lockout.failures(), 60);
    assert!(lockout.is_locked(start_time()));
    assert_eq!(state.factor(&bob), None);
    running.stop();

    let running = folder.open().unwrap();
    let state = running.state().await;
    assert_eq!(state.factor(&alice).unwrap().lockout, lockout);
    assert_eq!(state, replayed(running.store.as_ref()));
    running.stop();
}

#[tokio::test]
async fn a_summary_that_finds_no_room_is_written_when_there_is() {
    let folder = Folder::new();
    let running = folder.create();
    let attempt = || refused("id-token-nonce", "192.0.2.1", None);
    flood(&running.ledger, (0..50).map(|_| attempt())).await;
    folder.clock.set(start_time().plus(Duration::from_secs(61)));
    running.store.set_full(true);
    let busy = record(&running.ledger, 1).await;
    assert!(matches!(busy, Err(CommitError::Busy(_))));
    running.store.set_full(false);
    record(&running.ledger, 1).await.unwrap();
    let events = events(running.store.as_ref());
    let counts: Vec<u64> = summaries(&events).iter().map(|s| s.count).collect();
    assert_eq!(counts, [40]);
    running.stop();
}
