//! The conditions of a policy in their parts, as they are written.
//!
//! `when { a && b }` holds where every part does; `unless { a && b }` where not every one does. Only
//! the outermost `&&` is taken apart. Nothing is evaluated here.

use cedar_policy::Policy;
use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};

/// Conditions that hold or do not hold together.
#[derive(Clone, Debug)]
pub(super) struct Clause<'a> {
    /// `unless`; otherwise `when`.
    pub(super) unless: bool,
    /// At least one.
    pub(super) parts: Vec<&'a Expr>,
}

/// The conditions of `policy`: all of its `when` as one, each `unless` as its own.
pub(super) fn clauses(policy: &Policy) -> Vec<Clause<'_>> {
    let mut when = Vec::new();
    let mut clauses = Vec::new();
    if let Some(whole) = policy.as_ref().non_scope_constraints() {
        for part in conjuncts(whole) {
            match unless(part) {
                Some(inside) => clauses.push(Clause {
                    unless: true,
                    parts: conjuncts(inside),
                }),
                None => when.push(part),
            }
        }
    }
    if !when.is_empty() {
        let when = Clause {
            unless: false,
            parts: when,
        };
        clauses.insert(0, when);
    }
    clauses
}

/// What is inside of `unless { … }`: to Cedar it is a negation whose text is the whole clause.
fn unless(expr: &Expr) -> Option<&Expr> {
    let ExprKind::UnaryApp {
        op: UnaryOp::Not,
        arg,
    } = expr.expr_kind()
    else {
        return None;
    };
    let text = expr.source_loc()?.snippet()?;
    text.starts_with("unless").then_some(arg)
}

fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let (mut open, mut parts) = (vec![expr], Vec::new());
    while let Some(next) = open.pop() {
        if let ExprKind::And { left, right } = next.expr_kind() {
            open.extend([right.as_ref(), left.as_ref()]);
        } else {
            parts.push(next);
        }
    }
    parts
}

/// `expr` as it is written, in one line and without comments.
pub(super) fn text(expr: &Expr) -> String {
    let written = expr.source_loc().and_then(|loc| loc.snippet());
    written.map_or_else(|| expr.to_string(), in_one_line)
}

/// Byte offset of `expr` in its file, and its length.
pub(super) fn span(expr: &Expr) -> Option<(usize, usize)> {
    let span = expr.source_loc()?.span;
    Some((span.offset(), span.len()))
}

fn in_one_line(text: &str) -> String {
    let mut line = String::new();
    let (mut quoted, mut escaped) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if quoted {
            line.push(letter);
            quoted = escaped || letter != '"';
            escaped = letter == '\\' && !escaped;
        } else if letter == '/' && letters.peek() == Some(&'/') {
            letters.by_ref().find(|&next| next == '\n');
            blank(&mut line);
        } else if letter.is_whitespace() {
            blank(&mut line);
        } else {
            line.push(letter);
            quoted = letter == '"';
        }
    }
    line.trim_end().to_owned()
}

/// One blank at most.
fn blank(line: &mut String) {
    if !line.is_empty() && !line.ends_with(' ') {
        line.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(conditions: &str) -> Vec<(bool, Vec<String>)> {
        let text = format!("permit (principal, action, resource)\n{conditions};");
        let policy: Policy = text.parse().unwrap();
        let told = |clause: Clause<'_>| {
            let parts = clause.parts.into_iter().map(super::text);
            (clause.unless, parts.collect())
        };
        clauses(&policy).into_iter().map(told).collect()
    }

    fn owned(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn a_condition_is_taken_apart_at_its_outermost_and() {
        let written = "when { (context.b || context.c == 1) && (context.d && context.e) && \
                       !(context.f && context.g) }";
        let found = parts(written);
        let told = [
            "context.b || context.c == 1",
            "context.d",
            "context.e",
            "!(context.f && context.g)",
        ];
        assert_eq!(found, [(false, owned(&told))]);
    }

    #[test]
    fn unless_is_a_clause_of_its_own_and_every_when_is_one() {
        let found =
            parts("when { context.a } unless { context.b && context.c } when { !context.d }");
        assert_eq!(
            found,
            [
                (false, owned(&["context.a", "!context.d"])),
                (true, owned(&["context.b", "context.c"])),
            ]
        );
        assert_eq!(parts(""), []);
    }

    #[test]
    fn text_is_in_one_line_and_as_it_is_written() {
        let written = "when {\n  context.a == // why\n    \"x  // \\\" y\"\n}";
        assert_eq!(
            parts(written),
            [(false, owned(&["context.a == \"x  // \\\" y\""]))]
        );
    }
}
