//! The people and groups that the log knows: what their sign-ins said.
//!
//! Folds records that somebody else reads (`audit::people`); decides nothing. Who never signed in is
//! not in it, and nobody leaves it: a log does not say that somebody left.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use ca_core::event::{Event, EventError, Person};
use ca_core::name::{Subject, UserName};
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::{Kind, Leaf};

use crate::state::Known;

/// Most people that are remembered, by identity and again by name alone.
pub const PEOPLE_MAX: usize = 50_000;

/// Most names of groups that are remembered.
pub const GROUPS_MAX: usize = 50_000;

/// Everybody who ever signed in, as of their newest sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    people: BTreeMap<Subject, Known>,
    groups: BTreeSet<String>,
    offline: BTreeMap<UserName, Timestamp>,
    records: u64,
    erased: u64,
    left_out: u64,
}

impl Directory {
    /// Takes in the next record of the log: its leaf, and its event unless that was erased.
    ///
    /// # Errors
    ///
    /// [`EventError`] for an event of a sign-in that this program cannot read.
    pub fn record(&mut self, leaf: &Leaf, event: Option<&[u8]>) -> Result<(), EventError> {
        self.records = self.records.saturating_add(1);
        // Everything else is about people whose sign-in came before.
        if !matches!(leaf.kind, Kind::SessionOpened | Kind::BreakGlass) {
            return Ok(());
        }
        let Some(event) = event else {
            self.erased = self.erased.saturating_add(1);
            return Ok(());
        };
        match Event::from_bytes(event)? {
            Event::SessionOpened(opened) => {
                self.signed_in(&opened.person, opened.groups, leaf.time);
            }
            // Its groups are those of an earlier sign-in, but that one may have been erased.
            Event::BreakGlassSessionOpened(opened) => {
                let known = self.people.get(&opened.person.subject);
                let groups = known.map_or(opened.groups, |known| known.groups.clone());
                self.signed_in(&opened.person, groups, leaf.time);
            }
            Event::BreakGlassImported(imported) => {
                self.named_offline(imported.record.user, leaf.time);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in a sign-in: these groups from now on.
    pub fn signed_in(&mut self, person: &Person, groups: BTreeSet<String>, seen: Timestamp) {
        for group in &groups {
            if self.groups.len() < GROUPS_MAX {
                self.groups.insert(group.clone());
            } else if !self.groups.contains(group) {
                self.left_out = self.left_out.saturating_add(1);
            }
        }
        let full = self.people.len() >= PEOPLE_MAX;
        let known = Known {
            user: person.user.clone(),
            groups,
            seen,
        };
        match self.people.entry(person.subject.clone()) {
            Entry::Occupied(mut before) => {
                before.insert(known);
            }
            Entry::Vacant(_) if full => self.left_out = self.left_out.saturating_add(1),
            Entry::Vacant(new) => {
                new.insert(known);
            }
        }
    }

    fn named_offline(&mut self, user: UserName, seen: Timestamp) {
        let full = self.offline.len() >= PEOPLE_MAX;
        match self.offline.entry(user) {
            Entry::Occupied(mut before) => {
                before.insert(seen);
            }
            Entry::Vacant(_) if full => self.left_out = self.left_out.saturating_add(1),
            Entry::Vacant(new) => {
                new.insert(seen);
            }
        }
    }

    /// Everybody, by identity.
    pub fn people(&self) -> impl Iterator<Item = (&Subject, &Known)> {
        self.people.iter()
    }

    /// Those who are called `name`, which may be several people at several issuers; or the one
    /// whose identity is written as `issuer#sub`.
    pub fn called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Subject, &'a Known)> {
        self.people().filter(move |(subject, known)| {
            known.user.as_str() == name || subject.to_string() == name
        })
    }

    /// Every group that anybody was ever in, at most [`GROUPS_MAX`].
    #[must_use]
    pub const fn groups(&self) -> &BTreeSet<String> {
        &self.groups
    }

    /// Names that certificates were signed for offline, with the newest time. Nobody was
    /// authenticated then, so they are nobody's identity.
    #[must_use]
    pub const fn offline(&self) -> &BTreeMap<UserName, Timestamp> {
        &self.offline
    }

    /// Records taken in.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Sign-ins whose record was erased: people may be missing.
    #[must_use]
    pub const fn erased(&self) -> u64 {
        self.erased
    }

    /// Sign-ins that named a person or group for whom there was no room: see [`PEOPLE_MAX`].
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests;
