//! Claims about replays of a real authority's day: each edit of its policies changes exactly what
//! it should.

use ca_core::event::Event;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::*;
use crate::policy::questions;
use crate::policy::tests::set;
use crate::recorded::tests::day::{Day, policies};
use crate::recorded::tests::{all, anybody, older};
use crate::store::Store;

/// A day that is over, by the plainest policies.
async fn day() -> Day {
    let day = Day::begin(&anybody()).await;
    day.passes().await;
    day
}

/// The day's policies with more, or with other words.
fn edited(edit: impl FnOnce(String) -> String) -> PolicySet {
    set(&edit(policies(&anybody()))).unwrap()
}

fn more(policy: &str) -> PolicySet {
    edited(|text| format!("{text}\n@id(\"new\") @reason(\"new\")\n{policy}"))
}

fn against(store: &dyn Store, other: &PolicySet) -> Report {
    let sets = Sets {
        other,
        in_force: None,
    };
    replay(store, sets, Window::default(), &mut |_, _| {}).unwrap()
}

/// Action, from, to, and how often.
fn shifts(shifts: &Shifts) -> Vec<(Action, Verdict, Verdict, u64)> {
    let each = shifts.iter();
    each.map(|(shift, count)| (shift.action, shift.from, shift.to, count.count))
        .collect()
}

use Action::{BreakGlass, Login};
use Verdict::{Approval, Deny, Permit};

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_that_decided_change_nothing() {
    let day = day().await;
    let report = against(day.store(), &day.set());
    assert_eq!(
        (report.changed(), report.by_others, report.undecidable),
        (0, 0, 0)
    );
    assert_eq!(report.all(), report.tally.decisions);
    assert_eq!(report.people.len(), 4);
    assert_eq!(report.decided, report.deciding.keys().cloned().collect());
    assert_eq!(report.idle(&day.set()), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn narrowing_and_widening_are_both_seen_with_their_records() {
    let day = day().await;
    let (found, _) = all(day.store());

    // Deploy for more than 20 minutes now needs somebody else.
    let narrower = more(
        "forbid (principal, action == Action::\"login\", resource == Account::\"prod/deploy\")\n\
         when { context.duration > 1200 && context.approvals == 0 };",
    );
    let report = against(day.store(), &narrower);
    assert_eq!(shifts(&report.shifts), [(Login, Permit, Approval, 2)]);
    assert_eq!((report.lost(), report.changed()), (2, 2));
    let count = report.shifts.values().next().unwrap();
    for index in &count.examples {
        let decision = found.iter().find(|one| one.index == *index).unwrap();
        assert!(decision.question.facts.duration.as_secs() > 1200);
    }
    let people: Vec<&str> = report
        .by_person
        .values()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(people, ["bob"]);
    let accounts: Vec<&str> = report.by_account.keys().map(String::as_str).collect();
    assert_eq!(accounts, ["prod/deploy", "prod/other"]);
    assert_eq!(
        shifts(&report.by_policy["new"]),
        [(Login, Permit, Approval, 2)]
    );
    assert_eq!(
        shifts(&report.by_policy["permit-0"]),
        [(Login, Permit, Approval, 2)]
    );

    // What was shut is open.
    let open = edited(|text| text.replace("prod/closed", "prod/elsewhere"));
    let report = against(day.store(), &open);
    let expected = [(BreakGlass, Deny, Permit, 1), (Login, Deny, Permit, 3)];
    assert_eq!(shifts(&report.shifts), expected);
    assert_eq!(report.lost(), 0);

    // Nobody approves anything any more, and nobody needs to.
    let alone = edited(|text| text.replace("context.approvals == 0 || ", ""));
    let report = against(day.store(), &alone);
    assert_eq!(shifts(&report.shifts), [(Login, Approval, Permit, 4)]);

    // Root is gone.
    let gone = more(
        "forbid (principal, action == Action::\"login\", resource == Account::\"prod/root\");",
    );
    let report = against(day.store(), &gone);
    let expected = [(Login, Permit, Deny, 1), (Login, Approval, Deny, 4)];
    assert_eq!(shifts(&report.shifts), expected);
    assert_eq!(report.lost(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_break_glass_is_told_by_name() {
    let day = day().await;
    let reviewed = more(
        "forbid (principal, action == Action::\"break_glass\", resource)\n\
         when { context.unreviewed > 0 };",
    );
    let report = against(day.store(), &reviewed);
    // The second of three, and the third, as the review of one of two was closed.
    assert_eq!(shifts(&report.shifts), [(BreakGlass, Permit, Deny, 2)]);
    let lost: Vec<&str> = report
        .break_glass_lost()
        .into_iter()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(lost, ["bob"]);
    assert!(
        against(day.store(), &day.set())
            .break_glass_lost()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_decides_nothing_any_more_and_one_that_never_did_are_told_apart() {
    let day = day().await;
    let other = edited(|text| {
        let unused = "@id(\"unused\") @reason(\"r\")\npermit (principal in Group::\"nobody\", \
                      action, resource);";
        format!(
            "{}\n{unused}",
            text.replace("prod/closed", "prod/elsewhere")
        )
    });
    let report = against(day.store(), &other);
    assert_eq!(report.idle(&other), ["closed", "unused"]);
    assert!(report.decided.contains("closed"));
    assert!(!report.decided.contains("unused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_set_in_force_changes_too_is_not_new() {
    let day = day().await;
    let open = edited(|text| text.replace("prod/closed", "prod/elsewhere"));
    let gone = edited(|text| {
        let open = text.replace("prod/closed", "prod/elsewhere");
        format!(
            "{open}\n@id(\"new\") @reason(\"new\")\nforbid (principal, action == \
             Action::\"login\", resource == Account::\"prod/root\");"
        )
    });
    let sets = Sets {
        other: &gone,
        in_force: Some(&open),
    };
    let report = replay(day.store(), sets, Window::default(), &mut |_, _| {}).unwrap();
    assert_eq!(report.changed(), 4 + 5);
    assert_eq!(report.already, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_holds_from_its_begin_and_not_at_its_end() {
    let day = day().await;
    let (found, _) = all(day.store());
    let middle = found[found.len() / 2].time;
    let other = day.set();
    let sets = Sets {
        other: &other,
        in_force: None,
    };
    let counted = |since, until| {
        let window = Window { since, until };
        replay(day.store(), sets, window, &mut |_, _| {})
            .unwrap()
            .all()
    };
    let before = found.iter().filter(|one| one.time < middle).count();
    assert_eq!(counted(None, Some(middle)), u64::try_from(before).unwrap());
    let after = found.len() - before;
    assert_eq!(counted(Some(middle), None), u64::try_from(after).unwrap());
    assert_eq!(counted(Some(middle), Some(middle)), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_that_lack_a_fact_are_counted_where_a_policy_looks_at_it() {
    let day = day().await;
    let records = older::records(day.store());
    let then: Vec<(Timestamp, Event)> = records
        .iter()
        .map(|(time, event)| (*time, older::older(event)))
        .collect();
    let log = older::Log::of(&then).await;
    let report = against(log.store(), &day.set());
    // `approvals` of the refused activation; nobody looks at `on_call`.
    assert_eq!(report.undecidable, 1);
    let facts: Vec<&str> = report.lacking.keys().copied().collect();
    assert_eq!(facts, ["approvals"]);
    assert_eq!(report.changed(), 0);
    assert!(report.tally.untold > 10, "{:?}", report.tally);

    let on_call = more(
        "forbid (principal, action == Action::\"approve\", resource)\nwhen { context.on_call };",
    );
    let report = against(log.store(), &on_call);
    assert_eq!(report.lacking["on_call"].count, 3);
    assert_eq!((report.undecidable, report.changed()), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_what_asking_one_by_one_says() {
    let day = day().await;
    let (found, _) = all(day.store());
    let mut runner = TestRunner::deterministic();
    let mut changed = 0;
    for _ in 0..24 {
        let other = questions::policies()
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut expected: BTreeMap<Shift, u64> = BTreeMap::new();
        for decision in &found {
            let shift = Shift {
                action: decision.question.action,
                from: decision.verdict,
                to: decision.judge(&other).verdict,
            };
            if shift.from != shift.to {
                *expected.entry(shift).or_default() += 1;
            }
        }
        let report = against(day.store(), &other);
        let told = report
            .shifts
            .iter()
            .map(|(shift, count)| (*shift, count.count));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), expected);
        changed += report.changed();
    }
    assert!(changed > 100, "{changed}");
}
