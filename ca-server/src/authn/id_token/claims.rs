//! A JSON object out of a token: read without believing, every member at most once.
//!
//! Says nothing about what a member must be; it only refuses what two readers could read
//! differently.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use ca_core::time::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::IdTokenError;

/// Most members of one object.
const MEMBERS_MAX: usize = 200;

/// Most entries of a list of texts that are looked at.
const TEXTS_MAX: usize = 1000;

/// A JSON object whose members all have different names (RFC 7519 §4).
pub(super) struct Object(BTreeMap<String, Value>);

impl Object {
    /// The member of this name; JSON `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The member as text, or [`IdTokenError::Malformed`] when it is something else.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, IdTokenError> {
        self.get(name)
            .map(|value| value.as_str().ok_or(IdTokenError::Malformed))
            .transpose()
    }

    /// The member as a list of texts; a single text is a list of one (RFC 7519 §4.1.3).
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, IdTokenError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(list)) if list.len() <= TEXTS_MAX => list
                .iter()
                .map(|value| value.as_str().ok_or(IdTokenError::Malformed))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(IdTokenError::Malformed),
        }
    }

    /// The member as NumericDate (RFC 7519 §2), fractions of a second cut off.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, IdTokenError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_u64().or_else(|| {
            let seconds = value.as_f64().filter(|s| (0.0..1e15).contains(s))?;
            format!("{:.0}", seconds.floor()).parse().ok()
        });
        seconds
            .map(|seconds| Some(Timestamp::from_unix_seconds(seconds)))
            .ok_or(IdTokenError::Malformed)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            match members.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom("a member is repeated")),
                Entry::Vacant(place) => place.insert(value),
            };
            if members.len() > MEMBERS_MAX {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(Object(members))
    }
}
