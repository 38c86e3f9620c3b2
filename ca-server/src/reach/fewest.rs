//! No more ways than needed: what is the same in other words becomes one, what another way is good
//! for as well is left out.

use std::collections::BTreeSet;

use super::way::{Need, Way};

/// `ways`, where those that differ in the pattern of a reason or ticket alone are one.
pub(super) fn joined(ways: Vec<Way>) -> Vec<Way> {
    let mut found: Vec<Way> = Vec::new();
    for way in ways {
        let plain = without_patterns(&way);
        let same = found.iter_mut().find(|known| {
            without_patterns(known).is_like(&plain) && has_patterns(known) == has_patterns(&way)
        });
        match same {
            None => found.push(way),
            Some(known) => {
                known.needs = known
                    .needs
                    .iter()
                    .map(|need| with(need, &way.needs))
                    .collect();
                known.policies.extend(way.policies);
                known.because.extend(way.because);
            }
        }
    }
    found
}

/// `need` with the patterns of the same kind of need in `others`.
fn with(need: &Need, others: &BTreeSet<Need>) -> Need {
    let mut need = need.clone();
    for other in others {
        match (&mut need, other) {
            (Need::Reason { like }, Need::Reason { like: more })
            | (Need::Ticket { like }, Need::Ticket { like: more }) => {
                like.extend(more.iter().cloned());
            }
            _ => {}
        }
    }
    need
}

fn without_patterns(way: &Way) -> Way {
    let plain = |need: &Need| match need {
        Need::Reason { .. } => Need::Reason {
            like: BTreeSet::new(),
        },
        Need::Ticket { .. } => Need::Ticket {
            like: BTreeSet::new(),
        },
        need => need.clone(),
    };
    Way {
        needs: way.needs.iter().map(plain).collect(),
        ..way.clone()
    }
}

/// For reason and ticket, whether it has to be like something.
fn has_patterns(way: &Way) -> (bool, bool) {
    let mut found = (false, false);
    for need in &way.needs {
        match need {
            Need::Reason { like } => found.0 = !like.is_empty(),
            Need::Ticket { like } => found.1 = !like.is_empty(),
            _ => {}
        }
    }
    found
}

/// Those of `ways` that are good for something that no other one is good for, the easiest first.
pub(super) fn needed(mut ways: Vec<Way>) -> Vec<Way> {
    ways.sort_by(|a, b| {
        let ease = |way: &Way| (way.obligation().is_some(), way.needs.len());
        let length = b.longest.cmp(&a.longest);
        let rest = || (&a.needs, &a.hours, &a.since).cmp(&(&b.needs, &b.hours, &b.since));
        ease(a).cmp(&ease(b)).then(length).then_with(rest)
    });
    let mut found: Vec<Way> = Vec::new();
    for way in ways {
        if !found.iter().any(|known| serves_for(known, &way)) {
            found.retain(|known| !serves_for(&way, known));
            found.push(way);
        }
    }
    found
}

/// Whether whoever can go the way `other` can go `one`, as far and whenever.
pub(super) fn serves_for(one: &Way, other: &Way) -> bool {
    let met = |need: &Need| other.needs.iter().any(|has| meets(has, need));
    let since = one
        .since
        .is_none_or(|start| other.since.is_some_and(|other| start <= other));
    let until = one
        .until
        .is_none_or(|end| other.until.is_some_and(|other| other <= end));
    one.longest >= other.longest
        && one.needs.iter().all(met)
        && one.hours.covers(&other.hours)
        && one.addresses.covers(&other.addresses)
        && since
        && until
}

/// Whether what meets `has` meets `need`, too.
fn meets(has: &Need, need: &Need) -> bool {
    match (has, need) {
        (Need::FreshFactor { seconds_max: has }, Need::FreshFactor { seconds_max: need }) => {
            has <= need
        }
        (Need::Reason { like: has }, Need::Reason { like: need })
        | (Need::Ticket { like: has }, Need::Ticket { like: need }) => {
            need.is_empty() || !has.is_empty() && has.is_subset(need)
        }
        (has, need) => has == need,
    }
}
