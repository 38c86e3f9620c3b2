//! Names and conditions as they may be printed: a group can be called anything.

use std::collections::BTreeSet;

use super::select::Selection;
use crate::reach::{Acquaintance, Actor, Need, Way};

/// Names that are listed of one row; the others are counted.
const NAMES_MAX: usize = 20;

/// `text` with everything escaped that is not a visible character or a blank.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let escaped = c.escape_debug();
        if matches!(c, '"' | '\'' | '\\') || escaped.len() == 1 {
            shown.push(c);
        } else {
            shown.extend(escaped);
        }
    }
    shown
}

/// A name as it is, or in quotes where it could be taken for more than one.
pub(super) fn name(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-@+/:#=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [many @ .., last] => format!("{} or {last}", many.join(", ")),
    }
}

/// How people are called in one answer.
pub(super) struct Names<'a> {
    selection: &'a Selection,
    ambiguous: BTreeSet<String>,
    issuers: usize,
}

impl<'a> Names<'a> {
    pub(super) fn new(selection: &'a Selection) -> Self {
        let anyone = selection.actors.iter();
        let anyone = anyone.filter(|actor| actor.known == Acquaintance::Anyone);
        let issuers: BTreeSet<&str> = anyone.map(|actor| actor.who.subject.issuer()).collect();
        Self {
            selection,
            ambiguous: selection.ambiguous(),
            issuers: issuers.len(),
        }
    }

    /// The actors at these places, who can get something in these ways: people in a line, then
    /// people whom only a policy names, then groups.
    pub(super) fn who(&self, actors: &[usize], ways: &[Way]) -> String {
        let actors = actors
            .iter()
            .filter_map(|at| self.selection.actors.get(*at));
        let actors: Vec<&Actor> = actors.collect();
        if let Some(anybody) = actors.iter().find(|actor| is_anybody(actor)) {
            return format!("anybody{}", self.at_issuer(anybody));
        }
        let needs = ways.iter().flat_map(|way| &way.needs);
        let on_call = needs.into_iter().any(|need| *need == Need::OnCall);
        let (mut people, mut alone, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for actor in actors {
            let name = self.one(actor);
            match (actor.known, actor.who.groups.len()) {
                (Acquaintance::Anyone, 1) => alone.push(name),
                (Acquaintance::Anyone, _) => lines.push(self.title(actor)),
                _ if on_call && self.selection.is_on_call(actor) == Some(true) => {
                    people.push(format!("{name} (on call)"));
                }
                _ => people.push(name),
            }
        }
        if !alone.is_empty() {
            lines.push(format!("anyone in group {}", either(&alone)));
        }
        if !people.is_empty() {
            let more = people.len().saturating_sub(NAMES_MAX);
            people.truncate(NAMES_MAX);
            let mut line = people.join(", ");
            if more > 0 {
                line = format!("{line} and {more} more (--json lists all)");
            }
            lines.insert(0, line);
        }
        lines.join("\n")
    }

    /// One actor alone: `alice`, or the groups of anyone in them.
    fn one(&self, actor: &Actor) -> String {
        match actor.known {
            Acquaintance::Seen(_) => {
                let shown = actor.who.name.to_string();
                if self.ambiguous.contains(&shown) {
                    format!("{shown} ({})", printable(&actor.who.subject.to_string()))
                } else {
                    shown
                }
            }
            Acquaintance::Named => {
                let id = actor.who.subject.to_string();
                format!("{} (named by a policy, never signed in)", printable(&id))
            }
            Acquaintance::Anyone => {
                let groups: Vec<String> =
                    actor.who.groups.iter().map(|group| name(group)).collect();
                format!("{}{}", groups.join(" and "), self.at_issuer(actor))
            }
        }
    }

    fn at_issuer(&self, actor: &Actor) -> String {
        if self.issuers > 1 {
            format!(" at {}", printable(actor.who.subject.issuer()))
        } else {
            String::new()
        }
    }

    /// One actor as a title.
    pub(super) fn title(&self, actor: &Actor) -> String {
        let one = self.one(actor);
        match actor.known {
            Acquaintance::Seen(seen) => {
                let groups: Vec<String> =
                    actor.who.groups.iter().map(|group| name(group)).collect();
                let groups = match groups.as_slice() {
                    [] => "in no group".to_owned(),
                    [group] => format!("in group {group}"),
                    groups => format!("in groups {}", groups.join(", ")),
                };
                let on_call = match self.selection.is_on_call(actor) {
                    Some(true) => ", on call now",
                    _ => "",
                };
                format!("{one}, {groups}{on_call}, last signed in {seen}")
            }
            Acquaintance::Named => one,
            Acquaintance::Anyone if is_anybody(actor) => "anybody".to_owned(),
            Acquaintance::Anyone if actor.who.groups.len() == 1 => format!("anyone in group {one}"),
            Acquaintance::Anyone => format!("anyone in groups {one}"),
        }
    }
}

/// Nobody in particular, in no group.
pub(super) fn is_anybody(actor: &Actor) -> bool {
    actor.known == Acquaintance::Anyone && actor.who.groups.is_empty()
}

/// What a way takes, in one phrase.
pub(super) fn conditions(way: &Way) -> String {
    let conditions = way.conditions();
    if conditions.is_empty() {
        "at once".to_owned()
    } else {
        printable(&conditions.join("; "))
    }
}

/// How long, where it lasts.
pub(super) fn longest(way: &Way) -> String {
    way.longest
        .map_or_else(|| "-".to_owned(), |longest| longest.to_string())
}

/// A place as a title.
pub(super) fn place(place: &str) -> &str {
    if place.is_empty() {
        "the authority"
    } else {
        place
    }
}
