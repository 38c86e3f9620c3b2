//! Policies whose answer may depend on when or from where something is asked. All others answer the
//! same everywhere, so what they refuse once need not be asked again elsewhere.

use std::collections::BTreeSet;

use super::outline::{Mentions, Outline};
use super::search::Fact;
use crate::policy::Decision;

/// Those of the policies that may bear on a search.
#[derive(Clone, Debug, Default)]
pub(super) struct Shifting {
    ids: BTreeSet<String>,
    permits: bool,
    mentions: Mentions,
}

impl Shifting {
    /// Those of `outlines`.
    pub(super) fn of<'a>(outlines: impl Iterator<Item = &'a Outline>) -> Self {
        let mut found = Self::default();
        let shifts = ["now", "hour", "weekday", "source"];
        for outline in outlines.filter(|outline| outline.mentions().any(&shifts)) {
            found.ids.insert(outline.id().to_owned());
            found.permits |= outline.permits();
            found.mentions.add(outline.mentions());
        }
        found
    }

    /// Whether the same question is denied at every other time and place as well.
    pub(super) fn is_fixed(&self, decision: &Decision) -> bool {
        let Decision::Deny(denial) = decision else {
            return false;
        };
        denial.reasons.iter().any(|reason| match &reason.policy {
            Some(id) => !self.ids.contains(id),
            None => !self.permits,
        })
    }

    /// Facts on which it may depend what such a policy answers.
    pub(super) fn facts(&self, all: &BTreeSet<Fact>) -> BTreeSet<Fact> {
        let mentioned = |fact: &&Fact| self.mentions.any(fact.attributes());
        all.iter().filter(mentioned).copied().collect()
    }

    /// Whether it may depend on how long access is asked for.
    pub(super) fn looks_at_duration(&self) -> bool {
        self.mentions.any(&["duration"])
    }
}
