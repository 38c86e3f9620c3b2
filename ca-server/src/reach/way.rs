//! One way to get something: its circumstances, in data and in words.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use ca_core::time::Timestamp;
use serde::Serialize;

use super::{Addresses, Hours, Target, Whose};
use crate::policy::{Action, Person, Question, words};

/// Something without which the answer is no.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "need", rename_all = "snake_case")]
pub enum Need {
    /// Others have to approve.
    Approvals {
        /// Who: `1 of approver`.
        of: String,
    },
    /// The second factor is a TOTP code: a recovery code is not enough.
    Totp,
    /// The second factor was given not long ago.
    FreshFactor {
        /// At most so long ago.
        seconds_max: u64,
    },
    /// Signed in through a browser on the same machine.
    BoundSignIn,
    /// A reason is given.
    Reason {
        /// Like one of these, with `*` for anything; empty where any reason does.
        like: BTreeSet<String>,
    },
    /// A ticket is named.
    Ticket {
        /// Like one of these, with `*` for anything; empty where any ticket does.
        like: BTreeSet<String>,
    },
    /// On call.
    OnCall,
    /// None of one's own emergencies waits for its review.
    NothingUnreviewed,
}

/// How long something may last; shorter ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Longest {
    /// Policy permits no longer.
    Policy(Duration),
    /// The environment's ceiling, below what policy permits.
    Ceiling(Duration),
    /// As long as was tried (30 days); no ceiling is known.
    Unlimited,
}

/// One way to get something. Each need is needed: without it policy says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What it takes.
    pub needs: BTreeSet<Need>,
    /// The longest that is permitted like this; none where nothing lasts.
    pub longest: Option<Longest>,
    /// At which hours of the week.
    pub hours: Hours,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// From which addresses.
    pub addresses: Addresses,
    /// Policies that permit it.
    pub policies: BTreeSet<String>,
    /// Policies that forbid it as long as something that is needed is missing.
    pub because: BTreeSet<String>,
    /// The question that was answered with a permit, with the approvals that it takes.
    pub(super) question: Question,
}

impl Way {
    /// The question that policy answers with a permit, asked by `who`.
    #[must_use]
    pub fn asked_by(&self, who: &Person) -> Question {
        let mut question = self.question.clone();
        let own = question.facts.holder.as_ref() == Some(&question.who.subject);
        if own {
            question.facts.holder = Some(who.subject.clone());
        }
        question.who = who.clone();
        question
    }

    /// Who has to approve, if anybody: `1 of approver`.
    #[must_use]
    pub fn obligation(&self) -> Option<&str> {
        self.needs.iter().find_map(|need| match need {
            Need::Approvals { of } => Some(of.as_str()),
            _ => None,
        })
    }

    /// Whether it is a way to do this.
    #[must_use]
    pub fn is_for(&self, action: Action) -> bool {
        self.question.action == action
    }

    /// Whether this is the same access, whichever policies it is thanks to.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let terms = |way: &Self| {
            (
                way.needs.clone(),
                way.longest,
                way.hours.clone(),
                (way.since, way.until),
                way.addresses.clone(),
            )
        };
        terms(self) == terms(other)
    }

    /// What it takes, one phrase each; empty if nothing.
    #[must_use]
    pub fn conditions(&self) -> Vec<String> {
        let mut phrases: Vec<String> = Vec::new();
        let of_request = self.is_for(Action::Approve);
        let totp = self.needs.contains(&Need::Totp);
        let fresh = |need: &Need| matches!(need, Need::FreshFactor { .. });
        let fresh = self.needs.iter().any(fresh);
        for need in &self.needs {
            match need {
                Need::Totp if fresh => {}
                Need::FreshFactor { seconds_max } => {
                    let factor = if totp { "TOTP code" } else { "second factor" };
                    let age = words(Duration::from_secs(*seconds_max));
                    phrases.push(format!("{factor} at most {age} old"));
                }
                Need::Reason { .. } | Need::Ticket { .. } if of_request => {
                    phrases.push(format!("only requests with {need}"));
                }
                need => phrases.push(need.to_string()),
            }
        }
        phrases.extend(self.hours.words());
        phrases.extend(self.since.map(|time| format!("from {time}")));
        phrases.extend(self.until.map(|time| format!("until {time}")));
        phrases.extend(self.addresses.words());
        if self.is_for(Action::BreakGlass) {
            phrases.push("reviewed afterwards".to_owned());
        }
        phrases
    }
}

impl fmt::Display for Longest {
    /// `1 h`, `8 h (ceiling)`, `no limit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(longest) => f.write_str(&words(*longest)),
            Self::Ceiling(longest) => write!(f, "{} (ceiling)", words(*longest)),
            Self::Unlimited => f.write_str("no limit"),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |f: &mut fmt::Formatter<'_>, what: &str, like: &BTreeSet<String>| {
            let like: Vec<&str> = like.iter().map(String::as_str).collect();
            if like.is_empty() {
                f.write_str(what)
            } else {
                write!(f, "{what} like {}", like.join(" or "))
            }
        };
        match self {
            Self::Approvals { of } => write!(f, "approval: {of}"),
            Self::Totp => f.write_str("TOTP code, no recovery code"),
            Self::FreshFactor { seconds_max } => {
                let age = words(Duration::from_secs(*seconds_max));
                write!(f, "second factor at most {age} old")
            }
            Self::BoundSignIn => f.write_str("browser sign-in"),
            Self::Reason { like } => text(f, "a reason", like),
            Self::Ticket { like } => text(f, "a ticket", like),
            Self::OnCall => f.write_str("on call"),
            Self::NothingUnreviewed => f.write_str("no unreviewed emergency"),
        }
    }
}

impl Target {
    /// `login`, `revoke (own)`.
    #[must_use]
    pub fn action_words(&self) -> String {
        let own = if self.whose == Whose::Own {
            " (own)"
        } else {
            ""
        };
        format!("{}{own}", self.action.name())
    }
}
