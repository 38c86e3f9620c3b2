//! Conditions of every kind, and how they are told.

use super::*;

const LOGIN: &str = "action == Action::\"login\", resource";

fn prod(policies: &PolicySet, names: &[&str]) -> Vec<String> {
    told(policies, names, Action::Login, "prod/root")
}

/// One policy for group `c` under this condition.
fn when(condition: &str) -> PolicySet {
    let line = format!("a: permit (principal in Group::\"c\", {LOGIN}) when {{ {condition} }};");
    set(
        &line,
        "two = [[\"1 of leads\", \"1 of security\"], [\"2 of security\"]]",
    )
}

fn contractor(condition: &str) -> Vec<String> {
    prod(&when(condition), &["c"])
}

#[test]
fn hours_and_days_are_told_as_windows() {
    let condition = "context.hour >= 8 && context.hour < 18 && context.weekday <= 5";
    assert_eq!(contractor(condition), ["no limit: Mon-Fri 08:00-18:00 UTC"]);
    let condition = "context.hour < 6 || context.hour >= 22";
    assert_eq!(
        contractor(condition),
        ["no limit: daily 00:00-06:00 and 22:00-24:00 UTC"]
    );
}

#[test]
fn longer_at_some_hours_is_told_beside_shorter_at_all() {
    let condition = "context.duration <= 3600 || \
                     (context.weekday <= 5 && context.duration <= 28800)";
    assert_eq!(contractor(condition), ["8 h: Mon-Fri UTC", "1 h: "]);
}

#[test]
fn times_of_day_are_told_to_the_minute() {
    let condition = "context.now.toTime() >= duration(\"8h30m\") && \
                     context.now.toTime() < duration(\"17h45m\")";
    assert_eq!(contractor(condition), ["no limit: daily 08:30-17:45 UTC"]);
    let condition = "context.now.toTime() < duration(\"30m\") || \
                     context.now.toTime() >= duration(\"23h30m\")";
    assert_eq!(
        contractor(condition),
        ["no limit: daily 00:00-00:30 and 23:30-24:00 UTC"]
    );
}

#[test]
fn what_begins_and_ends_is_told_with_its_moments() {
    let condition = "context.now < datetime(\"2026-12-24\")";
    assert_eq!(
        contractor(condition),
        ["no limit: until 2026-12-24T00:00:00Z"]
    );
    let condition = "context.now >= datetime(\"2026-12-01T09:00:00Z\") && \
                     context.now < datetime(\"2026-12-24\") && context.hour >= 8";
    let told = "no limit: daily 08:00-24:00 UTC; from 2026-12-01T09:00:00Z; \
                until 2026-12-24T00:00:00Z";
    assert_eq!(contractor(condition), [told]);
    assert!(contractor("context.now < datetime(\"2026-11-22\")").is_empty());
}

#[test]
fn a_literal_in_between_that_changes_nothing_is_not_told() {
    let policies = set(
        &format!(
            "a: permit (principal in Group::\"c\", {LOGIN}) when {{ context.now < datetime(\"2027-01-01\") }};
             b: permit (principal in Group::\"c\", {LOGIN}) when {{ context.now < datetime(\"2026-12-01\") && context.on_call }};"
        ),
        "",
    );
    assert_eq!(
        prod(&policies, &["c"]),
        ["no limit: until 2027-01-01T00:00:00Z"]
    );
}

#[test]
fn addresses_are_told_by_the_ranges_that_policies_name() {
    let condition = "context.source.isInRange(ip(\"10.0.0.0/8\"))";
    assert_eq!(contractor(condition), ["no limit: only from 10.0.0.0/8"]);
    let condition = "!context.source.isInRange(ip(\"10.0.0.0/8\"))";
    assert_eq!(contractor(condition), ["no limit: not from 10.0.0.0/8"]);
    let condition = "context.source.isInRange(ip(\"10.0.0.0/8\")) && \
                     !context.source.isInRange(ip(\"10.1.0.0/16\"))";
    assert_eq!(contractor(condition), ["no limit: only from 10.0.0.0/8"]);
    let condition = "context.source.isIpv6() || context.source == ip(\"192.0.2.7\")";
    assert_eq!(
        contractor(condition),
        ["no limit: only from 192.0.2.7/32, other IPv6 addresses"]
    );
    let condition = "context.source.isLoopback()";
    assert_eq!(contractor(condition), ["no limit: only from loopback"]);
}

#[test]
fn hours_that_depend_on_the_address_are_told_for_each() {
    let condition = "context.source.isInRange(ip(\"10.0.0.0/8\")) || context.hour >= 12";
    let told = [
        "no limit: only from 10.0.0.0/8",
        "no limit: daily 12:00-24:00 UTC",
    ];
    let mut found = contractor(condition);
    found.sort_by_key(String::len);
    assert_eq!(found, told);
}

#[test]
fn texts_have_to_be_like_what_policies_ask_for() {
    let condition = "context has ticket && \
                     (context.ticket like \"INC-*\" || context.ticket like \"CHG-*\")";
    assert_eq!(
        contractor(condition),
        ["no limit: a ticket like CHG-* or INC-*"]
    );
    assert_eq!(contractor("context has ticket"), ["no limit: a ticket"]);
    let condition = "context has reason && context.reason == \"drill\"";
    assert_eq!(contractor(condition), ["no limit: a reason like drill"]);
}

#[test]
fn either_of_two_things_is_told_as_two_ways() {
    let told = contractor("context has ticket || context.on_call");
    assert_eq!(told, ["no limit: a ticket", "no limit: on call"]);
    let told = contractor("context has ticket || context.approvals >= 1");
    assert_eq!(
        told,
        ["no limit: a ticket", "no limit: approval: 1 approval"]
    );
}

#[test]
fn longer_for_more_is_told_as_two_ways() {
    let condition = "context.duration <= 1800 || \
                     (context.met.contains(\"two\") && context.duration <= 14400)";
    let approved = "4 h: approval: 1 of leads and 1 of security, or 2 of security";
    assert_eq!(contractor(condition), ["30 min: ", approved]);
}

#[test]
fn longer_for_other_approvals_is_told_as_two_ways() {
    let condition = "(context.approver_groups.contains(\"leads\") && context.duration <= 3600) || \
                     (context.approvals >= 2 && context.duration <= 7200)";
    let told = [
        "2 h: approval: 2 approvals",
        "1 h: approval: 1 approval from group leads",
    ];
    assert_eq!(contractor(condition), told);
}

#[test]
fn the_age_of_a_second_factor_is_found_to_the_second() {
    let condition = "context.mfa_kind == \"totp\" && context.mfa_age < 754";
    assert_eq!(
        contractor(condition),
        ["no limit: TOTP code at most 12 min 33 s old"]
    );
    assert_eq!(
        contractor("context.mfa_kind == \"totp\""),
        ["no limit: TOTP code, no recovery code"]
    );
    assert_eq!(contractor("context.mfa_age <= 604800"), ["no limit: "]);
}

#[test]
fn the_ceiling_and_the_session_bound_what_is_told() {
    let policies = when("context.mfa_age <= 36000");
    let mut limits = limits();
    limits.session = Duration::from_hours(10);
    let ceiling = ("prod".parse().unwrap(), Duration::from_hours(8));
    limits.ceilings = BTreeMap::from([ceiling]);
    let survey = Survey::new(&policies, &limits);
    let ways = survey.ways(&anyone(&["c"]).who, &target(Action::Login, "prod/root"));
    assert_eq!(ways.len(), 1);
    assert_eq!(ways[0].longest.unwrap().to_string(), "8 h (ceiling)");
    assert!(ways[0].needs.is_empty());
}

#[test]
fn a_fact_that_is_in_the_way_is_left_out() {
    let policies = set(
        &format!(
            "a: permit (principal in Group::\"c\", {LOGIN}) when {{ context has ticket }};
             b: forbid (principal, {LOGIN}) when {{ context.on_call }};"
        ),
        "",
    );
    assert_eq!(prod(&policies, &["c"]), ["no limit: a ticket"]);
}

#[test]
fn a_policy_that_needs_two_groups_is_reached_by_both_and_by_neither_alone() {
    let policies = when("principal in Group::\"d\"");
    assert!(prod(&policies, &["c"]).is_empty());
    assert!(prod(&policies, &["d"]).is_empty());
    assert_eq!(prod(&policies, &["c", "d"]), ["no limit: "]);
}

#[test]
fn everything_at_once_is_told_and_so() {
    let policies = set(
        &format!(
            "a: permit (principal in Group::\"c\", {LOGIN}) when {{ context.duration <= 7200 }};
             b: forbid (principal, {LOGIN}) unless {{ context.met.contains(\"two\") }};
             c: forbid (principal, {LOGIN}) unless {{ context has ticket && context.ticket like \"OPS-*\" }};
             d: forbid (principal, {LOGIN}) unless {{ context.token_bound && context.mfa_age <= 600 }};
             e: forbid (principal, {LOGIN}) unless {{ context.hour >= 9 && context.hour < 17 }};
             f: forbid (principal, {LOGIN}) unless {{ context.source.isInRange(ip(\"10.0.0.0/8\")) }};
             g: forbid (principal, {LOGIN}) when {{ context.now >= datetime(\"2027-01-01\") }};"
        ),
        "two = [[\"2 of security\"]]",
    );
    let told = "2 h: approval: 2 of security; second factor at most 10 min old; browser sign-in; \
                a ticket like OPS-*; daily 09:00-17:00 UTC; until 2027-01-01T00:00:00Z; \
                only from 10.0.0.0/8";
    assert_eq!(prod(&policies, &["c"]), [told]);
    let limits = limits();
    let survey = Survey::new(&policies, &limits);
    let way = &survey.ways(&anyone(&["c"]).who, &target(Action::Login, "prod/root"))[0];
    assert_eq!(way.policies, groups(&["a"]));
    assert_eq!(way.because, groups(&["b", "c", "d"]));
    assert_eq!(way.obligation(), Some("2 of security"));
}
