//! What is read back is what was asked: a real authority decides by policies that each name one
//! value of one fact, so that the list of those that decided is a print of all facts. Asked again
//! from the log, the print must be the same.

use std::collections::BTreeMap;

use super::*;
use crate::store::Store;
use day::{Day, denied, prints};

pub(crate) mod day;
pub(crate) mod older;

/// Policies that let everybody through the open doors.
pub(crate) fn anybody() -> Vec<String> {
    vec!["context.duration >= 0".to_owned()]
}

pub(crate) fn all(store: &dyn Store) -> (Vec<Decision>, Tally) {
    let mut found = Vec::new();
    let tally = decisions(store, &mut |_, _| {}, &mut |chunk| found.extend(chunk)).unwrap();
    (found, tally)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_is_read_back_as_it_was_asked() {
    let day = Day::begin(&prints()).await;
    day.passes().await;
    let (found, tally) = all(day.store());
    let set = day.set();
    let mut seen: BTreeMap<(&str, &str, Verdict), usize> = BTreeMap::new();
    for decision in &found {
        assert_eq!(decision.lacking, BTreeSet::new(), "{decision:?}");
        let again = decision.judge(&set);
        let index = decision.index;
        assert_eq!(
            again.verdict, decision.verdict,
            "record {index}: {decision:?}"
        );
        assert_eq!(again.policies, decision.policies, "record {index}");
        assert_eq!(decision.policy_digest.as_bytes(), &set.digest());
        assert!(decision.policies.len() > 20, "record {index} has no print");
        let key = (
            decision.record,
            decision.question.action.name(),
            decision.verdict,
        );
        *seen.entry(key).or_default() += 1;
    }
    let expected = [
        (("audit-read", "read_audit", Verdict::Permit), 1),
        (("certificate-issued", "break_glass", Verdict::Permit), 3),
        (("certificate-issued", "login", Verdict::Permit), 4),
        (("certificates-revoked", "revoke", Verdict::Permit), 2),
        (("freeze-lifted", "revoke", Verdict::Permit), 3),
        (("frozen", "revoke", Verdict::Permit), 3),
        (("join-token-issued", "administer", Verdict::Permit), 1),
        (("refused", "administer", Verdict::Deny), 1),
        (("refused", "approve", Verdict::Deny), 1),
        (("refused", "break_glass", Verdict::Deny), 1),
        (("refused", "login", Verdict::Deny), 4),
        (("refused", "read_audit", Verdict::Deny), 1),
        (("refused", "revoke", Verdict::Deny), 2),
        (("request-approved", "approve", Verdict::Permit), 3),
        (("request-denied", "approve", Verdict::Permit), 1),
        (("request-opened", "login", Verdict::Permit), 1),
        (("request-opened", "login", Verdict::Approval), 4),
        (("review-closed", "review", Verdict::Permit), 1),
        (("ticket-issued", "administer", Verdict::Permit), 1),
    ];
    assert_eq!(seen, expected.into());
    assert_eq!((tally.untold, tally.erased), (0, 0));
    assert_eq!(tally.records, day.example.ca.ledger.size());
    assert_eq!(tally.decisions, u64::try_from(found.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_index_tells_what_the_whole_log_tells_of_it() {
    let day = Day::begin(&anybody()).await;
    day.passes().await;
    let (found, tally) = all(day.store());
    let mut by_index: BTreeMap<u64, Vec<Decision>> = BTreeMap::new();
    for decision in found {
        by_index.entry(decision.index).or_default().push(decision);
    }
    let at = |index| decision_at(day.store(), index, &mut |_, _| {}).unwrap();
    for index in 0..tally.records {
        match (at(index), by_index.get(&index)) {
            (At::Decisions(told), Some(known)) => assert_eq!(&told, known),
            (At::Other(name), None) => assert_ne!(name, "certificate-issued"),
            (told, known) => panic!("record {index}: {told:?}, {known:?}"),
        }
    }
    assert_eq!(at(0), At::Other("log-created"));
    assert_eq!(at(tally.records), At::Beyond(tally.records));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_approvals_would_help_is_denied_again_where_nothing_can_wait() {
    let day = Day::begin(&anybody()).await;
    let alice = day.sign_in("alice").await;
    let mut many = day.wish("root", 600);
    let others = (0..8).map(|number| format!("account{number}"));
    many.principals.extend(others);
    denied(day.get(alice, many).await);
    let (found, _) = all(day.store());
    let [decision] = found.as_slice() else {
        panic!("{found:?}");
    };
    let set = day.set();
    assert_eq!(judge(&set, &decision.question).verdict, Verdict::Approval);
    assert_eq!(decision.judge(&set).verdict, Verdict::Deny);
    assert_eq!(decision.verdict, Verdict::Deny);
}
