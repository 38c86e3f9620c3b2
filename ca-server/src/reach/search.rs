//! The search for one person and one target: from the best circumstances downwards, everything that
//! is not needed taken back.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::Subject;

use super::outline::Mentions;
use super::shifting::Shifting;
use super::situation::{Ground, Situation};
use super::way::Longest;
use super::{ISSUER, Limits, Target, Whose};
use crate::policy::{
    Action, Facts, Person, PolicySet, Question, SecondFactor, ask, supposing_everybody_approved,
};

/// Shortest grant that the authority gives, seconds.
pub(super) const SHORTEST: u64 = 60;
/// What people mostly ask for, seconds.
const USUAL: u64 = 3600;
/// Longest time that is tried where no ceiling is known: 30 days.
const LONGEST: u64 = 30 * 86_400;
/// Durations and ages tried first, longest first, in seconds; the exact bound is searched above the
/// hit.
const RUNGS: [u64; 11] = [
    604_800, 86_400, 43_200, 28_800, 14_400, 7_200, 3_600, 1_800, 900, 300, 60,
];

/// Stands for an address where nobody looks at it.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Something that one can have for oneself, or go without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    Approvals,
    Totp,
    Fresh,
    Bound,
    Reason,
    Ticket,
    OnCall,
    Reviewed,
}

impl Fact {
    const ALL: [Self; 8] = [
        Self::Approvals,
        Self::Totp,
        Self::Fresh,
        Self::Bound,
        Self::Reason,
        Self::Ticket,
        Self::OnCall,
        Self::Reviewed,
    ];

    /// What policies call it.
    pub(super) const fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Approvals => &["approvals", "approver_groups", "met"],
            Self::Totp => &["mfa_kind"],
            Self::Fresh => &["mfa_age"],
            Self::Bound => &["token_bound"],
            Self::Reason => &["reason"],
            Self::Ticket => &["ticket"],
            Self::OnCall => &["on_call"],
            Self::Reviewed => &["unreviewed"],
        }
    }

    /// Whether the authority supplies it with `action`.
    const fn belongs_to(self, action: Action) -> bool {
        match self {
            Self::Approvals => matches!(action, Action::Login),
            Self::Reason | Self::Ticket => {
                matches!(action, Action::Login | Action::BreakGlass | Action::Approve)
            }
            Self::Reviewed => matches!(action, Action::BreakGlass),
            Self::Totp | Self::Fresh | Self::Bound | Self::OnCall => true,
        }
    }
}

/// What one has, for how long one asks, and how old one's second factor is at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Circumstances {
    pub(super) having: BTreeSet<Fact>,
    pub(super) seconds: u64,
    /// Counts with [`Fact::Fresh`]; without, it is as old as the session can be.
    pub(super) age: u64,
}

impl Circumstances {
    pub(super) fn new(having: &BTreeSet<Fact>, seconds: u64) -> Self {
        Self {
            having: having.clone(),
            seconds,
            age: 0,
        }
    }

    /// For as short a time as there is.
    pub(super) fn shortest(having: &BTreeSet<Fact>) -> Self {
        Self::new(having, SHORTEST)
    }

    pub(super) fn without(&self, fact: Fact) -> Self {
        let mut less = self.clone();
        less.having.remove(&fact);
        less
    }
}

/// Who asks for what, with everything that is worth varying.
pub(super) struct Search<'a> {
    pub(super) policies: &'a PolicySet,
    pub(super) who: &'a Person,
    pub(super) target: &'a Target,
    pub(super) ground: Ground,
    pub(super) shifting: Shifting,
    /// Facts that some policy looks at, of those that belong to the action.
    pub(super) facts: BTreeSet<Fact>,
    /// The longest that is tried, seconds.
    ceiling: u64,
    has_ceiling: bool,
    pub(super) session: u64,
    times: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        (policies, mentions, shifting): (&'a PolicySet, &Mentions, Shifting),
        who: &'a Person,
        target: &'a Target,
        limits: &Limits,
    ) -> Self {
        let matters =
            |fact: &Fact| fact.belongs_to(target.action) && mentions.any(fact.attributes());
        let ceiling = target
            .on
            .environment()
            .and_then(|name| limits.ceilings.get(name));
        Self {
            policies,
            who,
            target,
            ground: Ground::new(mentions, limits.now),
            shifting,
            facts: Fact::ALL.into_iter().filter(matters).collect(),
            ceiling: ceiling.map_or(LONGEST, Duration::as_secs).max(SHORTEST),
            has_ceiling: ceiling.is_some(),
            session: limits.session.as_secs(),
            times: target.lasts() && mentions.any(&["duration"]),
        }
    }

    /// The question, with no approval yet.
    pub(super) fn question(&self, so: &Circumstances, situation: &Situation) -> Question {
        let has = |fact| so.having.contains(&fact);
        let age = if has(Fact::Fresh) {
            so.age
        } else {
            self.session
        };
        let age = Duration::from_secs(age);
        let seconds = if self.target.lasts() { so.seconds } else { 0 };
        let texts = &situation.texts;
        let emergency = self.target.action == Action::BreakGlass;
        Question {
            who: self.who.clone(),
            action: self.target.action,
            on: self.target.on.clone(),
            facts: Facts {
                duration: Duration::from_secs(seconds),
                second_factor: if has(Fact::Totp) {
                    SecondFactor::Totp(age)
                } else {
                    SecondFactor::Recovery(age)
                },
                token_bound: has(Fact::Bound),
                approvals: Vec::new(),
                source: situation.from.unwrap_or(NOWHERE),
                now: situation.now,
                reason: has(Fact::Reason).then(|| texts.reason.1.clone()),
                ticket: has(Fact::Ticket).then(|| texts.ticket.1.clone()),
                on_call: has(Fact::OnCall),
                unreviewed: u64::from(emergency && !has(Fact::Reviewed)),
                holder: match self.target.whose {
                    Whose::Nobodys => None,
                    Whose::Others => Subject::new(ISSUER, "urn:jit-ssh:holder").ok(),
                    Whose::Own => Some(self.who.subject.clone()),
                },
            },
        }
    }

    /// What it means that this long is the longest; nothing where nothing lasts.
    pub(super) fn longest(&self, seconds: u64) -> Option<Longest> {
        let longest = Duration::from_secs(seconds);
        self.target.lasts().then_some(if seconds < self.ceiling {
            Longest::Policy(longest)
        } else if self.has_ceiling {
            Longest::Ceiling(longest)
        } else {
            Longest::Unlimited
        })
    }

    /// The question as if every approval had come that there could be; with [`Fact::Approvals`]
    /// only.
    pub(super) fn supposing(&self, so: &Circumstances, situation: &Situation) -> Vec<Question> {
        let question = self.question(so, situation);
        if so.having.contains(&Fact::Approvals) {
            supposing_everybody_approved(self.policies, &question)
        } else {
            vec![question]
        }
    }

    pub(super) fn permits(&self, so: &Circumstances, situation: &Situation) -> bool {
        let questions = self.supposing(so, situation);
        let mut questions = questions.iter();
        questions.any(|question| ask(self.policies, question).is_permit())
    }

    /// Every least set of facts with the longest time that it is good for: no set of fewer of these
    /// facts is good for as long.
    pub(super) fn front(&self, situation: &Situation) -> Vec<Circumstances> {
        let permits = |having: &BTreeSet<Fact>, seconds| {
            self.permits(&Circumstances::new(having, seconds), situation)
        };
        let Some((top, longest)) = self.top(situation) else {
            return Vec::new();
        };
        let mut known = BTreeSet::from([longest]);
        let mut within = |having: &BTreeSet<Fact>| -> Option<u64> {
            if permits(having, longest) {
                return Some(longest);
            }
            // A policy may want a time that is not the shortest.
            if !self.times || !(permits(having, SHORTEST) || permits(having, USUAL)) {
                return None;
            }
            let turns = |at: u64| permits(having, at) && !permits(having, at.saturating_add(1));
            let before = known
                .iter()
                .rev()
                .copied()
                .find(|&at| at < longest && turns(at));
            let found = before.or_else(|| {
                largest(longest, |seconds| permits(having, seconds)).filter(|&at| at >= SHORTEST)
            })?;
            known.insert(found);
            Some(found)
        };
        let needed = |fact: &Fact| {
            let mut less = top.clone();
            less.remove(fact);
            within(&less).is_none()
        };
        let (needed, free): (Vec<Fact>, Vec<Fact>) = top.iter().copied().partition(needed);
        let mut found: Vec<Circumstances> = Vec::new();
        for some in subsets(&free) {
            let having: BTreeSet<Fact> = needed.iter().copied().chain(some).collect();
            let better = |known: &Circumstances, seconds| {
                known.having.is_subset(&having) && known.seconds >= seconds
            };
            if found.iter().any(|known| better(known, longest)) {
                continue;
            }
            let Some(seconds) = within(&having) else {
                continue;
            };
            if !found.iter().any(|known| better(known, seconds)) {
                found.push(Circumstances::new(&having, seconds));
            }
        }
        found
    }

    /// Facts with which it is permitted, and for how long.
    fn top(&self, situation: &Situation) -> Option<(BTreeSet<Fact>, u64)> {
        self.sets().find_map(|having| {
            let so = Circumstances::shortest(&having);
            let longest = Some(self.longest_at(&so, situation)).filter(|&found| found > 0);
            Some((having, longest?))
        })
    }

    /// Times to look with, shortest first: fewer where there is much to look at.
    pub(super) fn glances(&self) -> Vec<u64> {
        match (self.times, self.ground.is_one()) {
            (false, _) => vec![self.ceiling],
            (true, false) => vec![SHORTEST, USUAL],
            (true, true) => {
                let all = RUNGS.into_iter().rev().chain([self.ceiling]);
                all.filter(|&seconds| seconds <= self.ceiling).collect()
            }
        }
    }

    /// The longest that is permitted like this, seconds; 0 if nothing is.
    pub(super) fn longest_at(&self, so: &Circumstances, situation: &Situation) -> u64 {
        let permits = |seconds| {
            let longer = Circumstances {
                seconds,
                ..so.clone()
            };
            self.permits(&longer, situation)
        };
        let found = if self.times {
            largest(self.ceiling, permits).filter(|&seconds| seconds >= SHORTEST)
        } else {
            permits(self.ceiling).then_some(self.ceiling)
        };
        found.unwrap_or(0)
    }

    /// `so` with the oldest second factor that is still permitted; as it is without
    /// [`Fact::Fresh`].
    pub(super) fn aged(&self, so: &Circumstances, situation: &Situation) -> Circumstances {
        if !so.having.contains(&Fact::Fresh) {
            return so.clone();
        }
        let aged = |age| Circumstances { age, ..so.clone() };
        let permits = |age| self.permits(&aged(age), situation);
        aged(largest(self.session, permits).unwrap_or(0))
    }
}

/// The largest number up to `most` that holds, found between the rungs; 0 is tried last.
pub(super) fn largest(most: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let rungs = RUNGS.into_iter().chain([0]).filter(|&rung| rung < most);
    let mut refused = None;
    for tried in std::iter::once(most).chain(rungs) {
        if !holds(tried) {
            refused = Some(tried);
            continue;
        }
        let (mut low, mut high) = (tried, refused.unwrap_or(tried));
        while low.saturating_add(1) < high {
            let middle = low.midpoint(high);
            if holds(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return Some(low);
    }
    None
}

/// Every subset, smaller ones first.
fn subsets(of: &[Fact]) -> Vec<Vec<Fact>> {
    let mut all: Vec<Vec<Fact>> = vec![Vec::new()];
    for &fact in of {
        let with = all.iter().map(|some| {
            let mut more = some.clone();
            more.push(fact);
            more
        });
        let with: Vec<Vec<Fact>> = with.collect();
        all.extend(with);
    }
    all.sort_by_key(Vec::len);
    all
}
