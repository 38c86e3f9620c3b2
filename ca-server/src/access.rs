//! May this person have this, now? Policy decides, the environment's ceiling holds whatever policy
//! says, and what comes out is a [`Grant`], which nothing else can make.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ca_core::certificate::options::Options;
use ca_core::certificate::principals::Principals;
use ca_core::digest::Digest;
use ca_core::event::{Asked, Judged, Person};
use ca_core::name::UserName;
use ca_core::time::Timestamp;

use crate::authn::session::Actor;
use crate::environment::EnvironmentRules;
use crate::policy::{self, Action, Decision, Denial, Facts, On, PolicySet, Question, SecondFactor};

pub mod request;
#[cfg(test)]
mod tests;
pub mod vote;

/// Why a session that was opened with a break-glass key gets nothing else. Policy is not asked then,
/// which records tell by this sentence.
pub const BREAK_GLASS_ONLY: &str =
    "this session is good for break-glass only; sign in as usual for everything else";

/// Who is on call, by configuration.
#[derive(Clone, Debug, Default)]
pub struct OnCall {
    /// By user name.
    pub users: BTreeSet<UserName>,
    /// By group.
    pub groups: BTreeSet<String>,
}

impl OnCall {
    /// Whether this person is.
    #[must_use]
    pub fn includes(&self, user: &UserName, groups: &BTreeSet<String>) -> bool {
        self.users.contains(user) || !self.groups.is_disjoint(groups)
    }

    /// Whether the actor is.
    #[must_use]
    pub fn has(&self, actor: &Actor) -> bool {
        self.includes(&actor.person().user, actor.groups())
    }
}

/// What somebody wants, parsed. The environment is the rules' own.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Login names.
    pub principals: Principals,
    /// Length of the window.
    pub duration: Duration,
    /// Options, at least as tight as the profile.
    pub options: Options,
    /// Why.
    pub reason: Option<String>,
    /// Ticket of another system.
    pub ticket: Option<String>,
    /// The window must not begin earlier.
    pub not_before: Option<Timestamp>,
    /// Client address.
    pub source: IpAddr,
}

/// On what a grant rests besides policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: policy permits it at once.
    #[default]
    Routine,
    /// An access request, whose number this is, and those whose approvals counted.
    Request {
        /// Number of its record.
        number: u64,
        /// Who approved.
        approvers: Vec<Person>,
    },
    /// An emergency, to be reviewed afterwards.
    BreakGlass,
}

/// What policy allowed. Made only by this module: [`grant`], [`break_glass`], [`request::activate`].
#[derive(Clone, Debug)]
pub struct Grant {
    person: Person,
    session: Digest,
    wish: Wish,
    asked: Asked,
    policies: BTreeSet<String>,
    policy_digest: Digest,
    basis: Basis,
}

/// A no, with the question that it answers.
#[derive(Clone, Debug)]
pub struct Denied {
    /// Reasons; hints are computed by whoever tells the person.
    pub denial: Denial,
    /// What was asked, to compute hints from.
    pub question: Question,
    /// For the record.
    pub asked: Asked,
    /// What was wished.
    pub wish: Wish,
}

/// Decides.
///
/// # Errors
///
/// [`Denied`] when policy does not permit all of it. The ceiling of the environment was checked
/// when the wish was parsed and is checked again by the lint.
pub fn grant(
    actor: &Actor,
    wish: Wish,
    (rules, policies): (&EnvironmentRules, &PolicySet),
    on_call: bool,
    now: Timestamp,
) -> Result<Grant, Box<Denied>> {
    let question = question(actor, &wish, rules, on_call, now);
    granted(actor, wish, (rules, policies), question, Basis::Routine)
}

/// Decides on emergency access, which nobody approves beforehand. `unreviewed` is how many earlier
/// emergencies of this person nobody has judged yet.
///
/// # Errors
///
/// [`Denied`] when policy does not let this person break glass for all of it.
pub fn break_glass(
    actor: &Actor,
    wish: Wish,
    (rules, policies): (&EnvironmentRules, &PolicySet),
    (on_call, unreviewed): (bool, u64),
    now: Timestamp,
) -> Result<Grant, Box<Denied>> {
    let mut question = question(actor, &wish, rules, on_call, now);
    question.action = Action::BreakGlass;
    question.facts.unreviewed = unreviewed;
    granted(actor, wish, (rules, policies), question, Basis::BreakGlass)
}

fn granted(
    actor: &Actor,
    wish: Wish,
    (rules, policies): (&EnvironmentRules, &PolicySet),
    question: Question,
    basis: Basis,
) -> Result<Grant, Box<Denied>> {
    let mut asked = asked(actor, &wish, rules, question.facts.on_call);
    if basis == Basis::BreakGlass {
        asked.unreviewed = Some(question.facts.unreviewed);
    }
    if actor.is_break_glass() && basis != Basis::BreakGlass {
        let denial = Denial::because(BREAK_GLASS_ONLY);
        return Err(Box::new(Denied {
            denial,
            question,
            asked,
            wish,
        }));
    }
    match policy::ask(policies, &question) {
        Decision::Permit {
            policies: permitting,
        } => Ok(Grant {
            person: actor.person().clone(),
            session: actor.session(),
            wish,
            asked,
            policies: permitting,
            policy_digest: Digest::from_bytes(policies.digest()),
            basis,
        }),
        Decision::Deny(denial) => Err(Box::new(Denied {
            denial,
            question,
            asked,
            wish,
        })),
    }
}

fn question(
    actor: &Actor,
    wish: &Wish,
    rules: &EnvironmentRules,
    on_call: bool,
    now: Timestamp,
) -> Question {
    Question {
        who: who(actor),
        action: Action::Login,
        on: On::Accounts {
            environment: rules.name.clone(),
            principals: wish.principals.as_slice().to_vec(),
        },
        facts: Facts {
            duration: wish.duration,
            reason: wish.reason.clone(),
            ticket: wish.ticket.clone(),
            ..facts(actor, wish.source, on_call, now)
        },
    }
}

/// The actor as policy sees people.
#[must_use]
pub fn who(actor: &Actor) -> policy::Person {
    policy::Person {
        name: actor.person().user.clone(),
        subject: actor.person().subject.clone(),
        groups: actor.groups().clone(),
    }
}

/// The facts about an actor that hold for every question.
#[must_use]
pub fn facts(actor: &Actor, source: IpAddr, on_call: bool, now: Timestamp) -> Facts {
    use ca_core::api::SecondFactor as Shown;
    let second_factor = match actor.second_factor() {
        Shown::RecoveryCode => SecondFactor::Recovery(actor.mfa_age()),
        Shown::Totp => SecondFactor::Totp(actor.mfa_age()),
    };
    Facts {
        duration: Duration::ZERO,
        second_factor,
        token_bound: actor.token_bound(),
        approvals: Vec::new(),
        source,
        now,
        reason: None,
        ticket: None,
        on_call,
        unreviewed: 0,
        holder: None,
    }
}

fn asked(actor: &Actor, wish: &Wish, rules: &EnvironmentRules, on_call: bool) -> Asked {
    Asked {
        environment: rules.name.clone(),
        principals: wish.principals.as_slice().to_vec(),
        duration_seconds: wish.duration.as_secs(),
        groups: actor.groups().clone(),
        mfa_age_seconds: actor.mfa_age().as_secs(),
        second_factor: actor.second_factor(),
        token_bound: actor.token_bound(),
        on_call,
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
        unreviewed: None,
        source: wish.source,
    }
}

/// How policy judged `question` of the actor's, for the record.
#[must_use]
pub fn judged(
    (actor, question): (&Actor, &Question),
    (deciding, policies): (BTreeSet<String>, &PolicySet),
) -> Judged {
    let mut judged = Judged {
        groups: actor.groups().clone(),
        mfa_age_seconds: actor.mfa_age().as_secs(),
        second_factor: actor.second_factor(),
        token_bound: actor.token_bound(),
        on_call: question.facts.on_call,
        holder: question.facts.holder.clone(),
        environments: BTreeMap::new(),
        policies: Vec::new(),
        policy_digest: Digest::from_bytes(policies.digest()),
    };
    let deciding = deciding.into_iter().collect();
    match &question.on {
        On::Environment(name) => {
            judged.environments.insert(name.clone(), deciding);
        }
        On::Accounts { .. } | On::Authority => judged.policies = deciding,
    }
    judged
}

impl Grant {
    /// Who gets it.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.person
    }

    /// Through which session.
    #[must_use]
    pub const fn session(&self) -> Digest {
        self.session
    }

    /// What was wished, all of it granted.
    #[must_use]
    pub const fn wish(&self) -> &Wish {
        &self.wish
    }

    /// The facts of the decision.
    #[must_use]
    pub const fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Policies that permitted it.
    #[must_use]
    pub const fn policies(&self) -> &BTreeSet<String> {
        &self.policies
    }

    /// On what it rests besides policy.
    #[must_use]
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Digest of the set that decided.
    #[must_use]
    pub const fn policy_digest(&self) -> Digest {
        self.policy_digest
    }
}
