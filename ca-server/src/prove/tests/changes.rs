//! Policies that change nothing, and sets that permit more than others.

use super::*;
use crate::policy::Verdict;
use crate::prove::{Excess, Finding, Flaw, analyse, subset};

fn flaws(policies: &PolicySet) -> Vec<(String, Option<Flaw>)> {
    let findings = analyse(policies, &prover()).unwrap();
    let told = findings.into_iter().map(|Finding { id, flaw, open, .. }| {
        assert_eq!(open, None, "{id}");
        (id, flaw)
    });
    told.collect()
}

/// The flaw of the last of `texts`, which is the only one that has any.
#[track_caller]
fn flaw_of_last(texts: &[&str]) -> Flaw {
    let mut flaws = flaws(&policies(texts));
    let (_, last) = flaws.pop().unwrap();
    assert!(flaws.iter().all(|(_, flaw)| flaw.is_none()), "{flaws:?}");
    last.unwrap()
}

#[test]
fn a_policy_that_applies_to_no_question_is_unsatisfiable() {
    let permit = login("permit", "when", "context.duration <= 3600");
    let never = login(
        "permit",
        "when",
        "context.hour > 23 && context.duration > 3600",
    );
    assert_eq!(flaw_of_last(&[&permit, &never]), Flaw::Unsatisfiable);
    let never = login(
        "forbid",
        "when",
        "context.mfa_kind == \"none\" && context.mfa_age < 60",
    );
    assert_eq!(flaw_of_last(&[&permit, &never]), Flaw::Unsatisfiable);
}

#[test]
fn a_permit_that_is_always_overruled_names_what_overrules_it() {
    let shadowed = |forbids: &[&str]| {
        let permit = login(
            "permit",
            "when",
            "context.token_bound && context.duration < 60",
        );
        let other = login("permit", "when", "context.duration >= 60");
        let mut texts = vec![other.as_str()];
        texts.extend(forbids);
        texts.push(&permit);
        flaw_of_last(&texts)
    };
    let by = |ids: &[&str]| Flaw::Shadowed {
        forbidden_by: ids.iter().map(|&id| id.to_owned()).collect(),
    };
    let short = login("forbid", "when", "context.duration < 300");
    assert_eq!(shadowed(&[&short]), by(&["p1"]));
    let weekdays = login(
        "forbid",
        "when",
        "context.duration < 300 && context.weekday <= 5",
    );
    let weekend = login(
        "forbid",
        "when",
        "context.duration < 300 && context.weekday >= 6",
    );
    assert_eq!(shadowed(&[&weekdays, &weekend]), by(&[]));
    assert!(by(&[]).is_error());
}

#[test]
fn a_permit_that_others_grant_anyway_is_redundant() {
    let wide = login("permit", "when", "context.duration <= 3600");
    let narrow = login(
        "permit",
        "when",
        "context.duration <= 1800 && context.on_call",
    );
    let flaw = flaw_of_last(&[&wide, &narrow]);
    assert_eq!(
        flaw,
        Flaw::Redundant {
            covered_by: vec!["p0".to_owned()]
        }
    );
    assert!(!flaw.is_error());
    let on = login(
        "permit",
        "when",
        "context.on_call && context.duration <= 3600",
    );
    let off = login(
        "permit",
        "when",
        "!context.on_call && context.duration <= 2700",
    );
    let flaw = flaw_of_last(&[
        &on,
        &off,
        &login("permit", "when", "context.duration <= 1800"),
    ]);
    assert_eq!(flaw, Flaw::Redundant { covered_by: vec![] });
}

#[test]
fn a_forbid_that_others_make_anyway_or_that_nothing_permits_changes_nothing() {
    let permit = login("permit", "when", "context.duration <= 7200");
    let wide = login("forbid", "when", "context.duration > 3600");
    let narrow = login("forbid", "when", "context.duration > 5400");
    let flaw = flaw_of_last(&[&permit, &wide, &narrow]);
    assert_eq!(
        flaw,
        Flaw::Redundant {
            covered_by: vec!["p1".to_owned()]
        }
    );
    let idle = login("forbid", "when", "context.duration > 28800");
    assert_eq!(flaw_of_last(&[&permit, &idle]), Flaw::Idle);
}

#[test]
fn a_forbid_that_may_fail_does_more_than_cedar_sees() {
    let permit = login("permit", "when", "context.duration >= 0");
    let failing = login("forbid", "when", "context.duration + context.duration < 0");
    let flaws = flaws(&policies(&[&permit, &failing]));
    assert!(flaws.iter().all(|(_, flaw)| flaw.is_none()), "{flaws:?}");
}

fn of_login(inner: &PolicySet, outer: &PolicySet) -> Excess {
    let found = subset(inner, outer, &prover()).unwrap();
    assert_eq!(found.len(), 7);
    let (login, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|one| one.action.name() == "login");
    assert!(others.iter().all(Excess::is_none), "{others:?}");
    login.into_iter().next().unwrap()
}

#[test]
fn a_set_that_permits_less_is_a_subset_and_the_other_way_round_it_is_not() {
    let strict = policies(&[
        &login("permit", "when", "context.duration <= 3600"),
        &login("forbid", "unless", "context.token_bound"),
    ]);
    let loose = policies(&[&login("permit", "when", "context.duration <= 7200")]);
    assert!(of_login(&strict, &loose).is_none());
    let found = of_login(&loose, &strict);
    let other = found.other.unwrap();
    assert_eq!(other.verdict, Verdict::Deny);
    let found = counterexample(&loose, found.outcome);
    assert_eq!(found.verdict, Verdict::Permit);
    assert_eq!(crate::policy::judge(&strict, &found.question), other);
}

#[test]
fn requirements_of_one_name_are_compared_by_the_people_they_take() {
    let text = statement(
        "p",
        &login("permit", "when", "context.met.contains(\"keys\")"),
    );
    let with = |people: &str| set_with(&format!("keys = {people}"), &text);
    let strict = with("[[\"2 of security\"]]");
    let loose = with("[[\"1 of security\"]]");
    assert!(of_login(&strict, &loose).is_none());
    let found = counterexample(&loose, of_login(&loose, &strict).outcome);
    assert_eq!(found.question.facts.approvals.len(), 1);
    assert!(of_login(&strict, &with("[[\"2 of security\"], [\"3 approvals\"]]")).is_none());
}

#[test]
fn a_forbid_of_the_other_set_that_fails_permits_less_than_cedar_sees() {
    let permit = login("permit", "when", "context.duration >= 0");
    let failing = login("forbid", "when", "context.duration + context.duration < 0");
    let plain = policies(&[&permit]);
    let found = of_login(&plain, &policies(&[&permit, &failing]));
    let found = counterexample(&plain, found.outcome);
    assert!(found.question.facts.duration.as_secs() >= 1 << 62);
}
