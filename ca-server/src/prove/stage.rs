//! The policies and assumptions of one scene, compiled once for all that is asked about it.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet as CedarSet, RequestEnv, Schema};
use cedar_policy_symcc::err::Error as SymccError;
use cedar_policy_symcc::{CompiledPolicy, CompiledPolicySet};

use super::assume::{assumptions, links};
use super::named::{Beyond, Named};
use super::scene::Scene;
use super::session::Failure;
use crate::policy::{PolicySet, Requirements};

/// What is proved about: policies, what they name together with whatever is held against them, and
/// the requirements that they ask for.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    schema: &'a Schema,
    policies: Vec<Policy>,
    /// What is held against them.
    others: Vec<Policy>,
    named: Named,
    requirements: &'a Requirements,
    /// The first policy that no proof can speak about.
    beyond: Option<Beyond>,
}

/// One scene of a subject.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) scene: Scene,
    subject: &'a Subject<'a>,
    environment: RequestEnv,
    /// The policies whose action scope may hold here, by id.
    pub(super) policies: Vec<&'a Policy>,
    /// All of them.
    pub(super) compiled: CompiledPolicySet,
    assumptions: Vec<String>,
    /// Further assumptions, which cost the solver much.
    pub(super) links: Vec<String>,
}

impl<'a> Subject<'a> {
    /// `policies`, with `others` that are held against them.
    pub(super) fn new<'b>(
        policies: &'a PolicySet,
        others: impl IntoIterator<Item = &'b Policy>,
    ) -> Self {
        Self::asking(policies, policies.requirements(), others)
    }

    /// The same where requirements are asked for that the table of `policies` does not have.
    pub(super) fn asking<'b>(
        policies: &'a PolicySet,
        requirements: &'a Requirements,
        others: impl IntoIterator<Item = &'b Policy>,
    ) -> Self {
        let mut own: Vec<Policy> = policies.cedar().policies().cloned().collect();
        own.sort_by(|a, b| a.id().cmp(b.id()));
        let mut named = Named::default();
        let mut beyond = None;
        let mut add = |policy: &Policy| {
            if let Err(Beyond(why)) = named.add(policy) {
                let why = format!("{}: {why}", policy.id());
                beyond.get_or_insert(Beyond(why));
            }
        };
        let others: Vec<Policy> = others.into_iter().cloned().collect();
        own.iter().chain(&others).for_each(&mut add);
        named.seats(requirements);
        Self {
            schema: policies.schema(),
            policies: own,
            others,
            named,
            requirements,
            beyond,
        }
    }

    /// The facts that something looks at in `scene`.
    fn facts(&self, scene: Scene) -> BTreeSet<String> {
        let all = self.policies.iter().chain(&self.others);
        let mut named = Named::default();
        for policy in all.filter(|policy| scene.may_match(policy)) {
            // What is beyond proofs has been noted.
            named.add(policy).unwrap_or_default();
        }
        named.facts
    }

    /// The stage for `scene`.
    pub(super) fn stage(&'a self, scene: Scene) -> Result<Stage<'a>, Failure> {
        if let Some(Beyond(why)) = &self.beyond {
            return Err(Failure::Beyond(why.clone()));
        }
        let environment = scene.environment().map_err(beyond)?;
        let policies = self.policies.iter().filter(|one| scene.may_match(one));
        let policies: Vec<&Policy> = policies.collect();
        let set = CedarSet::from_policies(policies.iter().copied().cloned()).map_err(beyond)?;
        Ok(Stage {
            scene,
            subject: self,
            compiled: CompiledPolicySet::compile(&set, &environment, self.schema)
                .map_err(uncompiled)?,
            environment,
            links: links(&self.facts(scene)),
            policies,
            assumptions: assumptions(scene, &self.named, self.requirements),
        })
    }
}

impl<'a> Stage<'a> {
    /// What the policies name.
    pub(super) const fn named(&self) -> &'a Named {
        &self.subject.named
    }

    /// Whether something here looks at the moment of the question.
    pub(super) fn looks_at_the_moment(&self) -> bool {
        self.subject.facts(self.scene).contains("now")
    }

    /// The requirements that they may ask for.
    pub(super) const fn requirements(&self) -> &'a Requirements {
        self.subject.requirements
    }

    /// Compiles any policies for this scene.
    pub(super) fn compile<'b>(
        &self,
        policies: impl IntoIterator<Item = &'b Policy>,
    ) -> Result<CompiledPolicySet, Failure> {
        let set = CedarSet::from_policies(policies.into_iter().cloned()).map_err(beyond)?;
        CompiledPolicySet::compile(&set, &self.environment, self.subject.schema).map_err(uncompiled)
    }

    /// `policies` where the assumptions and `conditions` hold: an assumption that cannot be
    /// evaluated forbids nothing.
    pub(super) fn supposing<'b>(
        &self,
        policies: impl IntoIterator<Item = &'b Policy>,
        conditions: &[String],
    ) -> Result<CompiledPolicySet, Failure> {
        let mut all: Vec<Policy> = policies.into_iter().cloned().collect();
        let conditions = self.assumptions.iter().chain(conditions).enumerate();
        for (at, condition) in conditions {
            let text = format!("forbid (principal, action, resource) unless {{ {condition} }};");
            // A name that no policy has: theirs are plain.
            let id = PolicyId::new(format!("assumption {at}"));
            all.push(Policy::parse(Some(id), text).map_err(beyond)?);
        }
        self.compile(&all)
    }

    /// A policy that fails exactly where `tried` does, `matching` holds, and so do the assumptions
    /// and `conditions`.
    pub(super) fn failing(
        &self,
        matching: &Policy,
        tried: &Policy,
        conditions: &[String],
    ) -> Result<CompiledPolicy, Failure> {
        let mut all = vec![matching.as_ref().condition().to_string()];
        all.extend(self.assumptions.iter().chain(conditions).cloned());
        all.push(tried.as_ref().condition().to_string());
        let all: Vec<String> = all.iter().map(|one| format!("({one})")).collect();
        let all = all.join(" && ");
        let text = format!("permit (principal, action, resource) when {{ {all} }};");
        let policy = Policy::parse(None, text).map_err(beyond)?;
        CompiledPolicy::compile(&policy, &self.environment, self.subject.schema).map_err(uncompiled)
    }

    /// The policies that forbid.
    pub(super) fn forbids(&self) -> impl Iterator<Item = &'a Policy> {
        let all = self.policies.iter().copied();
        all.filter(|policy| policy.effect() == Effect::Forbid)
    }

    /// Whether `policy` can always be evaluated here, as far as the compiler alone can tell.
    pub(super) fn plainly_evaluates(&self, policy: &Policy) -> Result<bool, Failure> {
        let schema = self.subject.schema;
        let compiled =
            CompiledPolicy::compile(policy, &self.environment, schema).map_err(uncompiled)?;
        let asserts = cedar_policy_symcc::never_errors_asserts(&compiled);
        Ok(asserts.asserts().iter().any(|one| *one == false.into()))
    }
}

fn beyond(error: impl std::fmt::Display) -> Failure {
    Failure::Beyond(error.to_string())
}

/// With what the type checker says, which the error itself leaves out.
fn uncompiled(error: SymccError) -> Failure {
    let SymccError::PolicyNotWellTyped { errs } = error else {
        return beyond(error);
    };
    let told: Vec<String> = errs.iter().map(ToString::to_string).collect();
    Failure::Beyond(told.join("; "))
}
