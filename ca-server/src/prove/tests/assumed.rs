//! What holds by the way questions are made is used in proofs: each of these needs it.

use super::*;
use crate::prove::model::USUAL_NOW;
use crate::prove::prefer::known_moments;
use proptest::prelude::*;

#[test]
fn what_no_question_can_be_is_never_permitted() {
    let everything = policies(&[&login("permit", "when", "context.duration >= 0")]);
    for (policy, claim) in [
        ("context.hour > 23", "context.duration > 0"),
        ("context.weekday == 0", "context.duration > 0"),
        ("context.approvals < 0", "context.duration > 0"),
        ("context.unreviewed < 0", "context.duration > 0"),
        ("context.mfa_age > 4294967295", "context.duration > 0"),
        ("context.mfa_age <= 3600", "context.mfa_kind == \"none\""),
        ("context.mfa_kind == \"sms\"", "context.duration > 0"),
        (
            "context.approver_groups.contains(\"a\")",
            "context.approvals == 0",
        ),
        (
            "context has reason && context.reason == \"\"",
            "context.duration > 0",
        ),
        ("principal.name == \"\"", "context.duration > 0"),
        (
            "resource in Environment::\"prod\"",
            "resource in Environment::\"staging\"",
        ),
        (
            "resource == Account::\"prod/root\"",
            "resource.name == \"deploy\"",
        ),
        (
            "resource in Environment::\"prod\" && resource.name == \"root\"",
            "resource != Account::\"prod/root\"",
        ),
        (
            "resource == Account::\"prod/root\"",
            "!(resource in Environment::\"prod\")",
        ),
        ("resource == Account::\"root\"", "context.duration > 0"),
        ("principal == User::\"alice\"", "context.duration > 0"),
        (
            "context.now < datetime(\"1969-12-31\")",
            "context.duration > 0",
        ),
        (
            "context.now.toTime() < duration(\"7h\")",
            "context.hour >= 7",
        ),
    ] {
        let policies = policies(&[&login("permit", "when", policy)]);
        assert_proved(&policies, &login("forbid", "when", claim));
        // The claim is about something: everything permitted would violate it.
        let outcome = outcome(&everything, &login("forbid", "when", claim));
        counterexample(&everything, outcome);
    }
}

#[test]
fn requirements_are_met_by_people_and_people_meet_requirements() {
    let table = "one = [[\"1 of leads\"]]\n\
                 two = [[\"2 of security\"], [\"1 of leads\", \"1 of security\"]]\n\
                 some = [[\"2 approvals\"]]";
    let permit =
        |condition: &str| set_with(table, &statement("p", &login("permit", "when", condition)));
    for (policy, claim) in [
        (
            "context.met.contains(\"one\")",
            "!context.approver_groups.contains(\"leads\")",
        ),
        (
            "!context.met.contains(\"one\")",
            "context.approver_groups.contains(\"leads\")",
        ),
        ("context.met.contains(\"two\")", "context.approvals < 2"),
        (
            "context.met.contains(\"two\")",
            "!context.met.contains(\"some\")",
        ),
        ("!context.met.contains(\"some\")", "context.approvals >= 2"),
    ] {
        assert_proved(&permit(policy), &login("forbid", "when", claim));
    }
    // What does not follow: two people of whom one is in both groups may be one and a stranger.
    let policies = permit("!context.met.contains(\"two\")");
    let text = login(
        "forbid",
        "when",
        "context.approver_groups.contains(\"security\") && \
                     context.approvals >= 2",
    );
    counterexample(&policies, outcome(&policies, &text));
}

#[test]
fn a_requirement_follows_from_another_exactly_if_its_people_do() {
    let table = "one = [[\"1 of a\"]]\nboth = [[\"1 of a\", \"1 of b\"]]\n\
                 two = [[\"2 of a\"]]\nany = [[\"2 approvals\"]]\neither = [[\"1 of a\"], [\"1 of b\"]]";
    let text = statement("p", &login("permit", "when", "context.on_call"));
    let policies = set_with(table, &text);
    let table = policies.requirements();
    let follows = |from: &str, to: &str| table.get(from).unwrap().implies(table.get(to).unwrap());
    for (from, to) in [
        ("both", "one"),
        ("both", "any"),
        ("two", "any"),
        ("one", "either"),
    ] {
        assert!(follows(from, to), "{from} {to}");
        assert!(!follows(to, from), "{to} {from}");
    }
    assert!(!follows("two", "both") && !follows("both", "two"));
}

#[test]
fn a_known_moment_has_its_own_hour_and_day() {
    let policies = policies(&[&login("permit", "when", "context.on_call")]);
    for conditions in known_moments() {
        let all = format!("({})", conditions.join(") && ("));
        let text = format!("permit (principal, action, resource) when {{ {all} }};");
        let alone = cedar_policy::PolicySet::from_policies([text.parse().unwrap()]).unwrap();
        let hours = (0..24 * 7).filter(|hour| {
            let mut question = crate::policy::tests::login("prod", &["root"]);
            let issuer = crate::prove::model::USUAL_ISSUER;
            question.who.subject = ca_core::name::Subject::new(issuer, "alice").unwrap();
            let monday = USUAL_NOW.unix_seconds() / 86_400 - 6;
            question.facts.now =
                ca_core::time::Timestamp::from_unix_seconds((monday * 24 + hour) * 3600);
            policies.allowed_by(&alone, &question) == [true]
        });
        assert_eq!(hours.count(), 1, "{all}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_smallest_question_still_does_what_it_was_found_for(
        question in crate::prove::assume::tests::anything(),
        longer in 0_u64..100_000,
    ) {
        let holds = |q: &crate::policy::Question| {
            q.facts.duration.as_secs() > longer && !q.facts.approvals.is_empty()
        };
        if holds(&question) {
            let small = crate::prove::smaller::smallest(question, &holds);
            prop_assert!(holds(&small));
            prop_assert_eq!(small.facts.approvals.len(), 1);
            prop_assert!(small.who.groups.is_empty() && small.facts.reason.is_none());
            prop_assert_eq!(small.facts.now, USUAL_NOW);
        }
    }
}

#[test]
fn groups_of_whom_it_is_about_prove_nothing_because_the_authority_supplies_none() {
    let policies = policies(&[&login("permit", "when", "principal in Group::\"sre\"")]);
    let text = login(
        "forbid",
        "when",
        "context has holder && context.holder != principal && context.holder in Group::\"sre\"",
    );
    let outcome = outcome(&policies, &text);
    assert!(matches!(outcome, Outcome::Vacuous), "{outcome:?}");
}
