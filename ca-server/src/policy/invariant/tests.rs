use super::super::tests::{examples, login};
use super::super::{Action, EXAMPLES, On};
use super::*;

fn parse(name: &str, text: &str) -> Result<Invariants, PolicyError> {
    let environments = ["prod", "staging"].map(|name| name.parse().unwrap());
    let sources = [Source::new(name, text)];
    Invariants::parse(&examples(), &sources, Some(&environments.into()))
}

fn refused(name: &str, text: &str) -> Problem {
    let mut problems = parse(name, text).unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

fn statement(effect: &str, condition: &str) -> String {
    format!(
        "@id(\"a\")\n@reason(\"r\")\n{effect} (principal, action == Action::\"login\", resource)\n\
         when {{ {condition} }};\n"
    )
}

#[test]
fn the_example_invariants_are_read_in_the_order_of_their_files() {
    let sources: Vec<Source> = EXAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("invariants/"))
        .map(|(name, text)| Source::new(name, text))
        .collect();
    let found = Invariants::parse(&examples(), &sources, None).unwrap();
    assert!(found.len() >= 20, "only {}", found.len());
    let first = found.iter().next().unwrap();
    assert_eq!(first.id, "on-call-can-break-glass");
    assert_eq!(first.claim, Claim::Always);
    let place = ("invariants/emergency.always.cedar", 4);
    assert_eq!((first.file.as_str(), first.line), place);
}

#[test]
fn the_effect_must_be_that_of_the_file() {
    let found = refused("a.never.cedar", &statement("permit", "context.on_call"));
    let words = (
        found.line,
        "what is never permitted is written with `forbid`",
    );
    assert_eq!((found.line, found.message.as_str()), words);
    let found = refused("a.always.cedar", &statement("forbid", "context.on_call"));
    assert!(found.message.contains("`permit`"), "{found}");
    assert!(found.hint.unwrap().contains(".never.cedar"));
}

#[test]
fn a_file_of_another_name_is_refused() {
    let found = refused("a.cedar", &statement("forbid", "context.on_call"));
    assert!(
        found.hint.unwrap().contains("NAME.never.cedar"),
        "{}",
        found.message
    );
}

#[test]
fn names_that_no_policy_may_use_no_invariant_may_use() {
    let refused = |condition: &str| {
        let found = refused("a.never.cedar", &statement("forbid", condition));
        assert_eq!(found.line, 4, "{found}");
        found.message
    };
    let message = refused("resource in Environment::\"prd\"");
    assert!(message.contains("no environment \"prd\""), "{message}");
    let message = refused("context.met.contains(\"prod-rot\")");
    assert!(message.contains("no requirement \"prod-rot\""), "{message}");
    let message = refused("context.durations > 1");
    assert!(message.contains("durations"), "{message}");
    assert!(!refused("context.duration == \"x\"").is_empty());
}

#[test]
fn an_invariant_without_reason_or_with_the_id_of_another_is_refused() {
    let text = statement("forbid", "context.on_call");
    let found = refused("a.never.cedar", &text.replace("@reason(\"r\")\n", ""));
    assert!(found.message.contains("@reason"), "{found}");
    let found = refused("a.never.cedar", &format!("{text}{text}"));
    assert!(found.message.contains("is taken by"), "{found}");
    let found = refused("a.never.cedar", "");
    assert!(found.message.contains("no policy"), "{found}");
}

#[test]
fn an_invariant_may_have_the_id_of_a_policy() {
    let text = statement("forbid", "context.on_call").replace("\"a\"", "\"prod-root\"");
    assert_eq!(parse("a.never.cedar", &text).unwrap().len(), 1);
}

#[test]
fn a_question_matches_if_one_of_its_accounts_does() {
    let text = statement("forbid", "resource == Account::\"prod/root\"");
    let invariants = parse("a.never.cedar", &text).unwrap();
    let one = invariants.iter().next().unwrap();
    let policies = examples();
    assert!(one.matches(&policies, &login("prod", &["deploy", "root"])));
    assert!(!one.matches(&policies, &login("prod", &["deploy"])));
    let mut review = login("prod", &["root"]);
    review.action = Action::Review;
    review.on = On::Environment("prod".parse().unwrap());
    assert!(!one.matches(&policies, &review));
}

#[test]
fn what_is_asked_for_by_name_must_exist() {
    let text = statement("forbid", "principal in Group::\"x\"");
    let all = parse("a.never.cedar", &text).unwrap();
    assert_eq!(
        all.clone().named(&["b".to_owned()]).unwrap_err(),
        vec!["b".to_owned()]
    );
    assert_eq!(all.named(&["a".to_owned()]).unwrap().len(), 1);
}
