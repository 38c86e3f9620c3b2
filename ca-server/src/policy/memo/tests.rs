//! Claims about remembered answers: they are the answers, whatever the policies look at.

use std::fmt::Write as _;
use std::time::Duration;

use ca_core::time::Timestamp;
use proptest::prelude::*;

use super::super::question::{Action, SecondFactor};
use super::super::tests::{groups, login, set, set_with, subject};
use super::*;

/// Every way to look at a fact, and at the person.
const CONDITIONS: [&str; 40] = [
    "context.duration <= 3600",
    "context.duration == 1800",
    "7200 > context.duration",
    "context.duration != 600 && 3600 != context.duration",
    "context.duration <= 68400 - context.now.toTime().toSeconds()",
    "context.duration + context.mfa_age < 5000",
    "context.duration * 5000000000000000 > 0",
    "context.mfa_age <= 3600",
    "context.mfa_age < 60 || context.mfa_age > 7200",
    "context.mfa_age == context.duration",
    "context.mfa_kind == \"totp\"",
    "context.mfa_kind like \"*o*\"",
    "context.now >= datetime(\"2027-01-15T08:00:00Z\")",
    "context.now < datetime(\"2027-01-15\")",
    "datetime(\"2027-01-15T08:00:00.001Z\") <= context.now",
    "context.now == datetime(\"2027-01-15T09:00:00+0100\")",
    "context.hour >= 8 && context.hour < 17",
    "context.weekday <= 5",
    "context.source.isInRange(ip(\"10.0.0.0/8\"))",
    "context.source == ip(\"192.0.2.7\")",
    "context has reason && context.reason like \"INC-*\"",
    "context has reason",
    "context has ticket && context.ticket != \"T-1\"",
    "context.on_call",
    "context.token_bound && !context.on_call",
    "context.unreviewed == 0",
    "principal.name == \"alice\"",
    "principal.issuer like \"*other*\"",
    "principal has name && context.on_call",
    "principal == User::\"https://issuer.example#bob\"",
    "User::\"https://issuer.example#bob\" in Group::\"sre\" || context.on_call",
    "principal in [Group::\"sre\", Group::\"leads\"]",
    "context has holder && context.holder == principal",
    "context has holder && context.holder in Group::\"sre\"",
    "context has holder && context.holder.name == \"alice\"",
    "if context.on_call then context.duration <= 600 else principal in Group::\"leads\"",
    "resource.name like \"r*\"",
    "context.approvals >= 1",
    "context.met.contains(\"lead\")",
    "{a: context}.a.on_call",
];

fn policy() -> impl Strategy<Value = String> {
    let effect = prop::sample::select(vec!["permit", "permit", "permit", "forbid"]);
    let who = prop::sample::select(vec![
        "principal",
        "principal",
        "principal in Group::\"sre\"",
        "principal is User in Group::\"leads\"",
        "principal == User::\"https://issuer.example#alice\"",
    ]);
    let on = prop::sample::select(vec![
        "resource",
        "resource in Environment::\"prod\"",
        "resource == Account::\"prod/root\"",
    ]);
    let condition = prop::sample::select(CONDITIONS.to_vec());
    (effect, who, on, condition).prop_map(|(effect, who, on, condition)| {
        let actions = "action in [Action::\"login\", Action::\"break_glass\", Action::\"approve\"]";
        format!("{effect} ({who}, {actions}, {on})\nwhen {{ {condition} }};\n")
    })
}

pub(crate) fn policies() -> impl Strategy<Value = PolicySet> {
    prop::collection::vec(policy(), 1..7).prop_map(|texts| {
        let mut all = String::new();
        for (at, text) in texts.iter().enumerate() {
            write!(
                all,
                "@id(\"p{at}\")\n@reason(\"reason {at}\")\n@everybody(\"any\")\n{text}"
            )
            .unwrap();
        }
        set_with("lead = [[\"1 of leads\"]]\n", &all).unwrap()
    })
}

fn seconds(of: &[u64]) -> impl Strategy<Value = Duration> + use<> {
    prop::sample::select(of.to_vec()).prop_map(Duration::from_secs)
}

fn question() -> impl Strategy<Value = Question> {
    // 2027-01-15T08:00:00Z, a second more or less, and the midnight before.
    let now = prop::sample::select(vec![
        1_799_999_999,
        1_800_000_000,
        1_800_000_001,
        1_799_971_200,
    ]);
    let duration = seconds(&[600, 1799, 1800, 3600, 3601, 7200]);
    let age = seconds(&[0, 59, 60, 61, 1800, 3600, 3601, 7201]);
    let kinds: Vec<fn(Duration) -> SecondFactor> =
        vec![SecondFactor::Totp, SecondFactor::Recovery, |_| {
            SecondFactor::None
        }];
    let kind = prop::sample::select(kinds);
    let numbers = (now, duration, age, kind, 0_u64..2);
    let who = prop::sample::select(vec!["alice", "bob"]);
    let sub = prop::sample::select(vec!["alice", "bob"]);
    let of = prop::sample::subsequence(vec!["engineering", "sre", "leads"], 0..=3);
    let holder = prop::option::of(prop::sample::select(vec!["alice", "bob"]));
    let people = (who, sub, of, holder, any::<bool>());
    let words = prop::option::of(prop::sample::select(vec!["INC-1", "T-1", " "]));
    let source = prop::sample::select(vec!["10.1.2.3", "192.0.2.7", "::ffff:192.0.2.7"]);
    let rest = (words.clone(), words, source, any::<bool>(), any::<bool>());
    let place = prop::sample::select(vec!["prod", "staging"]);
    let account = prop::sample::select(vec!["root", "deploy"]);
    let action = prop::sample::select(vec![
        Action::Login,
        Action::Login,
        Action::BreakGlass,
        Action::Approve,
    ]);
    (numbers, people, rest, (place, account, action)).prop_map(
        |((now, duration, age, kind, unreviewed), people, rest, (place, account, action))| {
            let (who, sub, of, holder, approved) = people;
            let (reason, ticket, source, on_call, token_bound) = rest;
            let mut question = login(place, &[account]);
            question.action = action;
            question.who.name = who.parse().unwrap();
            question.who.subject = subject(sub);
            question.who.groups = groups(&of);
            let facts = &mut question.facts;
            facts.now = Timestamp::from_unix_seconds(now);
            facts.duration = duration;
            facts.second_factor = kind(age);
            facts.unreviewed = unreviewed;
            facts.holder = holder.map(subject);
            facts.reason = reason.map(str::to_owned);
            facts.ticket = ticket.map(str::to_owned);
            facts.source = source.parse().unwrap();
            (facts.on_call, facts.token_bound) = (on_call, token_bound);
            if approved {
                facts.approvals.push(super::super::Approval {
                    subject: subject("lena"),
                    groups: groups(&["leads"]),
                });
            }
            question
        },
    )
}

fn remembered(memo: &Memo<'_>) -> usize {
    memo.answers
        .iter()
        .map(|shard| shard.lock().unwrap().len())
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_is_what_would_be_said(
        policies in policies(),
        questions in prop::collection::vec(question(), 1..60),
    ) {
        let memo = Memo::new(&policies);
        for question in &questions {
            let told = memo.judge(question);
            let asked = judge(&policies, question);
            prop_assert_eq!(told.verdict, asked.verdict, "{:?}", question);
            let told: Vec<&str> = told.policies.iter().map(String::as_str).collect();
            let asked: Vec<&str> = asked.policies.iter().map(String::as_str).collect();
            prop_assert_eq!(told, asked, "{:?}", question);
        }
    }
}

#[test]
fn questions_that_no_policy_tells_apart_are_asked_once() {
    let policies = set(
        "@id(\"a\") @reason(\"r\")\npermit (principal in Group::\"engineering\", \
         action == Action::\"login\", resource)\nwhen { context.duration <= 3600 && \
         context.mfa_age < 600 && context has reason };\n\
         @id(\"b\") @reason(\"r\")\npermit (principal in Group::\"sre\", action, resource)\n\
         when { context.now.toTime().toSeconds() < 100 };",
    )
    .unwrap();
    let memo = Memo::new(&policies);
    for number in 0..50_u64 {
        let mut question = login("prod", &["deploy"]);
        question.who.subject = subject(&number.to_string());
        question.who.groups.insert(format!("team-{number}"));
        question.facts.duration = Duration::from_secs(60 + number);
        question.facts.second_factor = SecondFactor::Totp(Duration::from_secs(number));
        question.facts.reason = Some(number.to_string());
        question.facts.now = Timestamp::from_unix_seconds(1_800_000_000 + number);
        assert_eq!(memo.judge(&question).verdict, Verdict::Permit);
    }
    assert_eq!(remembered(&memo), 1);
    // Who is in the other group is seen more closely.
    let mut question = login("prod", &["deploy"]);
    question.who.groups.insert("sre".to_owned());
    for seconds in 0..5 {
        question.facts.now = Timestamp::from_unix_seconds(1_800_000_000 + seconds);
        assert_eq!(memo.judge(&question).verdict, Verdict::Deny);
    }
    assert_eq!(remembered(&memo), 6);
}

#[test]
fn what_is_remembered_has_an_end() {
    let policies = set(
        "@id(\"a\") @reason(\"r\") @everybody(\"any\")\npermit (principal, action, resource)\n\
         when { context.duration + 1 < 100000 };",
    )
    .unwrap();
    let memo = Memo::new(&policies);
    // One part is filled by hand: a hundred thousand questions take long.
    let filler = memo.judge(&login("prod", &["deploy"]));
    for shard in &memo.answers {
        let mut shard = shard.lock().unwrap();
        for number in 0..ANSWERS_MAX {
            shard.insert(number.to_be_bytes().into(), filler.clone());
        }
    }
    for seconds in 0..200 {
        let mut question = login("prod", &["deploy"]);
        question.facts.duration = Duration::from_secs(seconds);
        assert_eq!(memo.judge(&question).verdict, Verdict::Permit);
        assert!(remembered(&memo) <= SHARDS * (ANSWERS_MAX + 1));
    }
    assert!(remembered(&memo) < SHARDS * ANSWERS_MAX);
}
