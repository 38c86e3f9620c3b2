//! The invariants of the examples hold, and notice what they are there for.

use super::*;
use crate::policy::tests::examples;
use crate::policy::{EXAMPLES, REQUIREMENTS_NAME, SCHEMA_NAME, is_policy_file};
use crate::prove::{Flaw, analyse};

fn invariants(policies: &PolicySet) -> Invariants {
    let sources: Vec<Source> = EXAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("invariants/"))
        .map(|(name, text)| Source::new(name, text))
        .collect();
    Invariants::parse(policies, &sources, None).unwrap()
}

#[test]
fn every_example_invariant_is_proved() {
    let policies = examples();
    for proof in prove_all(&policies, &invariants(&policies), &prover()).unwrap() {
        let id = &proof.invariant.id;
        assert!(proof.holds(), "{id}: {:#?}", proof.outcome);
    }
}

fn file(wanted: &str) -> Source {
    let found = EXAMPLES.iter().find(|(name, _)| *name == wanted);
    found.map(|(name, text)| Source::new(name, text)).unwrap()
}

/// The examples without the policy `id`.
fn without(id: &str) -> PolicySet {
    let named = format!("@id(\"{id}\")");
    let mut found = 0;
    let mut sources = Vec::new();
    for (name, text) in EXAMPLES.iter().filter(|(name, _)| is_policy_file(name)) {
        let parts = text.split("\n\n");
        let kept: Vec<&str> = parts.filter(|part| !part.contains(&named)).collect();
        found += text.matches(&named).count();
        let kept = kept.join("\n\n");
        if kept.contains("@id(") {
            sources.push(Source::new(name, &kept));
        }
    }
    assert_eq!(found, 1, "{id}");
    let table = file(REQUIREMENTS_NAME);
    PolicySet::parse(&file(SCHEMA_NAME), &sources, Some(&table), None).unwrap()
}

/// Every policy of the examples that forbids something today, and permits that nobody may lose: with
/// the invariant that fails without it.
const NOTICED: &[(&str, &str)] = &[
    (
        "approvers-need-recent-second-factor",
        "deciding-takes-a-fresh-second-factor",
    ),
    ("contract-of-acme-ends", "acme-is-out-in-july-2027"),
    ("contractors-decide-nothing", "contractors-hold-no-office"),
    ("contractors-need-a-ticket", "contractors-name-a-ticket"),
    (
        "contractors-need-approval-in-prod",
        "contractors-are-not-alone-in-prod",
    ),
    ("contractors-only-deploy", "contractors-are-never-root"),
    (
        "contractors-work-in-office-hours",
        "contractors-keep-office-hours",
    ),
    ("machines-do-not-act-as-people", "machines-get-no-account"),
    ("no-emergency-opens-payments", "payments-takes-two-people"),
    (
        "nobody-approves-their-own",
        "nobody-decides-about-themselves",
    ),
    (
        "nobody-reviews-their-own",
        "nobody-decides-about-themselves",
    ),
    ("on-call-breaks-glass", "on-call-can-break-glass"),
    (
        "prod-payments-needs-strong-sign-in",
        "sensitive-takes-a-sure-sign-in",
    ),
    ("prod-payments-needs-two-keys", "payments-takes-two-people"),
    (
        "prod-release-from-the-build-network",
        "release-comes-from-the-build-network",
    ),
    ("prod-root-needs-approval", "root-in-prod-takes-an-approver"),
    (
        "prod-root-needs-bound-sign-in",
        "sensitive-takes-a-sure-sign-in",
    ),
    (
        "prod-root-needs-recent-second-factor",
        "sensitive-takes-a-sure-sign-in",
    ),
    (
        "review-before-the-next-emergency",
        "one-emergency-at-a-time",
    ),
    ("second-factor-always", "nothing-without-second-factor"),
    ("security-revokes", "security-can-revoke-everywhere"),
];

/// Those that forbid only what nothing permits today: guards against permits to come.
const IDLE: &[&str] = &["nothing-longer-than-a-day-of-work"];

#[test]
fn no_forbid_of_the_examples_is_dropped_without_an_invariant_that_fails() {
    let prover = prover();
    for (id, invariant) in NOTICED {
        let policies = without(id);
        let one = invariants(&policies)
            .named(&[(*invariant).to_owned()])
            .unwrap();
        let mut proofs = prove_all(&policies, &one, &prover).unwrap();
        assert_eq!(failed(&proofs), [*invariant], "without {id}");
        counterexample(&policies, proofs.remove(0).outcome);
    }
}

#[test]
fn every_forbid_of_the_examples_is_one_of_those() {
    let policies = examples();
    let all = policies.policies().iter();
    let forbids = all
        .filter(|(_, info)| info.forbids)
        .map(|(id, _)| id.as_str());
    let missing: Vec<&str> = forbids
        .filter(|id| NOTICED.iter().all(|(known, _)| known != id))
        .collect();
    assert_eq!(missing, IDLE);
}

#[test]
fn each_policy_of_the_examples_matters_or_is_a_guard_for_tomorrow() {
    for finding in analyse(&examples(), &prover()).unwrap() {
        assert_eq!(finding.open, None, "{}", finding.id);
        let expected = IDLE.contains(&finding.id.as_str()).then_some(Flaw::Idle);
        assert_eq!(finding.flaw, expected, "{}", finding.id);
    }
}

/// The examples, and as many of teams as make fifty.
fn fifty() -> PolicySet {
    let mut sources: Vec<Source> = EXAMPLES
        .iter()
        .filter(|(name, _)| is_policy_file(name))
        .map(|(name, text)| Source::new(name, text))
        .collect();
    let count: usize = sources.iter().map(|s| s.text.matches("@id(").count()).sum();
    let teams = (count..50).map(|at| {
        let text = format!(
            "permit (principal in Group::\"team{at}\", action == Action::\"login\", \
             resource == Account::\"env{at}/app\")\nwhen {{ context.duration <= 3600 }};"
        );
        statement(&format!("team{at}"), &text)
    });
    sources.push(Source::new("teams.cedar", &teams.collect::<String>()));
    let table = file(REQUIREMENTS_NAME);
    PolicySet::parse(&file(SCHEMA_NAME), &sources, Some(&table), None).unwrap()
}

#[test]
fn invariants_are_proved_over_fifty_policies_and_a_hole_among_them_is_found() {
    let policies = fifty();
    assert_eq!(policies.policies().len(), 50);
    let ids = [
        "root-in-prod-takes-an-approver",
        "nothing-longer-than-a-working-day",
    ];
    let two = invariants(&policies)
        .named(&ids.map(str::to_owned))
        .unwrap();
    assert_eq!(
        failed(&prove_all(&policies, &two, &prover()).unwrap()),
        Vec::<&str>::new()
    );
    let text = login("forbid", "when", "resource == Account::\"env49/app\"");
    counterexample(&policies, outcome(&policies, &text));
}
