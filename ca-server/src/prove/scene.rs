//! The kinds of questions that the authority asks: one for each action, about one type of resource.
//!
//! What else a schema of one's own may allow is never asked, so nothing is proved about it.

use cedar_policy::{
    ActionConstraint, EntityId, EntityTypeName, EntityUid, ParseErrors, Policy, RequestEnv,
};

use crate::policy::Action;

/// What the resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Account,
    Authority,
    Environment,
}

/// Everything asked about one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scene {
    pub(super) action: Action,
}

impl Scene {
    /// All there are.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Action::ALL.into_iter().map(|action| Self { action })
    }

    /// The resource that the action is done to: what [`crate::policy::On`] fits it.
    pub(super) const fn kind(self) -> Kind {
        match self.action {
            Action::Login | Action::Approve | Action::BreakGlass => Kind::Account,
            Action::Review | Action::Revoke => Kind::Environment,
            Action::ReadAudit | Action::Administer => Kind::Authority,
        }
    }

    /// The same for the analysis.
    pub(super) fn environment(self) -> Result<RequestEnv, Box<ParseErrors>> {
        let kind = match self.kind() {
            Kind::Account => "Account",
            Kind::Authority => "Authority",
            Kind::Environment => "Environment",
        };
        let (user, kind) = (named("User")?, named(kind)?);
        Ok(RequestEnv::new(user, self.uid()?, kind))
    }

    fn uid(self) -> Result<EntityUid, Box<ParseErrors>> {
        let kind = named("Action")?;
        let id = EntityId::new(self.action.name());
        Ok(EntityUid::from_type_name_and_id(kind, id))
    }

    /// Whether the action scope of `policy` may hold here. A list may name a group of actions, which
    /// only the schema knows, unless every name in it is that of an action.
    pub(super) fn may_match(self, policy: &Policy) -> bool {
        let named = match policy.action_constraint() {
            ActionConstraint::Any => return true,
            ActionConstraint::Eq(named) => vec![named],
            ActionConstraint::In(named) => named,
        };
        named.iter().any(|uid| {
            let name = uid.id().unescaped();
            let plain = Action::ALL.iter().any(|action| action.name() == name);
            name == self.action.name() || !plain
        })
    }
}

fn named(kind: &str) -> Result<EntityTypeName, Box<ParseErrors>> {
    Ok(kind.parse::<EntityTypeName>()?)
}
