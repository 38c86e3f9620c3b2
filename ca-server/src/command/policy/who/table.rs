//! Tables for people: by account, by person or by policy.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use comfy_table::{ContentArrangement, Table};

use super::select::{Selection, View};
use super::words::{Names, conditions, is_anybody, longest, place, printable};
use crate::policy::PolicySet;
use crate::reach::{Reach, Target, Way, compare};

/// Width of a table, in columns.
const WIDTH: u16 = 118;

/// What is told, of whom, by which policies.
pub(super) type Shown<'a> = (&'a Selection, &'a PolicySet, &'a [Reach]);

/// Actors who can get the same targets in the same ways.
struct Entry {
    actors: Vec<usize>,
    targets: Vec<usize>,
    ways: Arc<Vec<Way>>,
}

pub(super) fn show(
    (selection, policies, reach): Shown<'_>,
    thanks_to: &[String],
    out: &mut dyn Write,
) -> io::Result<()> {
    for note in &selection.notes {
        writeln!(out, "{}", printable(note))?;
    }
    let names = Names::new(selection);
    match selection.view {
        View::Places => by_place(&names, selection, reach, out),
        View::Actors => by_actor(&names, selection, (reach, thanks_to), out),
        View::Policies => {
            for id in thanks_to {
                by_policy(&names, (selection, policies, reach), id, out)?;
            }
            Ok(())
        }
    }
}

fn by_place(
    names: &Names<'_>,
    selection: &Selection,
    reach: &[Reach],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut places: Vec<String> = Vec::new();
    for target in &selection.targets {
        if !places.contains(&target.place()) {
            places.push(target.place());
        }
    }
    let mut entries = alike(reach.iter().map(|one| (one, Arc::clone(&one.ways))));
    leave_out(&mut entries, selection);
    for here in places {
        writeln!(out, "\n{}", place(&here))?;
        let mut rows = Vec::new();
        let mut nobody = selection.actions_at(&here);
        for entry in &entries {
            let target = entry
                .targets
                .first()
                .and_then(|at| selection.targets.get(*at));
            let Some(target) = target.filter(|target| target.place() == here) else {
                continue;
            };
            nobody.remove(&target.action);
            let first = [target.action_words(), names.who(&entry.actors, &entry.ways)];
            rows.extend(ways(&first, &entry.ways));
        }
        print(
            &["ACTION", "WHO", "FOR AT MOST", "IF", "THANKS TO"],
            rows,
            out,
        )?;
        for action in nobody {
            writeln!(out, "  {}: nobody", action.name())?;
        }
    }
    Ok(())
}

fn by_actor(
    names: &Names<'_>,
    selection: &Selection,
    (reach, thanks_to): (&[Reach], &[String]),
    out: &mut dyn Write,
) -> io::Result<()> {
    for (at, actor) in selection.actors.iter().enumerate() {
        writeln!(out, "\n{}", names.title(actor))?;
        let own = reach.iter().filter(|one| one.actor == at);
        let own = own.filter_map(|one| {
            let ways = match thanks_to {
                [] => Arc::clone(&one.ways),
                ids => some(&one.ways, |way| ids.iter().any(|id| is_due(way, id)))?,
            };
            Some((one, ways))
        });
        let entries = joined(alike(own), &selection.targets);
        if entries.is_empty() {
            writeln!(out, "  nothing")?;
            continue;
        }
        let rows = entries.iter().flat_map(|entry| {
            let (action, places) = what(entry, &selection.targets);
            ways(&[action, places], &entry.ways)
        });
        let header = ["ACTION", "WHERE", "FOR AT MOST", "IF", "THANKS TO"];
        print(&header, rows.collect(), out)?;
    }
    Ok(())
}

fn by_policy(
    names: &Names<'_>,
    (selection, policies, reach): Shown<'_>,
    id: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(info) = policies.policies().get(id) else {
        return Ok(());
    };
    let reason = printable(&info.reason);
    writeln!(
        out,
        "\n{id} ({}:{}): {reason}",
        printable(&info.file),
        info.line
    )?;
    let due = reach.iter().filter_map(|one| {
        let ways = some(&one.ways, |way| is_due(way, id))?;
        Some((one, ways))
    });
    let entries = joined(alike(due), &selection.targets);
    match (entries.is_empty(), info.forbids) {
        (true, true) => writeln!(out, "  asks nobody for anything that they could do")?,
        (true, false) => writeln!(out, "  gives nobody anything")?,
        (false, true) => writeln!(out, "  asks for some of what is needed here")?,
        (false, false) => {}
    }
    let rows = entries.iter().flat_map(|entry| {
        let (action, places) = what(entry, &selection.targets);
        let who = names.who(&entry.actors, &entry.ways);
        ways(&[who, action, places], &entry.ways)
    });
    let header = ["WHO", "ACTION", "WHERE", "FOR AT MOST", "IF", "THANKS TO"];
    print(&header, rows.collect(), out)
}

/// Whether the way is permitted by this policy, or would be forbidden by it without its needs.
fn is_due(way: &Way, id: &str) -> bool {
    way.policies.contains(id) || way.because.contains(id)
}

/// Those of `ways` that are wanted, if any is.
fn some(ways: &Arc<Vec<Way>>, wanted: impl Fn(&Way) -> bool) -> Option<Arc<Vec<Way>>> {
    if ways.iter().all(&wanted) {
        return Some(Arc::clone(ways));
    }
    let some: Vec<Way> = ways.iter().filter(|way| wanted(way)).cloned().collect();
    (!some.is_empty()).then(|| Arc::new(some))
}

/// Actors of the same ways to a target, together.
fn alike<'a>(reach: impl Iterator<Item = (&'a Reach, Arc<Vec<Way>>)>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (one, ways) in reach {
        // The newest entries are those of the same target.
        let here = entries.iter_mut().rev();
        let mut here = here.take_while(|entry| entry.targets.contains(&one.target));
        match here.find(|entry| are_same(&entry.ways, &ways)) {
            Some(entry) => entry.actors.push(one.actor),
            None => entries.push(Entry {
                actors: vec![one.actor],
                targets: vec![one.target],
                ways,
            }),
        }
    }
    entries
}

/// Leaves out who gets, by other policies, no more than anybody does.
fn leave_out(entries: &mut Vec<Entry>, selection: &Selection) {
    let anybody = |entry: &Entry| {
        let mut actors = entry
            .actors
            .iter()
            .filter_map(|at| selection.actors.get(*at));
        actors.any(is_anybody)
    };
    let everybodys: Vec<(Vec<usize>, Arc<Vec<Way>>)> = entries
        .iter()
        .filter(|entry| anybody(entry))
        .map(|entry| (entry.targets.clone(), Arc::clone(&entry.ways)))
        .collect();
    entries.retain(|entry| {
        let no_more = |(targets, ways): &(Vec<usize>, Arc<Vec<Way>>)| {
            *targets == entry.targets && compare(ways, &entry.ways).is_none()
        };
        anybody(entry) || !everybodys.iter().any(no_more)
    });
}

/// Entries of the same action, actors and ways, together.
fn joined(entries: Vec<Entry>, targets: &[Target]) -> Vec<Entry> {
    let action = |entry: &Entry| {
        let target = entry.targets.first().and_then(|at| targets.get(*at));
        target.map(|target| (target.action, target.whose))
    };
    let mut found: Vec<Entry> = Vec::new();
    for entry in entries {
        let same = found.iter_mut().find(|known| {
            action(known) == action(&entry)
                && known.actors == entry.actors
                && are_same(&known.ways, &entry.ways)
        });
        match same {
            Some(known) => known.targets.extend(entry.targets),
            None => found.push(entry),
        }
    }
    found
}

fn are_same(one: &Arc<Vec<Way>>, other: &Arc<Vec<Way>>) -> bool {
    let same = |(a, b): (&Way, &Way)| a.is_like(b) && a.policies == b.policies;
    Arc::ptr_eq(one, other) || one.len() == other.len() && one.iter().zip(other.iter()).all(same)
}

/// Action and places of an entry.
fn what(entry: &Entry, targets: &[Target]) -> (String, String) {
    let targets = entry.targets.iter().filter_map(|at| targets.get(*at));
    let targets: Vec<&Target> = targets.collect();
    let action = targets.first().map(|target| target.action_words());
    let places: Vec<String> = targets
        .iter()
        .map(|target| place(&target.place()).to_owned())
        .collect();
    (action.unwrap_or_default(), places.join(", "))
}

/// A row for each way, behind `first` in the first one.
fn ways(first: &[String], ways: &[Way]) -> Vec<Vec<String>> {
    let row = |(at, way): (usize, &Way)| {
        let mut row: Vec<String> = if at == 0 {
            first.to_vec()
        } else {
            vec![String::new(); first.len()]
        };
        let ids: BTreeSet<&str> = way.policies.iter().map(String::as_str).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let or = if at == 0 { "" } else { "or " };
        row.push(format!("{or}{}", longest(way)));
        row.push(conditions(way));
        row.push(ids.join(", "));
        row
    };
    ways.iter().enumerate().map(row).collect()
}

/// Prints rows, indented, under their header; nothing without rows.
pub(super) fn print(
    header: &[&str],
    rows: Vec<Vec<String>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for line in table.trim_fmt().lines() {
        writeln!(out, " {line}")?;
    }
    Ok(())
}
