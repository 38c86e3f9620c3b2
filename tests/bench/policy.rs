//! Policy decisions in this process, by the library that the server is made of.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use ca_core::name::Subject;
use ca_core::time::Timestamp;
use ca_server::policy::{
    Action, Cases, EXAMPLES, Facts, On, Person, PolicySet, Question, REQUIREMENTS_NAME,
    SecondFactor, Source, decide, is_policy_file, run_all,
};
use serde_json::json;

use crate::measure::{median, quantile};
use crate::report::{Figure, Target, round};

const HOW: &str = "decide() in process, permit for one account, context building included; 20 \
                   policies name each environment; median of 200 batches of 10";

pub(crate) fn figures() -> Vec<Figure> {
    let few = figure("policy decision, 20 policies", 1, 60.0);
    let many = figure(
        "policy decision, 1,000 policies in 50 environments",
        50,
        120.0,
    );
    vec![few, many, cases()]
}

/// The cases of the examples over and over, as `policy test` runs them.
fn cases() -> Figure {
    let policies = example_set();
    let is_cases = |(name, _): &&(&str, &str)| name.starts_with("cases/");
    let parse = |(name, text): &(&str, &str)| Cases::parse(name, text).expect("cases");
    let examples = EXAMPLES.iter().filter(is_cases);
    let seconds: Vec<f64> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let (mut files, mut count) = (Vec::new(), 0);
            for file in examples.clone().cycle().map(parse) {
                count += file.cases().len();
                files.push(file);
                if count >= 500 {
                    break;
                }
            }
            let outcomes = run_all(&files, &policies);
            assert!(outcomes.iter().all(|outcome| outcome.passed));
            begun.elapsed().as_secs_f64()
        })
        .collect();
    Figure {
        number: 20,
        name: "policy test, 500 cases",
        unit: "s",
        value: Some(median(&seconds)),
        target: Target::AtMost(1.0),
        how: "the cases of the example policies again and again, at least 500, read and run in \
              process; median of 5",
        raw: json!({ "policies": policies.policies().len() }),
    }
}

fn figure(name: &'static str, environments: u32, most: f64) -> Figure {
    let begun = Instant::now();
    let policies = policies(environments);
    let load = begun.elapsed().as_secs_f64();
    let permit = batches(&policies, &question("env0", "g19", 600), true);
    let denial = batches(&policies, &question("env0", "g19", 36_000), false);
    Figure {
        number: 8,
        name,
        unit: "µs",
        value: Some(median(&permit) * 1e6),
        target: Target::AtMost(most),
        how: HOW,
        raw: json!({
            "policies": policies.policies().len(),
            "permit_p99_microseconds": round(quantile(&permit, 0.99) * 1e6),
            "denial_with_hints_microseconds": round(median(&denial) * 1e6),
            "example_policies_permit_microseconds": round(examples() * 1e6),
            "load_milliseconds": round(load * 1e3),
        }),
    }
}

/// Seconds of one decision, for each batch.
fn batches(policies: &PolicySet, question: &Question, permitted: bool) -> Vec<f64> {
    let (batches, size) = if permitted { (200, 10_u32) } else { (20, 2) };
    let mut seconds = Vec::new();
    for _ in 0..batches {
        let begun = Instant::now();
        for _ in 0..size {
            assert_eq!(decide(policies, question, &[]).is_permit(), permitted);
        }
        seconds.push(begun.elapsed().as_secs_f64() / f64::from(size));
    }
    seconds
}

fn example_set() -> PolicySet {
    let source = |(name, text): &(&str, &str)| Source::new(name, text);
    let policy = |(name, _): &&(&str, &str)| is_policy_file(name);
    let sources: Vec<Source> = EXAMPLES.iter().filter(policy).map(source).collect();
    let table = EXAMPLES.iter().find(|(name, _)| *name == REQUIREMENTS_NAME);
    let table = table.map(source);
    PolicySet::parse(&source(&EXAMPLES[0]), &sources, table.as_ref(), None).expect("the examples")
}

fn examples() -> f64 {
    median(&batches(
        &example_set(),
        &question("staging", "engineering", 600),
        true,
    ))
}

/// Twenty policies for each environment, each naming it and a group.
fn policies(environments: u32) -> PolicySet {
    let mut text = String::new();
    for environment in 0..environments {
        for at in 0..20 {
            write!(
                text,
                "@id(\"e{environment}-p{at}\") @reason(\"r\")\n\
                 permit (principal in Group::\"g{at}\", action == Action::\"login\", \
                 resource in Environment::\"env{environment}\")\n\
                 when {{ context.duration <= {at}00 && context.mfa_age < 3600 && \
                 context.token_bound }};\n"
            )
            .expect("a string");
        }
    }
    let schema = Source::new(EXAMPLES[0].0, EXAMPLES[0].1);
    let sources = [Source::new("many.cedar", &text)];
    PolicySet::parse(&schema, &sources, None, None).expect("valid policies")
}

fn question(environment: &str, group: &str, duration_seconds: u64) -> Question {
    Question {
        who: Person {
            name: "alice".parse().expect("a name"),
            subject: Subject::new("https://id.example.com", "1").expect("a subject"),
            groups: [group, "a", "b"].map(str::to_owned).into(),
        },
        action: Action::Login,
        on: On::Accounts {
            environment: environment.parse().expect("an environment"),
            principals: vec!["deploy".parse().expect("a principal")],
        },
        facts: Facts {
            duration: Duration::from_secs(duration_seconds),
            second_factor: SecondFactor::Totp(Duration::from_secs(60)),
            token_bound: true,
            approvals: Vec::new(),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: Timestamp::from_unix_seconds(1_790_000_000),
            reason: Some("routine".to_owned()),
            ticket: None,
            on_call: false,
            unreviewed: 0,
            holder: None,
        },
    }
}
