//! Why each policy has no other part in an answer: the conditions that it failed on, or held by,
//! with the facts that they look at.
//!
//! Evaluates the parts of a policy one by one, as written. The answer itself is never taken from
//! here, only told.

use std::collections::BTreeMap;
use std::time::Duration;

use ca_core::name::Principal;
use cedar_policy::{
    Entities, Expression, Policy, PrincipalConstraint, Request, ResourceConstraint, eval_expression,
};
use cedar_policy_core::ast::{Expr, ExprKind, Var};
use serde::Serialize;

use super::PolicySet;
use super::clause::{clauses, span, text};
use super::error::place;
use super::period::words;
use super::question::Question;
use super::verdict::Verdict;

/// What one policy has to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its `@id`.
    pub policy: String,
    /// File name.
    pub file: String,
    /// Line where it begins, from 1.
    pub line: usize,
    /// The account that this is about, where the question was about accounts.
    pub principal: Option<Principal>,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// Whether it applies.
    pub applies: bool,
    /// If it applies, what it asks for: all of this holds. If not, what of that fails.
    pub conditions: Vec<Condition>,
}

/// A part of a policy, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// As written, with `unless` before what must fail: `context.duration <= 3600`.
    pub text: String,
    /// Line where it stands, from 1.
    pub line: usize,
    /// Why it could not be evaluated, if so.
    pub error: Option<String>,
    /// Facts that it looks at: `context.duration` is `7200 (2 h)`. What is not there is `absent`.
    pub facts: BTreeMap<String, String>,
}

/// For each account asked for, what keeps the answer from being as `wished`: if that is a permit,
/// the forbids that hold and the permits that do not apply, else the other way round. Policies that
/// are about another action, account or environment are left out. Sorted by account, file and line.
#[must_use]
pub fn findings(policies: &PolicySet, question: &Question, wished: Verdict) -> Vec<Finding> {
    let environment = question.on.environment();
    let Some(cell) = policies.index.cell(question.action, environment) else {
        return Vec::new();
    };
    let met = policies.met(question);
    let Ok(requests) = policies.vocabulary.requests(question, &met) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (principal, request) in &requests.each {
        let asked = Asked {
            policies,
            question,
            request,
            entities: &requests.entities,
        };
        for policy in cell.policies.policies() {
            let Some(mut finding) = asked.finding(policy) else {
                continue;
            };
            let unwanted = finding.forbids == (wished == Verdict::Permit);
            if finding.applies == unwanted {
                finding.principal.clone_from(principal);
                findings.push(finding);
            }
        }
    }
    findings.sort_by(|a, b| (&a.principal, &a.file, a.line).cmp(&(&b.principal, &b.file, b.line)));
    findings
}

/// One request, as it was put to Cedar.
struct Asked<'a> {
    policies: &'a PolicySet,
    question: &'a Question,
    request: &'a Request,
    entities: &'a Entities,
}

impl Asked<'_> {
    /// `None` if the policy is about something else: by its scope, or by a condition that is one.
    fn finding(&self, policy: &Policy) -> Option<Finding> {
        let id = policy.id().to_string();
        let info = self.policies.policies().get(&id)?;
        if !self.concerns(policy) {
            return None;
        }
        let (mut held, mut failed) = (Vec::new(), Vec::new());
        if let Some((written, holds)) = self.scope(policy) {
            let condition = Condition {
                text: written,
                line: info.line,
                error: None,
                facts: BTreeMap::from([self.person()]),
            };
            if holds { &mut held } else { &mut failed }.push(condition);
        }
        let source = self.policies.sources.iter().find(|s| s.name == info.file);
        let source = source.map_or("", |source| source.text.as_str());
        let mut erred = false;
        for clause in clauses(policy) {
            let (mut all, mut others) = (Vec::new(), Vec::new());
            for part in clause.parts {
                let holds = self.holds(part);
                if holds == Ok(false) && !clause.unless && about_resource(part) {
                    return None;
                }
                // Cedar never gets there once something failed: what is missing then is no error.
                let moot = erred || !failed.is_empty() || !others.is_empty();
                match holds {
                    Ok(true) => all.push(self.condition(part, clause.unless, None, source)),
                    Ok(false) => others.push(self.condition(part, clause.unless, None, source)),
                    Err(_) if moot => {}
                    Err(error) => {
                        erred = true;
                        failed.push(self.condition(part, clause.unless, Some(error), source));
                    }
                }
            }
            let together = others.is_empty();
            let told = if together { all } else { others };
            let holds = together != clause.unless;
            if holds { &mut held } else { &mut failed }.extend(told);
        }
        // A forbid that cannot be evaluated counts as one that holds.
        let applies = failed.is_empty() || (info.forbids && erred);
        Some(Finding {
            file: info.file.clone(),
            line: info.line,
            principal: None,
            forbids: info.forbids,
            conditions: match (applies, erred) {
                (true, false) => held,
                _ => failed,
            },
            applies,
            policy: id,
        })
    }

    /// Whether the scope is about this resource; the index has looked at action and environment.
    fn concerns(&self, policy: &Policy) -> bool {
        let scope = match policy.resource_constraint() {
            ResourceConstraint::Any => return true,
            ResourceConstraint::In(uid) => format!("resource in {uid}"),
            ResourceConstraint::Eq(uid) => format!("resource == {uid}"),
            ResourceConstraint::Is(kind) => format!("resource is {kind}"),
            ResourceConstraint::IsIn(kind, uid) => format!("resource is {kind} in {uid}"),
        };
        self.scope_holds(&scope)
    }

    /// What the scope says of the person, and whether that is so.
    fn scope(&self, policy: &Policy) -> Option<(String, bool)> {
        let written = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => return None,
            PrincipalConstraint::In(uid) => format!("principal in {uid}"),
            PrincipalConstraint::Eq(uid) => format!("principal == {uid}"),
            PrincipalConstraint::IsIn(kind, uid) => format!("principal is {kind} in {uid}"),
        };
        let holds = self.scope_holds(&written);
        Some((written, holds))
    }

    fn scope_holds(&self, scope: &str) -> bool {
        let parsed = scope.parse::<Expression>();
        parsed.is_ok_and(|expression| self.value(&expression).as_deref() == Ok("true"))
    }

    fn holds(&self, part: &Expr) -> Result<bool, String> {
        let value = self.value(&Expression::from(part.clone()))?;
        Ok(value == "true")
    }

    /// As Cedar writes it.
    fn value(&self, expression: &Expression) -> Result<String, String> {
        let value = eval_expression(self.request, self.entities, expression);
        value
            .map(|value| value.to_string())
            .map_err(|error| error.to_string())
    }

    fn condition(
        &self,
        part: &Expr,
        unless: bool,
        error: Option<String>,
        source: &str,
    ) -> Condition {
        let before = if unless { "unless " } else { "" };
        let offset = span(part).map_or(0, |(offset, _)| offset);
        Condition {
            text: format!("{before}{}", text(part)),
            line: place(source, offset).line,
            error,
            facts: self.facts(part),
        }
    }

    /// Who asks, with the groups.
    fn person(&self) -> (String, String) {
        let who = &self.question.who;
        let groups: Vec<&str> = who.groups.iter().map(String::as_str).collect();
        let groups = match groups.as_slice() {
            [] => "no group".to_owned(),
            groups => groups.join(", "),
        };
        ("principal".to_owned(), format!("{} in {groups}", who.name))
    }

    /// The facts that `part` looks at.
    fn facts(&self, part: &Expr) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        for inner in part.subexpressions() {
            let (of, attribute) = match inner.expr_kind() {
                ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => (expr, attr),
                ExprKind::Var(Var::Principal) => {
                    facts.extend([self.person()]);
                    continue;
                }
                _ => continue,
            };
            let ExprKind::Var(variable) = of.expr_kind() else {
                continue;
            };
            let name = format!("{variable}.{attribute}");
            let value = name.parse::<Expression>().map(|looked| self.value(&looked));
            let value = match value {
                Ok(Ok(value)) => in_words(attribute, value),
                _ => "absent".to_owned(),
            };
            facts.insert(name, value);
        }
        facts
    }
}

/// Whether `part` looks at nothing but what the question is about: a scope in other words.
fn about_resource(part: &Expr) -> bool {
    let mut variables = part
        .subexpressions()
        .filter_map(|inner| match inner.expr_kind() {
            ExprKind::Var(variable) => Some(*variable),
            _ => None,
        });
    let any = variables.next();
    any == Some(Var::Resource) && variables.all(|variable| variable == Var::Resource)
}

/// Seconds with what they come to.
fn in_words(attribute: &str, value: String) -> String {
    let seconds = match attribute {
        "duration" | "mfa_age" => value.parse().ok(),
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds < u64::from(u32::MAX) => {
            format!("{value} ({})", words(Duration::from_secs(seconds)))
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests;
