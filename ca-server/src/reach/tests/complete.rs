//! Nothing is left out: whatever is permitted under some circumstances, a way is told that they meet.

use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::Config;

use super::super::search::{Circumstances, Fact};
use super::super::survey::Survey;
use super::*;

/// Conditions that more of anything never makes worse.
const ATOMS: [&str; 11] = [
    "context.duration <= 1800",
    "context.duration <= 7200",
    "context.mfa_age <= 900",
    "context.mfa_kind == \"totp\"",
    "context.token_bound",
    "context has reason",
    "(context has ticket && context.ticket like \"OPS-*\")",
    "context.on_call",
    "context.met.contains(\"lead\")",
    "context.approvals >= 2",
    "context.approver_groups.contains(\"security\")",
];

fn condition() -> impl Strategy<Value = String> {
    let atom = select(ATOMS.to_vec()).prop_map(ToOwned::to_owned);
    atom.prop_recursive(3, 6, 2, |inner| {
        (inner.clone(), prop_oneof!["&&", r"\|\|"], inner)
            .prop_map(|(left, how, right)| format!("({left} {how} {right})"))
    })
}

fn policies() -> impl Strategy<Value = String> {
    let permits = vec(condition(), 1..4);
    let forbids = vec(condition(), 0..3);
    let line = |effect: &str, word: &str, at: usize, condition: &String| {
        format!(
            "{effect}{at}: {effect} (principal in Group::\"c\", action == Action::\"login\", \
             resource) {word} {{ {condition} }};\n"
        )
    };
    (permits, forbids).prop_map(move |(permits, forbids)| {
        let permits = permits.iter().enumerate();
        let permits = permits.map(|(at, one)| line("permit", "when", at, one));
        let forbids = forbids.iter().enumerate();
        let forbids = forbids.map(|(at, one)| line("forbid", "unless", at, one));
        permits.chain(forbids).collect()
    })
}

/// Whether these circumstances are enough for the way.
fn meets(so: &Circumstances, way: &Way) -> bool {
    let has = |need: &Need| {
        so.having.contains(&match need {
            Need::Approvals { .. } => Fact::Approvals,
            Need::Totp => Fact::Totp,
            Need::FreshFactor { seconds_max } => {
                return so.having.contains(&Fact::Fresh) && so.age <= *seconds_max;
            }
            Need::BoundSignIn => Fact::Bound,
            Need::Reason { .. } => Fact::Reason,
            Need::Ticket { .. } => Fact::Ticket,
            Need::OnCall => Fact::OnCall,
            Need::NothingUnreviewed => Fact::Reviewed,
        })
    };
    let longest = match way.longest {
        Some(Longest::Policy(longest) | Longest::Ceiling(longest)) => longest,
        _ => Duration::MAX,
    };
    way.needs.iter().all(has) && Duration::from_secs(so.seconds) <= longest
}

/// Every set of the facts, asked for several durations with several ages.
fn whatever_is_permitted_is_told(policies: &PolicySet) {
    let limits = limits();
    let survey = Survey::new(policies, &limits);
    let (who, target) = (anyone(&["c"]).who, target(Action::Login, "prod/root"));
    let ways = survey.ways(&who, &target);
    ways.iter().for_each(|way| check(policies, &who, way));
    let Some(search) = survey.search(&who, &target) else {
        return;
    };
    let facts: Vec<Fact> = search.facts.iter().copied().collect();
    let texts = search.ground.texts.last().unwrap();
    let situation = search.ground.at(search.ground.spots()[0], texts);
    for mask in 0..1_u32 << facts.len() {
        let some = facts
            .iter()
            .enumerate()
            .filter(|(at, _)| mask & (1 << at) != 0);
        let having: BTreeSet<Fact> = some.map(|(_, fact)| *fact).collect();
        for (seconds, age) in [(60, 0), (1800, 900), (7200, 0), (7201, 0)] {
            let so = Circumstances {
                having: having.clone(),
                seconds,
                age,
            };
            if search.permits(&so, &situation) {
                let told = ways.iter().any(|way| meets(&so, way));
                assert!(told, "{so:?} is permitted and none of {ways:#?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(Config::with_cases(24))]
    #[test]
    fn of_any_policies_whatever_is_permitted_is_told(text in policies()) {
        let policies = set(&text, "lead = [[\"1 of leads\"]]");
        whatever_is_permitted_is_told(&policies);
    }
}

#[test]
fn of_the_examples_whatever_is_permitted_is_told() {
    let policies = examples();
    whatever_is_permitted_is_told(&policies);
}
