//! A question put into Cedar's words: entities, context, one Cedar request per resource.
//!
//! Decides nothing. What is built here is checked against the schema once, when a policy set is
//! loaded ([`Vocabulary::check`]), and not again for every request: its shape never varies.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::{Principal, Subject};
use ca_core::time::Timestamp;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, ParseErrors, Request,
    RestrictedExpression as Value, Schema,
};
use cedar_policy_core::ast::{Name, RestrictedExpr};
use cedar_policy_core::entities::{NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

use super::question::{Action, Approval, Facts, On, Person, Question, SecondFactor};

/// Type and action names, parsed once.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    user: EntityTypeName,
    group: EntityTypeName,
    environment: EntityTypeName,
    account: EntityTypeName,
    authority: EntityUid,
    action: EntityTypeName,
    /// The constructors of addresses and times. Cedar's own functions parse these names for every
    /// value, which costs more than the whole decision.
    ip: Name,
    datetime: Name,
    /// Actions that the schema puts into groups of actions.
    grouped: Vec<Entity>,
}

/// Why a question could not be put. Never seen in practice; always a denial.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct AskError(String);

impl AskError {
    fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// The Cedar requests of one question, one for each resource.
pub(super) struct Requests {
    pub(super) entities: Entities,
    pub(super) each: Vec<(Option<Principal>, Request)>,
}

impl Vocabulary {
    /// # Errors
    ///
    /// Never in practice: the texts are constants.
    pub(super) fn new(schema: &Schema) -> Result<Self, Box<ParseErrors>> {
        let grouped = schema.action_entities().map_or_else(
            |_| Vec::new(),
            |all| {
                let has_parent = |entity: &Entity| {
                    all.ancestors(&entity.uid())
                        .is_some_and(|mut a| a.next().is_some())
                };
                all.iter()
                    .filter(|entity| has_parent(entity))
                    .cloned()
                    .collect()
            },
        );
        let authority: EntityTypeName = "Authority".parse()?;
        Ok(Self {
            user: "User".parse()?,
            group: "Group".parse()?,
            environment: "Environment".parse()?,
            account: "Account".parse()?,
            authority: uid(&authority, "jit-ssh"),
            action: "Action".parse()?,
            ip: Name::parse_unqualified_name("ip").map_err(ParseErrors::from)?,
            datetime: Name::parse_unqualified_name("datetime").map_err(ParseErrors::from)?,
            grouped,
        })
    }

    /// The Cedar name of `action`.
    pub(super) fn action(&self, action: Action) -> EntityUid {
        uid(&self.action, action.name())
    }

    /// Whether some action is `in` another one.
    pub(super) const fn has_action_groups(&self) -> bool {
        !self.grouped.is_empty()
    }

    /// Whether requests as built here fit `schema`.
    ///
    /// # Errors
    ///
    /// What the schema asks for that is not supplied, or the other way round.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), AskError> {
        let mut questions = Action::ALL.into_iter().map(specimen);
        questions.try_for_each(|question| {
            let question = question?;
            let (entities, _) = self.entities(&question)?;
            self.fits(schema, &question, entities)
        })
    }

    /// Whether `schema` counts on nothing that may be absent: on an optional fact, or on anything
    /// that is said of groups, environments and the authority. A policy that does would fail.
    ///
    /// # Errors
    ///
    /// What it counts on.
    pub(super) fn check_absent(&self, schema: &Schema) -> Result<(), AskError> {
        let mut questions = Action::ALL.into_iter().map(specimen);
        questions.try_for_each(|question| {
            let question = question.map(sparse)?;
            let (mut entities, _) = self.entities(&question)?;
            entities.extend(self.bare(&question));
            self.fits(schema, &question, entities)
        })
    }

    fn fits(
        &self,
        schema: &Schema,
        question: &Question,
        entities: Vec<Entity>,
    ) -> Result<(), AskError> {
        // An empty set would fit a set of anything.
        let met = BTreeSet::from(["specimen"]);
        let context = Context::from_pairs(self.facts(question, &met)).map_err(AskError::new)?;
        Entities::from_entities(entities, Some(schema)).map_err(AskError::new)?;
        for (_, resource) in self.entities(question)?.1 {
            let who = self.user(&question.who.subject);
            let action = self.action(question.action);
            Request::new(who, action, resource, context.clone(), Some(schema))
                .map_err(AskError::new)?;
        }
        Ok(())
    }

    /// What a question names without saying anything of it.
    fn bare(&self, question: &Question) -> Vec<Entity> {
        let groups = question
            .who
            .groups
            .iter()
            .map(|name| uid(&self.group, name));
        let environment = question.on.environment();
        let environment = environment.map(|name| uid(&self.environment, name.as_str()));
        let all = groups.chain(environment).chain([self.authority.clone()]);
        all.map(Entity::with_uid).collect()
    }

    /// The requests for `question`, for which the requirements called `met` are met: one context
    /// and one set of entities for all of them.
    pub(super) fn requests(
        &self,
        question: &Question,
        met: &BTreeSet<&str>,
    ) -> Result<Requests, AskError> {
        let context = Context::from_pairs(self.facts(question, met)).map_err(AskError::new)?;
        let (entities, resources) = self.entities(question)?;
        // Everything is one step from its parents (actions come with all of theirs), so there is no
        // closure to compute.
        let entities = cedar_policy_core::entities::Entities::from_entities(
            entities.iter().map(|entity| entity.as_ref().clone()),
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(AskError::new)?;
        let entities = Entities::from(entities);
        let mut each = Vec::with_capacity(resources.len());
        for (principal, resource) in resources {
            let who = self.user(&question.who.subject);
            let action = self.action(question.action);
            let request = Request::new(who, action, resource, context.clone(), None)
                .map_err(AskError::new)?;
            each.push((principal, request));
        }
        Ok(Requests { entities, each })
    }

    fn user(&self, subject: &Subject) -> EntityUid {
        uid(&self.user, &subject.to_string())
    }

    #[expect(
        clippy::type_complexity,
        reason = "two lists made in one pass, used once above"
    )]
    fn entities(
        &self,
        question: &Question,
    ) -> Result<(Vec<Entity>, Vec<(Option<Principal>, EntityUid)>), AskError> {
        let who = &question.who;
        let groups: HashSet<EntityUid> = who.groups.iter().map(|g| uid(&self.group, g)).collect();
        let about = HashMap::from([
            ("name".to_owned(), text(who.name.as_str())),
            ("issuer".to_owned(), text(who.subject.issuer())),
        ]);
        let user = Entity::new(self.user(&who.subject), about, groups).map_err(AskError::new)?;
        let mut entities = self.grouped.clone();
        entities.push(user);
        let mut resources = Vec::new();
        match &question.on {
            On::Accounts {
                environment,
                principals,
            } => {
                let within = uid(&self.environment, environment.as_str());
                for principal in principals.iter().collect::<BTreeSet<_>>() {
                    let id = uid(&self.account, &format!("{environment}/{principal}"));
                    let name = HashMap::from([("name".to_owned(), text(principal.as_str()))]);
                    let parents = HashSet::from([within.clone()]);
                    let account = Entity::new(id.clone(), name, parents).map_err(AskError::new)?;
                    entities.push(account);
                    resources.push((Some(principal.clone()), id));
                }
            }
            On::Environment(name) => {
                resources.push((None, uid(&self.environment, name.as_str())));
            }
            On::Authority => resources.push((None, self.authority.clone())),
        }
        Ok((entities, resources))
    }

    fn facts(&self, question: &Question, met: &BTreeSet<&str>) -> Vec<(String, Value)> {
        let facts = &question.facts;
        let approvers = question.approvers();
        let groups: BTreeSet<&str> = approvers.values().flatten().copied().collect();
        let factor = facts.second_factor;
        let seconds = facts.now.unix_seconds();
        let time = Timestamp::from_unix_seconds(seconds).to_string();
        let count = u64::try_from(approvers.len()).unwrap_or(u64::MAX);
        let mut pairs = vec![
            ("duration", long(facts.duration.as_secs())),
            ("mfa_age", long(factor.age_seconds())),
            ("mfa_kind", text(factor.kind())),
            ("token_bound", Value::new_bool(facts.token_bound)),
            ("approvals", long(count)),
            (
                "approver_groups",
                Value::new_set(groups.into_iter().map(text)),
            ),
            (
                "source",
                made(&self.ip, &facts.source.to_canonical().to_string()),
            ),
            ("now", made(&self.datetime, &time)),
            ("hour", long(seconds / 3600 % 24)),
            ("weekday", long(weekday(seconds))),
            ("met", Value::new_set(met.iter().copied().map(text))),
            ("on_call", Value::new_bool(facts.on_call)),
            ("unreviewed", long(facts.unreviewed)),
        ];
        pairs.extend(written(facts.reason.as_deref()).map(|words| ("reason", text(words))));
        pairs.extend(written(facts.ticket.as_deref()).map(|words| ("ticket", text(words))));
        if let Some(holder) = &facts.holder {
            pairs.push(("holder", Value::new_entity_uid(self.user(holder))));
        }
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// The text, unless there is nothing in it.
pub(super) fn written(words: Option<&str>) -> Option<&str> {
    words.map(str::trim).filter(|words| !words.is_empty())
}

/// 1 (Monday) to 7. 1970-01-01 was a Thursday.
pub(super) const fn weekday(unix_seconds: u64) -> u64 {
    (unix_seconds / 86_400 + 3) % 7 + 1
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(words: &str) -> Value {
    Value::new_string(words.to_owned())
}

/// What the Cedar function `constructor` makes of `words`.
fn made(constructor: &Name, words: &str) -> Value {
    RestrictedExpr::call_extension_fn(constructor.clone(), [RestrictedExpr::val(words)]).into()
}

fn long(number: u64) -> Value {
    Value::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The same question without the facts that may be absent.
fn sparse(mut question: Question) -> Question {
    question.facts.reason = None;
    question.facts.ticket = None;
    question.facts.holder = None;
    question
}

/// A question with every fact present, to hold against a schema.
fn specimen(action: Action) -> Result<Question, AskError> {
    let subject = Subject::new("https://issuer.example", "1").map_err(AskError::new)?;
    let environment = "staging".parse().map_err(AskError::new)?;
    let on = match action {
        Action::Login | Action::Approve | Action::BreakGlass => On::Accounts {
            environment,
            principals: vec!["deploy".parse().map_err(AskError::new)?],
        },
        Action::Review | Action::Revoke => On::Environment(environment),
        Action::ReadAudit | Action::Administer => On::Authority,
    };
    let groups = BTreeSet::from(["engineering".to_owned()]);
    let holder = Subject::new("https://issuer.example", "2").map_err(AskError::new)?;
    Ok(Question {
        who: Person {
            name: "alice".parse().map_err(AskError::new)?,
            subject,
            groups: groups.clone(),
        },
        action,
        on,
        facts: Facts {
            duration: Duration::from_secs(3600),
            second_factor: SecondFactor::Totp(Duration::ZERO),
            token_bound: true,
            approvals: vec![Approval {
                subject: holder.clone(),
                groups,
            }],
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: Timestamp::from_unix_seconds(1_700_000_000),
            reason: Some("because".to_owned()),
            ticket: Some("T-1".to_owned()),
            on_call: true,
            unreviewed: 1,
            holder: Some(holder),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_starts_on_monday() {
        let monday: Timestamp = "2026-11-16T00:00:00Z".parse().unwrap();
        let sunday: Timestamp = "2026-11-22T23:59:59Z".parse().unwrap();
        assert_eq!(weekday(monday.unix_seconds()), 1);
        assert_eq!(weekday(sunday.unix_seconds()), 7);
    }
}
