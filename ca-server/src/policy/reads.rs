//! Which facts the conditions of a policy look at, and how closely: whether one is there, how it
//! compares with a few numbers, or all of it.
//!
//! What is not listed here cannot change what the policy says. Whatever is not understood counts as
//! looked at closely, so being wrong costs time and never an answer.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, Entities, EvalResult, Expression, Policy, Request, eval_expression};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};

/// A fact, by its name in `context`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact {
    ApproverGroups,
    Approvals,
    Duration,
    Holder,
    Hour,
    Met,
    MfaAge,
    MfaKind,
    Now,
    OnCall,
    Reason,
    Source,
    Ticket,
    TokenBound,
    Unreviewed,
    Weekday,
}

impl Fact {
    const ALL: [Self; 16] = [
        Self::ApproverGroups,
        Self::Approvals,
        Self::Duration,
        Self::Holder,
        Self::Hour,
        Self::Met,
        Self::MfaAge,
        Self::MfaKind,
        Self::Now,
        Self::OnCall,
        Self::Reason,
        Self::Source,
        Self::Ticket,
        Self::TokenBound,
        Self::Unreviewed,
        Self::Weekday,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ApproverGroups => "approver_groups",
            Self::Approvals => "approvals",
            Self::Duration => "duration",
            Self::Holder => "holder",
            Self::Hour => "hour",
            Self::Met => "met",
            Self::MfaAge => "mfa_age",
            Self::MfaKind => "mfa_kind",
            Self::Now => "now",
            Self::OnCall => "on_call",
            Self::Reason => "reason",
            Self::Source => "source",
            Self::Ticket => "ticket",
            Self::TokenBound => "token_bound",
            Self::Unreviewed => "unreviewed",
            Self::Weekday => "weekday",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.name() == name)
    }
}

/// How closely a fact is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// `context has reason`
    Presence,
    /// `context.mfa_age <= 3600`: how it compares with these numbers. Times are in milliseconds.
    Order(BTreeSet<i64>),
    /// Anything else.
    Value,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) facts: BTreeMap<Fact, Look>,
    /// Groups that the person may be in.
    pub(super) groups: BTreeSet<String>,
    pub(super) name: bool,
    pub(super) issuer: bool,
    /// Who the person is, and all of their groups.
    pub(super) person: bool,
    /// The whole context.
    pub(super) everything: bool,
}

impl Reads {
    /// Those of `policy`, its scope included.
    pub(super) fn of(policy: &Policy) -> Self {
        let mut reads = Self::default();
        reads.walk(&policy.as_ref().condition());
        reads
    }

    /// Both.
    pub(super) fn add(&mut self, other: &Self) {
        for (fact, look) in &other.facts {
            self.look(*fact, look.clone());
        }
        self.groups.extend(other.groups.iter().cloned());
        self.name |= other.name;
        self.issuer |= other.issuer;
        self.person |= other.person;
        self.everything |= other.everything;
    }

    fn look(&mut self, fact: Fact, look: Look) {
        let known = self.facts.remove(&fact);
        let closer = match (known, look) {
            (None | Some(Look::Presence), look) => look,
            (Some(known), Look::Presence) => known,
            (Some(Look::Order(mut known)), Look::Order(more)) => {
                known.extend(more);
                Look::Order(known)
            }
            (Some(Look::Value), _) | (_, Look::Value) => Look::Value,
        };
        self.facts.insert(fact, closer);
    }

    /// The fact of that name; of an unknown one everything is read.
    fn fact(&mut self, name: &str, look: Look) {
        match Fact::named(name) {
            Some(fact) => {
                // It may be the person themselves, whose groups and name are then theirs.
                let itself = fact == Fact::Holder && look != Look::Presence;
                self.person |= itself;
                self.look(fact, look);
            }
            None => self.everything = true,
        }
    }

    fn walk(&mut self, expr: &Expr) {
        match expr.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                self.person |= uid.entity_type().to_string() == "User";
            }
            ExprKind::Lit(_) | ExprKind::Var(Var::Action | Var::Resource) => {}
            ExprKind::Var(Var::Principal) => self.person = true,
            ExprKind::Var(Var::Context) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {
                self.everything = true;
            }
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => [test_expr, then_expr, else_expr]
                .into_iter()
                .for_each(|part| self.walk(part)),
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.walk(left);
                self.walk(right);
            }
            ExprKind::UnaryApp { arg, .. } => self.walk(arg),
            ExprKind::BinaryApp { op, arg1, arg2 } => self.pair(*op, arg1, arg2),
            ExprKind::ExtensionFunctionApp { args, .. } | ExprKind::Set(args) => {
                args.iter().for_each(|part| self.walk(part));
            }
            ExprKind::GetAttr { expr, attr } => match variable(expr) {
                Some(Var::Context) => self.fact(attr, Look::Value),
                Some(Var::Principal) if attr == "name" => self.name = true,
                Some(Var::Principal) if attr == "issuer" => self.issuer = true,
                _ => self.walk(expr),
            },
            ExprKind::HasAttr { expr, attr } => match variable(expr) {
                Some(Var::Context) => self.fact(attr, Look::Presence),
                // Which attributes people have is the same for all.
                Some(Var::Principal) => {}
                _ => self.walk(expr),
            },
            ExprKind::ExtHasAttr { expr, attrs } => match variable(expr) {
                Some(Var::Context) => self.fact(attrs.first(), Look::Value),
                _ => self.walk(expr),
            },
            // Everybody who asks is a user.
            ExprKind::Is { expr, .. } if variable(expr) == Some(Var::Principal) => {}
            ExprKind::Is { expr, .. } | ExprKind::Like { expr, .. } => self.walk(expr),
            ExprKind::Record(fields) => fields.values().for_each(|part| self.walk(part)),
        }
    }

    fn pair(&mut self, op: BinaryOp, left: &Expr, right: &Expr) {
        let mut groups = BTreeSet::new();
        let in_groups = op == BinaryOp::In
            && variable(left) == Some(Var::Principal)
            && literal_groups(right, &mut groups);
        if in_groups {
            self.groups.extend(groups);
            return;
        }
        if matches!(op, BinaryOp::Less | BinaryOp::LessEq | BinaryOp::Eq)
            && let Some((fact, number)) = compared(left, right).or_else(|| compared(right, left))
        {
            self.look(fact, Look::Order(BTreeSet::from([number])));
            return;
        }
        self.walk(left);
        self.walk(right);
    }
}

fn variable(expr: &Expr) -> Option<Var> {
    match expr.expr_kind() {
        ExprKind::Var(var) => Some(*var),
        _ => None,
    }
}

/// Whether `expr` is nothing but literal groups, which go into `found`.
fn literal_groups(expr: &Expr, found: &mut BTreeSet<String>) -> bool {
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) if uid.entity_type().to_string() == "Group" => {
            let name: &str = uid.eid().as_ref();
            found.insert(name.to_owned());
            true
        }
        ExprKind::Set(items) => items.iter().all(|item| literal_groups(item, found)),
        _ => false,
    }
}

/// A number of the context and the number that it is compared with.
fn compared(fact: &Expr, with: &Expr) -> Option<(Fact, i64)> {
    let ExprKind::GetAttr { expr, attr } = fact.expr_kind() else {
        return None;
    };
    if variable(expr) != Some(Var::Context) {
        return None;
    }
    let fact = Fact::named(attr)?;
    let number = match (fact, with.expr_kind()) {
        (
            Fact::Approvals
            | Fact::Duration
            | Fact::Hour
            | Fact::MfaAge
            | Fact::Unreviewed
            | Fact::Weekday,
            ExprKind::Lit(Literal::Long(number)),
        ) => *number,
        (Fact::Now, ExprKind::ExtensionFunctionApp { fn_name, args }) => {
            let [text] = args.as_slice() else {
                return None;
            };
            let ExprKind::Lit(Literal::String(text)) = text.expr_kind() else {
                return None;
            };
            if fn_name.to_string() != "datetime" {
                return None;
            }
            milliseconds(text)?
        }
        _ => return None,
    };
    Some((fact, number))
}

/// What Cedar makes of `datetime("…")`, since 1970.
fn milliseconds(text: &str) -> Option<i64> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":+-.".contains(c);
    if !text.chars().all(plain) {
        return None;
    }
    let since =
        format!("datetime(\"{text}\").durationSince(datetime(\"1970-01-01\")).toMilliseconds()");
    let expression: Expression = since.parse().ok()?;
    let nobody = |name: &str| format!("{name}::\"\"").parse().ok();
    let (who, what, on) = (nobody("User")?, nobody("Action")?, nobody("Authority")?);
    let request = Request::new(who, what, on, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression) {
        Ok(EvalResult::Long(number)) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
