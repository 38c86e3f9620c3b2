//! Claims that hold for every question: the index changes nothing, every hint keeps its word.

use std::fmt::Write as _;
use std::time::Instant;

use proptest::prelude::*;

use super::super::decide::ask;
use super::super::hint::hints;
use super::super::index::Index;
use super::*;

/// Policies of every shape of scope and condition, for a few groups, environments and accounts.
fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => Just("permit"), 1 => Just("forbid")];
    let who = prop_oneof![
        Just("principal"),
        Just("principal in Group::\"engineering\""),
        Just("principal in Group::\"sre\""),
    ];
    let what = prop_oneof![
        Just("action"),
        Just("action == Action::\"login\""),
        Just("action in [Action::\"login\", Action::\"break_glass\"]"),
        Just("action == Action::\"break_glass\""),
    ];
    let on = prop_oneof![
        Just("resource"),
        Just("resource is Account"),
        Just("resource in Environment::\"prod\""),
        Just("resource in Environment::\"staging\""),
        Just("resource is Account in Environment::\"prod\""),
        Just("resource == Account::\"prod/root\""),
        Just("resource == Account::\"staging/deploy\""),
    ];
    let condition = prop_oneof![
        Just("context.duration <= 3600"),
        Just("context.duration <= 5000"),
        Just("context.approvals >= 1"),
        Just("context.approvals >= 2 && context.approver_groups.contains(\"leads\")"),
        Just("context.approver_groups.containsAny([\"leads\", \"security\"])"),
        Just("context.met.contains(\"lead\")"),
        Just("context.met.containsAll([\"lead\", \"two-keys\"])"),
        Just("context.met.contains(\"two-keys\") && context.approvals >= 3"),
        Just("context.met.containsAny([\"two-keys\", \"many\"]) || context.on_call"),
        Just("context.mfa_age <= 60"),
        Just("context.token_bound"),
        Just("context has reason"),
        Just("context has ticket && context.duration < 1800"),
        Just("context.on_call"),
    ];
    (effect, who, what, on, condition).prop_map(|(effect, who, what, on, condition)| {
        let word = if effect == "permit" { "when" } else { "unless" };
        format!("{effect} ({who}, {what}, {on})\n{word} {{ {condition} }};\n")
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
        set_with(TABLE, &all).unwrap()
    })
}

/// Requirements for those policies, each of another shape.
const TABLE: &str = "lead = [[\"1 of leads\"]]\n\
    two-keys = [[\"1 of leads\", \"1 of security\"], [\"2 of security\"]]\n\
    many = [[\"4 approvals\"]]\n";

pub(crate) fn question() -> impl Strategy<Value = Question> {
    let environment = prop_oneof![Just("prod"), Just("staging"), Just("lab")];
    let accounts = prop_oneof![
        Just(vec!["deploy"]),
        Just(vec!["root"]),
        Just(vec!["root", "deploy"])
    ];
    let action = prop_oneof![3 => Just(Action::Login), 1 => Just(Action::BreakGlass)];
    let times = (1_u64..100_000, 0_u64..200);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let given = prop::collection::vec(prop_oneof![Just("leads"), Just("sre")], 0..3);
    (environment, accounts, action, times, flags, given).prop_map(
        |(environment, accounts, action, (duration, age), (bound, call, sre, why), given)| {
            let mut question = login(environment, &accounts);
            question.action = action;
            question.facts.duration = Duration::from_secs(duration);
            question.facts.second_factor = SecondFactor::Totp(Duration::from_secs(age));
            question.facts.token_bound = bound;
            question.facts.on_call = call;
            question.facts.reason = why.then(|| "why".to_owned());
            if sre {
                question.who.groups.insert("sre".to_owned());
            }
            for (at, group) in given.into_iter().enumerate() {
                question.facts.approvals.push(Approval {
                    subject: subject(&format!("approver{at}")),
                    groups: groups(&[group]),
                });
            }
            question
        },
    )
}

/// The same policies, each looked at for every question.
fn unindexed(policies: &PolicySet) -> PolicySet {
    PolicySet {
        index: policies.index.everything(),
        ..policies.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_index_changes_no_decision(policies in policies(), question in question()) {
        let all = unindexed(&policies);
        prop_assert_eq!(
            ask(&policies, &question),
            ask(&all, &question)
        );
    }

    #[test]
    fn asking_with_a_hint_applied_is_permitted(policies in policies(), question in question()) {
        let others = principals(&["deploy", "root", "postgres"]);
        if let Decision::Deny(denial) = decide(&policies, &question, &others) {
            for hint in denial.hints {
                prop_assert!(!hint.changes.is_empty());
                let changed = hint.changes.iter().fold(question.clone(), |q, c| c.apply(&q));
                prop_assert!(decide(&policies, &changed, &[]).is_permit(), "{hint}");
                // No change of a hint is there for nothing.
                for left_out in 0..hint.changes.len() {
                    let fewer = hint.changes.iter().enumerate().filter(|(at, _)| *at != left_out);
                    let changed = fewer.fold(question.clone(), |q, (_, c)| c.apply(&q));
                    prop_assert!(!decide(&policies, &changed, &[]).is_permit(), "{hint}");
                }
            }
        }
    }

    #[test]
    fn the_longest_time_of_a_hint_is_exact(limit in 60_u64..90_000, asked in 60_u64..200_000) {
        let policies = set(&format!(
            "@id(\"a\") @reason(\"r\")\npermit (principal in Group::\"engineering\", action, resource)\n\
             when {{ context.duration <= {limit} }};"
        )).unwrap();
        let mut question = login("prod", &["root"]);
        question.facts.duration = Duration::from_secs(asked);
        let found = hints(&policies, &question, &[]);
        if asked > limit {
            let longest = Change::ShorterDuration { seconds_max: limit };
            prop_assert_eq!(&found[0].changes, &[longest]);
        }
    }
}

/// Twenty policies, or `environments` times twenty of which each names its environment.
fn many(environments: usize) -> PolicySet {
    let mut all = String::new();
    for environment in 0..environments {
        for at in 0..20 {
            write!(
                all,
                "@id(\"e{environment}-p{at}\") @reason(\"r\")\n\
                 permit (principal in Group::\"g{at}\", action == Action::\"login\", \
                 resource in Environment::\"env{environment}\")\n\
                 when {{ context.duration <= {at}00 && context.mfa_age < 3600 && context.token_bound }};\n"
            )
            .unwrap();
        }
    }
    set(&all).unwrap()
}

#[test]
#[ignore = "prints how long a decision takes; judge it in a release build"]
fn figures() {
    for (environments, label) in [(1, "20 policies"), (50, "1000 policies, 50 environments")] {
        let begun = Instant::now();
        let policies = many(environments);
        let loaded = begun.elapsed();
        let mut question = login("env0", &["deploy"]);
        question.who.groups = groups(&["g19", "a", "b"]);
        question.facts.duration = Duration::from_secs(600);
        let rounds = 2000_u32;
        let begun = Instant::now();
        for _ in 0..rounds {
            assert!(decide(&policies, &question, &[]).is_permit());
        }
        let permit = begun.elapsed() / rounds;
        let begun = Instant::now();
        for _ in 0..rounds {
            let met = policies.met(&question);
            assert!(policies.vocabulary.requests(&question, &met).is_ok());
        }
        let building = begun.elapsed() / rounds;
        question.facts.duration = Duration::from_secs(36_000);
        let begun = Instant::now();
        for _ in 0..20 {
            assert!(!decide(&policies, &question, &[]).is_permit());
        }
        let denial = begun.elapsed() / 20;
        let begun = Instant::now();
        for _ in 0..rounds {
            assert_eq!(approvals_missing(&policies, &question), None);
        }
        let hopeless = begun.elapsed() / rounds;
        println!(
            "{label}: load {loaded:?}, permit {permit:?} (building {building:?}), denial with hints \
             {denial:?}, no approval helps {hopeless:?}"
        );
    }
}

#[test]
#[ignore = "prints how long it takes to say which approvals are missing; judge it in a release build"]
fn figures_of_what_is_missing() {
    let policies = examples();
    for account in ["root", "postgres"] {
        let question = login("prod", &[account]);
        let rounds = 500_u32;
        let begun = Instant::now();
        for _ in 0..rounds {
            assert!(!ask(&policies, &question).is_permit());
        }
        let one = begun.elapsed() / rounds;
        let begun = Instant::now();
        let mut found = None;
        for _ in 0..rounds {
            found = approvals_missing(&policies, &question);
        }
        let missing = begun.elapsed() / rounds;
        println!("{account}: one question {one:?}, {found:?} {missing:?}");
    }
}

#[test]
fn the_index_without_an_environment_of_its_own_still_has_every_action() {
    let policies = set("@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource);").unwrap();
    let index: &Index = &policies.index;
    for action in Action::ALL {
        assert_eq!(
            index.cell(action, None).unwrap().policies.num_of_policies(),
            1
        );
    }
}
