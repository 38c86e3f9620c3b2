//! No question breaks an assumption. This is what every proof stands on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;

use ca_core::name::Subject;
use ca_core::time::Timestamp;
use cedar_policy::{Policy, PolicySet as CedarSet};
use proptest::prelude::*;

use super::*;
use crate::policy::tests::properties::policies;
use crate::policy::tests::{groups, login, set_with};
use crate::policy::{Action, Approval, Facts, On, Person, PolicySet, Question, SecondFactor};

/// Names everything that an assumption can be about, in every way that it can be wrong.
const NAMES: &str = "forbid (principal, action, resource) when { \
     [Account::\"prod/root\", Account::\"lab/deploy\", Account::\"root\", Account::\"Prod/root\", \
      Account::\"prod/ro ot\", Account::\"prod/root/x\"].contains(resource) || \
     resource in [Environment::\"prod\", Environment::\"staging\", Environment::\"Bad\"] || \
     [User::\"https://a#1\", User::\"https://a#b#1\", User::\"nobody\", User::\"#1\"] \
     .contains(principal) || principal in Group::\"security\" || \
     (context has holder && context.holder in Group::\"security\") || \
     context.now > datetime(\"2026-01-01\") || context.hour > 7 || principal.issuer == \"x\" };";

/// Requirements of every shape, with some that follow from others.
const TABLE: &str = "one = [[\"1 of leads\"]]\n\
     either = [[\"1 of leads\"], [\"1 of security\"]]\n\
     two = [[\"2 of security\"]]\n\
     keys = [[\"1 of leads\", \"1 of security\"], [\"2 of security\"]]\n\
     some = [[\"3 approvals\"]]\n\
     mixed = [[\"1 of security\", \"1 approval\"], [\"2 of leads\", \"1 approval\"]]\n";

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

fn some_groups() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(one_of(&["leads", "security", "sre", "approver"]), 0..4)
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn subject() -> impl Strategy<Value = Subject> {
    let issuers = one_of(&["https://a", "https://a#b", "x", "#"]);
    (issuers, one_of(&["1", "2", "b#1", "#"])).prop_map(|(a, b)| Subject::new(a, b).unwrap())
}

fn factor() -> impl Strategy<Value = SecondFactor> {
    let age = || any::<u64>().prop_map(Duration::from_secs);
    prop_oneof![
        Just(SecondFactor::None),
        age().prop_map(SecondFactor::Recovery),
        (0_u64..100_000).prop_map(|age| SecondFactor::Totp(Duration::from_secs(age))),
    ]
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        Just(String::new()),
        Just(" \t".to_owned()),
        "\\PC{0,8}"
    ])
}

fn facts() -> impl Strategy<Value = Facts> {
    let numbers = (any::<u64>(), any::<u64>(), factor());
    let flags = (any::<bool>(), any::<bool>());
    let given = prop::collection::vec((subject(), some_groups()), 0..6);
    let source = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
    ];
    // The last moment that has a text.
    let now = (0_u64..=253_402_207_200).prop_map(Timestamp::from_unix_seconds);
    let words = (text(), text(), prop::option::of(subject()));
    (numbers, flags, given, source, now, words).prop_map(
        |(
            (duration, unreviewed, second_factor),
            (token_bound, on_call),
            given,
            source,
            now,
            words,
        )| {
            let (reason, ticket, holder) = words;
            let approval = |(subject, groups)| Approval { subject, groups };
            Facts {
                duration: Duration::from_secs(duration),
                second_factor,
                token_bound,
                approvals: given.into_iter().map(approval).collect(),
                source,
                now,
                reason,
                ticket,
                on_call,
                unreviewed,
                holder,
            }
        },
    )
}

pub(in crate::prove) fn anything() -> impl Strategy<Value = Question> {
    let places = (
        one_of(&["prod", "staging", "lab", "a"]),
        prop::collection::vec(one_of(&["root", "deploy", "_x"]), 1..3),
    );
    let person = (one_of(&["alice", "1", "x"]), subject(), some_groups());
    let action = prop::sample::select(&Action::ALL[..]);
    (action, places, person, facts()).prop_map(
        |(action, (environment, accounts), (name, subject, groups), facts)| {
            let environment = environment.parse().unwrap();
            let scene = Scene { action };
            Question {
                who: Person {
                    name: name.parse().unwrap(),
                    subject,
                    groups,
                },
                action,
                on: match scene.kind() {
                    Kind::Authority => On::Authority,
                    Kind::Environment => On::Environment(environment),
                    Kind::Account => On::Accounts {
                        environment,
                        principals: accounts.iter().map(|name| name.parse().unwrap()).collect(),
                    },
                },
                facts,
            }
        },
    )
}

fn named(policies: &PolicySet) -> Named {
    let mut named = Named::default();
    for policy in policies.cedar().policies() {
        named.add(policy).unwrap();
    }
    named.add(&NAMES.parse().unwrap()).unwrap();
    named
}

fn everything(policies: &PolicySet, scene: Scene) -> Vec<String> {
    let named = named(policies);
    let mut all = assumptions(scene, &named, policies.requirements());
    let links = links(&named.facts);
    assert_eq!(links.len(), 24);
    all.extend(links);
    all
}

/// The conjunction, as a tree that is no deeper than it must be: Cedar evaluates only so deep.
fn together(conditions: &[String]) -> String {
    match conditions {
        [] => "true".to_owned(),
        [one] => format!("({one})"),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({} && {})", together(left), together(right))
        }
    }
}

/// A policy that allows exactly what meets `assumptions`, all of which can be evaluated.
fn met_by(assumptions: &[String]) -> CedarSet {
    let all = together(assumptions);
    let text = format!("permit (principal, action, resource) when {{ {all} }};");
    let policy: Policy = text.parse().unwrap();
    CedarSet::from_policies([policy]).unwrap()
}

/// The assumptions that `question` does not meet, or that can not be evaluated for it. `all` is
/// [`met_by`] all of them.
fn broken(policies: &PolicySet, all: &CedarSet, question: &Question) -> Vec<String> {
    let meets = |set: &CedarSet| {
        let allowed = policies.allowed_by(set, question);
        !allowed.is_empty() && !allowed.contains(&false)
    };
    if meets(all) {
        return Vec::new();
    }
    let scene = Scene {
        action: question.action,
    };
    let each = everything(policies, scene).into_iter();
    let broken: Vec<String> = each
        .filter(|one| !meets(&met_by(std::slice::from_ref(one))))
        .collect();
    assert!(!broken.is_empty(), "all of them hold, and not together");
    broken
}

fn seated() -> PolicySet {
    let text = "@id(\"a\") @reason(\"r\")\npermit (principal in Group::\"sre\", action, resource);";
    set_with(TABLE, text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_question_breaks_an_assumption(question in anything()) {
        static SEATED: LazyLock<(PolicySet, BTreeMap<Action, CedarSet>)> = LazyLock::new(|| {
            let policies = seated();
            let all = |scene: Scene| (scene.action, met_by(&everything(&policies, scene)));
            let all = Scene::all().map(all).collect();
            (policies, all)
        });
        let (policies, all) = &*SEATED;
        let broken = broken(policies, &all[&question.action], &question);
        prop_assert_eq!(broken, Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_question_to_other_policies_breaks_one_either(
        policies in policies(),
        question in anything(),
    ) {
        let scene = Scene { action: question.action };
        let all = met_by(&everything(&policies, scene));
        prop_assert_eq!(broken(&policies, &all, &question), Vec::<String>::new());
    }
}

#[test]
fn every_assumption_is_one_that_validation_accepts() {
    let policies = seated();
    let validator = cedar_policy::Validator::new(policies.schema().clone());
    for scene in Scene::all() {
        for assumption in everything(&policies, scene) {
            let text = format!(
                "forbid (principal, action == Action::\"{}\", resource) unless {{ {assumption} }};",
                scene.action.name()
            );
            let set = text.parse().unwrap();
            let result = validator.validate(&set, cedar_policy::ValidationMode::Strict);
            let errors: Vec<_> = result
                .validation_errors()
                .map(ToString::to_string)
                .collect();
            assert_eq!(errors, Vec::<String>::new(), "{assumption}");
        }
    }
}

#[test]
fn a_wrong_assumption_would_be_found() {
    // What the property above stands on: a sentence that does not hold is seen.
    let policies = seated();
    let mut question = login("prod", &["root"]);
    question.who.groups = groups(&["sre"]);
    let mut all = everything(
        &policies,
        Scene {
            action: Action::Login,
        },
    );
    all.push("context.duration < 3600".to_owned());
    let all = met_by(&all);
    assert_eq!(policies.allowed_by(&all, &question), [false]);
    question.facts.duration = Duration::from_secs(3599);
    assert_eq!(policies.allowed_by(&all, &question), [true]);
}
