//! Claims about seats and people, held against trying every way to seat them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::time::Timestamp;
use proptest::prelude::*;

use super::super::question::{Action, Approval, Facts, On, Person, SecondFactor};
use super::*;

const GROUPS: [&str; 4] = ["a", "b", "c", "d"];

fn subject(number: usize) -> Subject {
    Subject::new("https://issuer.example", &number.to_string()).unwrap()
}

/// Person 0 asks.
fn question(approvals: &[(usize, BTreeSet<String>)]) -> Question {
    let approvals = approvals.iter().map(|(who, groups)| Approval {
        subject: subject(*who),
        groups: groups.clone(),
    });
    Question {
        who: Person {
            name: "alice".parse().unwrap(),
            subject: subject(0),
            groups: BTreeSet::new(),
        },
        action: Action::Login,
        on: On::Accounts {
            environment: "prod".parse().unwrap(),
            principals: vec!["root".parse().unwrap()],
        },
        facts: Facts {
            duration: Duration::from_secs(3600),
            second_factor: SecondFactor::Totp(Duration::ZERO),
            token_bound: true,
            approvals: approvals.collect(),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: Timestamp::from_unix_seconds(1_795_341_600),
            reason: None,
            ticket: None,
            on_call: false,
            unreviewed: 0,
            holder: None,
        },
    }
}

fn requirement(alternatives: &str) -> Requirement {
    let text = format!("[requirements]\nx = [{alternatives}]\n");
    let table = Requirements::parse(&super::super::Source::new("t", &text)).unwrap();
    table.get("x").unwrap().clone()
}

fn one(who: usize, groups: &[&str]) -> (usize, BTreeSet<String>) {
    (who, groups.iter().map(|&group| group.to_owned()).collect())
}

fn missing(alternatives: &str, approvals: &[(usize, BTreeSet<String>)]) -> Option<String> {
    requirement(alternatives).missing(&question(approvals))
}

#[test]
fn somebody_in_two_groups_fills_one_seat() {
    let both = "[\"1 of a\", \"1 of b\"]";
    assert_eq!(missing(both, &[one(1, &["a", "b"])]).unwrap(), "1 of b");
    // Nor by voting twice.
    let twice = [one(1, &["a"]), one(1, &["b"])];
    assert_eq!(missing(both, &twice).unwrap(), "1 of b");
}

#[test]
fn people_are_seated_the_way_that_fills_most_seats() {
    let both = "[\"1 of a\", \"1 of b\"]";
    for order in [[1, 2], [2, 1]] {
        let votes = [one(order[0], &["a", "b"]), one(order[1], &["a"])];
        assert_eq!(missing(both, &votes), None);
    }
}

#[test]
fn the_alternative_nearest_to_done_says_what_is_missing() {
    let keys = "[\"1 of a\", \"1 of b\"], [\"2 of b\"], [\"3 approvals\"]";
    assert_eq!(missing(keys, &[]).unwrap(), "1 of a and 1 of b");
    assert_eq!(missing(keys, &[one(1, &["a"])]).unwrap(), "1 of b");
    assert_eq!(missing(keys, &[one(1, &["b"])]).unwrap(), "1 of a");
    let strangers = [one(1, &[]), one(2, &[])];
    assert_eq!(missing(keys, &strangers).unwrap(), "1 approval");
    assert_eq!(missing(keys, &[one(1, &["b"]), one(2, &["b"])]), None);
}

#[test]
fn seats_for_a_group_are_filled_before_seats_for_anybody() {
    let seats = "[\"2 approvals\", \"1 of a\"]";
    let votes = [one(1, &["a"]), one(2, &[])];
    assert_eq!(missing(seats, &votes).unwrap(), "1 approval");
}

#[test]
fn whoever_asks_fills_no_seat() {
    assert_eq!(
        missing("[\"1 of a\"]", &[one(0, &["a"])]).unwrap(),
        "1 of a"
    );
    assert_eq!(
        missing("[\"1 approval\"]", &[one(0, &["a"])]).unwrap(),
        "1 approval"
    );
}

fn alternatives() -> impl Strategy<Value = String> {
    let seats = prop::collection::btree_map(0_usize..5, 1_usize..3, 1..4);
    let alternative = seats.prop_map(|seats| {
        let seats = seats
            .into_iter()
            .map(|(group, count)| match GROUPS.get(group) {
                Some(group) => format!("\"{count} of {group}\""),
                None => format!("\"{count} approvals\""),
            });
        format!("[{}]", seats.collect::<Vec<_>>().join(", "))
    });
    prop::collection::vec(alternative, 1..3).prop_map(|all| all.join(", "))
}

fn votes() -> impl Strategy<Value = Vec<(usize, BTreeSet<String>)>> {
    let groups = prop::sample::subsequence(GROUPS.to_vec(), 0..=4);
    let groups = groups.prop_map(|names| names.into_iter().map(str::to_owned).collect());
    prop::collection::vec((0_usize..6, groups), 0..6)
}

/// Most seats that can be filled, by trying everybody and nobody in each.
fn brute(seats: &[Option<String>], people: &[BTreeSet<&str>]) -> usize {
    let Some((seat, rest)) = seats.split_first() else {
        return 0;
    };
    let mut best = brute(rest, people);
    for (at, groups) in people.iter().enumerate() {
        if seat
            .as_ref()
            .is_none_or(|group| groups.contains(group.as_str()))
        {
            let mut others = people.to_vec();
            others.remove(at);
            best = best.max(1 + brute(rest, &others));
        }
    }
    best
}

proptest! {
    #[test]
    fn as_many_seats_stay_open_as_the_best_of_all_seatings_leaves(
        text in alternatives(), votes in votes(),
    ) {
        let (requirement, question) = (requirement(&text), question(&votes));
        let people: Vec<BTreeSet<&str>> = question.approvers().into_values().collect();
        let left = requirement.alternatives.iter().map(|one| {
            let seats: Vec<Option<String>> = one.seats.iter()
                .flat_map(|s| std::iter::repeat_n(s.group.clone(), s.count)).collect();
            seats.len() - brute(&seats, &people)
        });
        let open = requirement.open(&question.approvers());
        prop_assert_eq!(count(&open), left.min().unwrap());
    }

    #[test]
    fn another_approval_never_unmeets_and_never_fills_two_seats(
        text in alternatives(), votes in votes(), more in votes(),
    ) {
        let requirement = requirement(&text);
        let mut votes = votes;
        let mut before = count(&requirement.open(&question(&votes).approvers()));
        for vote in more {
            votes.push(vote);
            let after = count(&requirement.open(&question(&votes).approvers()));
            prop_assert!(after <= before && before <= after + 1, "{} to {}", before, after);
            before = after;
        }
    }

    #[test]
    fn the_order_of_approvals_changes_nothing(
        text in alternatives(), votes in votes().prop_shuffle(),
    ) {
        let mut sorted = votes.clone();
        sorted.sort();
        prop_assert_eq!(missing(&text, &votes), missing(&text, &sorted));
    }

    #[test]
    fn approvals_of_whoever_asks_change_nothing(text in alternatives(), votes in votes()) {
        let others: Vec<_> = votes.iter().filter(|(who, _)| *who != 0).cloned().collect();
        prop_assert_eq!(missing(&text, &votes), missing(&text, &others));
    }

    #[test]
    fn people_for_every_open_seat_meet_the_requirement_and_one_fewer_do_not(
        text in alternatives(), votes in votes(),
    ) {
        let requirement = requirement(&text);
        let open = requirement.open(&question(&votes).approvers());
        let mut all = votes;
        for (at, group) in open.iter().flat_map(|s| std::iter::repeat_n(&s.group, s.count)).enumerate() {
            prop_assert!(!requirement.open(&question(&all).approvers()).is_empty());
            all.push((100 + at, group.iter().cloned().collect()));
        }
        prop_assert!(requirement.open(&question(&all).approvers()).is_empty());
    }
}
