//! Claims about what is told of each policy.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::super::decide::{Decision, ask};
use super::super::tests::properties::{policies as any_policies, question as any_question};
use super::super::tests::{examples, groups, login, set};
use super::super::{PolicySet, SecondFactor};
use super::*;

/// `policy text (line): fact is value; …` of every condition that is told.
fn told(policies: &PolicySet, question: &Question, wished: Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings(policies, question, wished) {
        let does = match (finding.forbids, finding.applies) {
            (true, true) => "forbids",
            (true, false) => "does not forbid",
            (false, true) => "permits",
            (false, false) => "does not permit",
        };
        lines.push(format!("{} {does}", finding.policy));
        for condition in finding.conditions {
            let facts = condition.facts.iter();
            let facts: Vec<String> = facts
                .map(|(name, value)| format!("{name} is {value}"))
                .collect();
            let error = condition
                .error
                .map(|error| format!(" ! {error}"))
                .unwrap_or_default();
            let (text, line) = (condition.text, condition.line);
            lines.push(format!("  {text} ({line}): {}{error}", facts.join("; ")));
        }
    }
    lines
}

#[test]
fn a_permit_that_does_not_apply_tells_each_condition_that_fails_with_its_facts() {
    let policies = set(
        "@id(\"a\")\n@reason(\"r\")\npermit (principal in Group::\"sre\", action, resource)\n\
         when {\n  context.duration <= 3600 &&\n  context.token_bound &&\n  \
         context has ticket && context.ticket like \"OPS-*\"\n}\nunless { context.hour < 12 };",
    )
    .unwrap();
    let mut question = login("prod", &["root"]);
    question.facts.duration = Duration::from_secs(7200);
    assert_eq!(
        told(&policies, &question, Verdict::Permit),
        [
            "a does not permit",
            "  principal in Group::\"sre\" (1): principal is alice in engineering",
            "  context.duration <= 3600 (5): context.duration is 7200 (2 h)",
            "  context has ticket (7): context.ticket is absent",
            "  unless context.hour < 12 (9): context.hour is 10",
        ]
    );
    question.who.groups = groups(&[]);
    question.facts.duration = Duration::from_secs(60);
    question.facts.ticket = Some("X-1".to_owned());
    assert_eq!(
        told(&policies, &question, Verdict::Permit),
        [
            "a does not permit",
            "  principal in Group::\"sre\" (1): principal is alice in no group",
            "  context.ticket like \"OPS-*\" (7): context.ticket is \"X-1\"",
            "  unless context.hour < 12 (9): context.hour is 10",
        ]
    );
}

#[test]
fn a_forbid_that_holds_tells_by_what_it_holds() {
    let policies = set(
        "@id(\"yes\") @reason(\"r\")\npermit (principal in Group::\"engineering\", action, resource);\n\
         @id(\"no\") @reason(\"r\")\nforbid (principal, action, resource)\n\
         when { context.weekday == 7 && !context.on_call }\n\
         unless { context.approvals >= 1 && context.mfa_age <= 60 && context.token_bound };\n\
         @id(\"bare\") @reason(\"r\")\nforbid (principal, action, resource == Account::\"prod/root\");\n\
         @id(\"elsewhere\") @reason(\"r\")\nforbid (principal, action, resource == Account::\"prod/web\");",
    )
    .unwrap();
    let mut question = login("prod", &["root"]);
    question.facts.second_factor = SecondFactor::Totp(Duration::from_secs(90));
    assert_eq!(
        told(&policies, &question, Verdict::Permit),
        [
            "no forbids",
            "  context.weekday == 7 (5): context.weekday is 7",
            "  !context.on_call (5): context.on_call is false",
            "  unless context.approvals >= 1 (6): context.approvals is 0",
            "  unless context.mfa_age <= 60 (6): context.mfa_age is 90 (1 min 30 s)",
            "bare forbids",
        ]
    );
    // Somebody who wished a denial hears the other half.
    let half = told(&policies, &question, Verdict::Deny);
    assert_eq!(
        half,
        [
            "yes permits",
            "  principal in Group::\"engineering\" (1): principal is alice in engineering"
        ]
    );
}

#[test]
fn what_cannot_be_evaluated_is_told_with_its_error_and_counts_as_in_the_decision() {
    let policies = set(
        "@id(\"no\") @reason(\"r\")\nforbid (principal, action, resource)\n\
         when { context.duration * 9223372036854775807 < 0 };",
    )
    .unwrap();
    let lines = told(&policies, &login("prod", &["root"]), Verdict::Permit);
    assert_eq!(lines[0], "no forbids");
    assert!(lines[1].contains(" ! "), "{lines:?}");
    assert!(lines[1].contains("overflow"), "{lines:?}");
}

#[test]
fn each_account_is_told_of_on_its_own_and_only_what_is_about_it() {
    let found = findings(
        &examples(),
        &login("prod", &["root", "deploy"]),
        Verdict::Permit,
    );
    let root = found
        .iter()
        .filter(|f| f.principal.as_ref().is_some_and(|p| p.as_str() == "root"));
    let ids: Vec<&str> = root
        .filter(|f| f.applies)
        .map(|f| f.policy.as_str())
        .collect();
    assert_eq!(ids, ["prod-root-needs-approval"]);
    let deploy = |f: &&Finding| f.principal.as_ref().is_some_and(|p| p.as_str() == "deploy");
    assert!(
        found
            .iter()
            .filter(deploy)
            .all(|f| !f.policy.starts_with("prod-root")),
        "{found:#?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What is told is what decided: the forbids that apply, or else that no permit does.
    #[test]
    fn what_is_told_agrees_with_the_decision(policies in any_policies(), question in any_question()) {
        let unmet = findings(&policies, &question, Verdict::Permit);
        let against = unmet.iter().filter(|f| f.forbids).map(|f| f.policy.clone());
        let against: BTreeSet<String> = against.collect();
        let permits = findings(&policies, &question, Verdict::Deny);
        let permits = permits.iter().filter(|f| !f.forbids).map(|f| f.policy.clone());
        let permits: BTreeSet<String> = permits.collect();
        match ask(&policies, &question) {
            Decision::Permit { policies } => {
                prop_assert!(against.is_empty());
                prop_assert_eq!(permits, policies);
            }
            Decision::Deny(denial) => {
                let named = denial.reasons.iter().filter_map(|why| why.policy.clone());
                prop_assert_eq!(against, named.collect());
            }
        }
        for finding in unmet.iter().filter(|finding| !finding.applies) {
            prop_assert!(!finding.conditions.is_empty(), "{:?}", finding);
        }
    }
}
