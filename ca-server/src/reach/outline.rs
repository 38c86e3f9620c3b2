//! What a policy is about at first sight: its scope, and the names and facts that it mentions.
//!
//! Never says what a condition means. A policy whose scope excludes a question cannot bear on it,
//! and a fact that no policy mentions cannot change an answer: such questions need not be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ca_core::name::{Environment, Principal, Subject};
use ca_core::time::Timestamp;
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};
use ipnet::IpNet;
use serde_json::Value;

use super::Target;
use crate::policy::{Action, On, Person};

/// Literals of one kind that are looked at.
const LITERALS_MAX: usize = 16;

/// One policy.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    id: String,
    permits: bool,
    who: Scope,
    actions: Option<BTreeSet<String>>,
    on: Scope,
    mentions: Mentions,
}

/// Type and id of an entity, or nothing in particular.
#[derive(Clone, Debug)]
enum Scope {
    Any,
    Is(String, String),
    In(String, String),
}

/// What a policy mentions, or some policies together.
#[derive(Clone, Debug, Default)]
pub(super) struct Mentions {
    /// Attributes of the context.
    pub(super) facts: BTreeSet<String>,
    /// The context is looked at as a whole: all of its attributes.
    pub(super) everything: bool,
    pub(super) groups: BTreeSet<String>,
    /// Ids of users: `issuer#sub`.
    pub(super) users: BTreeSet<String>,
    /// Name or issuer of whoever asks are looked at.
    pub(super) identity: bool,
    /// Ids of accounts: `prod/root`.
    pub(super) accounts: BTreeSet<String>,
    pub(super) environments: BTreeSet<String>,
    pub(super) ranges: BTreeSet<IpNet>,
    /// `isLoopback` and `isMulticast`.
    pub(super) kinds_of_address: BTreeSet<String>,
    pub(super) moments: BTreeSet<Timestamp>,
    /// For `reason` and `ticket`: patterns as written, and a text that fits each.
    pub(super) texts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Outline {
    pub(super) fn of(policy: &Policy) -> Self {
        let mut mentions = Mentions::default();
        match policy.to_json() {
            Ok(json) => mentions.read(&json),
            // Never in practice; then everything may matter.
            Err(_) => {
                mentions.everything = true;
                mentions.identity = true;
            }
        }
        let name = |uid: &EntityUid| {
            let id = uid.id().unescaped().to_owned();
            (uid.type_name().basename().to_owned(), id)
        };
        let is = |uid| {
            let (kind, id) = name(uid);
            Scope::Is(kind, id)
        };
        let within = |uid| {
            let (kind, id) = name(uid);
            Scope::In(kind, id)
        };
        Self {
            id: policy.id().to_string(),
            permits: policy.effect() == Effect::Permit,
            who: match &policy.principal_constraint() {
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Scope::Any,
                PrincipalConstraint::Eq(uid) => is(uid),
                PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => within(uid),
            },
            actions: match policy.action_constraint() {
                ActionConstraint::Any => None,
                ActionConstraint::Eq(uid) => Some(BTreeSet::from([name(&uid).1])),
                ActionConstraint::In(uids) => Some(uids.iter().map(|uid| name(uid).1).collect()),
            },
            on: match &policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::Is(_) => Scope::Any,
                ResourceConstraint::Eq(uid) => is(uid),
                ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => within(uid),
            },
            mentions,
        }
    }

    pub(super) const fn mentions(&self) -> &Mentions {
        &self.mentions
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn permits(&self) -> bool {
        self.permits
    }

    /// Whether its scope lets it bear on `target`, whoever asks.
    pub(super) fn is_about(&self, target: &Target) -> bool {
        // A name that is no action of ours is a group of actions.
        let foreign = |name: &String| Action::ALL.iter().all(|action| action.name() != name);
        let action = self
            .actions
            .as_ref()
            .is_none_or(|named| named.contains(target.action.name()) || named.iter().any(foreign));
        action
            && match &self.on {
                Scope::Any => true,
                Scope::Is(kind, id) => resource(&target.on) == (kind.as_str(), id.clone()),
                Scope::In(kind, id) => {
                    let environment = target.on.environment().map(Environment::as_str);
                    resource(&target.on) == (kind.as_str(), id.clone())
                        || (kind == "Environment" && environment == Some(id))
                }
            }
    }

    /// Whether its scope lets it bear on `who`.
    pub(super) fn may_be_about(&self, who: &Person) -> bool {
        match &self.who {
            Scope::Any => true,
            Scope::Is(_, id) => who.subject.to_string() == *id,
            Scope::In(_, id) => who.groups.contains(id) || who.subject.to_string() == *id,
        }
    }
}

/// Type and id of the one resource of a target.
fn resource(on: &On) -> (&'static str, String) {
    match on {
        On::Accounts {
            environment,
            principals,
        } => {
            let name = principals.first().map_or("", Principal::as_str);
            ("Account", format!("{environment}/{name}"))
        }
        On::Environment(name) => ("Environment", name.to_string()),
        On::Authority => ("Authority", "jit-ssh".to_owned()),
    }
}

impl Mentions {
    /// Both together.
    pub(super) fn add(&mut self, other: &Self) {
        self.facts.extend(other.facts.iter().cloned());
        self.everything |= other.everything;
        self.groups.extend(other.groups.iter().cloned());
        self.users.extend(other.users.iter().cloned());
        self.identity |= other.identity;
        self.accounts.extend(other.accounts.iter().cloned());
        self.environments.extend(other.environments.iter().cloned());
        self.ranges.extend(other.ranges.iter().copied());
        self.kinds_of_address
            .extend(other.kinds_of_address.iter().cloned());
        self.moments.extend(other.moments.iter().copied());
        for (name, texts) in &other.texts {
            let known = self.texts.entry(name.clone()).or_default();
            known.extend(texts.iter().map(|(a, b)| (a.clone(), b.clone())));
        }
    }

    /// Whether the answer may depend on one of these facts.
    pub(super) fn any(&self, names: &[&str]) -> bool {
        self.everything || names.iter().any(|name| self.facts.contains(*name))
    }

    /// Whether `subject` is told apart from other people of the same groups.
    pub(super) fn singles_out(&self, subject: &Subject) -> bool {
        self.identity || self.users.contains(&subject.to_string())
    }

    fn read(&mut self, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Object(fields) => {
                self.entity(json);
                for (name, value) in fields {
                    self.named(name, value);
                }
            }
            _ => {}
        }
    }

    fn named(&mut self, name: &str, value: &Value) {
        match name {
            "." | "has" => {
                let attr = value.get("attr").and_then(Value::as_str).unwrap_or("");
                match value.pointer("/left/Var").and_then(Value::as_str) {
                    Some("context") => {
                        self.facts.insert(attr.to_owned());
                        return;
                    }
                    Some("principal") => self.identity = true,
                    _ => {}
                }
            }
            "Var" if value == "context" => self.everything = true,
            "like" => self.pattern(value),
            "==" => self.equal(value),
            "ip" => self.ranges.extend(argument(value).and_then(range)),
            "datetime" => self.moments.extend(argument(value).and_then(moment)),
            "isLoopback" | "isMulticast" => {
                self.kinds_of_address.insert(name.to_owned());
            }
            _ => {}
        }
        self.read(value);
    }

    fn entity(&mut self, json: &Value) {
        let text = |key| json.get(key).and_then(Value::as_str);
        let (Some(kind), Some(id)) = (text("type"), text("id")) else {
            return;
        };
        let names = match kind {
            "Group" => &mut self.groups,
            "User" => &mut self.users,
            "Account" => &mut self.accounts,
            "Environment" => &mut self.environments,
            _ => return,
        };
        names.insert(id.to_owned());
    }

    fn pattern(&mut self, value: &Value) {
        let Some(parts) = value.get("pattern").and_then(Value::as_array) else {
            return;
        };
        let (mut written, mut example) = (String::new(), String::new());
        for part in parts {
            match part.get("Literal").and_then(Value::as_str) {
                Some(literal) => {
                    written.push_str(literal);
                    example.push_str(literal);
                }
                None => {
                    written.push('*');
                    example.push('1');
                }
            }
        }
        self.text(value.get("left"), written, example);
    }

    fn equal(&mut self, value: &Value) {
        let literal = |side| value.pointer(side).and_then(Value::as_str);
        for (one, other) in [("left", "/right/Value"), ("right", "/left/Value")] {
            if let Some(text) = literal(other) {
                self.text(value.get(one), text.to_owned(), text.to_owned());
            }
        }
    }

    fn text(&mut self, of: Option<&Value>, written: String, example: String) {
        let attr = of.and_then(|of| of.pointer("/./attr")?.as_str());
        let Some(name @ ("reason" | "ticket")) = attr else {
            return;
        };
        let known = self.texts.entry(name.to_owned()).or_default();
        if known.len() < LITERALS_MAX {
            known.insert(written, example);
        }
    }
}

/// The literal that a function is called with.
fn argument(value: &Value) -> Option<&str> {
    value.pointer("/0/Value").and_then(Value::as_str)
}

fn range(text: &str) -> Option<IpNet> {
    let one = || text.parse().ok().map(|address: IpAddr| address.into());
    text.parse().ok().or_else(one)
}

/// A time as Cedar writes them: a date alone is its midnight.
fn moment(text: &str) -> Option<Timestamp> {
    let midnight = || format!("{text}T00:00:00Z").parse().ok();
    text.parse().ok().or_else(midnight)
}
