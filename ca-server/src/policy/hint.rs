//! What would turn a denial into a permit, found by asking the same policies again.
//!
//! Nothing here interprets a policy: a hint is listed only because asking with it was answered with
//! a permit. The number of questions asked again is bounded (see the `_MAX` constants).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use ca_core::name::{Principal, Subject};
use serde::Serialize;

use super::PolicySet;
use super::decide::{Decision, ask};
use super::missing::Call;
use super::period::words;
use super::question::{Action, Approval, Facts, On, Question, SecondFactor};
use super::request::written;

/// Other accounts that are tried.
const OTHERS_MAX: usize = 32;
/// Durations tried first, longest first, in seconds; the exact bound is searched above the hit.
const DURATIONS: [u64; 9] = [86_400, 28_800, 14_400, 7_200, 3_600, 1_800, 900, 300, 60];

/// One thing to do differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// This many distinct approvers in all, those given so far included.
    Approvals {
        /// At least 1.
        count: usize,
        /// Every one of these groups must be among the groups of the approvers.
        groups: BTreeSet<String>,
    },
    /// Requirements of the table.
    Requirement {
        /// At least one.
        names: BTreeSet<String>,
        /// Who is still missing: `1 of sre-leads and 1 of security`.
        sentence: String,
        /// The groups of each further person; at least one person.
        people: Vec<BTreeSet<String>>,
    },
    /// A TOTP code now.
    FreshSecondFactor,
    /// Sign in through a browser on this machine, not with a device code.
    BoundToken,
    /// Say why.
    Reason,
    /// Name a ticket.
    Ticket,
    /// Ask for at most this long.
    ShorterDuration {
        /// Seconds, at least 1; the longest that is permitted.
        seconds_max: u64,
    },
    /// Ask for this account alone.
    OtherAccount {
        /// Its login name, in the same environment.
        principal: Principal,
    },
}

/// A way to a permit: all of these changes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// At least one, each of a different kind.
    pub changes: Vec<Change>,
}

impl fmt::Display for Hint {
    /// One sentence, without full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, change) in self.changes.iter().enumerate() {
            if at > 0 {
                f.write_str(", and ")?;
            }
            write!(f, "{change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals { count, groups } => {
                write!(f, "needs {}", approvals_words(*count, groups))
            }
            Self::Requirement {
                sentence, people, ..
            } => {
                let count = approvals_words(people.len(), &BTreeSet::new());
                write!(f, "needs {count}: {sentence}")
            }
            Self::FreshSecondFactor => f.write_str("needs a fresh second factor"),
            Self::BoundToken => f.write_str("needs a browser sign-in on this machine"),
            Self::Reason => f.write_str("needs a reason"),
            Self::Ticket => f.write_str("needs a ticket"),
            Self::ShorterDuration { seconds_max } => {
                let longest = Duration::from_secs(*seconds_max);
                write!(f, "allowed for at most {}", words(longest))
            }
            Self::OtherAccount { principal } => write!(f, "account {principal} is allowed"),
        }
    }
}

/// `2 approvals from groups a and b`.
pub(super) fn approvals_words(count: usize, groups: &BTreeSet<String>) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => format!("{count} approval{plural}"),
        [one] => format!("{count} approval{plural} from group {one}"),
        many => format!(
            "{count} approval{plural} from groups {}",
            many.join(" and ")
        ),
    }
}

/// Approvals of people who do not exist, one for each set of groups.
pub(super) fn suppose(facts: &mut Facts, people: impl IntoIterator<Item = BTreeSet<String>>) {
    // Numbered on from those there are, so that two changes of one question suppose different people.
    let first = facts.approvals.len();
    let supposed = people.into_iter().enumerate().filter_map(|(at, groups)| {
        let sub = first.saturating_add(at).to_string();
        Some(Approval {
            subject: Subject::new("urn:jit-ssh:supposed", &sub).ok()?,
            groups,
        })
    });
    facts.approvals.extend(supposed);
}

impl Change {
    /// How many further people a requirement takes.
    pub(super) fn people(&self) -> usize {
        match self {
            Self::Requirement { people, .. } => people.len(),
            _ => 0,
        }
    }

    /// `question` with this change made.
    pub(super) fn apply(&self, question: &Question) -> Question {
        let mut changed = question.clone();
        let facts = &mut changed.facts;
        match self {
            Self::Approvals { count, groups } => {
                let missing = count.saturating_sub(question.approvers().len());
                suppose(facts, std::iter::repeat_n(groups.clone(), missing));
            }
            Self::Requirement { people, .. } => suppose(facts, people.iter().cloned()),
            Self::FreshSecondFactor => facts.second_factor = SecondFactor::Totp(Duration::ZERO),
            Self::BoundToken => facts.token_bound = true,
            Self::Reason => facts.reason = Some("supposed".to_owned()),
            Self::Ticket => facts.ticket = Some("supposed".to_owned()),
            Self::ShorterDuration { seconds_max } => {
                facts.duration = facts.duration.min(Duration::from_secs(*seconds_max));
            }
            Self::OtherAccount { principal } => {
                if let On::Accounts { principals, .. } = &mut changed.on {
                    *principals = vec![principal.clone()];
                }
            }
        }
        changed
    }
}

/// Every way found, nearest first: single changes, else one combination; then other accounts.
#[must_use]
pub fn hints(policies: &PolicySet, question: &Question, others: &[Principal]) -> Vec<Hint> {
    let search = Search { policies };
    let mut found: Vec<Hint> = search
        .kinds(question)
        .into_iter()
        .filter_map(|kind| search.least(kind, question))
        .map(|change| Hint {
            changes: vec![change],
        })
        .collect();
    if found.is_empty() {
        found.extend(search.together(question));
    }
    found.extend(search.other_accounts(question, others));
    found
}

#[derive(Clone, Copy)]
enum Kind {
    Approvals,
    Fresh,
    Bound,
    Reason,
    Ticket,
    Shorter,
}

struct Search<'a> {
    policies: &'a PolicySet,
}

impl Search<'_> {
    fn permits(&self, question: &Question) -> bool {
        matches!(ask(self.policies, question), Decision::Permit { .. })
    }

    /// What can be changed at all about this question, nearest first.
    fn kinds(&self, question: &Question) -> Vec<Kind> {
        let facts = &question.facts;
        let grants = matches!(question.action, Action::Login | Action::BreakGlass);
        let fresh = facts.second_factor == SecondFactor::Totp(Duration::ZERO);
        [
            (Kind::Approvals, question.action == Action::Login),
            (Kind::Fresh, !fresh),
            (Kind::Bound, !facts.token_bound),
            (Kind::Reason, written(facts.reason.as_deref()).is_none()),
            (
                Kind::Ticket,
                grants && written(facts.ticket.as_deref()).is_none(),
            ),
            (Kind::Shorter, grants),
        ]
        .into_iter()
        .filter_map(|(kind, possible)| possible.then_some(kind))
        .collect()
    }

    /// The least change of this kind that alone permits `question`.
    fn least(&self, kind: Kind, question: &Question) -> Option<Change> {
        let plain = |change: Change| self.permits(&change.apply(question)).then_some(change);
        match kind {
            Kind::Approvals => {
                let (change, _) = Call::new(self.policies, question)?.least()?;
                Some(change)
            }
            Kind::Fresh => plain(Change::FreshSecondFactor),
            Kind::Bound => plain(Change::BoundToken),
            Kind::Reason => plain(Change::Reason),
            Kind::Ticket => plain(Change::Ticket),
            Kind::Shorter => self.shorter(question),
        }
    }

    fn shorter(&self, question: &Question) -> Option<Change> {
        let asked = question.facts.duration.as_secs();
        let at_most = |seconds_max| Change::ShorterDuration { seconds_max };
        let permits = |seconds| self.permits(&at_most(seconds).apply(question));
        let mut refused = asked;
        for tried in DURATIONS.into_iter().filter(|&seconds| seconds < asked) {
            if permits(tried) {
                let mut permitted = tried;
                while permitted.saturating_add(1) < refused {
                    let middle = permitted.midpoint(refused);
                    if permits(middle) {
                        permitted = middle;
                    } else {
                        refused = middle;
                    }
                }
                return Some(at_most(permitted));
            }
            refused = tried;
        }
        None
    }

    /// No single change helps: make all of them, then take back what is not needed, dearest first.
    fn together(&self, question: &Question) -> Option<Hint> {
        let kinds = self.kinds(question);
        let mut changes: Vec<(Kind, Change)> = kinds
            .into_iter()
            .filter_map(|kind| Some((kind, self.utmost(kind, question)?)))
            .collect();
        let with = |changes: &[(Kind, Change)]| {
            changes
                .iter()
                .fold(question.clone(), |changed, (_, change)| {
                    change.apply(&changed)
                })
        };
        if !self.permits(&with(&changes)) {
            return None;
        }
        let mut at = 0;
        while at < changes.len() {
            let mut fewer = changes.clone();
            let (kind, change) = fewer.remove(at);
            let rest = with(&fewer);
            if self.permits(&rest) {
                changes = fewer;
                continue;
            }
            let least = self.least(kind, &rest).unwrap_or(change);
            fewer.insert(at, (kind, least));
            changes = fewer;
            at = at.saturating_add(1);
        }
        self.permits(&with(&changes)).then(|| Hint {
            changes: changes.into_iter().map(|(_, change)| change).collect(),
        })
    }

    /// The largest change of this kind.
    fn utmost(&self, kind: Kind, question: &Question) -> Option<Change> {
        Some(match kind {
            Kind::Approvals => Call::new(self.policies, question)?.utmost(),
            Kind::Fresh => Change::FreshSecondFactor,
            Kind::Bound => Change::BoundToken,
            Kind::Reason => Change::Reason,
            Kind::Ticket => Change::Ticket,
            Kind::Shorter => {
                let asked = question.facts.duration.as_secs();
                let seconds_max = DURATIONS.into_iter().rfind(|&seconds| seconds < asked)?;
                Change::ShorterDuration { seconds_max }
            }
        })
    }

    fn other_accounts(&self, question: &Question, others: &[Principal]) -> Vec<Hint> {
        let On::Accounts { principals, .. } = &question.on else {
            return Vec::new();
        };
        let asked_alone = |name: &Principal| principals.iter().all(|asked| asked == name);
        let asked_too = principals.iter();
        let candidates: BTreeSet<&Principal> = others
            .iter()
            .take(OTHERS_MAX)
            .chain(asked_too.take(OTHERS_MAX))
            .collect();
        candidates
            .into_iter()
            .filter(|name| !asked_alone(name))
            .map(|name| Change::OtherAccount {
                principal: name.clone(),
            })
            .filter(|change| self.permits(&change.apply(question)))
            .map(|change| Hint {
                changes: vec![change],
            })
            .collect()
    }
}
