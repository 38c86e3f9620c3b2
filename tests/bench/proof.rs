//! Proofs about policies in this process, by a cvc5 that is started for each of them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ca_server::policy::{
    EXAMPLES, Invariants, PolicySet, REQUIREMENTS_NAME, SCHEMA_NAME, Source, is_policy_file,
};
use ca_server::prove::{Outcome, Prover, prove_all};
use serde_json::json;

use crate::measure::median;
use crate::report::{Figure, Target, round};

const POLICIES: usize = 50;
const ROUNDS: usize = 5;
const HOW: &str = "prove_all() in process for one invariant, starting cvc5 included; the example \
                   policies and further ones of teams, 50 in all; median of 5, of the slowest \
                   example invariant";

/// Breaks an invariant about root in prod.
const HOLE: &str = "@id(\"hole\") @reason(\"r\")\n\
    permit (principal in Group::\"sre\", action == Action::\"break_glass\", resource)\n\
    when { context.duration <= 7200 && context.on_call };\n";

pub(crate) fn figures() -> Vec<Figure> {
    let prover = match Prover::find(Duration::from_secs(60)) {
        Ok((prover, _)) => prover,
        Err(error) => return vec![figure(None, json!({"error": error.to_string()}))],
    };
    let policies = policies("");
    let mut slowest: Option<(f64, String)> = None;
    let mut each = serde_json::Map::new();
    let ids: Vec<String> = invariants(&policies)
        .iter()
        .map(|one| one.id.clone())
        .collect();
    for id in ids {
        let seconds = measured(&policies, &id, &prover, |outcome| {
            matches!(outcome, Outcome::Proved)
        });
        each.insert(id.clone(), json!(round(seconds * 1e3)));
        if slowest.as_ref().is_none_or(|(most, _)| seconds > *most) {
            slowest = Some((seconds, id));
        }
    }
    let open = self::policies(HOLE);
    let violated = measured(&open, "root-in-prod-is-short", &prover, |outcome| {
        matches!(outcome, Outcome::Violated(_))
    });
    let begun = Instant::now();
    prove_all(&policies, &invariants(&policies), &prover).expect("proofs");
    let all = begun.elapsed().as_secs_f64();
    let (seconds, id) = slowest.expect("an invariant");
    let raw = json!({
        "slowest": id,
        "milliseconds_of_each": each,
        "milliseconds_with_a_counterexample": round(violated * 1e3),
        "all_invariants_seconds": round(all),
    });
    vec![figure(Some(seconds), raw)]
}

fn figure(value: Option<f64>, raw: serde_json::Value) -> Figure {
    Figure {
        number: 19,
        name: "proof of one invariant over 50 policies",
        unit: "s",
        value,
        target: Target::AtMost(2.0),
        how: HOW,
        raw,
    }
}

/// Seconds of a proof of the invariant `id`.
fn measured(
    policies: &PolicySet,
    id: &str,
    prover: &Prover,
    expected: impl Fn(&Outcome) -> bool,
) -> f64 {
    let one = invariants(policies)
        .named(&[id.to_owned()])
        .expect("an invariant");
    let seconds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        let proofs = prove_all(policies, &one, prover).expect("proofs");
        let took = begun.elapsed().as_secs_f64();
        assert!(
            proofs.iter().all(|proof| expected(&proof.outcome)),
            "{id}: {proofs:?}"
        );
        took
    });
    median(&seconds.collect::<Vec<f64>>())
}

fn file(wanted: &str) -> Source {
    let found = EXAMPLES.iter().find(|(name, _)| *name == wanted);
    found
        .map(|(name, text)| Source::new(name, text))
        .expect("an example")
}

/// The examples and those of teams, with `more` instead of the last.
fn policies(more: &str) -> PolicySet {
    let examples = EXAMPLES.iter().filter(|(name, _)| is_policy_file(name));
    let mut sources: Vec<Source> = examples.map(|(n, text)| Source::new(n, text)).collect();
    let count: usize = sources.iter().map(|s| s.text.matches("@id(").count()).sum();
    let teams = POLICIES - count - more.matches("@id(").count();
    let mut text = more.to_owned();
    for at in 0..teams {
        write!(
            text,
            "@id(\"team-{at}\") @reason(\"r\")\n\
             permit (principal in Group::\"team-{at}\", action == Action::\"login\", \
             resource == Account::\"env{at}/app\")\n\
             when {{ context.duration <= 3600 && context.mfa_age < 3600 && context.token_bound }};\n"
        )
        .expect("a string");
    }
    sources.push(Source::new("teams.cedar", &text));
    let table = file(REQUIREMENTS_NAME);
    let set = PolicySet::parse(&file(SCHEMA_NAME), &sources, Some(&table), None);
    let set = set.expect("valid policies");
    assert_eq!(set.policies().len(), POLICIES);
    set
}

fn invariants(policies: &PolicySet) -> Invariants {
    let examples = EXAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("invariants/"));
    let sources: Vec<Source> = examples.map(|(n, text)| Source::new(n, text)).collect();
    Invariants::parse(policies, &sources, None).expect("the examples")
}
