//! Claims about what approvals alone are missing.

use proptest::prelude::*;

use super::super::tests::{groups, login, properties, set, set_with, subject};
use super::super::{Approval, Cases, PolicySet, REQUIREMENTS_NAME, SCHEMA_NAME, Source};
use super::*;

fn two_keys() -> PolicySet {
    let source = |name, text| Source::new(name, text);
    let schema = source(
        SCHEMA_NAME,
        include_str!("../../../../policies/schema.cedarschema"),
    );
    let policies = source("vault.cedar", include_str!("../tests/two_keys/vault.cedar"));
    let table = source(
        REQUIREMENTS_NAME,
        include_str!("../tests/two_keys/requirements.toml"),
    );
    PolicySet::parse(&schema, &[policies], Some(&table), None).unwrap()
}

fn sentence(policies: &PolicySet, question: &Question) -> Option<(String, usize)> {
    let missing = approvals_missing(policies, question)?;
    Some((missing.sentence, missing.count))
}

fn permit_and(condition: &str) -> String {
    format!(
        "@id(\"yes\") @reason(\"yes\")\npermit (principal in Group::\"engineering\", action, resource);\n\
         @id(\"no\") @reason(\"no\")\nforbid (principal, action, resource)\nunless {{ {condition} }};"
    )
}

fn approved(mut question: Question, votes: &[(&str, &[&str])]) -> Question {
    let approvals = votes.iter().map(|(name, names)| Approval {
        subject: subject(name),
        groups: groups(names),
    });
    question.facts.approvals.extend(approvals);
    question
}

#[test]
fn two_keys_are_decided_as_their_cases_say() {
    let text = include_str!("../tests/two_keys/cases.toml");
    let cases = Cases::parse("cases.toml", text).unwrap();
    for outcome in cases.run(&two_keys()) {
        assert!(outcome.passed, "{outcome:#?}");
    }
}

#[test]
fn a_case_that_says_otherwise_what_is_missing_fails_and_shows_it() {
    let text = "[[case]]\nname = \"x\"\nuser = \"bob\"\ngroups = [\"sre\"]\nenvironment = \"prod\"\n\
                accounts = [\"vault\"]\napprovals = [{ user = \"lena\", groups = [\"sre-leads\", \"watch\"] }]\n\
                expect = \"approval\"\nobligation = \"1 of sre-leads\"\n";
    let outcomes = Cases::parse("c.toml", text).unwrap().run(&two_keys());
    assert!(!outcomes[0].passed);
    assert!(
        outcomes[0]
            .expected
            .ends_with(", obligation \"1 of sre-leads\"")
    );
    let got = "obligation \"1 of security\"";
    assert!(outcomes[0].got.contains(got), "{outcomes:#?}");
    assert!(outcomes[0].got.ends_with(", met seen"), "{outcomes:#?}");
}

#[test]
fn the_forbids_that_hold_for_lack_of_approvals_are_named() {
    let mut question = login("prod", &["vault"]);
    question.who.groups = groups(&["sre"]);
    let found = approvals_missing(&two_keys(), &question).unwrap();
    assert_eq!(found.policies, groups(&["vault-needs-two-keys"]));
    assert_eq!(found.count, 2);
}

#[test]
fn nothing_is_missing_where_approvals_alone_do_not_help_or_are_not_needed() {
    let policies = two_keys();
    // Nobody permits it to engineering.
    assert_eq!(
        approvals_missing(&policies, &login("prod", &["vault"])),
        None
    );
    let mut question = login("prod", &["vault"]);
    question.who.groups = groups(&["sre"]);
    question.facts.duration = std::time::Duration::from_secs(3601);
    assert_eq!(approvals_missing(&policies, &question), None);
    question.facts.duration = std::time::Duration::from_secs(3600);
    let votes: [(&str, &[&str]); 2] = [("c", &["security"]), ("d", &["security"])];
    let question = approved(question, &votes);
    assert!(ask(&policies, &question).is_permit());
    assert_eq!(approvals_missing(&policies, &question), None);
    let mut question = login("prod", &["vault"]);
    question.action = Action::BreakGlass;
    assert_eq!(approvals_missing(&policies, &question), None);
}

#[test]
fn plain_counts_say_how_many_more_from_whom() {
    let policies = set(&permit_and(
        "context.approvals >= 2 && context.approver_groups.contains(\"x\")",
    ))
    .unwrap();
    let question = login("prod", &["root"]);
    let words = |text: &str, count| Some((text.to_owned(), count));
    assert_eq!(
        sentence(&policies, &question),
        words("2 approvals from group x", 2)
    );
    let one: [(&str, &[&str]); 1] = [("c", &["x"])];
    let question = approved(question, &one);
    assert_eq!(sentence(&policies, &question), words("1 approval", 1));
    let other: [(&str, &[&str]); 1] = [("c", &[])];
    let question = approved(login("prod", &["root"]), &other);
    assert_eq!(
        sentence(&policies, &question),
        words("1 approval from group x", 1)
    );
}

#[test]
fn a_requirement_and_a_count_are_asked_for_together() {
    let policies = set_with(
        "lead = [[\"1 of leads\"]]",
        &permit_and("context.met.contains(\"lead\") && context.approvals >= 3"),
    )
    .unwrap();
    let found = sentence(&policies, &login("prod", &["root"])).unwrap();
    assert_eq!(found, ("1 of leads and 2 approvals more".to_owned(), 3));
}

#[test]
fn fewer_people_by_count_are_nearer_than_a_requirement() {
    let policies = set_with(
        "two = [[\"2 of leads\"]]",
        &permit_and("context.met.contains(\"two\") || context.approver_groups.contains(\"boss\")"),
    )
    .unwrap();
    let found = sentence(&policies, &login("prod", &["root"])).unwrap();
    assert_eq!(found, ("1 approval from group boss".to_owned(), 1));
}

#[test]
fn a_requirement_that_a_permit_asks_for_is_missing_although_no_forbid_holds() {
    let policies = set_with(
        "many = [[\"8 of leads\"]]",
        "@id(\"yes\") @reason(\"yes\")\npermit (principal in Group::\"engineering\", action, resource)\n\
         when { context.met.contains(\"many\") };",
    )
    .unwrap();
    let found = approvals_missing(&policies, &login("prod", &["root"])).unwrap();
    assert_eq!((found.sentence.as_str(), found.count), ("8 of leads", 8));
    assert!(found.policies.is_empty());
}

#[test]
fn the_nearest_of_two_requirements_that_each_would_do_is_asked_for() {
    let policies = set_with(
        "a = [[\"2 of a\"]]\nb = [[\"1 of b\"]]",
        &permit_and("context.met.containsAny([\"a\", \"b\"])"),
    )
    .unwrap();
    let found = sentence(&policies, &login("prod", &["root"])).unwrap();
    assert_eq!(found, ("1 of b".to_owned(), 1));
}

/// The smallest number of further people, up to 3, of any groups, that permits.
fn brute(policies: &PolicySet, question: &Question) -> Option<usize> {
    let kinds = [&[][..], &["leads"], &["security"], &["leads", "security"]];
    let mut tried = vec![question.clone()];
    for count in 1..=3 {
        let more = |question: &Question| {
            let question = question.clone();
            let name = format!("further{count}");
            kinds.map(|kind| approved(question.clone(), &[(&name, kind)]))
        };
        tried = tried.iter().flat_map(more).collect();
        if tried
            .iter()
            .any(|question| ask(policies, question).is_permit())
        {
            return Some(count);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_is_missing_is_found_whenever_three_people_would_do(
        policies in properties::policies(), question in properties::question(),
    ) {
        let mut question = question;
        question.action = Action::Login;
        let missing = approvals_missing(&policies, &question);
        if ask(&policies, &question).is_permit() {
            prop_assert_eq!(missing, None);
        } else if let Some(count) = brute(&policies, &question) {
            let found = missing.map(|missing| missing.count);
            prop_assert!(found.is_some_and(|found| found >= count), "{:?} not {}", found, count);
        }
    }
}
