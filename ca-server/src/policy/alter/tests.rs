//! Claims about the smallest difference.

use std::time::Duration;

use proptest::prelude::*;

use super::super::tests::properties::{policies as any_policies, question as any_question};
use super::super::tests::{examples, groups, login, set, subject};
use super::super::verdict::{Verdict, judge};
use super::super::{Action, Approval, On, PolicySet, Question, SecondFactor};
use super::*;

fn find(policies: &PolicySet, question: &Question, verdict: Verdict) -> Option<Altered> {
    let wanted = |question: &Question| judge(policies, question).verdict == verdict;
    assert!(!wanted(question), "it is so already");
    nearest(policies, question, &wanted, &mut Budget::new())
}

#[track_caller]
fn is(policies: &PolicySet, question: &Question, verdict: Verdict, words: &str) {
    let found = find(policies, question, verdict);
    assert_eq!(found.map(|found| found.words).as_deref(), Some(words));
}

/// Everything that `condition` lets engineering do.
fn permit_when(condition: &str) -> PolicySet {
    set(&format!(
        "@id(\"a\") @reason(\"r\")\npermit (principal in Group::\"engineering\", action, resource)\n\
         when {{ {condition} }};"
    ))
    .unwrap()
}

#[test]
fn a_permit_that_should_wait_is_told_whose_approval_to_leave_out() {
    let mut question = login("prod", &["root"]);
    question.facts.approvals.push(Approval {
        subject: subject("carol"),
        groups: groups(&["approver"]),
    });
    let words = "without the approval of carol";
    is(&examples(), &question, Verdict::Approval, words);
}

#[test]
fn a_denial_that_should_wait_is_told_the_bound_that_it_breaks() {
    let mut question = login("prod", &["root"]);
    question.facts.duration = Duration::from_secs(7200);
    is(&examples(), &question, Verdict::Approval, "for 1 h");
}

#[test]
fn an_answer_that_waits_and_should_not_is_told_who_approves() {
    let question = login("prod", &["root"]);
    is(
        &examples(),
        &question,
        Verdict::Permit,
        "approved by 1 of approver",
    );
}

#[test]
fn a_permit_that_should_be_denied_is_told_the_nearest_bound() {
    let question = login("prod", &["deploy"]);
    is(&examples(), &question, Verdict::Deny, "for 1 h 1 s");
}

#[test]
fn two_differences_are_found_where_one_is_not_enough() {
    let mut question = login("prod", &["root"]);
    question.facts.duration = Duration::from_secs(7200);
    let words = "for 1 h, approved by 1 of approver";
    is(&examples(), &question, Verdict::Permit, words);
}

#[test]
fn three_differences_are_found_for_a_permit_where_hints_find_them() {
    let mut question = login("prod", &["root"]);
    question.facts.duration = Duration::from_secs(7200);
    question.facts.second_factor = SecondFactor::Recovery(Duration::ZERO);
    let words = "approved by 1 of approver, with a TOTP code just given, for 1 h";
    is(&examples(), &question, Verdict::Permit, words);
}

#[test]
fn each_kind_of_difference_is_found() {
    for (condition, words) in [
        ("context.on_call", "on call"),
        ("!context.token_bound", "with a device-code sign-in"),
        ("context has ticket", "with ticket \"supposed\""),
        (
            "context has ticket && context.ticket like \"OPS-*\"",
            "with ticket \"OPS-\"",
        ),
        ("context has reason", "with a reason"),
        (
            "context.mfa_kind == \"recovery\"",
            "with a recovery code just given",
        ),
        ("context.mfa_kind == \"none\"", "without a second factor"),
        (
            "context.mfa_age > 600",
            "with a TOTP code given 10 min 1 s ago",
        ),
        (
            "context.unreviewed > 0",
            "with one emergency access not reviewed",
        ),
        (
            "context.source.isInRange(ip(\"10.0.0.0/8\"))",
            "from 10.0.0.0",
        ),
        ("context.source == ip(\"10.1.1.1\")", "from 10.1.1.1"),
        ("!context.source.isLoopback()", "from 192.0.2.1"),
        ("context.hour >= 22", "on sunday, 2026-11-22T22:00:00Z"),
        ("context.hour < 9", "on sunday, 2026-11-22T08:00:00Z"),
        ("context.weekday <= 5", "on friday, 2026-11-20T10:00:00Z"),
        ("context.weekday == 1", "on monday, 2026-11-23T10:00:00Z"),
        (
            "context.now >= datetime(\"2026-12-01\")",
            "on tuesday, 2026-12-01T00:00:00Z",
        ),
        (
            "context.now < datetime(\"2026-11-22T09:00:00Z\")",
            "on sunday, 2026-11-22T08:59:59Z",
        ),
        ("principal in Group::\"sre\"", "in group sre"),
        ("context.approvals >= 2", "approved by 2 more people"),
        (
            "context.approver_groups.contains(\"leads\")",
            "approved by 1 of leads",
        ),
        ("resource in Environment::\"staging\"", "in staging"),
        ("resource == Account::\"prod/web\"", "for account web alone"),
        (
            "context.duration > 10000 && context.duration <= 20000",
            "for 2 h 46 min 41 s",
        ),
    ] {
        is(
            &permit_when(condition),
            &login("prod", &["root"]),
            Verdict::Permit,
            words,
        );
    }
}

#[test]
fn a_group_that_is_shut_out_is_left() {
    let policies = set(
        "@id(\"a\") @reason(\"r\")\npermit (principal in Group::\"engineering\", action, resource);\n\
         @id(\"b\") @reason(\"r\")\nforbid (principal in Group::\"contractors\", action, resource);",
    )
    .unwrap();
    let mut question = login("prod", &["root"]);
    question.who.groups.insert("contractors".to_owned());
    is(
        &policies,
        &question,
        Verdict::Permit,
        "not in group contractors",
    );
}

#[test]
fn whose_it_is_may_be_the_difference() {
    let mut question = login("prod", &[]);
    question.action = Action::Revoke;
    question.on = On::Environment("prod".parse().unwrap());
    question.facts.holder = Some(subject("bob"));
    let words = "about what is their own";
    is(&examples(), &question, Verdict::Permit, words);
    question.facts.holder = Some(subject("alice"));
    let words = "about what is somebody else's";
    is(&examples(), &question, Verdict::Deny, words);
}

#[test]
fn the_same_difference_is_found_again() {
    let question = login("prod", &["root"]);
    let found = find(&examples(), &question, Verdict::Deny);
    assert!(found.is_some());
    assert_eq!(found, find(&examples(), &question, Verdict::Deny));
}

#[test]
fn nothing_is_found_where_nothing_helps() {
    let policies = set("@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource);").unwrap();
    assert_eq!(
        find(&policies, &login("prod", &["root"]), Verdict::Permit),
        None
    );
}

#[test]
fn nothing_is_looked_for_when_the_budget_is_spent() {
    let policies = examples();
    let question = login("prod", &["root"]);
    let wanted = |question: &Question| judge(&policies, question).verdict == Verdict::Permit;
    let mut budget = Budget(0);
    assert_eq!(nearest(&policies, &question, &wanted, &mut budget), None);
    let mut budget = Budget(1000);
    assert!(nearest(&policies, &question, &wanted, &mut budget).is_some());
    assert!(budget.0 < 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_altered_question_has_the_answer_wanted(policies in any_policies(), question in any_question()) {
        let now = judge(&policies, &question).verdict;
        for verdict in [Verdict::Permit, Verdict::Approval, Verdict::Deny] {
            if verdict == now {
                continue;
            }
            let found = find(&policies, &question, verdict);
            if let Some(found) = found {
                prop_assert_eq!(judge(&policies, &found.question).verdict, verdict, "{}", found.words);
                prop_assert_ne!(&found.question, &question);
            }
        }
    }

    #[test]
    fn a_permit_is_found_wherever_hints_find_one(policies in any_policies(), question in any_question()) {
        let hinted = hints(&policies, &question, &[]);
        if judge(&policies, &question).verdict != Verdict::Permit && !hinted.is_empty() {
            prop_assert!(find(&policies, &question, Verdict::Permit).is_some(), "{:?}", hinted);
        }
    }
}
