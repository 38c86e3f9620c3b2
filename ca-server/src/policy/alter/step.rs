//! One thing that could be different about a question.

use std::collections::BTreeSet;
use std::mem::{Discriminant, discriminant};
use std::net::IpAddr;
use std::time::Duration;

use ca_core::name::{Environment, Principal, Subject};
use ca_core::time::Timestamp;

use super::super::hint::suppose;
use super::super::period::{weekday_time, words};
use super::super::question::{On, Question, SecondFactor};

/// A difference. Which way it helps is not known: that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// For this long.
    Lasting(Duration),
    /// With this reason, or none.
    Reason(Option<String>),
    /// With this ticket, or none.
    Ticket(Option<String>),
    /// With the yes of more people: the groups of each, and the same in words.
    Approved(Vec<BTreeSet<String>>, String),
    /// Without the yes of this one.
    Unapproved(Subject),
    /// Without anybody's yes.
    Alone,
    /// With this second factor.
    Factor(SecondFactor),
    /// Signed in on this machine or, if false, with a device code.
    Bound(bool),
    /// On call or not.
    OnCall(bool),
    /// With so many emergencies not reviewed.
    Unreviewed(u64),
    /// At another time.
    At(Timestamp),
    /// From another address.
    From(IpAddr),
    /// By somebody who is in this group, too.
    Joined(String),
    /// By somebody who is not in this group.
    Left(String),
    /// About what this one holds.
    HeldBy(Subject),
    /// For one account alone.
    Account(Principal),
    /// In another environment.
    Place(Environment),
}

impl Step {
    /// `question` with this difference.
    pub(super) fn apply(&self, question: &Question) -> Question {
        let mut changed = question.clone();
        let (who, facts) = (&mut changed.who, &mut changed.facts);
        match self {
            Self::Lasting(duration) => facts.duration = *duration,
            Self::Reason(reason) => facts.reason.clone_from(reason),
            Self::Ticket(ticket) => facts.ticket.clone_from(ticket),
            Self::Approved(people, _) => suppose(facts, people.iter().cloned()),
            Self::Unapproved(subject) => facts.approvals.retain(|given| given.subject != *subject),
            Self::Alone => facts.approvals.clear(),
            Self::Factor(factor) => facts.second_factor = *factor,
            Self::Bound(bound) => facts.token_bound = *bound,
            Self::OnCall(on_call) => facts.on_call = *on_call,
            Self::Unreviewed(count) => facts.unreviewed = *count,
            Self::At(moment) => facts.now = *moment,
            Self::From(address) => facts.source = *address,
            Self::Joined(group) => {
                who.groups.insert(group.clone());
            }
            Self::Left(group) => {
                who.groups.remove(group);
            }
            Self::HeldBy(subject) => facts.holder = Some(subject.clone()),
            Self::Account(name) => {
                if let On::Accounts { principals, .. } = &mut changed.on {
                    *principals = vec![name.clone()];
                }
            }
            Self::Place(name) => match &mut changed.on {
                On::Accounts { environment, .. } | On::Environment(environment) => {
                    environment.clone_from(name);
                }
                On::Authority => {}
            },
        }
        changed
    }

    /// How much of a change this is. Those that the person makes when asking again come first, then
    /// circumstances, then who and what it is about.
    pub(super) const fn cost(&self) -> u32 {
        match self {
            Self::Lasting(_) | Self::Reason(_) | Self::Ticket(_) => 2,
            Self::Approved(people, _) => 2_u32.saturating_add(small(people.len())),
            Self::Unapproved(_) | Self::Factor(_) | Self::Bound(_) => 3,
            Self::Alone | Self::OnCall(_) | Self::Unreviewed(_) => 4,
            Self::At(_) | Self::From(_) | Self::HeldBy(_) => 5,
            Self::Joined(_) | Self::Left(_) => 6,
            Self::Account(_) => 7,
            Self::Place(_) => 8,
        }
    }

    /// Whether this asks for something else instead.
    pub(super) const fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Account(_) | Self::Place(_))
    }

    /// What this is a difference in: two of a kind are never made together.
    pub(super) fn kind(&self) -> Discriminant<Self> {
        discriminant(self)
    }

    /// What follows "it would be permit": `for 1 h`.
    pub(super) fn words(&self, question: &Question) -> String {
        match self {
            Self::Lasting(duration) => format!("for {}", words(*duration)),
            Self::Reason(None) => "without a reason".to_owned(),
            Self::Reason(Some(_)) => "with a reason".to_owned(),
            Self::Ticket(None) => "without a ticket".to_owned(),
            Self::Ticket(Some(name)) => format!("with ticket {name:?}"),
            Self::Approved(_, who) => format!("approved by {who}"),
            Self::Unapproved(subject) => format!("without the approval of {}", subject.sub()),
            Self::Alone => "without any approval".to_owned(),
            Self::Factor(factor) => factor_words(*factor),
            Self::Bound(true) => "with a browser sign-in on this machine".to_owned(),
            Self::Bound(false) => "with a device-code sign-in".to_owned(),
            Self::OnCall(true) => "on call".to_owned(),
            Self::OnCall(false) => "off call".to_owned(),
            Self::Unreviewed(0) => "with every emergency access reviewed".to_owned(),
            Self::Unreviewed(1) => "with one emergency access not reviewed".to_owned(),
            Self::Unreviewed(count) => format!("with {count} emergency accesses not reviewed"),
            Self::At(moment) => format!("on {}", weekday_time(*moment)),
            Self::From(address) => format!("from {address}"),
            Self::Joined(group) => format!("in group {group}"),
            Self::Left(group) => format!("not in group {group}"),
            Self::HeldBy(subject) if *subject == question.who.subject => {
                "about what is their own".to_owned()
            }
            Self::HeldBy(_) => "about what is somebody else's".to_owned(),
            Self::Account(name) => format!("for account {name} alone"),
            Self::Place(name) => format!("in {name}"),
        }
    }
}

/// Bounded, for a sum of few.
const fn small(count: usize) -> u32 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 3,
    }
}

fn factor_words(factor: SecondFactor) -> String {
    let given = |age: Duration| match age {
        Duration::ZERO => "just given".to_owned(),
        age => format!("given {} ago", words(age)),
    };
    match factor {
        SecondFactor::None => "without a second factor".to_owned(),
        SecondFactor::Recovery(age) => format!("with a recovery code {}", given(age)),
        SecondFactor::Totp(age) => format!("with a TOTP code {}", given(age)),
    }
}
