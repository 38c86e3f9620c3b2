//! Claims about what policies look at.

use std::str::FromStr as _;

use super::*;

fn reads(condition: &str) -> Reads {
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    Reads::of(&Policy::from_str(&text).unwrap())
}

fn facts(condition: &str) -> Vec<(&'static str, Look)> {
    let reads = reads(condition);
    assert!(!reads.everything && !reads.person, "{reads:?}");
    reads
        .facts
        .into_iter()
        .map(|(fact, look)| (fact.name(), look))
        .collect()
}

fn order(numbers: &[i64]) -> Look {
    Look::Order(numbers.iter().copied().collect())
}

#[test]
fn comparisons_with_numbers_are_looked_at_as_far_as_they_go() {
    let both = "context.mfa_age <= 3600 && 60 < context.mfa_age || context.mfa_age == 7";
    assert_eq!(facts(both), [("mfa_age", order(&[7, 60, 3600]))]);
    let from = "context.now >= datetime(\"1970-01-02T01:00:00.001+0100\")";
    assert_eq!(facts(from), [("now", order(&[86_400_001]))]);
    let sum = "context.mfa_age + 1 <= 3600 && context.mfa_age > 5";
    assert_eq!(facts(sum), [("mfa_age", Look::Value)]);
    let two = "context.mfa_age <= context.duration";
    assert_eq!(
        facts(two),
        [("duration", Look::Value), ("mfa_age", Look::Value)]
    );
    let time = "context.now.toTime() < duration(\"8h\")";
    assert_eq!(facts(time), [("now", Look::Value)]);
}

#[test]
fn that_something_is_there_is_less_than_what_it_is() {
    assert_eq!(facts("context has reason"), [("reason", Look::Presence)]);
    let more = "context has reason && context.reason like \"INC-*\"";
    assert_eq!(facts(more), [("reason", Look::Value)]);
    let holder = reads("context has holder && context.holder != principal");
    assert!(holder.person);
    assert!(!reads("context has holder").person);
}

#[test]
fn groups_that_are_named_are_looked_at_and_not_the_person() {
    let named = reads("principal in Group::\"a\" || principal in [Group::\"b\", Group::\"c\"]");
    let expected = Reads {
        groups: ["a", "b", "c"].map(str::to_owned).into(),
        ..Reads::default()
    };
    assert_eq!(named, expected);
    for person in [
        "principal == User::\"a\"",
        "User::\"a\" in Group::\"b\"",
        "principal in context.holder",
        "[principal].contains(principal)",
    ] {
        assert!(reads(person).person, "{person}");
    }
    let by_name = reads("principal.name == \"a\" && principal has issuer");
    assert!(by_name.name && !by_name.issuer && !by_name.person);
}

#[test]
fn what_is_not_understood_is_everything() {
    for whole in [
        "context == context",
        "{a: context}.a.on_call",
        "context.unheard_of",
    ] {
        assert!(reads(whole).everything, "{whole}");
    }
}

#[test]
fn the_scope_is_looked_at_like_a_condition() {
    let text = "permit (principal is User in Group::\"a\", action, resource);";
    let scope = Reads::of(&Policy::from_str(text).unwrap());
    assert_eq!(scope.groups, ["a".to_owned()].into());
    assert!(!scope.person);
}
