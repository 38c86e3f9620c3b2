//! Which policies can matter for an action in an environment.
//!
//! Cedar looks at every policy of the set it is given. A policy whose scope names one environment,
//! one account or some actions can never apply elsewhere, so it is left out there. Only the scope is
//! read, never a condition: leaving one out can not change a decision.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ca_core::name::Environment;
use cedar_policy as cedar;
use cedar_policy::{ActionConstraint, Effect, Policy, ResourceConstraint};

use super::memo::Reader;
use super::mention::Mentions;
use super::question::Action;
use super::request::Vocabulary;

/// The policies for one action in one environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) policies: cedar::PolicySet,
    /// What each of them looks at.
    pub(super) readers: Vec<Arc<Reader>>,
    /// Groups that they name.
    pub(super) groups: BTreeSet<String>,
    /// Groups that a condition looks for among the approvers.
    pub(super) approver_groups: BTreeSet<String>,
    /// Requirements that a condition asks for.
    pub(super) requirements: BTreeSet<String>,
    /// Those of them that a permit asks for.
    pub(super) permits_with: BTreeSet<String>,
}

/// Cells by action and environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    elsewhere: BTreeMap<Action, Cell>,
    environments: HashMap<String, BTreeMap<Action, Cell>>,
}

/// A policy with what its scope and conditions name.
struct Scoped<'a> {
    policy: &'a Policy,
    environment: Option<String>,
    mentions: Mentions,
    reader: Arc<Reader>,
}

impl Index {
    /// The index over `policies`, whose ids are distinct.
    ///
    /// # Errors
    ///
    /// Cedar's, if two policies have one id.
    pub(super) fn new(
        policies: &[Policy],
        vocabulary: &Vocabulary,
    ) -> Result<Self, Box<cedar::PolicySetError>> {
        let scoped = |policy| Scoped {
            policy,
            environment: environment_named(policy),
            mentions: Mentions::of(policy),
            reader: Arc::new(Reader::of(policy)),
        };
        let scoped: Vec<Scoped<'_>> = policies.iter().map(scoped).collect();
        let names: BTreeSet<&String> = scoped
            .iter()
            .filter_map(|s| s.environment.as_ref())
            .collect();
        let mut index = Self {
            elsewhere: row(&scoped, None, vocabulary)?,
            environments: HashMap::new(),
        };
        for name in names {
            let cells = row(&scoped, Some(name), vocabulary)?;
            index.environments.insert(name.clone(), cells);
        }
        Ok(index)
    }

    /// An index that leaves nothing out, to compare with.
    #[cfg(test)]
    pub(super) fn everything(&self) -> Self {
        let mut all = Cell::default();
        let rows = self.environments.values().chain([&self.elsewhere]);
        for cell in rows.flat_map(BTreeMap::values) {
            all.approver_groups
                .extend(cell.approver_groups.iter().cloned());
            all.requirements.extend(cell.requirements.iter().cloned());
            all.permits_with.extend(cell.permits_with.iter().cloned());
            for policy in cell.policies.policies() {
                if all.policies.policy(policy.id()).is_none() {
                    all.policies.add(policy.clone()).unwrap();
                }
            }
        }
        Self {
            elsewhere: Action::ALL.map(|action| (action, all.clone())).into(),
            environments: HashMap::new(),
        }
    }

    /// The policies that can matter.
    pub(super) fn cell(&self, action: Action, environment: Option<&Environment>) -> Option<&Cell> {
        environment
            .and_then(|name| self.environments.get(name.as_str()))
            .unwrap_or(&self.elsewhere)
            .get(&action)
    }
}

fn row(
    scoped: &[Scoped<'_>],
    environment: Option<&String>,
    vocabulary: &Vocabulary,
) -> Result<BTreeMap<Action, Cell>, Box<cedar::PolicySetError>> {
    let mut cells = BTreeMap::new();
    for action in Action::ALL {
        let mut cell = Cell::default();
        for one in scoped {
            let here = one.environment.is_none() || one.environment.as_ref() == environment;
            if here && may_be(one.policy, action, vocabulary) {
                let Mentions {
                    approver_groups,
                    requirements,
                    ..
                } = &one.mentions;
                cell.approver_groups.extend(approver_groups.iter().cloned());
                cell.requirements.extend(requirements.iter().cloned());
                if one.policy.effect() == Effect::Permit {
                    cell.permits_with.extend(requirements.iter().cloned());
                }
                cell.groups.extend(one.reader.reads.groups.iter().cloned());
                cell.readers.push(Arc::clone(&one.reader));
                cell.policies.add(one.policy.clone())?;
            }
        }
        cells.insert(action, cell);
    }
    Ok(cells)
}

/// Whether the action scope of `policy` can hold for `action`. Where the schema has groups of
/// actions, a scope may name a group, so every list of actions is kept.
pub(super) fn may_be(policy: &Policy, action: Action, vocabulary: &Vocabulary) -> bool {
    let uid = vocabulary.action(action);
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => named == uid,
        ActionConstraint::In(named) => vocabulary.has_action_groups() || named.contains(&uid),
    }
}

/// The one environment that the resource scope of `policy` names, itself or by an account in it.
fn environment_named(policy: &Policy) -> Option<String> {
    let uid = match policy.resource_constraint() {
        ResourceConstraint::In(uid)
        | ResourceConstraint::Eq(uid)
        | ResourceConstraint::IsIn(_, uid) => uid,
        ResourceConstraint::Any | ResourceConstraint::Is(_) => return None,
    };
    let id = uid.id().unescaped();
    match uid.type_name().basename() {
        "Environment" => Some(id.to_owned()),
        // An id without a slash is no account of ours: kept under a name no environment has.
        "Account" => Some(id.split_once('/').map_or(id, |(name, _)| name).to_owned()),
        _ => None,
    }
}
