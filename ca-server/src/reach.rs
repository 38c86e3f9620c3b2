//! Who can get what, and under which circumstances: found by asking the policies again and again.
//!
//! Nothing here interprets a policy. A way is listed because asking with exactly its circumstances
//! was answered with a permit, and a need is listed because asking without it was not. Supposes the
//! best circumstances first and takes back whatever is not needed. Policies are read for names only
//! (`outline`): which groups, addresses and times are worth asking about.
//!
//! Limits: one group at a time unless told otherwise; times by the hour, to the minute at the edges
//! where `now` is looked at; durations from a minute up; of an address range one address is tried. Who
//! asks always has some second factor, as nobody gets a session without.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca_core::name::{Environment, NameError, Principal, Subject};
use ca_core::time::Timestamp;

pub use self::addresses::Addresses;
pub use self::compare::{Change, compare};
pub use self::hours::Hours;
pub use self::lost::{BreakGlassLoss, break_glass_lost};
pub use self::survey::{Reach, Survey};
pub use self::way::{Longest, Need, Way};
use crate::directory::Directory;
use crate::policy::{Action, On, Person};
use crate::state::Known;

mod addresses;
mod compare;
mod fewest;
mod found;
mod hours;
mod lost;
mod outline;
mod scan;
mod search;
mod shifting;
mod situation;
mod spread;
mod survey;
#[cfg(test)]
mod tests;
mod way;

/// Stands for every login name that is not listed; shown as `*`.
pub const OTHER_ACCOUNT: &str = "any-other-account";

/// Issuer of people who are supposed, where no other is known.
const ISSUER: &str = "https://supposed.invalid";

/// What bounds every answer besides policy.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The moment from which on things are asked about.
    pub now: Timestamp,
    /// The longest session: a second factor is never older.
    pub session: Duration,
    /// The longest grant of each environment.
    pub ceilings: BTreeMap<Environment, Duration>,
}

impl Limits {
    /// The widest: nothing but policy bounds anything.
    #[must_use]
    pub const fn none(now: Timestamp) -> Self {
        Self {
            now,
            session: SESSION_MAX,
            ceilings: BTreeMap::new(),
        }
    }
}

/// Longest session that can be configured.
const SESSION_MAX: Duration = Duration::from_hours(168);

/// Somebody who might get something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// As policy sees them.
    pub who: Person,
    /// How they are known.
    pub known: Acquaintance,
}

/// How it is known that there is such a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// They signed in, last at that time.
    Seen(Timestamp),
    /// A policy names them; nothing is known of their groups.
    Named,
    /// Nobody in particular: anyone in exactly these groups.
    Anyone,
}

impl Actor {
    /// Everybody in the directory.
    pub fn seen(directory: &Directory) -> impl Iterator<Item = Self> {
        let people = directory.people();
        people.map(|(subject, known)| Self::from_log(subject, known))
    }

    /// One of those in the directory.
    #[must_use]
    pub fn from_log(subject: &Subject, known: &Known) -> Self {
        Self {
            who: Person {
                name: known.user.clone(),
                subject: subject.clone(),
                groups: known.groups.clone(),
            },
            known: Acquaintance::Seen(known.seen),
        }
    }

    /// Anyone in these groups and no other, at `issuer`.
    ///
    /// # Errors
    ///
    /// [`NameError`] when `issuer` is none.
    pub fn anyone(groups: BTreeSet<String>, issuer: Option<&str>) -> Result<Self, NameError> {
        Ok(Self {
            who: Person {
                name: "anyone".parse()?,
                subject: Subject::new(issuer.unwrap_or(ISSUER), "urn:jit-ssh:anyone")?,
                groups,
            },
            known: Acquaintance::Anyone,
        })
    }

    /// The one whom a policy names as `issuer#sub`, if that can be somebody.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        let (issuer, sub) = id.rsplit_once('#')?;
        let name = sub.parse().or_else(|_| "somebody".parse()).ok()?;
        Some(Self {
            who: Person {
                name,
                subject: Subject::new(issuer, sub).ok()?,
                groups: BTreeSet::new(),
            },
            known: Acquaintance::Named,
        })
    }
}

/// Something that can be got: an action on one account, in one environment, or on the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// To do what.
    pub action: Action,
    /// To what; one account at most.
    pub on: On,
    /// To whose requests, grants and emergencies.
    pub whose: Whose,
}

/// Whose request, grant or emergency something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// It is not about one.
    Nobodys,
    /// Somebody else's.
    Others,
    /// One's own.
    Own,
}

impl Target {
    /// Everything that can be got where these environments with these accounts exist, and for each
    /// environment what can be got of an account that is not listed. Approving and reviewing what is
    /// one's own is left out: the authority refuses it whatever policy says.
    #[must_use]
    pub fn all(accounts: &BTreeMap<Environment, BTreeSet<Principal>>) -> Vec<Self> {
        let mut targets = Vec::new();
        let mut add = |action, on: &On, whose| {
            let on = on.clone();
            targets.push(Self { action, on, whose });
        };
        for (environment, names) in accounts {
            for name in names.iter().cloned().chain(OTHER_ACCOUNT.parse().ok()) {
                let on = On::Accounts {
                    environment: environment.clone(),
                    principals: vec![name],
                };
                add(Action::Login, &on, Whose::Nobodys);
                add(Action::BreakGlass, &on, Whose::Nobodys);
                add(Action::Approve, &on, Whose::Others);
            }
            let on = On::Environment(environment.clone());
            add(Action::Review, &on, Whose::Others);
            add(Action::Revoke, &on, Whose::Others);
            add(Action::Revoke, &on, Whose::Own);
        }
        add(Action::ReadAudit, &On::Authority, Whose::Nobodys);
        add(Action::Administer, &On::Authority, Whose::Nobodys);
        targets
    }

    /// `prod/root`, `prod/*` for accounts that are not listed, `prod`, or nothing for the authority
    /// itself.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.on {
            On::Accounts {
                environment,
                principals,
            } => {
                let name = principals.first().map_or("", Principal::as_str);
                let shown = if name == OTHER_ACCOUNT { "*" } else { name };
                format!("{environment}/{shown}")
            }
            On::Environment(name) => name.to_string(),
            On::Authority => String::new(),
        }
    }

    /// Whether what is got lasts for a time that is asked for.
    const fn lasts(&self) -> bool {
        matches!(
            self.action,
            Action::Login | Action::BreakGlass | Action::Approve
        )
    }
}
