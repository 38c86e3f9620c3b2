//! Real proofs by a real cvc5, about the examples and about small sets that are wrong in one way.

use std::time::Duration;

use super::*;
use crate::policy::tests::{examples, set_with};
use crate::policy::{EXAMPLES, Invariants, PolicySet, Source};

/// Long enough for any machine: what is proved here takes tens of milliseconds.
const LIMIT: Duration = Duration::from_secs(120);

fn prover() -> Prover {
    Prover::find(LIMIT).unwrap().0
}

fn invariants(policies: &PolicySet) -> Invariants {
    let sources: Vec<Source> = EXAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("invariants/"))
        .map(|(name, text)| Source::new(name, text))
        .collect();
    Invariants::parse(policies, &sources, None).unwrap()
}

#[test]
fn every_example_invariant_is_proved() {
    let policies = examples();
    for proof in prove_all(&policies, &invariants(&policies), &prover()).unwrap() {
        println!("{} {:?}", proof.invariant.id, proof.took);
        assert!(
            proof.holds(),
            "{}: {:#?}",
            proof.invariant.id,
            proof.outcome
        );
    }
}

#[test]
fn scratch() {
    let all: String = EXAMPLES
        .iter()
        .filter(|(n, _)| crate::policy::is_policy_file(n))
        .map(|(_, t)| *t)
        .collect();
    let parts: Vec<&str> = all.split("\n\n").collect();
    let limit = prover();
    for (at, part) in parts.iter().enumerate() {
        if !part.contains("@id(") {
            continue;
        }
        let id = part.split('"').nth(1).unwrap();
        let mut rest = parts.clone();
        rest.remove(at);
        let policies = set_with("prod-root = [[\"1 of approver\"]]", &rest.join("\n\n")).unwrap();
        let begun = std::time::Instant::now();
        let proofs = prove_all(&policies, &invariants(&policies), &limit).unwrap();
        println!("== without {id} {:?}", begun.elapsed());
        for proof in proofs {
            match proof.outcome {
                Outcome::Violated(c) => println!(
                    "  {} violated: {} {:?}\n{:?}",
                    proof.invariant.id, c.verdict, c.policies, c.question
                ),
                Outcome::Proved => {}
                other => println!("  {} {other:?}", proof.invariant.id),
            }
        }
    }
}
