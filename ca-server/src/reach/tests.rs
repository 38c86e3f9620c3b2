mod circumstances;
mod complete;
mod figures;
mod lost;

use std::collections::{BTreeMap, BTreeSet};

use ca_core::name::{Environment, Principal, Subject};
use ca_core::time::Timestamp;

use super::*;
use crate::policy::{
    EXAMPLES, PolicySet, Question, SCHEMA_NAME, SecondFactor, Source, ask, is_policy_file,
};

/// A Sunday.
fn now() -> Timestamp {
    "2026-11-22T10:20:00Z".parse().unwrap()
}

fn limits() -> Limits {
    Limits::none(now())
}

fn example(wanted: &str) -> Source {
    let found = EXAMPLES.iter().find(|(name, _)| *name == wanted).unwrap();
    Source::new(found.0, found.1)
}

fn examples() -> PolicySet {
    let cedar = EXAMPLES.iter().filter(|(name, _)| is_policy_file(name));
    let cedar: Vec<Source> = cedar.map(|(name, text)| Source::new(name, text)).collect();
    let table = example("requirements.toml");
    PolicySet::parse(&example(SCHEMA_NAME), &cedar, Some(&table), None).unwrap()
}

/// Policies written as `ID: permit (…)`, one a line.
fn set(lines: &str, requirements: &str) -> PolicySet {
    let policies = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = policies.map(|line| {
        let (id, policy) = line.split_once(": ").unwrap();
        format!("@id(\"{id}\") @reason(\"{id}\") {policy}\n")
    });
    let text = text.collect::<String>();
    let table = Source::new(
        "requirements.toml",
        &format!("[requirements]\n{requirements}"),
    );
    let sources = [Source::new("test.cedar", &text)];
    match PolicySet::parse(&example(SCHEMA_NAME), &sources, Some(&table), None) {
        Ok(policies) => policies,
        Err(error) => panic!("{error}"),
    }
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn anyone(names: &[&str]) -> Actor {
    Actor::anyone(groups(names), None).unwrap()
}

fn accounts() -> BTreeMap<Environment, BTreeSet<Principal>> {
    let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    BTreeMap::from([
        ("prod".parse().unwrap(), names(&["deploy", "root"])),
        ("staging".parse().unwrap(), names(&["deploy"])),
    ])
}

fn target(action: Action, place: &str) -> Target {
    let mut all = Target::all(&accounts()).into_iter();
    all.find(|target| target.action == action && target.place() == place)
        .unwrap()
}

/// The ways of anyone in these groups, each as `LONGEST: conditions`.
fn told(policies: &PolicySet, names: &[&str], action: Action, place: &str) -> Vec<String> {
    let limits = limits();
    let survey = Survey::new(policies, &limits);
    let ways = survey.ways(&anyone(names).who, &target(action, place));
    for way in &ways {
        check(policies, &anyone(names).who, way);
    }
    let told = ways.iter().map(|way| {
        let longest = way
            .longest
            .map_or_else(String::new, |longest| longest.to_string());
        format!("{longest}: {}", way.conditions().join("; "))
    });
    told.collect()
}

/// `question` without what is needed.
fn without(question: &Question, need: &Need) -> Question {
    let mut less = question.clone();
    let facts = &mut less.facts;
    let age = match facts.second_factor {
        SecondFactor::None => panic!("there is always a second factor"),
        SecondFactor::Recovery(age) | SecondFactor::Totp(age) => age,
    };
    match need {
        Need::Approvals { .. } => facts.approvals.clear(),
        Need::Totp => facts.second_factor = SecondFactor::Recovery(age),
        Need::FreshFactor { seconds_max } => {
            let older = Duration::from_secs(seconds_max + 1);
            facts.second_factor = match facts.second_factor {
                SecondFactor::Totp(_) => SecondFactor::Totp(older),
                _ => SecondFactor::Recovery(older),
            };
        }
        Need::BoundSignIn => facts.token_bound = false,
        Need::Reason { .. } => facts.reason = None,
        Need::Ticket { .. } => facts.ticket = None,
        Need::OnCall => facts.on_call = false,
        Need::NothingUnreviewed => facts.unreviewed = 1,
    }
    less
}

/// What is told of a way is so: it is permitted like this, not without any of its needs, not for
/// longer, and at no other hour.
fn check(policies: &PolicySet, who: &Person, way: &Way) {
    let question = way.asked_by(who);
    let permitted = |question: &Question| ask(policies, question).is_permit();
    if way.addresses == Addresses::Anywhere {
        let mut elsewhere = question.clone();
        elsewhere.facts.source = "9.9.9.9".parse().unwrap();
        assert!(permitted(&elsewhere), "{way:?}");
    }
    assert!(permitted(&question), "{way:?}");
    for need in &way.needs {
        assert!(!permitted(&without(&question, need)), "{need:?} of {way:?}");
    }
    if let Some(Longest::Policy(longest)) = way.longest {
        let mut longer = question.clone();
        longer.facts.duration = longest + Duration::from_secs(1);
        assert!(!permitted(&longer), "longer than {way:?}");
    }
    let start = way.since.unwrap_or(now());
    for hour in 1..=168 {
        let hour = start.unix_seconds() / 3600 + hour;
        let mut then = question.clone();
        then.facts.now = Timestamp::from_unix_seconds(hour * 3600 + 30);
        if way.until.is_none_or(|end| then.facts.now < end) {
            let told = way.hours.holds_at(then.facts.now);
            assert_eq!(told, permitted(&then), "{:?} of {way:?}", then.facts.now);
        }
    }
}

#[test]
fn the_examples_are_told_in_full() {
    let policies = examples();
    let told = |names: &[&str], action, place| told(&policies, names, action, place);
    let root = ["1 h: approval: 1 of approver; TOTP code at most 1 h old; browser sign-in"];
    assert_eq!(told(&["sre"], Action::Login, "prod/root"), root);
    let on_call = "8 h: a reason; on call";
    assert_eq!(
        told(&["sre"], Action::Login, "prod/deploy"),
        ["4 h: ", on_call]
    );
    assert_eq!(
        told(&["engineering"], Action::Login, "prod/deploy"),
        ["1 h: ", on_call]
    );
    assert_eq!(told(&[], Action::Login, "prod/deploy"), [on_call]);
    let office = "approval: 1 of approver; a ticket; Mon-Fri 07:00";
    let contractors = [
        format!("1 h: {office}-18:00 UTC"),
        format!("1 min: {office}-18:59 UTC"),
    ];
    assert_eq!(
        told(&["contractors"], Action::Login, "prod/deploy"),
        contractors
    );
    assert!(told(&["machines"], Action::Login, "prod/deploy").is_empty());
    let glass = ["1 h: a reason; on call; no unreviewed emergency; reviewed afterwards"];
    assert_eq!(told(&["sre"], Action::BreakGlass, "prod/root"), glass);
    assert!(told(&["sre"], Action::BreakGlass, "staging/deploy").is_empty());
    let approve = ["no limit: TOTP code at most 1 h old"];
    assert_eq!(told(&["approver"], Action::Approve, "prod/root"), approve);
    assert_eq!(
        told(&["security"], Action::Administer, ""),
        [": second factor at most 1 h old"]
    );
    assert_eq!(told(&["security"], Action::ReadAudit, ""), [": "]);
    assert_eq!(told(&["security"], Action::Review, "prod"), [": "]);
}

#[test]
fn everybody_gives_back_their_own_and_security_revokes_what_is_others() {
    let policies = examples();
    let limits = limits();
    let survey = Survey::new(&policies, &limits);
    let revoke = |whose| Target {
        whose,
        ..target(Action::Revoke, "prod")
    };
    let may = |names: &[&str], whose| survey.is_possible(&anyone(names).who, &revoke(whose));
    assert!(may(&[], Whose::Own) && !may(&[], Whose::Others));
    assert!(may(&["security"], Whose::Own) && may(&["security"], Whose::Others));
}

#[test]
fn what_is_told_of_every_group_and_target_is_so() {
    let policies = examples();
    let limits = limits();
    let survey = Survey::new(&policies, &limits);
    let targets = Target::all(&accounts());
    let named: Vec<String> = survey.groups().into_iter().collect();
    assert!(named.contains(&"approver".to_owned()), "{named:?}");
    let mut count = 0;
    for group in &named {
        for target in &targets {
            let who = anyone(&[group]).who;
            for way in survey.ways(&who, target) {
                check(&policies, &who, &way);
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn many_at_once_are_told_the_same_as_one_by_one() {
    let policies = set(
        "a: permit (principal in Group::\"a\", action == Action::\"login\", resource) when { context.duration <= 60 };
         b: permit (principal == User::\"https://i.example#1\", action == Action::\"login\", resource == Account::\"prod/root\");",
        "",
    );
    let limits = limits();
    let survey = Survey::new(&policies, &limits);
    let named = Actor::named("https://i.example#1").unwrap();
    let mut both = named.clone();
    both.who.groups = groups(&["a", "x"]);
    let actors = [
        anyone(&["a"]),
        anyone(&["b"]),
        named,
        both,
        anyone(&["a", "b"]),
    ];
    let targets = Target::all(&accounts());
    let all = survey.reach(&actors, &targets, &|_, _| {});
    let mut found = BTreeMap::new();
    for one in &all {
        found.insert((one.actor, one.target), one.ways.as_ref().clone());
    }
    for (actor, Actor { who, .. }) in actors.iter().enumerate() {
        for (at, target) in targets.iter().enumerate() {
            let alone = survey.ways(who, target);
            let many = found.remove(&(actor, at)).unwrap_or_default();
            assert_eq!(alone.len(), many.len(), "{actor} {target:?}");
            for (alone, many) in alone.iter().zip(&many) {
                assert!(alone.is_like(many));
                check(&policies, who, many);
            }
        }
    }
    assert!(all.iter().any(|one| one.actor == 2) && all.iter().all(|one| one.actor != 1));
}

#[test]
fn people_named_by_policies_are_told_apart_from_others_in_their_groups() {
    let policies = set(
        "a: permit (principal, action == Action::\"login\", resource) when { principal == User::\"https://i.example#1\" };",
        "",
    );
    let limits = limits();
    let survey = Survey::new(&policies, &limits);
    let id = survey.users().into_iter().next().unwrap();
    let root = target(Action::Login, "prod/root");
    assert!(survey.is_possible(&Actor::named(&id).unwrap().who, &root));
    let other = Subject::new("https://i.example", "2").unwrap();
    let mut actor = Actor::named(&id).unwrap();
    actor.who.subject = other;
    assert!(!survey.is_possible(&actor.who, &root));
    assert!(!survey.is_possible(&anyone(&[]).who, &root));
}
