//! Every kind of violation has a counterexample, which is asked of the real policies.

use super::*;
use crate::policy::Verdict;

/// The policies `texts` against the invariant `text`; the case must have all of `lines`.
#[track_caller]
fn violated(policies: &PolicySet, text: &str, lines: &[&str]) -> Counterexample {
    let found = counterexample(policies, outcome(policies, text));
    for line in lines {
        assert!(
            found.case.contains(&format!("{line}\n")),
            "no {line}:\n{}",
            found.case
        );
    }
    found
}

#[test]
fn what_is_longer_than_the_invariant_says_is_shown_with_the_next_whole_hour() {
    let open = login(
        "permit",
        "when",
        "context.duration <= 43200 && principal in Group::\"sre\"",
    );
    let policies = policies(&[&open]);
    let text = login("forbid", "when", "context.duration > 28800");
    let found = violated(&policies, &text, &["groups = [\"sre\"]", "for = \"10h\""]);
    assert_eq!(found.verdict, Verdict::Permit);
    assert_eq!(found.policies, ["p0".to_owned()].into());
    assert!(
        found
            .case
            .starts_with("[[case]]\nname = \"contradicts a\"\nuser = \"alice\"\n")
    );
    assert!(
        found.case.ends_with("expect = \"permit\"\n"),
        "{}",
        found.case
    );
}

#[test]
fn a_bound_that_is_one_second_off_is_found() {
    let policies = policies(&[&login("permit", "when", "context.duration <= 28801")]);
    let text = login("forbid", "when", "context.duration > 28800");
    let found = violated(&policies, &text, &[]);
    assert_eq!(found.question.facts.duration.as_secs(), 28_801);
}

#[test]
fn a_requirement_that_somebody_loosened_is_seen_through_its_name() {
    let permit = statement(
        "p",
        &login("permit", "when", "context.met.contains(\"keys\")"),
    );
    let text = login(
        "forbid",
        "unless",
        "context.approvals >= 2 && context.approver_groups.contains(\"security\")",
    );
    let strict = set_with("keys = [[\"1 of leads\", \"1 of security\"]]", &permit);
    assert_proved(&strict, &text);
    let table = "keys = [[\"1 of leads\", \"1 of security\"], [\"2 of leads\"]]";
    let loose = set_with(table, &permit);
    let found = violated(&loose, &text, &[]);
    let groups: Vec<_> = found
        .question
        .facts
        .approvals
        .iter()
        .map(|a| &a.groups)
        .collect();
    assert_eq!(
        groups,
        [&["leads".to_owned()].into(), &["leads".to_owned()].into()]
    );
}

#[test]
fn one_person_in_two_groups_does_not_pass_for_two() {
    let permit = statement(
        "p",
        &login("permit", "when", "context.met.contains(\"keys\")"),
    );
    let table = "keys = [[\"1 of leads\", \"1 of security\"]]";
    let policies = set_with(table, &permit);
    assert_proved(
        &policies,
        &login("forbid", "when", "context.approvals <= 1"),
    );
    let text = login("forbid", "when", "context.approvals == 2");
    violated(&policies, &text, &[]);
}

#[test]
fn a_window_of_time_is_shown_by_a_moment_inside() {
    let hours = login(
        "permit",
        "when",
        "context.weekday <= 5 && context.hour >= 7",
    );
    let policies = policies(&[&hours]);
    let text = login("forbid", "when", "context.hour >= 19");
    let found = violated(&policies, &text, &[]);
    let seconds = found.question.facts.now.unix_seconds();
    assert!(seconds / 3600 % 24 >= 19, "{}", found.case);
}

#[test]
fn a_moment_and_its_hour_and_day_belong_together() {
    let end = "context.now < datetime(\"2027-01-01\") && context.weekday == 6";
    let policies = policies(&[&login("permit", "when", end)]);
    let text = login(
        "forbid",
        "when",
        "context.now.toTime() >= duration(\"20h\")",
    );
    let found = violated(&policies, &text, &[]);
    assert!(found.question.facts.now.unix_seconds() / 3600 % 24 >= 20);
    // An hour that is not that of the moment would be a counterexample to this.
    assert_proved(
        &policies,
        &login(
            "forbid",
            "when",
            "context.hour < 20 && context.now.toTime() >= duration(\"20h\")",
        ),
    );
}

#[test]
fn an_address_a_ticket_and_a_reason_are_shown_where_they_matter() {
    let inside = "context.source.isInRange(ip(\"10.0.0.0/8\")) && context has ticket && \
                  context has reason && context.reason like \"INC-*\"";
    let policies = policies(&[&login("permit", "when", inside)]);
    let text = login("forbid", "when", "context.duration > 0");
    let found = violated(&policies, &text, &["ticket = \"T-1\""]);
    assert!(found.case.contains("source = \"10."), "{}", found.case);
    assert!(found.case.contains("reason = \"INC-"), "{}", found.case);
}

#[test]
fn whoever_decides_about_themselves_is_the_holder_or_there_is_none() {
    let policies = policies(&[
        "permit (principal in Group::\"approver\", action == Action::\"approve\", resource)\n\
         when { context has holder };",
    ]);
    let text = "forbid (principal, action == Action::\"approve\", resource)\n\
                unless { context has holder && context.holder != principal };";
    violated(
        &policies,
        text,
        &["action = \"approve\"", "holder = \"alice\""],
    );
}

#[test]
fn a_person_that_a_policy_names_is_that_person() {
    let policies = policies(&[&login(
        "permit",
        "when",
        "principal == User::\"https://id.example.com#42\" && context.approvals >= 1",
    )]);
    let text = login(
        "forbid",
        "when",
        "principal.issuer == \"https://id.example.com\"",
    );
    let lines = ["issuer = \"https://id.example.com\"", "user = \"42\""];
    violated(&policies, &text, &lines);
    assert_proved(
        &policies,
        &login("forbid", "when", "principal.issuer == \"https://x\""),
    );
}

#[test]
fn an_environment_and_the_authority_are_resources_too() {
    let policies = policies(&[
        "permit (principal in Group::\"sre\", action == Action::\"review\", resource);",
        "permit (principal in Group::\"sre\", action == Action::\"administer\", resource);",
    ]);
    let text = "forbid (principal, action == Action::\"review\", resource == \
                Environment::\"prod\");";
    violated(
        &policies,
        text,
        &["action = \"review\"", "environment = \"prod\""],
    );
    let text = "forbid (principal, action, resource is Authority);";
    violated(&policies, text, &["action = \"administer\""]);
}

#[test]
fn an_always_is_violated_by_a_forbid_and_by_a_narrower_permit() {
    let permit = login(
        "permit",
        "when",
        "principal in Group::\"sre\" && context.duration <= 3600",
    );
    let forbid = login("forbid", "when", "context.mfa_kind == \"recovery\"");
    let text = login(
        "permit",
        "when",
        "principal in Group::\"sre\" && context.duration <= 3600",
    );
    let found = violated(
        &policies(&[&permit, &forbid]),
        &text,
        &["mfa_kind = \"recovery\""],
    );
    assert_eq!(found.verdict, Verdict::Deny);
    assert_eq!(found.policies, ["p1".to_owned()].into());
    let text = login(
        "permit",
        "when",
        "principal in Group::\"sre\" && context.duration <= 7200",
    );
    violated(
        &policies(&[&permit]),
        &text,
        &["for = \"2h\"", "expect = \"deny\""],
    );
    assert_proved(
        &policies(&[&permit, &forbid]),
        &login(
            "permit",
            "when",
            "principal in Group::\"sre\" && context.duration <= 3600 && \
               context.mfa_kind == \"totp\"",
        ),
    );
}

#[test]
fn an_always_that_waits_for_approval_says_so() {
    let permit = login("permit", "when", "context.approvals >= 1");
    let text = login("permit", "when", "principal in Group::\"sre\"");
    let found = violated(&policies(&[&permit]), &text, &["expect = \"approval\""]);
    assert_eq!(found.verdict, Verdict::Approval);
}

#[test]
fn a_forbid_that_fails_counts_as_one_that_holds_where_cedar_leaves_it_out() {
    let permit = login("permit", "when", "context.duration > 0");
    // Two durations of 2^62 seconds overflow, and Cedar would skip the policy.
    let forbid = login("forbid", "when", "context.duration + context.duration < 0");
    let policies = policies(&[&permit, &forbid]);
    let text = login("permit", "when", "context.duration > 0");
    let found = violated(&policies, &text, &["expect = \"deny\""]);
    assert!(
        found.question.facts.duration.as_secs() >= 1 << 62,
        "{}",
        found.case
    );
    assert_eq!(found.policies, ["p1".to_owned()].into());
    // Where it cannot overflow, it cannot fail.
    let text = login(
        "permit",
        "when",
        "context.duration > 0 && context.duration < 86400",
    );
    assert_proved(&policies, &text);
}

#[test]
fn a_model_that_no_question_fits_proves_nothing_and_refutes_nothing() {
    // A Tuesday that is called Monday: Cedar's analysis does not know the calendar.
    let permit = login(
        "permit",
        "when",
        "context.weekday == 1 && context.now >= datetime(\"2026-11-17\") && \
         context.now < datetime(\"2026-11-18\")",
    );
    let outcome = outcome(
        &policies(&[&permit]),
        &login("forbid", "when", "context.duration > 0"),
    );
    let why = why_open(&outcome);
    assert!(why.contains("none that can be asked"), "{why}");
    assert!(why.ends_with("(action login)"), "{why}");
}

#[test]
fn an_invariant_that_speaks_about_nothing_is_not_proved() {
    let policies = policies(&[&login("permit", "when", "context.duration > 0")]);
    for condition in [
        "context.hour == 24",
        "context.duration < 0",
        "context.mfa_kind == \"none\" && context.mfa_age < 3600",
        "resource == Account::\"prod/root\" && resource in Environment::\"staging\"",
    ] {
        let outcome = outcome(&policies, &login("forbid", "when", condition));
        assert!(
            matches!(outcome, Outcome::Vacuous),
            "{condition}: {outcome:?}"
        );
    }
}

#[test]
fn attributes_that_the_authority_does_not_supply_are_not_argued_with() {
    let policies = policies(&[&login(
        "permit",
        "unless",
        "context has holder && context.holder has name",
    )]);
    let outcome = outcome(&policies, &login("forbid", "when", "context.duration > 0"));
    let why = why_open(&outcome);
    assert!(
        why.starts_with("p0: it reads the attribute \"name\""),
        "{why}"
    );
}
