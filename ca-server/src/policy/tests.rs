//! Claims about loading and deciding. The examples are the ground; small texts stand on their schema.

pub(crate) mod properties;
mod requirements;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ca_core::name::{Principal, Subject};
use ca_core::time::Timestamp;

use super::*;

fn schema() -> Source {
    let (name, text) = EXAMPLES[0];
    Source::new(name, text)
}

pub(crate) fn examples() -> PolicySet {
    let sources: Vec<Source> = EXAMPLES
        .iter()
        .filter(|(name, _)| is_policy_file(name))
        .map(|(name, text)| Source::new(name, text))
        .collect();
    let table = EXAMPLES.iter().find(|(name, _)| *name == REQUIREMENTS_NAME);
    let table = table.map(|(name, text)| Source::new(name, text));
    PolicySet::parse(&schema(), &sources, table.as_ref(), None).unwrap()
}

pub(crate) fn set(text: &str) -> Result<PolicySet, PolicyError> {
    PolicySet::parse(&schema(), &[Source::new("a.cedar", text)], None, None)
}

/// The policies in `text` with the requirements in `table`, without its heading.
pub(crate) fn set_with(table: &str, text: &str) -> Result<PolicySet, PolicyError> {
    let table = Source::new(REQUIREMENTS_NAME, &format!("[requirements]\n{table}"));
    let sources = [Source::new("a.cedar", text)];
    PolicySet::parse(&schema(), &sources, Some(&table), None)
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new("https://issuer.example", name).unwrap()
}

pub(crate) fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn principals(names: &[&str]) -> Vec<Principal> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Alice of engineering asks for one hour, with everything in order and no approval.
pub(crate) fn login(environment: &str, accounts: &[&str]) -> Question {
    Question {
        who: Person {
            name: "alice".parse().unwrap(),
            subject: subject("alice"),
            groups: groups(&["engineering"]),
        },
        action: Action::Login,
        on: On::Accounts {
            environment: environment.parse().unwrap(),
            principals: principals(accounts),
        },
        facts: Facts {
            duration: Duration::from_secs(3600),
            second_factor: SecondFactor::Totp(Duration::ZERO),
            token_bound: true,
            approvals: Vec::new(),
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: Timestamp::from_unix_seconds(1_795_341_600),
            reason: None,
            ticket: None,
            on_call: false,
            unreviewed: 0,
            holder: None,
        },
    }
}

fn denial(policies: &PolicySet, question: &Question) -> Denial {
    match decide(policies, question, &[]) {
        Decision::Deny(denial) => denial,
        Decision::Permit { policies } => panic!("permitted by {policies:?}"),
    }
}

fn problem(text: &str) -> Problem {
    let mut problems = set(text).unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn a_misspelt_attribute_is_found_at_its_line_and_column() {
    let found = problem(
        "@id(\"a\")\n@reason(\"r\")\npermit (principal in Group::\"engineering\", action == Action::\"login\", resource)\n\
         when { context.mfaAge < 60 };",
    );
    assert_eq!((found.line, found.column), (4, 8), "{found}");
    assert!(found.message.contains("mfaAge"), "{found}");
    assert!(found.to_string().contains("\n   |        ^^^"), "{found}");
}

#[test]
fn a_comparison_of_two_types_is_refused() {
    let found = problem(
        "@id(\"a\")\n@reason(\"r\")\npermit (principal in Group::\"engineering\", action == Action::\"login\", resource)\n\
         when { context.duration < \"1h\" };",
    );
    assert_eq!(found.line, 4, "{found}");
}

#[test]
fn a_syntax_error_shows_the_line_and_a_caret() {
    let found = problem("@id(\"a\")\n@reason(\"r\")\npermit (principal, action resource);\n");
    assert_eq!(found.line, 3, "{found}");
    assert!(found.to_string().contains('^'), "{found}");
    assert!(found.excerpt.contains("action resource"), "{found}");
}

#[test]
fn an_id_is_taken_once_over_all_files() {
    let text = "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action, resource);\n";
    let sources = [Source::new("a.cedar", text), Source::new("b.cedar", text)];
    let error = PolicySet::parse(&schema(), &sources, None, None).unwrap_err();
    let found = &error.problems[0];
    assert_eq!((found.file.as_str(), found.line), ("b.cedar", 1), "{error}");
    assert!(found.message.contains("taken by a.cedar:1"), "{error}");
}

#[test]
fn a_policy_without_id_or_reason_is_refused() {
    let bare = "forbid (principal, action, resource);";
    let found = problem(&format!("@reason(\"r\")\n{bare}"));
    assert!(found.message.contains("@id"), "{found}");
    for reason in ["", "@reason(\"  \")\n"] {
        let found = problem(&format!("@id(\"a\")\n{reason}{bare}"));
        assert!(found.message.contains("@reason"), "{found}");
    }
}

#[test]
fn a_permit_for_everybody_without_condition_is_refused_as_an_accident() {
    let found = problem(
        "@id(\"a\")\n@reason(\"r\")\npermit (principal, action == Action::\"login\", resource);",
    );
    assert!(found.message.contains("everybody"), "{found}");
}

#[test]
fn a_forbid_that_can_never_apply_is_refused() {
    let error = set(
        "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action == Action::\"login\", \
         resource == Environment::\"prod\");",
    )
    .unwrap_err();
    let hint = error.problems[0].hint.as_deref().unwrap();
    assert!(hint.contains("replacing `==` with `in`"), "{error}");
}

#[test]
fn a_schema_that_asks_for_a_fact_nobody_supplies_is_refused() {
    let text = schema()
        .text
        .replace("duration: Long,", "duration: Long, mood: String,");
    let change = |from: &str, to: &str| {
        let changed = schema().text.replace(from, to);
        assert_ne!(changed, schema().text);
        changed
    };
    // What may be absent, and entities of which nothing is said.
    let others = [
        change("met: Set<String>", "met: Set<Long>"),
        change("reason?: String", "reason: String"),
        change("holder?: User", "holder: User"),
        change("entity Environment;", "entity Environment { tier: Long };"),
        change("entity Group;", "entity Group { size: Long };"),
        change("entity Authority;", "entity Authority { name: String };"),
    ];
    for text in others.into_iter().chain([text]) {
        let schema = Source::new(SCHEMA_NAME, &text);
        let error = PolicySet::parse(&schema, &[], None, None).unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
    }
}

#[test]
fn every_problem_is_reported_not_only_the_first() {
    let text = "forbid (principal, action, resource);\n\
                permit (principal, action, resource) when { context.x };";
    assert!(set(text).unwrap_err().problems.len() >= 4);
}

#[test]
fn forbid_beats_permit_and_the_denial_names_the_forbid() {
    let policies = set("@id(\"yes\") @reason(\"yes\")\npermit (principal in Group::\"engineering\", action, resource);\n\
                        @id(\"no\") @reason(\"closed today\")\nforbid (principal, action, resource);")
    .unwrap();
    let found = denial(&policies, &login("prod", &["deploy"]));
    assert_eq!(found.reasons.len(), 1);
    assert_eq!(found.reasons[0].policy.as_deref(), Some("no"));
    assert_eq!(found.reasons[0].sentence, "closed today");
    assert!(found.hints.is_empty());
}

#[test]
fn a_forbid_that_cannot_be_evaluated_forbids() {
    let policies = set("@id(\"yes\") @reason(\"yes\")\npermit (principal in Group::\"engineering\", action, resource);\n\
                        @id(\"sum\") @reason(\"too much\")\nforbid (principal, action, resource)\n\
                        when { context.duration * 9223372036854775807 < 0 };")
    .unwrap();
    let found = denial(&policies, &login("prod", &["deploy"]));
    assert_eq!(found.reasons[0].policy.as_deref(), Some("sum"));
    assert!(found.reasons[0].sentence.contains("could not be evaluated"));
}

#[test]
fn a_default_deny_names_no_policy_but_says_so() {
    let found = denial(&examples(), &login("prod", &["postgres"]));
    assert_eq!(found.reasons[0].policy, None);
    assert_eq!(
        found.reasons[0].sentence,
        "no policy lets alice log in to prod/postgres like this"
    );
}

#[test]
fn each_principal_is_decided_on_its_own_and_all_must_be_permitted() {
    let policies = examples();
    assert!(decide(&policies, &login("prod", &["deploy"]), &[]).is_permit());
    for accounts in [["deploy", "root"], ["root", "deploy"]] {
        let found = denial(&policies, &login("prod", &accounts));
        let refused: Vec<_> = found.reasons.iter().map(|r| r.principal.clone()).collect();
        assert_eq!(refused, [Some("root".parse().unwrap())]);
    }
}

#[test]
fn no_principal_at_all_is_denied_even_where_everything_is_permitted() {
    let policies =
        set("@id(\"yes\") @reason(\"yes\")\npermit (principal in Group::\"engineering\", action, resource);")
            .unwrap();
    assert!(!decide(&policies, &login("prod", &[]), &[]).is_permit());
}

#[test]
fn an_action_on_the_wrong_kind_of_resource_is_denied() {
    let policies =
        set("@id(\"yes\") @reason(\"yes\")\npermit (principal in Group::\"engineering\", action, resource);")
            .unwrap();
    let mut question = login("prod", &["deploy"]);
    question.action = Action::Administer;
    assert!(!decide(&policies, &question, &[]).is_permit());
    question.action = Action::Login;
    question.on = On::Authority;
    assert!(!decide(&policies, &question, &[]).is_permit());
}

#[test]
fn one_person_in_two_groups_is_one_approver() {
    let policies = set("@id(\"two\") @reason(\"two\")\npermit (principal in Group::\"engineering\", action, resource)\n\
                        when { context.approvals >= 2 };")
    .unwrap();
    let mut question = login("prod", &["root"]);
    for group in ["a", "b"] {
        question.facts.approvals.push(Approval {
            subject: subject("carol"),
            groups: groups(&[group]),
        });
    }
    let found = denial(&policies, &question);
    assert_eq!(found.hints[0].to_string(), "needs 2 approvals");
    question.facts.approvals.push(Approval {
        subject: subject("bob"),
        groups: groups(&[]),
    });
    assert!(decide(&policies, &question, &[]).is_permit());
}

#[test]
fn two_people_of_the_same_name_at_two_issuers_are_two_people() {
    let policies = set("@id(\"her\") @reason(\"her\")\npermit (principal == User::\"https://issuer.example#alice\", action, resource);")
        .unwrap();
    let mut question = login("prod", &["root"]);
    assert!(decide(&policies, &question, &[]).is_permit());
    question.who.subject = Subject::new("https://other.example", "alice").unwrap();
    assert!(!decide(&policies, &question, &[]).is_permit());
}

#[test]
fn address_time_and_ticket_can_be_looked_at() {
    let policies = set("@id(\"all\") @reason(\"all\")\npermit (principal in Group::\"engineering\", action == Action::\"login\", resource)\n\
        when { context.source.isInRange(ip(\"10.0.0.0/8\")) && context.weekday == 7 && context.hour == 10 &&\n\
        context.now < datetime(\"2026-11-23\") && context has ticket && context.ticket like \"OPS-*\" &&\n\
        resource.name == \"root\" && principal.name == \"alice\" && principal.issuer == \"https://issuer.example\" };")
    .unwrap();
    let mut question = login("prod", &["root"]);
    question.facts.now = "2026-11-22T10:59:59Z".parse().unwrap();
    question.facts.source = "::ffff:10.1.2.3".parse().unwrap();
    question.facts.ticket = Some(" OPS-7 ".to_owned());
    assert!(decide(&policies, &question, &[]).is_permit());
    question.facts.now = "2026-11-22T11:00:00Z".parse().unwrap();
    assert!(!decide(&policies, &question, &[]).is_permit());
}

#[test]
fn approvals_from_two_groups_are_named_together_and_no_group_too_many() {
    let policies = set("@id(\"both\") @reason(\"both\")\npermit (principal in Group::\"engineering\", action, resource)\n\
        when { context.approvals >= 2 && context.approver_groups.containsAll([\"leads\", \"security\"]) };\n\
        @id(\"other\") @reason(\"other\")\npermit (principal in Group::\"x\", action, resource)\n\
        when { context.approver_groups.contains(\"unrelated\") };")
    .unwrap();
    let found = denial(&policies, &login("prod", &["root"]));
    assert_eq!(
        found.hints[0].to_string(),
        "needs 2 approvals from groups leads and security"
    );
}

#[test]
fn the_digest_changes_with_every_text_and_name() {
    let text = "@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource);";
    let parse = |name: &str, text: &str| {
        PolicySet::parse(&schema(), &[Source::new(name, text)], None, None)
            .unwrap()
            .digest()
    };
    assert_eq!(parse("a.cedar", text), parse("a.cedar", text));
    assert_ne!(parse("a.cedar", text), parse("b.cedar", text));
    assert_ne!(
        parse("a.cedar", text),
        parse("a.cedar", &format!("{text} "))
    );
}
