//! What a counterexample should look like where it may: small numbers, people and days as in other
//! cases. Every preference makes fewer questions, so what is found under one is found.

use super::assume::quoted;
use super::model::{USUAL_ISSUER, USUAL_NOW};

/// Hours after the Monday before the usual moment at which a question is tried first: on Sunday
/// morning, on Wednesday in working hours, in the evening, in the night.
const TRIED_HOURS: [u64; 4] = [6 * 24 + 10, 2 * 24 + 10, 2 * 24 + 20, 2 * 24 + 3];

/// Conditions to try one after the other. With `moments`, policies look at the moment.
pub(super) fn preferences(moments: bool) -> Vec<Vec<String>> {
    if !moments {
        return vec![usual()];
    }
    let mut tried = known_moments();
    tried.push(week());
    tried
}

/// Conditions of which each leaves one moment: it spares the solver all arithmetic with it.
pub(super) fn known_moments() -> Vec<Vec<String>> {
    let known = TRIED_HOURS.into_iter().map(|hours| {
        let (weekday, hour) = (hours / 24 + 1, hours % 24);
        let at = monday().saturating_mul(24).saturating_add(hours);
        let mut conditions = usual();
        conditions.push(format!("{SINCE} == duration(\"{at}h\")"));
        conditions.push(format!(
            "context.weekday == {weekday} && context.hour == {hour}"
        ));
        conditions
    });
    known.collect()
}

/// A week in which every day is tied to its number, which Cedar cannot compute in general.
fn week() -> Vec<String> {
    let within = |from: u64, to: u64| {
        format!("{SINCE} >= duration(\"{from}d\") && {SINCE} < duration(\"{to}d\")")
    };
    let monday = monday();
    let mut conditions = usual();
    conditions.push(within(monday, monday.saturating_add(7)));
    for (weekday, day) in (1..=7_u64).zip(monday..) {
        let that_day = within(day, day.saturating_add(1));
        conditions.push(format!("(context.weekday == {weekday}) == ({that_day})"));
    }
    conditions
}

fn usual() -> Vec<String> {
    vec![
        "context.approvals <= 3 && context.unreviewed <= 2".to_owned(),
        "context.duration >= 60 && context.duration <= 2592000".to_owned(),
        "context.mfa_kind == \"none\" || context.mfa_age <= 86400".to_owned(),
        format!("principal.issuer == {}", quoted(USUAL_ISSUER)),
    ]
}

/// How long it was since 1970.
const SINCE: &str = "context.now.durationSince(datetime(\"1970-01-01\"))";

/// Days from 1970 to the Monday before the usual moment. 1970-01-01 was a Thursday.
const fn monday() -> u64 {
    let day = USUAL_NOW.unix_seconds() / 86_400;
    day.saturating_sub((day + 3) % 7)
}
