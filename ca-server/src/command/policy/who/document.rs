//! The same as one JSON document.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::select::Selection;
use super::table::Shown;
use crate::command::policy::hex;
use crate::policy::{Action, On};
use crate::reach::{Acquaintance, Actor, Longest, Need, OTHER_ACCOUNT, Target, Way, Whose};

pub(super) fn show(
    (selection, policies, reach): Shown<'_>,
    thanks_to: &[String],
    out: &mut dyn Write,
) -> io::Result<()> {
    let due = |way: &&Way| {
        let due = |id: &String| way.policies.contains(id) || way.because.contains(id);
        thanks_to.is_empty() || thanks_to.iter().any(due)
    };
    let mut told = Vec::new();
    for one in reach {
        let ways: Vec<Value> = one.ways.iter().filter(due).map(way).collect();
        if !ways.is_empty() {
            let mut entry = subject(selection, one.actor, one.target);
            entry.insert("ways".to_owned(), json!(ways));
            told.push(entry);
        }
    }
    let document = json!({
        "ok": true,
        "policy_digest": hex(policies.digest()),
        "notes": selection.notes,
        "reach": told,
    });
    writeln!(out, "{document}")
}

/// Who and what an entry is about.
pub(super) fn subject(
    selection: &Selection,
    actor: usize,
    target: usize,
) -> serde_json::Map<String, Value> {
    let who = selection
        .actors
        .get(actor)
        .map(|actor| who(selection, actor));
    let mut fields = serde_json::Map::new();
    fields.insert("who".to_owned(), json!(who));
    if let Some(target) = selection.targets.get(target) {
        fields.extend(what(target));
    }
    fields
}

fn who(selection: &Selection, actor: &Actor) -> Value {
    let (subject, groups) = (&actor.who.subject, &actor.who.groups);
    match actor.known {
        Acquaintance::Seen(seen) => json!({
            "kind": "person",
            "user": actor.who.name,
            "issuer": subject.issuer(),
            "sub": subject.sub(),
            "groups": groups,
            "last_seen": seen,
            "on_call": selection.is_on_call(actor),
        }),
        Acquaintance::Named => json!({
            "kind": "named_by_policy",
            "issuer": subject.issuer(),
            "sub": subject.sub(),
        }),
        Acquaintance::Anyone => json!({
            "kind": "anyone",
            "issuer": subject.issuer(),
            "groups": groups,
        }),
    }
}

fn what(target: &Target) -> [(String, Value); 4] {
    let account = match &target.on {
        On::Accounts { principals, .. } => principals.first().map(|name| {
            let name = name.as_str();
            if name == OTHER_ACCOUNT { "*" } else { name }
        }),
        _ => None,
    };
    let whose = match target.whose {
        Whose::Nobodys => None,
        Whose::Others => Some("others"),
        Whose::Own => Some("own"),
    };
    [
        ("action".to_owned(), json!(target.action)),
        ("environment".to_owned(), json!(target.on.environment())),
        ("account".to_owned(), json!(account)),
        ("whose".to_owned(), json!(whose)),
    ]
}

pub(super) fn way(way: &Way) -> Value {
    let longest = way.longest.map(|longest| match longest {
        Longest::Policy(longest) => json!({"seconds_max": longest.as_secs(), "by": "policy"}),
        Longest::Ceiling(longest) => json!({"seconds_max": longest.as_secs(), "by": "ceiling"}),
        Longest::Unlimited => json!({"seconds_max": null, "by": null}),
    });
    let approvals = |need: &Need| matches!(need, Need::Approvals { .. });
    json!({
        "at_once": !way.needs.iter().any(approvals),
        "obligation": way.obligation(),
        "needs": way.needs,
        "longest": longest,
        "hours": way.hours,
        "since": way.since,
        "until": way.until,
        "addresses": way.addresses,
        "reviewed_afterwards": way.is_for(Action::BreakGlass),
        "policies": way.policies,
        "because": way.because,
        "words": way.conditions(),
    })
}
