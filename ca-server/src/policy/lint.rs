//! What Cedar accepts and nobody means: a permit for everybody, a condition that says nothing, a
//! value that a fact never has.
//!
//! Reads policies as they are written. A permit for everybody is refused unless an annotation says
//! why it is meant; one for every environment is warned of.

use cedar_policy::{Effect, Policy, PrincipalConstraint, ResourceConstraint};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp, Var};

use super::Source;
use super::clause::{clauses, span, text};
use super::error::Problem;
use super::index::may_be;
use super::question::Action;
use super::request::Vocabulary;
use super::spelling::{nearest, suggestion};

/// Annotation of a permit that is for everybody; its value says why.
const EVERYBODY: &str = "everybody";
/// Annotation of a permit for every environment that there will ever be; its value says why.
const EVERYWHERE: &str = "everywhere";
/// `mfa_kind`.
const FACTORS: [&str; 3] = ["totp", "recovery", "none"];

/// What is wrong with one policy, and what may be.
#[derive(Debug, Default)]
pub(super) struct Lints {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// Looks at `policy`, which begins at byte `start` of `source`.
pub(super) fn lint(
    policy: &Policy,
    (source, start): (&Source, usize),
    vocabulary: &Vocabulary,
) -> Lints {
    let mut looking = Looking {
        policy,
        source,
        scope: scope(&source.text, start),
        found: Lints::default(),
    };
    looking.conditions();
    if policy.effect() == Effect::Permit {
        looking.everybody();
        looking.everywhere(vocabulary);
    }
    looking.needless();
    looking.found
}

/// The value of an annotation that has words in it.
pub(super) fn written<'a>(policy: &'a Policy, key: &str) -> Option<&'a str> {
    let value = policy.annotation(key)?.trim();
    (!value.is_empty()).then_some(value)
}

/// What to do where the annotation `key` is missing: `otherwise`, or spell it right.
pub(super) fn spelt(policy: &Policy, key: &str, otherwise: &str) -> String {
    let keys = policy.annotations().map(|(name, _)| name);
    let unknown = keys.filter(|name| !["id", "reason", EVERYBODY, EVERYWHERE].contains(name));
    let meant = unknown.filter(|name| nearest(name, [key]).is_some()).min();
    match meant {
        Some(name) => format!("did you mean @{key} instead of @{name}?"),
        None => otherwise.to_owned(),
    }
}

struct Looking<'a> {
    policy: &'a Policy,
    source: &'a Source,
    /// Where `permit` or `forbid` stands.
    scope: (usize, usize),
    found: Lints,
}

impl Looking<'_> {
    fn problem(&self, place: (usize, usize), message: String, hint: String) -> Problem {
        let Source { name, text } = self.source;
        Problem::at(name, text, place, message, Some(hint))
    }

    /// Whether what a condition requires depends on `needed`, in every way that it can hold.
    fn depends(&self, needed: Needed) -> bool {
        let clauses = clauses(self.policy);
        clauses.iter().any(|clause| {
            let depends = |part: &&Expr| depends(part, clause.unless, needed);
            match clause.unless {
                // `unless { a && b }` holds where either of them does not.
                true => clause.parts.iter().all(depends),
                false => clause.parts.iter().any(depends),
            }
        })
    }

    fn everybody(&mut self) {
        let anybody = matches!(
            self.policy.principal_constraint(),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_)
        );
        if !anybody || self.depends(says_who) || written(self.policy, EVERYBODY).is_some() {
            return;
        }
        let message = match clauses(self.policy).is_empty() {
            true => "the policy permits everybody under every circumstance".to_owned(),
            false => "the policy permits everybody: no condition says who asks".to_owned(),
        };
        let hint = "name a group (principal in Group::\"…\"), or write @everybody(\"why\") above it if that is meant";
        let hint = spelt(self.policy, EVERYBODY, hint);
        let problem = self.problem(self.scope, message, hint);
        self.found.problems.push(problem);
    }

    fn everywhere(&mut self, vocabulary: &Vocabulary) {
        let anywhere = matches!(
            self.policy.resource_constraint(),
            ResourceConstraint::Any | ResourceConstraint::Is(_)
        );
        let opens = [Action::Login, Action::BreakGlass];
        let mut opened = opens
            .into_iter()
            .filter(|action| may_be(self.policy, *action, vocabulary));
        let Some(action) = opened.next().filter(|_| anywhere) else {
            return;
        };
        if self.depends(says_where) || written(self.policy, EVERYWHERE).is_some() {
            return;
        }
        let message = format!(
            "the policy permits {} in every environment, those to come included",
            action.name()
        );
        let hint = "name them (resource in Environment::\"…\"), or write @everywhere(\"why\") above it if that is meant";
        let hint = spelt(self.policy, EVERYWHERE, hint);
        let problem = self.problem(self.scope, message, hint);
        self.found.warnings.push(problem);
    }

    /// An annotation that excuses nothing is a claim that nobody checks.
    fn needless(&mut self) {
        let permits = self.policy.effect() == Effect::Permit;
        let named = !matches!(
            self.policy.principal_constraint(),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_)
        );
        if written(self.policy, EVERYBODY).is_some()
            && (!permits || named || self.depends(says_who))
        {
            let message = "@everybody, but this is no permit for everybody".to_owned();
            let hint = "remove the annotation".to_owned();
            let problem = self.problem(self.scope, message, hint);
            self.found.warnings.push(problem);
        }
    }

    fn conditions(&mut self) {
        for clause in clauses(self.policy) {
            for part in clause.parts {
                let place = span(part).unwrap_or(self.scope);
                // What never holds Cedar finds itself.
                let never = ExprKind::Lit(Literal::Bool(clause.unless));
                // Whom an entity is a member of depends on who asks, too.
                let variable = |inner: &Expr| {
                    matches!(
                        inner.expr_kind(),
                        ExprKind::Var(_) | ExprKind::Lit(Literal::EntityUID(_))
                    )
                };
                if !part.subexpressions().any(variable) && *part.expr_kind() != never {
                    let message = format!("the condition {:?} says nothing", text(part));
                    let hint = "it is the same for every request: leave it out, or write what it should ask";
                    let problem = self.problem(place, message, hint.to_owned());
                    self.found.problems.push(problem);
                }
                for inner in part.subexpressions() {
                    if let Some((message, hint)) = impossible(inner) {
                        let place = span(inner).unwrap_or(place);
                        let problem = self.problem(place, message, hint);
                        self.found.problems.push(problem);
                    }
                }
            }
        }
    }
}

/// Whether an expression looks at something, given whether it is to hold or (true) not to hold.
type Needed = fn(&Expr, bool) -> bool;

/// Whether `expr` can hold (or, if `negated`, not hold) only depending on what is `needed`.
fn depends(expr: &Expr, negated: bool, needed: Needed) -> bool {
    match (expr.expr_kind(), negated) {
        (ExprKind::And { left, right }, false) | (ExprKind::Or { left, right }, true) => {
            depends(left, negated, needed) || depends(right, negated, needed)
        }
        (ExprKind::Or { left, right }, false) | (ExprKind::And { left, right }, true) => {
            depends(left, negated, needed) && depends(right, negated, needed)
        }
        (
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            },
            _,
        ) => depends(arg, !negated, needed),
        (
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            },
            _,
        ) => {
            depends(test_expr, negated, needed)
                || (depends(then_expr, negated, needed) && depends(else_expr, negated, needed))
        }
        (ExprKind::Lit(Literal::Bool(truth)), _) => *truth == negated,
        _ => expr.subexpressions().any(|inner| needed(inner, negated)),
    }
}

/// Whether `expr` looks at the person, beyond that it is one.
fn says_who(expr: &Expr, negated: bool) -> bool {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr: of, attr } => {
            // Who is on call is a list of people; who is not is everybody else.
            let on_call = is(of, Var::Context) && attr == "on_call" && !negated;
            is(of, Var::Principal) || on_call
        }
        ExprKind::BinaryApp { arg1, arg2, .. } => {
            is(arg1, Var::Principal) || is(arg2, Var::Principal)
        }
        _ => false,
    }
}

/// Whether `expr` looks at the resource, beyond what type it has.
fn says_where(expr: &Expr, _negated: bool) -> bool {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr: of, .. } => is(of, Var::Resource),
        ExprKind::BinaryApp { arg1, arg2, .. } => {
            is(arg1, Var::Resource) || is(arg2, Var::Resource)
        }
        _ => false,
    }
}

fn is(expr: &Expr, variable: Var) -> bool {
    matches!(expr.expr_kind(), ExprKind::Var(found) if *found == variable)
}

/// A comparison with a value that the fact never has, and what to write instead.
fn impossible(expr: &Expr) -> Option<(String, String)> {
    let ExprKind::BinaryApp { op, arg1, arg2 } = expr.expr_kind() else {
        return None;
    };
    match op {
        BinaryOp::Eq => {
            let named = fact(arg1).map(|name| (name, arg2));
            let (name, value) = named.or_else(|| Some((fact(arg2)?, arg1)))?;
            never(name, value)
        }
        BinaryOp::Contains => {
            let ExprKind::Set(values) = arg1.expr_kind() else {
                return None;
            };
            let name = fact(arg2)?;
            values.iter().find_map(|value| never(name, value))
        }
        _ => None,
    }
}

/// `hour` of `context.hour`.
fn fact(expr: &Expr) -> Option<&str> {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr: of, attr } if is(of, Var::Context) => Some(attr),
        _ => None,
    }
}

fn never(fact: &str, value: &Expr) -> Option<(String, String)> {
    let ExprKind::Lit(value) = value.expr_kind() else {
        return None;
    };
    match (fact, value) {
        ("mfa_kind", Literal::String(kind)) if !FACTORS.contains(&kind.as_str()) => Some((
            format!("there is no second factor {:?}", kind.as_str()),
            suggestion(kind, FACTORS),
        )),
        ("weekday", Literal::Long(day)) if !(1..=7).contains(day) => Some((
            format!("no day is weekday {day}"),
            "1 is Monday, 7 is Sunday".to_owned(),
        )),
        ("hour", Literal::Long(hour)) if !(0..=23).contains(hour) => Some((
            format!("there is no hour {hour}"),
            "hours are 0 to 23, in UTC".to_owned(),
        )),
        _ => None,
    }
}

/// Offset and length of `permit` or `forbid` in the policy at byte `start` of `text`, after its
/// annotations.
fn scope(text: &str, start: usize) -> (usize, usize) {
    let rest = text.get(start..).unwrap_or_default();
    let (mut quoted, mut escaped, mut comment) = (false, false, false);
    for (at, letter) in rest.char_indices() {
        let here = rest.get(at..).unwrap_or_default();
        let word = ["permit", "forbid"].into_iter().find(|word| {
            let after = here.strip_prefix(word).map(|after| after.trim_start());
            after.is_some_and(|after| after.starts_with(['(', '/']))
        });
        if quoted {
            quoted = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
        } else if comment {
            comment = letter != '\n';
        } else if here.starts_with("//") {
            comment = true;
        } else if letter == '"' {
            quoted = true;
        } else if let Some(word) = word {
            return (start.saturating_add(at), word.len());
        }
    }
    (start, 1)
}

#[cfg(test)]
mod tests;
