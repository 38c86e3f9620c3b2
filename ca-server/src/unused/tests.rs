use std::net::{IpAddr, Ipv4Addr};

use ca_core::digest::Digest;
use ca_core::event::Person;

use super::*;
use crate::policy::{self, Action, EXAMPLES, Facts, On, Question, SecondFactor, is_policy_file};
use crate::reach::{Limits, Survey, Target};

const DAY: u64 = 86_400;

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn set(changes: &[(&str, &str, &str)]) -> PolicySet {
    let examples = EXAMPLES
        .iter()
        .filter(|(name, _)| is_policy_file(name) || !name.contains('/'));
    let sources: Vec<Source> = examples
        .map(|(name, text)| {
            let mut text = (*text).to_owned();
            for (_, from, to) in changes.iter().filter(|(file, ..)| file == name) {
                assert!(text.contains(from), "{name} holds no {from:?}");
                text = text.replace(from, to);
            }
            Source::new(name, &text)
        })
        .collect();
    PolicySet::from_sources(&sources).unwrap()
}

fn person(name: &str) -> Person {
    Person {
        subject: Subject::new("https://id.example", name).unwrap(),
        user: name.parse().unwrap(),
    }
}

/// A login that `policies` permit.
fn login(policies: &PolicySet, name: &str, group: &str, account: &str, seconds: u64) -> Decision {
    let (environment, principal) = account.split_once('/').unwrap();
    let person = person(name);
    let question = Question {
        who: policy::Person {
            name: person.user.clone(),
            subject: person.subject.clone(),
            groups: [group.to_owned()].into(),
        },
        action: Action::Login,
        on: On::Accounts {
            environment: environment.parse().unwrap(),
            principals: vec![principal.parse().unwrap()],
        },
        facts: Facts {
            duration: Duration::from_secs(seconds),
            second_factor: SecondFactor::Totp(Duration::ZERO),
            token_bound: true,
            approvals: Vec::new(),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: now(),
            reason: None,
            ticket: None,
            on_call: false,
            unreviewed: 0,
            holder: None,
        },
    };
    let judgement = policy::judge(policies, &question);
    assert_eq!(judgement.verdict, Verdict::Permit);
    Decision {
        index: 1,
        record: "certificate-issued",
        time: now(),
        person,
        question,
        verdict: judgement.verdict,
        policies: judgement.policies,
        policy_digest: Digest::from_bytes(policies.digest()),
        lacking: BTreeSet::new(),
    }
}

/// Alice and mary are engineers, bob is of sre.
fn found(policies: &PolicySet, decisions: &[Decision], covered: bool) -> Vec<Finding> {
    let people = [
        ("alice", "engineering"),
        ("mary", "engineering"),
        ("bob", "sre"),
    ];
    let mut directory = crate::directory::Directory::default();
    for (name, group) in people {
        directory.signed_in(&person(name), [group.to_owned()].into(), now());
    }
    let limits = Limits::none(now());
    let survey = Survey::new(policies, &limits);
    let actors: Vec<Actor> = Actor::seen(&directory).collect();
    let reach = survey.reach(&actors, &Target::all(&survey.accounts()), &|_, _| {});
    let mut evidence = Evidence::default();
    let since = now().minus(Duration::from_secs(90 * DAY));
    decisions
        .iter()
        .for_each(|one| evidence.take(one, since, policies));
    findings(policies, (&actors, &reach), &evidence, covered)
}

fn of<'a>(found: &'a [Finding], id: &str) -> &'a Finding {
    found.iter().find(|finding| finding.policy == id).unwrap()
}

#[test]
fn who_could_and_did_not_is_named_and_a_window_that_nobody_needs_is_proposed_shorter() {
    let policies = set(&[]);
    let short = login(&policies, "alice", "engineering", "prod/deploy", 600);
    let longer = login(&policies, "alice", "engineering", "prod/deploy", 1_700);
    let found = found(&policies, &[short, longer], true);
    let deploy = of(&found, "prod-deploy-for-engineering");
    assert_eq!((deploy.could, deploy.did, deploy.times), (2, 1, 2));
    assert_eq!(deploy.idle, ["mary".parse().unwrap()]);
    assert_eq!(deploy.longest, Some(Duration::from_secs(1_700)));
    assert_eq!(deploy.allowed, Some(Duration::from_secs(3_600)));
    let edit = Edit::Shorten {
        from: 3_600,
        to: 1_800,
    };
    assert_eq!(deploy.edit, Some(edit));
    assert!(deploy.idle_groups.is_empty());
    let texts = proposal(&policies, &found);
    let routine = texts
        .iter()
        .find(|one| one.name == "routine.cedar")
        .unwrap();
    assert!(
        routine.text.contains("when { context.duration <= 1800 };"),
        "{}",
        routine.text
    );
    assert!(
        routine
            .text
            .contains("uses deploy in prod for up to 30 min"),
        "{}",
        routine.text
    );
}

#[test]
fn what_was_granted_is_granted_by_the_proposal_too() {
    let policies = set(&[]);
    let decisions = [
        login(&policies, "alice", "engineering", "prod/deploy", 600),
        login(&policies, "bob", "sre", "staging/deploy", 20_000),
        login(&policies, "bob", "sre", "prod/deploy", 14_400),
    ];
    let found = found(&policies, &decisions, true);
    let texts = proposal(&policies, &found);
    assert_ne!(texts, policies.sources());
    let tighter = PolicySet::from_sources(&texts).unwrap();
    for decision in &decisions {
        assert_eq!(decision.judge(&tighter).verdict, Verdict::Permit);
    }
    // Neither emergencies nor oversight nor any forbid is touched.
    for (id, about) in policies.policies() {
        let kept = about.forbids || id.contains("break") || about.file == "oversight.cedar";
        assert!(!kept || tighter.policies().contains_key(id), "{id}");
    }
}

#[test]
fn a_log_younger_than_the_time_proposes_no_removal() {
    let policies = set(&[]);
    let used = [login(
        &policies,
        "alice",
        "engineering",
        "prod/deploy",
        3_600,
    )];
    let young = found(&policies, &used, false);
    assert!(
        young
            .iter()
            .all(|finding| finding.edit != Some(Edit::Remove))
    );
    let old = found(&policies, &used, true);
    assert_eq!(of(&old, "prod-deploy-for-sre").edit, Some(Edit::Remove));
    assert_eq!(of(&old, "prod-deploy-for-engineering").edit, None);
}

#[test]
fn what_was_before_the_time_counts_as_the_age_of_the_log_and_no_more() {
    let policies = set(&[]);
    let mut decision = login(&policies, "alice", "engineering", "prod/deploy", 600);
    let since = now();
    decision.time = now().minus(Duration::from_secs(DAY));
    let mut evidence = Evidence::default();
    evidence.take(&decision, since, &policies);
    assert!(evidence.covers(since));
    assert_eq!(evidence.decisions(), 0);
    assert!(!Evidence::default().covers(since));
}

#[test]
fn a_bound_that_is_not_one_plain_number_is_left_alone() {
    let bound = "when { context.duration <= 3600 };";
    for other in [
        "when { context.duration <= 3600 * 1 };",
        "when { 3600 >= context.duration };",
        "when { context.duration <= 3600 || (context.on_call && context.duration <= 7200) };",
        "when { !(context.duration <= 3600) || true };",
        "unless { context.duration <= 3600 && context.on_call };",
    ] {
        let policies = set(&[("routine.cedar", bound, other)]);
        let used = [login(&policies, "alice", "engineering", "prod/deploy", 60)];
        let found = found(&policies, &used, true);
        assert_eq!(
            of(&found, "prod-deploy-for-engineering").edit,
            None,
            "{other}"
        );
    }
}

#[test]
fn a_file_never_loses_its_last_policy() {
    let text = "@id(\"a\")\npermit (principal, action, resource);\n\n@id(\"b\")\nforbid (principal, action, resource);\n";
    let source = Source::new("x.cedar", text);
    let both = BTreeMap::from([("a", Edit::Remove), ("b", Edit::Remove)]);
    let left = edited(&source, &both).text;
    assert_eq!(left.matches("@id").count(), 1);
    let one = edited(&source, &BTreeMap::from([("b", Edit::Remove)])).text;
    assert_eq!(one, "@id(\"a\")\npermit (principal, action, resource);\n");
}

#[test]
fn nineteen_of_twenty_is_what_the_usual_time_means() {
    let durations = BTreeMap::from([(60, 94), (600, 1), (3_600, 5)]);
    assert_eq!(usual(&durations), Some(600));
    assert_eq!(usual(&BTreeMap::new()), None);
}

#[test]
fn what_was_asked_for_and_shortened_by_an_approver_is_still_what_people_need() {
    let policies = set(&[]);
    let mut asked = login(&policies, "alice", "engineering", "prod/deploy", 3_600);
    asked.question.on = On::Accounts {
        environment: "prod".parse().unwrap(),
        principals: vec!["root".parse().unwrap()],
    };
    asked.verdict = policy::judge(&policies, &asked.question).verdict;
    assert_eq!(asked.verdict, Verdict::Approval);
    asked.policies = ["prod-root-needs-approval".to_owned()].into();
    let found = found(&policies, &[asked], true);
    let root = of(&found, "prod-root");
    assert_eq!(root.longest, Some(Duration::from_secs(3_600)));
    assert_eq!(root.edit, None);
}
