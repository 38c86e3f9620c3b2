//! Whom and what the command is about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;

use super::Who;
use crate::access::OnCall;
use crate::command::policy::PolicySetting;
use crate::directory::Directory;
use crate::policy::{Action, On};
use crate::reach::{Acquaintance, Actor, Limits, OTHER_ACCOUNT, Survey, Target};

/// What bounds every answer, from the configuration.
pub(super) fn limits(setting: &PolicySetting, moment: Option<Timestamp>) -> Limits {
    let mut limits = Limits::none(moment.unwrap_or(setting.now));
    if let Some(config) = &setting.config {
        limits.session = Duration::from_hours(config.session_hours.into());
        let ceilings = config.environments.iter().map(|(name, environment)| {
            let seconds = environment.profile.max_duration_seconds.get();
            (name.clone(), Duration::from_secs(seconds.into()))
        });
        limits.ceilings = ceilings.collect();
    }
    limits
}

/// Where people, groups and accounts are known from.
pub(super) struct Sources<'a> {
    pub(super) setting: &'a PolicySetting,
    pub(super) directory: Option<&'a Directory>,
    /// One for each set of policies.
    pub(super) surveys: Vec<&'a Survey<'a>>,
}

/// Whom and what to ask about.
pub(super) struct Selection {
    pub(super) actors: Vec<Actor>,
    pub(super) targets: Vec<Target>,
    /// Who is on call now, where that is known.
    pub(super) on_call: Option<OnCall>,
    /// How the answer is to be sorted.
    pub(super) view: View,
    /// What was looked at, and what was not, in sentences.
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Places,
    Actors,
    Policies,
}

impl Selection {
    /// # Errors
    ///
    /// What is asked for that does not exist.
    pub(super) fn new(asked: &Who, sources: &Sources<'_>) -> Result<Self, String> {
        let by_name = !asked.people.is_empty() || !asked.groups.is_empty();
        let config = sources.setting.config.as_deref();
        Ok(Self {
            targets: sources.targets(asked)?,
            actors: if by_name {
                sources.asked_for(asked)?
            } else {
                sources.everybody()?
            },
            on_call: config.map(|config| OnCall {
                users: config.on_call.users.clone(),
                groups: config.on_call.groups.clone(),
            }),
            view: match (by_name, asked.thanks_to.is_empty()) {
                (true, _) => View::Actors,
                (false, true) => View::Places,
                (false, false) => View::Policies,
            },
            notes: sources.notes(asked),
        })
    }
}

impl Sources<'_> {
    fn targets(&self, asked: &Who) -> Result<Vec<Target>, String> {
        let mut accounts = self.accounts();
        let named = asked.accounts.iter().map(|(environment, _)| environment);
        for environment in named.chain(&asked.environments) {
            if self.setting.accounts.is_some() && !accounts.contains_key(environment) {
                let known: Vec<&str> = accounts.keys().map(Environment::as_str).collect();
                let (name, known) = (environment.as_str(), known.join(", "));
                return Err(format!(
                    "there is no environment {name:?} (there are: {known})"
                ));
            }
            accounts.entry(environment.clone()).or_default();
        }
        for (environment, name) in &asked.accounts {
            if name.as_str() != OTHER_ACCOUNT {
                accounts
                    .entry(environment.clone())
                    .or_default()
                    .insert(name.clone());
            }
        }
        let wanted = |target: &Target| {
            let account = |(environment, name): &(Environment, Principal)| match &target.on {
                On::Accounts {
                    environment: here,
                    principals,
                } => here == environment && principals.contains(name),
                _ => false,
            };
            let here = |environment: &Environment| target.on.environment() == Some(environment);
            (asked.actions.is_empty() || asked.actions.contains(&target.action))
                && (asked.accounts.is_empty() || asked.accounts.iter().any(account))
                && (asked.environments.is_empty() || asked.environments.iter().any(here))
        };
        let targets: Vec<Target> = Target::all(&accounts).into_iter().filter(wanted).collect();
        if targets.is_empty() {
            let actions: Vec<&str> = asked.actions.iter().map(|action| action.name()).collect();
            return Err(format!(
                "nothing is both: --account and --environment leave nothing that {} is done to",
                actions.join(" or ")
            ));
        }
        Ok(targets)
    }

    /// Accounts of the configuration, and those that policies name in its environments.
    fn accounts(&self) -> BTreeMap<Environment, BTreeSet<Principal>> {
        let mut found: BTreeMap<Environment, BTreeSet<Principal>> = BTreeMap::new();
        for (environment, names) in self.setting.accounts.iter().flatten() {
            found
                .entry(environment.clone())
                .or_default()
                .extend(names.iter().cloned());
        }
        if let Some(config) = &self.setting.config {
            for (name, environment) in &config.environments {
                let names = environment.default_principals.as_slice().iter().cloned();
                found.entry(name.clone()).or_default().extend(names);
            }
        }
        for (environment, names) in self.surveys.iter().flat_map(|survey| survey.accounts()) {
            if self.setting.accounts.is_none() || found.contains_key(&environment) {
                found.entry(environment).or_default().extend(names);
            }
        }
        found
    }

    fn asked_for(&self, asked: &Who) -> Result<Vec<Actor>, String> {
        let mut actors = Vec::new();
        for name in &asked.people {
            let directory = self.directory.into_iter();
            let seen = directory.flat_map(|directory| directory.called(name));
            let before = actors.len();
            actors.extend(seen.map(|(subject, known)| Actor::from_log(subject, known)));
            let mut users = self.surveys.iter().flat_map(|survey| survey.users());
            if actors.len() == before {
                let named = users.find(|user| user == name);
                let named = named.and_then(|user| Actor::named(&user));
                actors.push(named.ok_or_else(|| self.unknown(name))?);
            }
        }
        if !asked.groups.is_empty() {
            actors.extend(self.anyone(asked.groups.iter().cloned().collect())?);
        }
        Ok(actors)
    }

    fn unknown(&self, name: &str) -> String {
        let count = self
            .directory
            .map_or(0, |directory| directory.people().count());
        format!(
            "nobody called {name:?} has signed in (the log knows {count} people)\n\
             hint: ask about a group: --group NAME"
        )
    }

    /// Everybody who signed in or whom a policy names, anybody, and anyone in each group that a
    /// policy names.
    fn everybody(&self) -> Result<Vec<Actor>, String> {
        let mut actors: Vec<Actor> = self.directory.into_iter().flat_map(Actor::seen).collect();
        let users: BTreeSet<String> = self
            .surveys
            .iter()
            .flat_map(|survey| survey.users())
            .collect();
        for actor in users.iter().filter_map(|user| Actor::named(user)) {
            if actors
                .iter()
                .all(|known| known.who.subject != actor.who.subject)
            {
                actors.push(actor);
            }
        }
        actors.extend(self.anyone(BTreeSet::new())?);
        for group in self.named_groups() {
            actors.extend(self.anyone(BTreeSet::from([group]))?);
        }
        Ok(actors)
    }

    fn named_groups(&self) -> BTreeSet<String> {
        self.surveys
            .iter()
            .flat_map(|survey| survey.groups())
            .collect()
    }

    /// Anyone in these groups; at each issuer where policies tell issuers apart.
    fn anyone(&self, groups: BTreeSet<String>) -> Result<Vec<Actor>, String> {
        let config = self.setting.config.iter();
        let issuers = config.flat_map(|config| &config.issuers);
        let mut issuers: Vec<Option<&str>> =
            issuers.map(|issuer| Some(issuer.issuer.as_str())).collect();
        if !self.surveys.iter().any(|survey| survey.looks_at_identity()) {
            issuers.truncate(1);
        }
        if issuers.is_empty() {
            issuers.push(None);
        }
        let anyone =
            |issuer| Actor::anyone(groups.clone(), issuer).map_err(|error| error.to_string());
        issuers.into_iter().map(anyone).collect()
    }

    /// What was looked at and what is missing.
    fn notes(&self, asked: &Who) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(directory) = self.directory else {
            if asked.groups.is_empty() {
                notes.push(
                    "no log was read, so this is about groups only (name the CA with --dir DIR or \
                     --config FILE to see people)"
                        .to_owned(),
                );
            }
            return notes;
        };
        let people = directory.people().count();
        let records = directory.records();
        notes.push(format!(
            "{people} people signed in, by the {records} records of the log"
        ));
        if directory.erased() > 0 {
            let erased = directory.erased();
            notes.push(format!(
                "{erased} sign-ins were erased: people may be missing"
            ));
        }
        if directory.left_out() > 0 {
            let left_out = directory.left_out();
            notes.push(format!(
                "{left_out} sign-ins found no room: people are missing"
            ));
        }
        if !directory.offline().is_empty() {
            let names: Vec<String> = directory
                .offline()
                .keys()
                .map(ToString::to_string)
                .collect();
            notes.push(format!(
                "certificates were signed offline for: {}",
                names.join(", ")
            ));
        }
        let named = self.named_groups();
        let idle = directory.groups().difference(&named).count();
        if idle > 0 {
            notes.push(format!(
                "{idle} groups of the log are named by no policy and give nothing beyond what \
                 anybody gets"
            ));
        }
        notes
    }
}

impl Selection {
    /// Whether this actor is on call now, where that is known of them.
    pub(super) fn is_on_call(&self, actor: &Actor) -> Option<bool> {
        let on_call = self.on_call.as_ref()?;
        matches!(actor.known, Acquaintance::Seen(_))
            .then(|| on_call.includes(&actor.who.name, &actor.who.groups))
    }

    /// Names that more than one of the people have.
    pub(super) fn ambiguous(&self) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let people = self.actors.iter();
        let people = people.filter(|actor| actor.known != Acquaintance::Anyone);
        let again = people.map(|actor| actor.who.name.to_string());
        again.filter(|name| !seen.insert(name.clone())).collect()
    }

    /// Actions among the targets at this place.
    pub(super) fn actions_at(&self, place: &str) -> BTreeSet<Action> {
        let here = self.targets.iter().filter(|target| target.place() == place);
        here.map(|target| target.action).collect()
    }
}
