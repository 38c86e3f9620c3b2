//! Environments, accounts and requirements that a policy names: whether they can exist.
//!
//! Reads the scope and the conditions. Cedar cannot tell: any text is an entity to it, so a misspelt
//! name is a policy that never applies. Decides nothing about login names, which hosts define.

use std::collections::BTreeSet;
use std::ops::Range;

use ca_core::name::Environment;
use cedar_policy::Policy;

use super::error::Problem;
use super::mention::Mentions;
use super::requirement::Requirements;
use super::{REQUIREMENTS_NAME, Source};

/// A problem for each environment that `policy`, which stands at `span` of `source`, names and that
/// is none of `known`, and for each account that is not `environment/login-name`.
pub(super) fn unknown(
    policy: &Policy,
    (source, span): (&Source, Range<usize>),
    known: &BTreeSet<Environment>,
) -> Vec<Problem> {
    let mut named = BTreeSet::new();
    if let Ok(json) = policy.to_json() {
        collect(&json, &mut named);
    }
    let there_are: Vec<&str> = known.iter().map(Environment::as_str).collect();
    let there_are = there_are.join(", ");
    let wrong = |(kind, id): (String, String)| {
        let environment = match kind.as_str() {
            "Environment" => id.as_str(),
            "Account" => match id.split_once('/') {
                Some((environment, _)) => environment,
                None => {
                    let message = format!("there is no account {id:?}");
                    let hint = "an account is written Account::\"ENVIRONMENT/login-name\"";
                    return Some(at((source, &span), &id, message, Some(hint.to_owned())));
                }
            },
            _ => return None,
        };
        if known.iter().any(|name| name.as_str() == environment) {
            return None;
        }
        let message = format!("there is no environment {environment:?} (there are: {there_are})");
        Some(at((source, &span), &id, message, None))
    };
    named.into_iter().filter_map(wrong).collect()
}

/// A problem for each requirement that the policy asks for and that is not in the table, and one if
/// it looks at `context.met` in a way that hides the names.
pub(super) fn unknown_requirements(
    mentions: &Mentions,
    (source, span): (&Source, Range<usize>),
    known: &Requirements,
) -> Vec<Problem> {
    let there_are: Vec<&str> = known.iter().map(|(name, _)| name).collect();
    let there_are = match there_are.as_slice() {
        [] => format!("{REQUIREMENTS_NAME} is absent or empty"),
        names => format!("there are: {}", names.join(", ")),
    };
    let names = mentions.requirements.iter();
    let mut problems: Vec<Problem> = names
        .filter(|name| known.get(name).is_none())
        .map(|name| {
            let message = format!("there is no requirement {name:?} ({there_are})");
            let hint = format!("add it to {REQUIREMENTS_NAME}, below [requirements]");
            at((source, &span), name, message, Some(hint))
        })
        .collect();
    if mentions.unclear {
        let message = "context.met is looked at without a name that can be checked".to_owned();
        let hint = "write context.met.contains(\"NAME\"), containsAll([…]) or containsAny([…])";
        problems.push(at((source, &span), "met", message, Some(hint.to_owned())));
    }
    problems
}

/// A problem at the first place where the policy writes `id`, else at the policy.
fn at(
    (source, span): (&Source, &Range<usize>),
    id: &str,
    message: String,
    hint: Option<String>,
) -> Problem {
    let literal = format!("{id:?}");
    let text = source.text.get(span.clone()).unwrap_or_default();
    let place = match text.find(&literal) {
        Some(offset) => (span.start.saturating_add(offset), literal.len()),
        None => (span.start, 1),
    };
    Problem::at(&source.name, &source.text, place, message, hint)
}

/// Type and id of every entity in Cedar's JSON form of a policy.
pub(super) fn collect(json: &serde_json::Value, named: &mut BTreeSet<(String, String)>) {
    match json {
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, named)),
        serde_json::Value::Object(fields) => {
            let text = |key| fields.get(key).and_then(serde_json::Value::as_str);
            if let (Some(kind), Some(id)) = (text("type"), text("id")) {
                named.insert((kind.to_owned(), id.to_owned()));
            }
            fields.values().for_each(|value| collect(value, named));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EXAMPLES, PolicyError, PolicySet};
    use super::*;

    fn parse(text: &str) -> Result<PolicySet, PolicyError> {
        let (name, schema) = EXAMPLES[0];
        let known = ["prod", "staging"].map(|name| name.parse().unwrap());
        PolicySet::parse(
            &Source::new(name, schema),
            &[Source::new("a.cedar", text)],
            None,
            Some(&BTreeSet::from(known)),
        )
    }

    fn policy(resource: &str, condition: &str) -> String {
        format!(
            "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action == Action::\"login\",\n\
             resource {resource})\nwhen {{ {condition} }};"
        )
    }

    fn refused(text: &str) -> Problem {
        let mut problems = parse(text).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    #[test]
    fn a_misspelt_environment_in_scope_or_condition_is_an_error_at_its_place() {
        let message = "there is no environment \"stagging\" (there are: prod, staging)";
        let found = refused(&policy("in Environment::\"stagging\"", "context.on_call"));
        assert_eq!((found.line, found.column), (4, 26));
        assert_eq!(found.message, message);
        let found = refused(&policy("", "resource in Environment::\"stagging\""));
        assert_eq!((found.line, found.message.as_str()), (5, message));
        let found = refused(&policy("== Account::\"prodd/root\"", "context.on_call"));
        assert!(found.message.contains("no environment \"prodd\""));
    }

    #[test]
    fn an_account_without_its_environment_is_an_error() {
        let found = refused(&policy("== Account::\"root\"", "context.on_call"));
        assert_eq!(found.message, "there is no account \"root\"");
    }

    #[test]
    fn environments_that_exist_are_accepted() {
        parse(&policy("in Environment::\"staging\"", "context.on_call")).unwrap();
        parse(&policy("== Account::\"prod/root\"", "context.on_call")).unwrap();
    }
}
