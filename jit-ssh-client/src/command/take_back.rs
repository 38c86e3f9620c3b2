//! Taking certificates out of the agent and the files here, and saying what that left behind.
//!
//! Deliberately asks nobody but the agent: it works without the CA and without a session.

use std::collections::BTreeSet;

use ca_core::api::ProblemType;
use ca_core::name::Environment;
use ca_core::time::Timestamp;

use crate::agent::{Agent, AgentError};
use crate::ca::Ca;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::grant::{self, Grant};
use crate::ledger::{Entry, Ledger};
use crate::pins::Pins;
use crate::session::Session;
use crate::span;
use crate::terminal::plain;

/// What was taken, and what was not.
#[derive(Debug)]
pub(super) struct Taken {
    /// Everything given back here that is not over yet.
    pub(super) ledger: Ledger,
    /// The environment it was about; none for all.
    wanted: Option<Environment>,
    /// Why the agent could not be asked.
    away: Option<String>,
}

/// Takes our certificates of `wanted` (all for none) out of agent and files, and notes them.
///
/// # Errors
///
/// A [`Failure`] when a file cannot be written or removed. An agent that is away is none: see
/// [`Taken::left_in_agent`].
pub(super) fn take_back(
    ca: &Ca,
    pins: &Pins,
    wanted: Option<&Environment>,
) -> Result<Taken, Failure> {
    let now = clock::now();
    let connected = Agent::connect().and_then(|mut agent| agent.list().map(|_| agent));
    let (mut agent, mut away) = match connected {
        Ok(agent) => (Some(agent), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let mut live = grant::prune(&ca.config, pins, agent.as_mut(), now)?;
    let mut ledger = Ledger::load(&ca.config, now)?;
    let meant = |grant: &Grant| wanted.is_none_or(|name| *name == grant.environment);
    live.retain(meant);
    // What was written counts too: the agent may be away or locked and still hold the key.
    let mut unseen = grant::written(&ca.config, pins)?;
    unseen.retain(|grant| {
        let serial = grant.certificate.serial;
        let seen = live.iter().any(|held| held.certificate.serial == serial);
        meant(grant) && !grant.is_over(now) && !ledger.is_revoked(serial) && !seen
    });
    let suspicious = !unseen.is_empty() || ledger.of(wanted).any(|entry| entry.in_agent);
    if suspicious && let Some(agent) = agent.as_mut() {
        // A locked agent lists nothing.
        away = match agent.probe(false, now) {
            Ok(()) | Err(AgentError::RefusesConstraint { .. }) => None,
            Err(error) => Some(error.to_string()),
        };
    }
    if away.is_none() {
        ledger.agent_is_clean(wanted);
    }
    for grant in &live {
        ledger.note(grant, false);
    }
    for grant in &unseen {
        ledger.note(grant, away.is_some());
    }
    ledger.save(&ca.config)?;
    if let Some(agent) = agent.as_mut() {
        grant::remove_from_agent(agent, pins, wanted)?;
    }
    for grant in live.iter().chain(&unseen) {
        grant::remove_files(&ca.config, &grant.environment)?;
    }
    Ok(Taken {
        ledger,
        wanted: wanted.cloned(),
        away,
    })
}

impl Taken {
    /// What was given back and is not known to be revoked.
    pub(super) fn unrevoked(&self) -> impl Iterator<Item = &Entry> {
        let all = self.ledger.of(self.wanted.as_ref());
        all.filter(|entry| !entry.revoked)
    }

    /// Where something of `user` still has to be revoked.
    pub(super) fn environments_of(&self, user: &str) -> BTreeSet<Environment> {
        let own = self.unrevoked().filter(|entry| entry.user == user);
        own.filter_map(|entry| entry.environment.clone()).collect()
    }

    /// Whether something in `environment` stays in the agent, or is somebody else's than `user`'s.
    pub(super) fn is_left(&self, environment: &Environment, user: &str) -> bool {
        let mut all = self.ledger.of(Some(environment));
        all.any(|entry| entry.in_agent || (!entry.revoked && entry.user != user))
    }

    /// The failure that certificates are not revoked, because the session is somebody else's.
    pub(super) fn not_revoked(&self, session: &Session, now: Timestamp) -> Option<Failure> {
        let first = self.unrevoked().next()?;
        let environment = first.environment.as_ref()?;
        let user = plain(&first.user);
        let mut failure: Option<Failure> = None;
        for entry in self.unrevoked() {
            let text = format!(
                "{} (serial {}) NOT revoked: it is {}'s; valid until {}",
                entry.environment.as_ref()?,
                entry.serial,
                plain(&entry.user),
                span::clock_time(entry.end, now)
            );
            failure = Some(match failure {
                None => Failure::new(Exit::NotAuthenticated, text),
                Some(failure) => failure.line(text),
            });
        }
        let failure = failure?.line(format!("the open session is {}'s", session.user));
        Some(failure.hint(format!(
            "to revoke it: jit-ssh login {environment} --login-hint {user}, then jit-ssh done {environment}"
        )))
    }

    /// The failure that keys are revoked, but may be in an agent that could not be asked.
    pub(super) fn left_in_agent(&self, now: Timestamp) -> Option<Failure> {
        let why = self.away.as_ref()?;
        let mut left = self.ledger.of(self.wanted.as_ref());
        let left: Vec<&Entry> = left.by_ref().filter(|entry| entry.in_agent).collect();
        let end = left.iter().map(|entry| entry.end).max()?;
        let names: BTreeSet<String> = left
            .iter()
            .filter_map(|entry| entry.environment.as_ref().map(ToString::to_string))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let failure = Failure::local(format!(
            "{}: revoked at the CA, but its key could not be taken out of the agent ({why}); \
             hosts that fetch no revocations accept it until {}",
            names.join(", "),
            span::clock_time(end, now)
        ));
        Some(failure.hint(format!(
            "run where the agent is: jit-ssh done{}",
            self.wanted
                .as_ref()
                .map_or(String::new(), |name| format!(" {name}"))
        )))
    }

    /// `failure` with what it leaves behind.
    pub(super) fn explain(&self, mut failure: Failure, now: Timestamp) -> Failure {
        let mut names = BTreeSet::new();
        for entry in self.unrevoked() {
            let Some(environment) = &entry.environment else {
                continue;
            };
            names.insert(environment.to_string());
            let place = match &self.away {
                Some(why) if entry.in_agent => format!("may still be in the agent ({why})"),
                _ => "is out of the agent here".to_owned(),
            };
            failure = failure.line(format!(
                "the {environment} certificate (serial {}) {place}, but stays valid until {}",
                entry.serial,
                span::clock_time(entry.end, now)
            ));
        }
        let name = match (names.len(), names.first()) {
            (1, Some(only)) => only.as_str(),
            _ => "ENV",
        };
        let kind = failure.problem.as_ref().map(|problem| problem.kind);
        if failure.exit == Exit::NotAuthenticated || kind == Some(ProblemType::SessionRequired) {
            failure.hints.clear();
            return failure.hint(format!(
                "to revoke it, sign in again: jit-ssh login {name} --fresh, then jit-ssh done {name}"
            ));
        }
        if names.is_empty() {
            return failure;
        }
        failure.hint(format!(
            "to revoke it, run jit-ssh done {name} again when the CA is back"
        ))
    }
}
