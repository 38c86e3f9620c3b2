//! What the conditions of a policy look for by name: groups of approvers and requirements.
//!
//! Reads Cedar's JSON form; decides nothing. A name is found only where it stands as a literal.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

/// Names in the conditions of one policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Mentions {
    /// In `context.approver_groups.contains("x")`, `containsAny([…])`, `containsAll([…])`.
    pub(super) approver_groups: BTreeSet<String>,
    /// The same for `context.met`.
    pub(super) requirements: BTreeSet<String>,
    /// Whether `context.met` is also looked at in another way, where names cannot be checked.
    pub(super) unclear: bool,
}

impl Mentions {
    /// Those of `policy`.
    pub(super) fn of(policy: &Policy) -> Self {
        let mut found = Self::default();
        let relevant = policy
            .to_cedar()
            .is_none_or(|text| text.contains("approver_groups") || text.contains("met"));
        if relevant && let Ok(json) = policy.to_json() {
            let asked = found.collect(&json);
            found.unclear = asked < accesses(&json);
        }
        found
    }

    /// How often `context.met` is asked for literal names below `json`.
    fn collect(&mut self, json: &Value) -> usize {
        match json {
            Value::Array(items) => items.iter().map(|item| self.collect(item)).sum(),
            Value::Object(fields) => {
                let mut asked = 0_usize;
                for (name, value) in fields {
                    let asks = matches!(name.as_str(), "contains" | "containsAny" | "containsAll");
                    let of = value.pointer("/left/./attr").and_then(Value::as_str);
                    let right = value.get("right");
                    if asks && of == Some("approver_groups") {
                        literals(right, &mut self.approver_groups);
                    } else if asks && of == Some("met") && literals(right, &mut self.requirements) {
                        asked = asked.saturating_add(1);
                    }
                    asked = asked.saturating_add(self.collect(value));
                }
                asked
            }
            _ => 0,
        }
    }
}

/// How often `context.met` stands below `json`.
fn accesses(json: &Value) -> usize {
    match json {
        Value::Array(items) => items.iter().map(accesses).sum(),
        Value::Object(fields) => {
            let of = |value: &Value| {
                let text = |at| value.pointer(at).and_then(Value::as_str);
                text("/attr") == Some("met") && text("/left/Var") == Some("context")
            };
            let here = usize::from(fields.get(".").is_some_and(of));
            fields
                .values()
                .map(accesses)
                .sum::<usize>()
                .saturating_add(here)
        }
        _ => 0,
    }
}

/// Whether `json` is nothing but literal texts, which go into `found`.
fn literals(json: Option<&Value>, found: &mut BTreeSet<String>) -> bool {
    match json {
        Some(Value::String(text)) => {
            found.insert(text.clone());
            true
        }
        // Counted and not short-circuited: every literal is wanted even beside something else.
        Some(Value::Array(items)) => {
            let other = items.iter().filter(|item| !literals(Some(item), found));
            other.count() == 0
        }
        Some(Value::Object(fields)) => {
            let other = fields.iter().filter(|(name, value)| {
                !matches!(name.as_str(), "Value" | "Set") || !literals(Some(value), found)
            });
            other.count() == 0
        }
        _ => false,
    }
}
