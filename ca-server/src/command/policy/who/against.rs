//! What another set of policies would change about who can get what.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use super::document::{subject, way};
use super::select::Selection;
use super::table::print;
use super::words::{Names, conditions, longest, place, printable};
use crate::command::policy::{EXIT_FAILED, EXIT_OK, hex};
use crate::policy::PolicySet;
use crate::reach::{Acquaintance, Change, Reach, Way, compare};

/// What changes for one actor and target.
pub(super) struct Changed {
    actor: usize,
    target: usize,
    change: Change,
    before: Arc<Vec<Way>>,
    after: Arc<Vec<Way>>,
}

/// Ways before and after.
type Both = (Arc<Vec<Way>>, Arc<Vec<Way>>);

pub(super) fn changes(before: &[Reach], after: &[Reach]) -> Vec<Changed> {
    let mut pairs: BTreeMap<(usize, usize), Both> = BTreeMap::new();
    for one in before {
        pairs.entry((one.target, one.actor)).or_default().0 = Arc::clone(&one.ways);
    }
    for one in after {
        pairs.entry((one.target, one.actor)).or_default().1 = Arc::clone(&one.ways);
    }
    let changed = |((target, actor), (before, after)): ((usize, usize), Both)| {
        let change = compare(&before, &after)?;
        Some(Changed {
            actor,
            target,
            change,
            before,
            after,
        })
    };
    pairs.into_iter().filter_map(changed).collect()
}

pub(super) fn show(
    changes: &[Changed],
    (selection, (old, new)): (&Selection, (&PolicySet, &PolicySet)),
    json: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    if json {
        let told = changes.iter().map(|changed| {
            let mut entry = subject(selection, changed.actor, changed.target);
            let ways = |ways: &[Way]| ways.iter().map(way).collect::<Vec<Value>>();
            entry.insert("change".to_owned(), json!(changed.change));
            entry.insert("before".to_owned(), json!(ways(&changed.before)));
            entry.insert("after".to_owned(), json!(ways(&changed.after)));
            entry
        });
        let document = json!({
            "ok": true,
            "changed": !changes.is_empty(),
            "policy_digest": hex(old.digest()),
            "new_policy_digest": hex(new.digest()),
            "notes": selection.notes,
            "changes": told.collect::<Vec<_>>(),
        });
        writeln!(out, "{document}")?;
    } else {
        tables(changes, selection, out)?;
    }
    Ok(if changes.is_empty() {
        EXIT_OK
    } else {
        EXIT_FAILED
    })
}

fn tables(changes: &[Changed], selection: &Selection, out: &mut dyn Write) -> io::Result<()> {
    for note in &selection.notes {
        writeln!(out, "{}", printable(note))?;
    }
    let names = Names::new(selection);
    let mut rows: BTreeMap<usize, Vec<Vec<String>>> = BTreeMap::new();
    let mut places: Vec<String> = Vec::new();
    for (first, actors) in alike(changes) {
        let Some(target) = selection.targets.get(first.target) else {
            continue;
        };
        let here = target.place();
        let at = places
            .iter()
            .position(|known| *known == here)
            .unwrap_or_else(|| {
                places.push(here);
                places.len().saturating_sub(1)
            });
        let both: Vec<Way> = first
            .before
            .iter()
            .chain(first.after.iter())
            .cloned()
            .collect();
        rows.entry(at).or_default().push(vec![
            target.action_words(),
            first.change.name().to_owned(),
            names.who(&actors, &both),
            told(&first.before),
            told(&first.after),
        ]);
    }
    for (here, rows) in places.iter().zip(rows.into_values()) {
        writeln!(out, "\n{}", place(here))?;
        print(&["ACTION", "CHANGE", "WHO", "BEFORE", "AFTER"], rows, out)?;
    }
    if changes.is_empty() {
        return writeln!(
            out,
            "no difference: everybody can get what they could before"
        );
    }
    let (groups, people): (Vec<&Changed>, Vec<&Changed>) = changes.iter().partition(|changed| {
        let actor = selection.actors.get(changed.actor);
        actor.is_some_and(|actor| actor.known == Acquaintance::Anyone)
    });
    writeln!(out)?;
    for (whose, changes) in [("people", people), ("anyone in a group", groups)] {
        writeln!(out, "for {whose}: {}", counted(&changes))?;
    }
    Ok(())
}

/// `2 lost, 1 less`.
fn counted(changes: &[&Changed]) -> String {
    let mut counts: BTreeMap<Change, usize> = BTreeMap::new();
    for changed in changes {
        let count = counts.entry(changed.change).or_default();
        *count = count.saturating_add(1);
    }
    let counts = counts
        .iter()
        .map(|(change, count)| format!("{count} {}", change.name()));
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() {
        "no difference".to_owned()
    } else {
        counts.join(", ")
    }
}

/// Changes that are the same, each with all actors.
fn alike(changes: &[Changed]) -> Vec<(&Changed, Vec<usize>)> {
    let same = |one: &Changed, other: &Changed| {
        let like = |one: &[Way], other: &[Way]| compare(one, other).is_none();
        one.target == other.target
            && one.change == other.change
            && like(&one.before, &other.before)
            && like(&one.after, &other.after)
    };
    let mut found: Vec<(&Changed, Vec<usize>)> = Vec::new();
    for changed in changes {
        let here = found.iter_mut().rev();
        let mut here = here.take_while(|(first, _)| first.target == changed.target);
        match here.find(|(first, _)| same(first, changed)) {
            Some((_, actors)) => actors.push(changed.actor),
            None => found.push((changed, vec![changed.actor])),
        }
    }
    found
}

fn told(ways: &[Way]) -> String {
    let told = ways
        .iter()
        .map(|way| format!("{}: {}", longest(way), conditions(way)));
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        "no".to_owned()
    } else {
        told.join("\nor ")
    }
}
