//! Proofs and what contradicts them, for people.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::policy::PolicySet;
use crate::prove::{Counterexample, Excess, Finding, Flaw, Outcome, Proof};

/// Writing into a string does not fail.
macro_rules! line {
    ($text:expr, $($what:tt)*) => {
        writeln!($text, $($what)*).unwrap_or_default()
    };
}

/// Each invariant with its place, its reason and how long it took, and the counterexamples.
pub(super) fn proofs(policies: &PolicySet, proofs: &[Proof]) -> String {
    let mut text = String::new();
    for proof in proofs {
        let invariant = &proof.invariant;
        let mark = if proof.holds() { '✓' } else { '✗' };
        line!(
            text,
            "{mark} {} {} ({}:{}, {}): {}",
            invariant.claim,
            invariant.id,
            invariant.file,
            invariant.line,
            Took(proof.took),
            invariant.reason
        );
        match &proof.outcome {
            Outcome::Proved => {}
            Outcome::Open { why } => line!(text, "  {why}"),
            Outcome::Vacuous => line!(
                text,
                "  not proved: no question that can be asked is one that it speaks about\n  \
                 hint: a condition in it contradicts another one, or can never hold"
            ),
            Outcome::Violated(found) => {
                line!(
                    text,
                    "  violated by this case, which was asked of these policies:"
                );
                counterexample(policies, found, &mut text);
            }
        }
    }
    let all = proofs.len();
    let invariants = if all == 1 { "invariant" } else { "invariants" };
    match proofs.iter().filter(|proof| !proof.holds()).count() {
        0 if all == 1 => line!(text, "1 invariant holds of every request"),
        0 => line!(text, "{all} invariants hold of every request"),
        failed => line!(text, "{failed} of {all} {invariants} not proved"),
    }
    text
}

/// What one set permits and the other does not, by action.
pub(super) fn excess(policies: &PolicySet, found: &[Excess]) -> String {
    let mut text = String::new();
    for one in found {
        let (action, took) = (one.action.name(), Took(one.took));
        match &one.outcome {
            Outcome::Proved | Outcome::Vacuous => {
                line!(text, "✓ {action} ({took}): nothing more is permitted");
            }
            Outcome::Open { why } => line!(text, "✗ {action} ({took}): {why}"),
            Outcome::Violated(found) => {
                line!(
                    text,
                    "✗ {action} ({took}): this case was asked of both sets, and only these permit it"
                );
                counterexample(policies, found, &mut text);
                let denial = one.other.as_ref().and_then(|other| other.denial.as_ref());
                for reason in denial.into_iter().flat_map(|denial| &denial.reasons) {
                    let id = reason.policy.as_deref().unwrap_or("no policy");
                    line!(
                        text,
                        "  the other set denies it by {id}: {}",
                        reason.sentence
                    );
                }
            }
        }
    }
    if found.iter().all(Excess::is_none) {
        line!(text, "these policies permit nothing that the others do not");
    } else {
        line!(
            text,
            "not proved: these policies may permit more than the others"
        );
    }
    text
}

/// Policies that change nothing.
pub(super) fn findings(policies: &PolicySet, findings: &[Finding]) -> String {
    let mut text = String::new();
    let place = |id: &String| match policies.policies().get(id) {
        Some(info) => format!("{id} ({}:{})", info.file, info.line),
        None => id.clone(),
    };
    let each = |ids: &[String], none: &str| {
        let ids: Vec<String> = ids.iter().map(place).collect();
        if ids.is_empty() {
            none.to_owned()
        } else {
            ids.join(", or by ")
        }
    };
    for one in findings {
        let (mark, words) = match (&one.flaw, &one.open) {
            (_, Some(why)) => ('?', why.clone()),
            (None, None) => continue,
            (Some(Flaw::Unsatisfiable), _) => (
                '✗',
                "never applies: no question that can be asked matches it".to_owned(),
            ),
            (Some(Flaw::Shadowed { forbidden_by }), _) => {
                let by = each(forbidden_by, "several together");
                (
                    '✗',
                    format!("permits nothing: all of it is forbidden by {by}"),
                )
            }
            (Some(Flaw::Redundant { covered_by }), _) => {
                let by = each(covered_by, "several together");
                (
                    '-',
                    format!("changes nothing: all of it is decided so by {by}"),
                )
            }
            (Some(Flaw::Idle), _) => (
                '-',
                "changes nothing today: no policy permits what it forbids".to_owned(),
            ),
        };
        line!(
            text,
            "{mark} {} ({}:{}): {words}",
            one.id,
            one.file,
            one.line
        );
    }
    let took: Duration = findings.iter().map(|one| one.took).sum();
    let wrong = findings.iter().filter(|one| one.flaw.is_some()).count();
    let (all, took) = (findings.len(), Took(took));
    match wrong {
        0 => line!(text, "{all} policies were looked at ({took}): each matters"),
        _ => line!(
            text,
            "{all} policies were looked at ({took}): {wrong} change nothing"
        ),
    }
    text
}

/// The case, indented so that it can be cut out, and who decides it.
fn counterexample(policies: &PolicySet, found: &Counterexample, text: &mut String) {
    line!(text, "");
    for case_line in found.case.lines() {
        line!(text, "    {case_line}");
    }
    line!(text, "");
    let by: Vec<String> = found
        .policies
        .iter()
        .map(|id| match policies.policies().get(id) {
            Some(info) => format!("{id} ({}:{})", info.file, info.line),
            None => id.clone(),
        })
        .collect();
    let by = if by.is_empty() {
        "no policy".to_owned()
    } else {
        by.join(", ")
    };
    line!(text, "  {} by {by}", found.verdict);
}

struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        }
    }
}
