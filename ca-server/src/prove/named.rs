//! What policies name: entities, and facts that they look at. Assumptions are made about these, and
//! a counterexample keeps to them.
//!
//! Reads Cedar's JSON form. Also finds what a proof cannot speak about: attributes of entities that
//! the authority does not supply.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

use crate::policy::Requirements;

/// Literals and facts in some policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Ids of `Account`s.
    pub(super) accounts: BTreeSet<String>,
    /// Ids of `Environment`s, those of accounts included.
    pub(super) environments: BTreeSet<String>,
    /// Ids of `Group`s.
    pub(super) groups: BTreeSet<String>,
    /// Ids of `User`s.
    pub(super) users: BTreeSet<String>,
    /// Texts that are compared with something.
    pub(super) texts: BTreeSet<String>,
    /// Attributes of the context.
    pub(super) facts: BTreeSet<String>,
    /// Attributes of the person and of the resource.
    pub(super) attributes: BTreeSet<String>,
}

/// Why a policy is beyond proofs, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beyond(pub(super) String);

impl Named {
    /// Adds what `policy` names.
    ///
    /// # Errors
    ///
    /// [`Beyond`] for one that reads an attribute of another entity than the person who asks and
    /// the resource. The authority supplies none (`Vocabulary::entities`), and Cedar's own analysis
    /// takes for granted that every entity has all of its attributes.
    pub(super) fn add(&mut self, policy: &Policy) -> Result<(), Beyond> {
        let json = policy.to_json().map_err(|e| Beyond(e.to_string()))?;
        self.collect(&json)?;
        for account in &self.accounts {
            let within = account.split_once('/').map(|(environment, _)| environment);
            self.environments.extend(within.map(str::to_owned));
        }
        Ok(())
    }

    /// Adds the groups that `requirements` have seats for.
    pub(super) fn seats(&mut self, requirements: &Requirements) {
        for seats in requirements.iter().flat_map(|(_, one)| one.seats()) {
            let groups = seats.into_iter().filter_map(|(_, group)| group);
            self.groups.extend(groups.map(str::to_owned));
        }
    }

    fn collect(&mut self, json: &Value) -> Result<(), Beyond> {
        match json {
            Value::Array(items) => items.iter().try_for_each(|item| self.collect(item)),
            Value::Object(fields) => {
                let text = |key| fields.get(key).and_then(Value::as_str);
                if let (Some(kind), Some(id)) = (text("type"), text("id")) {
                    self.entity(kind, id);
                }
                self.texts.extend(text("Value").map(str::to_owned));
                for key in [".", "has"] {
                    if let Some(read) = fields.get(key) {
                        self.read(read)?;
                    }
                }
                fields.values().try_for_each(|value| self.collect(value))
            }
            _ => Ok(()),
        }
    }

    fn entity(&mut self, kind: &str, id: &str) {
        let ids = match kind {
            "Account" => &mut self.accounts,
            "Environment" => &mut self.environments,
            "Group" => &mut self.groups,
            "User" => &mut self.users,
            _ => return,
        };
        ids.insert(id.to_owned());
    }

    /// `read` is `{left, attr}`, as of `left.attr` and `left has attr`.
    fn read(&mut self, read: &Value) -> Result<(), Beyond> {
        let Some(attribute) = read.get("attr").and_then(Value::as_str) else {
            return Ok(());
        };
        let known = match read.pointer("/left/Var").and_then(Value::as_str) {
            Some("context") => {
                self.facts.insert(attribute.to_owned());
                return Ok(());
            }
            Some("principal") => ["name", "issuer"].contains(&attribute),
            Some("resource") => attribute == "name",
            _ => false,
        };
        if known {
            self.attributes.insert(attribute.to_owned());
            return Ok(());
        }
        Err(Beyond(format!(
            "it reads the attribute {attribute:?} of something of which the authority supplies no \
             such attribute; only principal.name, principal.issuer and the name of an account are"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(condition: &str) -> Result<Named, Beyond> {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let mut named = Named::default();
        named.add(&text.parse().unwrap())?;
        Ok(named)
    }

    #[test]
    fn literals_and_facts_are_found_wherever_they_stand() {
        let found = named(
            "if context.on_call then resource in Environment::\"lab\" else \
             [Account::\"prod/root\"].contains(resource) && principal.name like \"a*\" && \
             context has reason && principal in [Group::\"sre\"] && context.mfa_kind == \"totp\"",
        )
        .unwrap();
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let expected = Named {
            accounts: set(&["prod/root"]),
            environments: set(&["lab", "prod"]),
            groups: set(&["sre"]),
            users: set(&[]),
            texts: set(&["totp"]),
            facts: set(&["mfa_kind", "on_call", "reason"]),
            attributes: set(&["name"]),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn attributes_that_nobody_supplies_are_beyond_proofs() {
        for condition in [
            "context has holder && context.holder.name == \"bob\"",
            "context has holder && context.holder has name",
            "User::\"x\".name == \"bob\"",
            "principal has manager",
            "(if context.on_call then principal else context.holder).name == \"bob\"",
        ] {
            assert!(named(condition).is_err(), "{condition}");
        }
        assert!(named("context has holder && context.holder == principal").is_ok());
    }
}
