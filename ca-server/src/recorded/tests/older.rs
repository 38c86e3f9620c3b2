//! Records as older programs wrote them: what those before them prove is taken, the rest is named.

use std::sync::Arc;

use ca_core::event::Event;
use ca_core::tlog::leaf::Leaf;
use ed25519_dalek::SigningKey;
use serde_json::Value;

use super::*;
use crate::access::BREAK_GLASS_ONLY;
use crate::clock::Clock;
use crate::high_water::HighWater;
use crate::ledger::{Ledger, LogKey, Refusal};
use crate::store::sled::SledStore;

/// Time and event of every record.
pub(crate) fn records(store: &dyn Store) -> Vec<(Timestamp, Event)> {
    let size = store.head().unwrap().unwrap().size;
    let records = store.records(0, usize::try_from(size).unwrap()).unwrap();
    let open = |record: crate::store::Record| {
        let leaf = Leaf::decode(&record.leaf).unwrap();
        let event = Event::from_bytes(&record.opening.unwrap().event).unwrap();
        (leaf.time, event)
    };
    records.into_iter().map(open).collect()
}

/// The same record without what was added to records later.
pub(crate) fn older(event: &Event) -> Event {
    let mut json: Value = serde_json::from_slice(&event.to_bytes().unwrap()).unwrap();
    let later = json.get("not_before").is_some() && json["type"] == "refused";
    let fields = json.as_object_mut().unwrap();
    fields.remove("judged");
    match event {
        Event::Refused(_) => {
            fields.remove("request");
            fields.remove("approvers");
            if later {
                for name in ["not_before", "asked", "policy_digest", "policies"] {
                    fields.remove(name);
                }
            }
        }
        Event::RequestApproved(_) => {
            fields.remove("token_bound");
            fields.remove("on_call");
        }
        _ => {}
    }
    if let Some(asked) = fields.get_mut("asked") {
        let asked = asked.as_object_mut().unwrap();
        asked.remove("unreviewed");
    }
    Event::from_bytes(json.to_string().as_bytes()).unwrap()
}

/// A log of given records, recorded by a ledger at their times.
pub(crate) struct Log {
    store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

impl Log {
    pub(crate) async fn of(records: &[(Timestamp, Event)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SledStore::create(&folder.path().join("store"), 0).unwrap());
        let key = LogKey::new(
            "log.example/1".parse().unwrap(),
            1,
            SigningKey::from_bytes(&[9; 32]),
        );
        let high_water = HighWater::create(&folder.path().join("high-water")).unwrap();
        let clock = Clock::manual(records[0].0);
        let opened = Ledger::create(Arc::clone(&store), key, clock.clone(), high_water).unwrap();
        let ledger = opened.ledger;
        for (time, event) in records.iter().skip(1) {
            clock.set(*time);
            let event = event.clone();
            let decide = move |_: &_, _| Ok::<_, Refusal<()>>(event);
            ledger.commit(decide).await.unwrap();
        }
        Self {
            store,
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }
}

/// What each record holds; `erased` have no content.
fn fold(records: &[(Timestamp, Event)], erased: &[usize]) -> Vec<Taken> {
    let mut fold = Fold::default();
    let all = records.iter().enumerate();
    all.map(|(at, (time, event))| fold.take(*time, (!erased.contains(&at)).then_some(event)))
        .collect()
}

fn names(lacking: &[&'static str]) -> BTreeSet<&'static str> {
    lacking.iter().copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_records_prove_what_older_ones_do_not_tell() {
    let day = Day::begin(&anybody()).await;
    day.passes().await;
    let now = records(day.store());
    let then: Vec<_> = now
        .iter()
        .map(|(time, event)| (*time, older(event)))
        .collect();
    let mut activated = 0;
    for ((told, known), (_, event)) in fold(&then, &[]).iter().zip(fold(&now, &[])).zip(&now) {
        match event {
            Event::CertificateIssued(_) | Event::RequestOpened(_) => assert_eq!(*told, known),
            Event::RequestApproved(_) => {
                let mut known = known.decisions[0].clone();
                known.lacking = names(&["on_call"]);
                assert_eq!(told.decisions, [known]);
            }
            Event::Refused(refused) if refused.not_before.is_some() => {
                assert_eq!(*told, Taken::default());
            }
            Event::Refused(refused) if refused.request.is_some() && refused.asked.is_some() => {
                let mut known = known.decisions[0].clone();
                known.lacking = names(&["approvals", "approver_groups", "met"]);
                known.question.facts.approvals.clear();
                assert_eq!(told.decisions, [known]);
                activated += 1;
            }
            Event::Refused(refused) if refused.asked.is_some() => assert_eq!(*told, known),
            _ if known.decisions.is_empty() => assert_eq!(*told, Taken::default()),
            _ => assert!(told.untold && told.decisions.is_empty(), "{event:?}"),
        }
    }
    assert_eq!(activated, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_gap_older_records_prove_nothing_and_newer_ones_still_tell_all() {
    let day = Day::begin(&anybody()).await;
    day.passes().await;
    let now = records(day.store());
    let then: Vec<_> = now
        .iter()
        .map(|(time, event)| (*time, older(event)))
        .collect();
    let gap = [1];
    let (whole, pierced) = (fold(&now, &[]), fold(&now, &gap));
    assert_eq!(whole.get(2..), pierced.get(2..));
    for (told, (_, event)) in fold(&then, &gap).iter().zip(&now) {
        let Some(decision) = told.decisions.first() else {
            continue;
        };
        let lacks: &[&str] = match event {
            Event::CertificateIssued(issued) if issued.break_glass => &["unreviewed"],
            Event::CertificateIssued(_) => &[],
            Event::RequestApproved(_) => &["on_call", "token_bound"],
            Event::Refused(refused) => match refused.attempt {
                ca_core::event::Attempt::BreakGlass => &["unreviewed"],
                _ => &["approvals", "approver_groups", "met"],
            },
            _ => &[],
        };
        assert_eq!(
            decision.lacking,
            lacks.iter().copied().collect(),
            "{event:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_request_whose_record_is_gone_is_untold() {
    let day = Day::begin(&anybody()).await;
    day.passes().await;
    let now = records(day.store());
    let opened = now
        .iter()
        .position(|(_, event)| event.name() == "request-opened");
    let taken = fold(&now, &[opened.unwrap()]);
    let approved = now
        .iter()
        .position(|(_, event)| event.name() == "request-approved");
    let told = &taken[approved.unwrap()];
    assert!(told.untold && told.decisions.is_empty(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_for_emergencies_is_refused_was_not_asked_of_policy() {
    let day = Day::begin(&anybody()).await;
    day.passes().await;
    let mut now = records(day.store());
    let refusal = now.iter_mut().find_map(|(_, event)| match event {
        Event::Refused(refused) if refused.asked.is_some() => Some(refused),
        _ => None,
    });
    refusal.unwrap().detail = BREAK_GLASS_ONLY.to_owned();
    let before = fold(&records(day.store()), &[]);
    let after = fold(&now, &[]);
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    let [(_, told)] = changed.as_slice() else {
        panic!("{changed:?}");
    };
    assert_eq!(**told, Taken::default());
}
