//! Real proofs by a real cvc5, about the examples and about small sets that are wrong in one way.

mod assumed;
mod changes;
mod examples;
mod solvers;
mod violated;

use std::time::Duration;

use super::{Counterexample, Outcome, Proof, Prover, prove_all};
use crate::policy::{Cases, EXAMPLES, Invariants, PolicySet, REQUIREMENTS_NAME, Source};

/// Long enough for any machine: what is proved here takes tens of milliseconds.
const LIMIT: Duration = Duration::from_secs(300);

fn prover() -> Prover {
    Prover::find(LIMIT).unwrap().0
}

/// A policy or invariant: its id, and the rest.
fn statement(id: &str, text: &str) -> String {
    format!("@id(\"{id}\")\n@reason(\"because of {id}\")\n{text}\n\n")
}

/// A statement about logins.
fn login(effect: &str, word: &str, condition: &str) -> String {
    format!("{effect} (principal, action == Action::\"login\", resource) {word} {{ {condition} }};")
}

/// Policies under ids `p0`, `p1`, …
fn policies(texts: &[&str]) -> PolicySet {
    set_with("", &numbered(texts))
}

/// The policies in `text` with the requirements in `table`. Not linted: what nobody would write is
/// proved about as well.
fn set_with(table: &str, text: &str) -> PolicySet {
    let (schema, schema_text) = EXAMPLES[0];
    let sources = [
        Source::new(schema, schema_text),
        Source::new("a.cedar", text),
        Source::new(REQUIREMENTS_NAME, &format!("[requirements]\n{table}")),
    ];
    PolicySet::from_sources(&sources).unwrap()
}

fn numbered(texts: &[&str]) -> String {
    let texts = texts.iter().enumerate();
    let texts = texts.map(|(at, text)| statement(&format!("p{at}"), text));
    texts.collect()
}

/// The one invariant `text`, never or always by its effect.
fn invariant(policies: &PolicySet, text: &str) -> Invariants {
    let claim = if text.starts_with("permit") {
        "always"
    } else {
        "never"
    };
    let source = Source::new(&format!("a.{claim}.cedar"), &statement("a", text));
    Invariants::parse(policies, &[source], None).unwrap()
}

/// What becomes of the one invariant `text` about `policies`.
fn outcome(policies: &PolicySet, text: &str) -> Outcome {
    let mut proofs = prove_all(policies, &invariant(policies, text), &prover()).unwrap();
    assert_eq!(proofs.len(), 1);
    proofs.remove(0).outcome
}

/// The counterexample, after asking the case that it is printed as: it is decided as it says.
#[track_caller]
fn counterexample(policies: &PolicySet, outcome: Outcome) -> Counterexample {
    let Outcome::Violated(found) = outcome else {
        panic!("not violated: {outcome:?}");
    };
    let cases = Cases::parse("found.toml", &found.case).unwrap();
    for outcome in cases.run(policies) {
        assert!(outcome.passed, "{outcome:?}\n{}", found.case);
    }
    *found
}

#[track_caller]
fn why_open(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Open { why } => why,
        other => panic!("not open: {other:?}"),
    }
}

#[track_caller]
fn assert_proved(policies: &PolicySet, text: &str) {
    let outcome = outcome(policies, text);
    assert!(matches!(outcome, Outcome::Proved), "{text}: {outcome:?}");
}

fn failed(proofs: &[Proof]) -> Vec<&str> {
    let failed = proofs.iter().filter(|proof| !proof.holds());
    failed.map(|proof| proof.invariant.id.as_str()).collect()
}
