//! A counterexample without what does not matter to it: what is left in it is why it is one.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::Principal;
use ca_core::time::Timestamp;

use super::model::USUAL_NOW;
use crate::policy::{On, Question, SecondFactor};

/// Most rounds of simplification.
const ROUNDS_MAX: usize = 8;
/// Durations that people ask for, the most usual first.
const USUAL_SECONDS: [u64; 7] = [3600, 1800, 7200, 14_400, 28_800, 36_000, 86_400];

/// Accounts that are proposed instead of one that does not matter.
const USUAL_ACCOUNTS: [&str; 2] = ["deploy", "root"];

/// A question made from `question` by leaving out and rounding, of which `holds` is still true.
pub(super) fn smallest(mut question: Question, holds: &dyn Fn(&Question) -> bool) -> Question {
    for _ in 0..ROUNDS_MAX {
        let mut changed = false;
        for simplify in STEPS {
            // Each step proposes something simpler until nothing simpler will do.
            while let Some(simpler) = simplify(&question).into_iter().find(|q| holds(q)) {
                question = simpler;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    question
}

type Step = fn(&Question) -> Vec<Question>;

/// Each yields questions that are simpler than the one given, so that all of them come to an end.
const STEPS: [Step; 7] = [
    groups,
    approvals,
    words,
    flags,
    account,
    second_factor,
    moments,
];

fn with(question: &Question, change: impl FnOnce(&mut Question)) -> Question {
    let mut changed = question.clone();
    change(&mut changed);
    changed
}

fn groups(question: &Question) -> Vec<Question> {
    let groups = question.who.groups.iter();
    let without = groups.map(|name| {
        with(question, |q| {
            q.who.groups.remove(name);
        })
    });
    without.collect()
}

fn approvals(question: &Question) -> Vec<Question> {
    // The last first, so that whoever is left has the usual name.
    let given = question.facts.approvals.iter().enumerate().rev();
    let mut simpler = Vec::new();
    for (at, approval) in given {
        simpler.push(with(question, |q| drop(q.facts.approvals.remove(at))));
        for name in &approval.groups {
            simpler.push(with(question, |q| {
                let approval = q.facts.approvals.get_mut(at);
                approval.map(|approval| approval.groups.remove(name));
            }));
        }
    }
    simpler
}

fn words(question: &Question) -> Vec<Question> {
    let facts = &question.facts;
    let mut simpler = Vec::new();
    if facts.reason.is_some() {
        simpler.push(with(question, |q| q.facts.reason = None));
    }
    if facts.ticket.is_some() {
        simpler.push(with(question, |q| q.facts.ticket = None));
    }
    if facts.holder.is_some() {
        simpler.push(with(question, |q| q.facts.holder = None));
    }
    let other_than = |words: &Option<String>, plain| words.as_ref().is_some_and(|w| w != plain);
    if other_than(&facts.reason, "outage") {
        simpler.push(with(question, |q| {
            q.facts.reason = Some("outage".to_owned())
        }));
    }
    if other_than(&facts.ticket, "T-1") {
        simpler.push(with(question, |q| q.facts.ticket = Some("T-1".to_owned())));
    }
    simpler
}

fn flags(question: &Question) -> Vec<Question> {
    let facts = &question.facts;
    let mut simpler = Vec::new();
    if facts.on_call {
        simpler.push(with(question, |q| q.facts.on_call = false));
    }
    if !facts.token_bound {
        simpler.push(with(question, |q| q.facts.token_bound = true));
    }
    for fewer in (0..facts.unreviewed).take(2) {
        simpler.push(with(question, |q| q.facts.unreviewed = fewer));
    }
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if facts.source != loopback {
        simpler.push(with(question, |q| q.facts.source = loopback));
    }
    if let Ok(name) = question.who.subject.sub().parse()
        && question.who.name != name
    {
        simpler.push(with(question, |q| q.who.name = name));
    }
    simpler
}

/// Names that the solver makes up say nothing to anybody.
fn account(question: &Question) -> Vec<Question> {
    let On::Accounts { principals, .. } = &question.on else {
        return Vec::new();
    };
    let usual = |name: &Principal| USUAL_ACCOUNTS.contains(&name.as_str());
    if principals.iter().all(usual) {
        return Vec::new();
    }
    let usual = USUAL_ACCOUNTS.into_iter().flat_map(str::parse);
    let named = usual.map(|name: Principal| {
        with(question, |q| {
            if let On::Accounts { principals, .. } = &mut q.on {
                *principals = vec![name];
            }
        })
    });
    named.collect()
}

fn second_factor(question: &Question) -> Vec<Question> {
    let fresh = Duration::ZERO;
    let simpler = match question.facts.second_factor {
        SecondFactor::Totp(Duration::ZERO) => vec![],
        SecondFactor::Totp(_) => vec![SecondFactor::Totp(fresh)],
        SecondFactor::Recovery(Duration::ZERO) | SecondFactor::None => {
            vec![SecondFactor::Totp(fresh)]
        }
        SecondFactor::Recovery(_) => {
            vec![SecondFactor::Totp(fresh), SecondFactor::Recovery(fresh)]
        }
    };
    let simpler = simpler.into_iter();
    simpler
        .map(|factor| with(question, |q| q.facts.second_factor = factor))
        .collect()
}

/// How long it is to last, and when it is asked.
fn moments(question: &Question) -> Vec<Question> {
    let seconds = question.facts.duration.as_secs();
    let mut simpler = Vec::new();
    let up = |unit: u64| seconds.checked_next_multiple_of(unit);
    let usual = USUAL_SECONDS.into_iter();
    let half = (seconds / 2).checked_next_multiple_of(3600);
    let rounded = [half, up(3600), up(60)].into_iter().flatten();
    // Longer ones nobody can write.
    let rounded = rounded.filter(|other| i64::try_from(*other).is_ok());
    for other in usual
        .chain(rounded)
        .filter(|other| rank(*other) < rank(seconds))
    {
        simpler.push(with(question, |q| {
            q.facts.duration = Duration::from_secs(other)
        }));
    }
    let now = question.facts.now.unix_seconds();
    if now != USUAL_NOW.unix_seconds() {
        simpler.push(with(question, |q| q.facts.now = USUAL_NOW));
        let hour = now / 3600 * 3600;
        if hour != now {
            let hour = Timestamp::from_unix_seconds(hour);
            simpler.push(with(question, |q| q.facts.now = hour));
        }
    }
    simpler
}

/// Simpler durations come first.
fn rank(seconds: u64) -> (usize, u64) {
    let usual = USUAL_SECONDS.iter().position(|usual| *usual == seconds);
    let unit = [3600, 60, 1]
        .into_iter()
        .position(|unit| seconds.is_multiple_of(unit));
    let beyond = USUAL_SECONDS.len().saturating_add(unit.unwrap_or_default());
    (usual.unwrap_or(beyond), seconds)
}
