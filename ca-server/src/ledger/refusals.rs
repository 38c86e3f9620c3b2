//! Refusals are recorded, but nobody may bloat the log with them: a few each minute one by one, by
//! person or else by address, the rest as one summary.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use ca_core::event::{RefusalsSummarised, Refused};
use ca_core::name::Subject;
use ca_core::time::Timestamp;

use crate::state;

/// Single records of one person or address in a minute.
const EACH_MAX: u32 = 10;
/// Single records of all known people in a minute, and as many of all addresses: noise that costs
/// nothing must not hide what a person who signed in was denied.
const ALL_MAX: u32 = 100;
/// Different codes in a summary, `other` among them, as which further ones count.
const CODES_MAX: usize = 32;
/// Different addresses counted exactly.
const SOURCES_MAX: usize = 1024;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Person(Subject),
    Address(IpAddr),
}

/// The current minute's counts. Lost in a crash: then at most one summary is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    since: Timestamp,
    people: u32,
    addresses: u32,
    each: HashMap<Who, u32>,
    count: u64,
    by_code: BTreeMap<String, u64>,
    sources: HashSet<IpAddr>,
}

impl Refusals {
    /// The summary of the minute that is over at `now`, when anything was only counted in it.
    pub(super) fn summary_due(&mut self, now: Timestamp) -> Option<RefusalsSummarised> {
        if now.since(self.since) < MINUTE {
            return None;
        }
        let over = std::mem::replace(
            self,
            Self {
                since: now,
                ..Self::default()
            },
        );
        (over.count > 0).then(|| RefusalsSummarised {
            since: over.since,
            count: over.count,
            by_code: over.by_code,
            sources: u32::try_from(over.sources.len()).unwrap_or(u32::MAX),
        })
    }

    /// Whether this refusal gets a record of its own; if not, it is counted.
    ///
    /// A wrong second factor always does: the lockout rests on it, and the lockout bounds it.
    pub(super) fn admits(&mut self, refused: &Refused) -> bool {
        if state::counts_for_lockout(refused) {
            return true;
        }
        let (who, recorded) = match &refused.person {
            Some(person) => (Who::Person(person.subject.clone()), &mut self.people),
            None => (Who::Address(refused.source), &mut self.addresses),
        };
        if *recorded < ALL_MAX {
            let each = self.each.entry(who).or_default();
            if *each < EACH_MAX {
                *each += 1;
                *recorded += 1;
                return true;
            }
        }
        self.count += 1;
        let code = format!("{}/{}", refused.attempt.as_str(), refused.code);
        let known = self.by_code.contains_key(&code);
        let code = if known || self.by_code.len() + 1 < CODES_MAX {
            code
        } else {
            "other".to_owned()
        };
        *self.by_code.entry(code).or_default() += 1;
        if self.sources.len() < SOURCES_MAX {
            self.sources.insert(refused.source);
        }
        false
    }
}
