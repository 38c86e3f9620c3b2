//! Values that policies compare facts with: where an answer may change, it changes at one of them.
//!
//! Reads Cedar's JSON form and decides nothing. What is computed from several facts is not seen
//! through: then a search finds less, never something wrong.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::literal;

/// What the policies of one action in one environment name.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// By attribute of the context: numbers beside it in a comparison.
    numbers: BTreeMap<String, BTreeSet<i64>>,
    /// The same for texts: of `==`, of `like` without its stars, addresses, times.
    texts: BTreeMap<String, BTreeSet<String>>,
    /// Type and id of every entity.
    entities: BTreeSet<(String, String)>,
}

/// Operators whose operands are compared with each other.
const COMPARING: [&str; 16] = [
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "like",
    "contains",
    "containsAll",
    "containsAny",
    "isInRange",
    "lessThan",
    "lessThanOrEqual",
    "greaterThan",
    "greaterThanOrEqual",
    "in",
];

impl Named {
    /// What `policies` name.
    pub(super) fn of<'a>(policies: impl IntoIterator<Item = &'a cedar_policy::Policy>) -> Self {
        let mut named = Self::default();
        for policy in policies {
            if let Ok(json) = policy.to_json() {
                literal::collect(&json, &mut named.entities);
                named.look(&json);
            }
        }
        named
    }

    /// Numbers that the attribute is compared with, those above and below them too.
    pub(super) fn bounds(&self, attribute: &str) -> BTreeSet<u64> {
        let beside = |number: &i64| [number.saturating_sub(1), *number, number.saturating_add(1)];
        let numbers = self.numbers.get(attribute).into_iter().flatten();
        numbers
            .flat_map(beside)
            .filter_map(|number| u64::try_from(number).ok())
            .collect()
    }

    /// Texts that the attribute is compared with.
    pub(super) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        let texts = self.texts.get(attribute).into_iter().flatten();
        texts.map(String::as_str)
    }

    /// Ids of the entities of a type.
    pub(super) fn ids(&self, kind: &str) -> impl Iterator<Item = &str> {
        let kind = kind.to_owned();
        let of_kind = self.entities.iter().filter(move |(of, _)| *of == kind);
        of_kind.map(|(_, id)| id.as_str())
    }

    fn look(&mut self, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if COMPARING.contains(&name.as_str()) {
                        self.compared(value);
                    }
                    self.look(value);
                }
            }
            _ => {}
        }
    }

    /// Everything below one comparison, for each attribute in it.
    fn compared(&mut self, json: &Value) {
        let mut below = Below::default();
        below.look(json);
        for attribute in below.attributes {
            let numbers = self.numbers.entry(attribute.clone()).or_default();
            numbers.extend(&below.numbers);
            let texts = self.texts.entry(attribute).or_default();
            texts.extend(below.texts.iter().cloned());
        }
    }
}

#[derive(Default)]
struct Below {
    attributes: BTreeSet<String>,
    numbers: BTreeSet<i64>,
    texts: BTreeSet<String>,
}

impl Below {
    fn look(&mut self, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                if let Some(attribute) = context_attribute(json) {
                    self.attributes.insert(attribute.to_owned());
                    return;
                }
                if let Some(Value::Array(pattern)) = fields.get("pattern") {
                    let parts = pattern
                        .iter()
                        .filter_map(|part| part.get("Literal")?.as_str());
                    self.texts.insert(parts.collect());
                }
                match fields.get("Value") {
                    Some(Value::Number(number)) => self.numbers.extend(number.as_i64()),
                    Some(Value::String(text)) => {
                        self.texts.insert(text.clone());
                    }
                    _ => {}
                }
                fields.values().for_each(|value| self.look(value));
            }
            _ => {}
        }
    }
}

/// `duration` of `context.duration`.
fn context_attribute(json: &Value) -> Option<&str> {
    let access = json.get(".")?;
    let of = access.pointer("/left/Var")?.as_str()?;
    (of == "context").then(|| access.get("attr")?.as_str())?
}
