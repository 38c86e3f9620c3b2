//! Edits of policy texts that keep everything else as its author wrote it. Only forms that can be
//! edited safely: a window that one literal bounds, and a whole policy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr as _;
use std::time::Duration;

use cedar_policy::{ActionConstraint, Policy, PolicyId};
use serde_json::Value;

use crate::policy::{PolicySet, Source, words};

/// How a policy's window is bounded in its text.
const BOUND: &str = "context.duration <= ";

/// One edit of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nobody needed it.
    Remove,
    /// Nobody needed so long, seconds.
    Shorten {
        /// What it says.
        from: u64,
        /// What would do.
        to: u64,
    },
}

/// What a policy says about time and about what it is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// The bound, where there is exactly one, seconds.
    pub(super) allowed: Option<u64>,
    /// Whether it is about logins and nothing else.
    pub(super) login_only: bool,
}

/// Groups that the policy of this id names, and its window.
pub(super) fn terms(policies: &PolicySet, id: &str) -> (BTreeSet<String>, Window) {
    let Some(policy) = policies.cedar().policy(&PolicyId::new(id)) else {
        return (BTreeSet::new(), Window::default());
    };
    let mut groups = BTreeSet::new();
    if let Ok(json) = policy.to_json() {
        groups_in(&json, &mut groups);
    }
    let text = policy.to_cedar().unwrap_or_default();
    let login_only = match policy.action_constraint() {
        ActionConstraint::Eq(action) => action.id().unescaped() == "login",
        ActionConstraint::Any | ActionConstraint::In(_) => false,
    };
    let allowed = bound(&text).map(|(_, seconds)| seconds);
    (
        groups,
        Window {
            allowed,
            login_only,
        },
    )
}

/// Groups named below `json`, Cedar's JSON form of a policy.
fn groups_in(json: &Value, found: &mut BTreeSet<String>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| groups_in(item, found)),
        Value::Object(fields) => {
            let text = |name| fields.get(name).and_then(Value::as_str);
            if let (Some("Group"), Some(id)) = (text("type"), text("id")) {
                found.insert(id.to_owned());
            }
            fields.values().for_each(|value| groups_in(value, found));
        }
        _ => {}
    }
}

/// The literal bound of a window in a policy's text: where it stands, and what it is. None where
/// there is none, or more than one, or where a smaller one might permit more.
fn bound(text: &str) -> Option<(Range<usize>, u64)> {
    let (start, _) = text.match_indices(BOUND).next()?;
    if text.matches("context.duration").count() != 1 {
        return None;
    }
    // Less is less only where nothing turns the condition round.
    if ["unless", "!", "if ", "false"]
        .iter()
        .any(|turn| text.contains(turn))
    {
        return None;
    }
    let start = start.saturating_add(BOUND.len());
    let rest = text.get(start..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let end = start.saturating_add(digits);
    // A bound that goes on (`<= 3600 * 2`) is not edited.
    let after = text.get(end..)?.trim_start();
    let ends = [")", "}", "&&"].iter().any(|mark| after.starts_with(mark));
    let seconds = text.get(start..end)?.parse().ok()?;
    ends.then_some((start..end, seconds))
}

/// `source` with these edits, by id. A file that would be left without a policy keeps its last one:
/// an empty file is refused.
#[must_use]
pub fn edited(source: &Source, edits: &BTreeMap<&str, Edit>) -> Source {
    let Ok(set) = cedar_policy::PolicySet::from_str(&source.text) else {
        return source.clone();
    };
    let mut places: Vec<(Range<usize>, Edit)> = set
        .policies()
        .filter_map(|policy| place(policy, &source.text, edits))
        .collect();
    places.sort_by_key(|(range, _)| range.start);
    let removed = places.iter().filter(|(_, edit)| *edit == Edit::Remove);
    if removed.count() == set.num_of_policies() {
        places.remove(0);
    }
    let mut text = source.text.clone();
    for (range, edit) in places.into_iter().rev() {
        let Some(old) = text.get(range.clone()) else {
            continue;
        };
        match edit {
            Edit::Remove => {
                let rest = text.get(range.end..).unwrap_or_default();
                let blank = rest.bytes().take_while(|byte| *byte == b'\n').count();
                let end = range.end.saturating_add(blank);
                text.replace_range(range.start..end, "");
            }
            Edit::Shorten { from, to } => {
                let new = shortened(old, from, to);
                text.replace_range(range, &new);
            }
        }
    }
    Source {
        name: source.name.clone(),
        text: text.trim_end().to_owned() + "\n",
    }
}

/// Where a policy that is edited stands, annotations included.
fn place(
    policy: &Policy,
    text: &str,
    edits: &BTreeMap<&str, Edit>,
) -> Option<(Range<usize>, Edit)> {
    let edit = edits.get(policy.annotation("id")?.trim())?;
    let span = policy.as_ref().loc()?.span;
    let end = span.offset().saturating_add(span.len());
    text.get(span.offset()..end)?;
    Some((span.offset()..end, *edit))
}

/// The policy with a shorter bound, and its reason with it where that names the old one.
fn shortened(policy: &str, from: u64, to: u64) -> String {
    let Some((place, found)) = bound(policy) else {
        return policy.to_owned();
    };
    if found != from {
        return policy.to_owned();
    }
    let mut text = policy.to_owned();
    text.replace_range(place, &to.to_string());
    let [old, new] = [from, to].map(|seconds| words(Duration::from_secs(seconds)));
    let reason = text.find("@reason(").and_then(|start| {
        let end = text.get(start..)?.find('\n')?.saturating_add(start);
        let line = text.get(start..end)?;
        let told = line.matches(&old).count() == 1;
        told.then(|| (start..end, line.replace(&old, &new)))
    });
    if let Some((line, words)) = reason {
        text.replace_range(line, &words);
    }
    text
}
