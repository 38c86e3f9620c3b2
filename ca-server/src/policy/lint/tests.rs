//! Claims about what is refused or warned of although Cedar accepts it.

use super::super::tests::{examples, set};
use super::super::{EXAMPLES, PolicySet, Source};
use super::*;

fn text(annotation: &str, scope: &str, conditions: &str) -> String {
    format!("@id(\"a\")\n@reason(\"r\")\n{annotation}\n{scope}\n{conditions};")
}

/// The problems of a policy, as sentences.
fn problems(annotation: &str, scope: &str, conditions: &str) -> Vec<String> {
    match set(&text(annotation, scope, conditions)) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|one| one.message).collect(),
    }
}

fn warnings(annotation: &str, scope: &str, conditions: &str) -> Vec<Problem> {
    let policies = set(&text(annotation, scope, conditions));
    policies.unwrap().warnings().to_vec()
}

const ANYBODY: &str =
    "permit (principal, action == Action::\"login\", resource in Environment::\"prod\")";
const SRE: &str = "permit (principal in Group::\"sre\", action == Action::\"login\", resource)";

/// Conditions, and whether they leave a permit for everybody.
const CONDITIONS: &[(&str, bool)] = &[
    ("", true),
    ("when { context.duration <= 3600 }", true),
    (
        "when { context.source.isInRange(ip(\"10.0.0.0/8\")) && context.token_bound }",
        true,
    ),
    ("when { principal is User }", true),
    ("when { context.approvals >= 2 }", true),
    ("when { principal in Group::\"sre\" }", false),
    (
        "when { context.duration <= 60 && principal.name == \"alice\" }",
        false,
    ),
    (
        "when { context.duration <= 60 } when { principal in Group::\"sre\" }",
        false,
    ),
    (
        "when { principal in Group::\"a\" || principal in Group::\"b\" }",
        false,
    ),
    (
        "when { principal in Group::\"a\" || context.duration <= 60 }",
        true,
    ),
    ("when { context.on_call }", false),
    ("when { !context.on_call }", true),
    (
        "when { context has holder && context.holder == principal }",
        false,
    ),
    ("unless { principal in Group::\"contractors\" }", false),
    (
        "unless { principal in Group::\"contractors\" && context.hour < 8 }",
        true,
    ),
    (
        "unless { principal in Group::\"contractors\" || context.hour < 8 }",
        false,
    ),
    ("unless { context.hour < 8 }", true),
    (
        "when { if principal in Group::\"a\" then context.duration < 60 else false }",
        false,
    ),
    (
        "when { if context.on_call then principal in Group::\"a\" else context.token_bound }",
        false,
    ),
    (
        "when { if context.token_bound then principal in Group::\"a\" else context.hour < 8 }",
        true,
    ),
];

#[test]
fn a_permit_is_for_everybody_unless_each_way_to_meet_it_says_who() {
    for &(conditions, everybody) in CONDITIONS {
        let found = problems("", ANYBODY, conditions);
        assert_eq!(
            found.len(),
            usize::from(everybody),
            "{conditions} {found:?}"
        );
        if everybody {
            assert!(
                found[0].starts_with("the policy permits everybody"),
                "{found:?}"
            );
        }
        let spelt = problems("@everybody(\"open house\")", ANYBODY, conditions);
        assert_eq!(spelt.len(), 0, "{conditions} {spelt:?}");
    }
}

#[test]
fn the_words_of_the_annotation_must_say_why() {
    assert_eq!(problems("@everybody(\" \")", ANYBODY, "").len(), 1);
    assert_eq!(problems("@everybody", ANYBODY, "").len(), 1);
}

#[test]
fn a_forbid_for_everybody_is_what_forbids_are_for() {
    let scope = "forbid (principal, action, resource)";
    assert_eq!(problems("", scope, ""), Vec::<String>::new());
    assert_eq!(
        problems("", scope, "when { context.duration > 3600 }"),
        Vec::<String>::new()
    );
}

#[test]
fn a_permit_for_everybody_is_shown_at_its_first_word_with_what_to_do() {
    let odd = "// permit (\n@note(\"permit (\")";
    let error = set(&text(odd, ANYBODY, "when { context.token_bound }")).unwrap_err();
    let found = &error.problems[0];
    assert_eq!(
        (found.line, found.column, found.width),
        (5, 1, 6),
        "{found}"
    );
    assert_eq!(
        found.message,
        "the policy permits everybody: no condition says who asks"
    );
    let hint = found.hint.as_deref().unwrap();
    assert!(
        hint.contains("write @everybody(\"why\") above it if that is meant"),
        "{hint}"
    );
}

#[test]
fn a_misspelt_annotation_is_what_the_hint_is_about() {
    let hint = |annotation: &str, scope: &str| {
        let error = set(&format!("{annotation}\n{scope};")).unwrap_err();
        error.problems[0].hint.clone().unwrap()
    };
    let everybody = "@id(\"a\")\n@reason(\"r\")\n@everbody(\"why\")";
    assert_eq!(
        hint(everybody, ANYBODY),
        "did you mean @everybody instead of @everbody?"
    );
    let reason = "@id(\"a\")\n@reson(\"r\")\n@owner(\"sre\")";
    assert_eq!(hint(reason, SRE), "did you mean @reason instead of @reson?");
    let id = "@ID(\"a\")\n@reason(\"r\")";
    assert!(hint(id, SRE).starts_with("write @id("));
}

#[test]
fn a_condition_that_is_the_same_for_every_request_is_refused_at_its_place() {
    for conditions in [
        "when { true }",
        "unless { false }",
        "when { context.token_bound && true }",
        "when { 1 < 2 }",
        "when { [\"a\"].contains(\"a\") } when { context.token_bound }",
    ] {
        for effect in [SRE.to_owned(), SRE.replace("permit", "forbid")] {
            let found = problems("", &effect, conditions);
            assert_eq!(found.len(), 1, "{conditions} {found:?}");
            assert!(found[0].ends_with("says nothing"), "{found:?}");
        }
    }
    let error = set(&text("", SRE, "when { context.token_bound && true }")).unwrap_err();
    assert_eq!(
        (error.problems[0].line, error.problems[0].column),
        (5, 31),
        "{error}"
    );
}

#[test]
fn a_condition_that_never_holds_is_refused_once() {
    for conditions in ["when { false }", "unless { true }"] {
        let found = problems("", SRE, conditions);
        assert_eq!(found.len(), 1, "{conditions} {found:?}");
    }
}

#[test]
fn a_value_that_a_fact_never_has_is_refused() {
    for (condition, message) in [
        (
            "context.mfa_kind == \"topt\"",
            "there is no second factor \"topt\"",
        ),
        (
            "\"sms\" != context.mfa_kind",
            "there is no second factor \"sms\"",
        ),
        (
            "[\"totp\", \"webauthn\"].contains(context.mfa_kind)",
            "there is no second factor \"webauthn\"",
        ),
        ("context.weekday == 0", "no day is weekday 0"),
        ("context.hour == 24", "there is no hour 24"),
    ] {
        assert_eq!(
            problems("", SRE, &format!("when {{ {condition} }}")),
            [message]
        );
    }
    for condition in [
        "User::\"https://i.example#bob\" in Group::\"sre\"",
        "context.mfa_kind == \"recovery\"",
        "context.weekday == 7",
        "context.hour == 0",
        "context.hour < 24",
        "context.unreviewed == 0",
        "[\"totp\"].contains(context.mfa_kind)",
    ] {
        assert_eq!(
            problems("", SRE, &format!("when {{ {condition} }}")),
            Vec::<String>::new()
        );
    }
    let error = set(&text("", SRE, "when { context.mfa_kind == \"topt\" }")).unwrap_err();
    assert_eq!(
        error.problems[0].hint.as_deref(),
        Some("did you mean \"totp\"?")
    );
}

#[test]
fn a_permit_to_get_an_account_in_every_environment_is_warned_of() {
    for (action, conditions, warned) in [
        ("action", "", true),
        ("action == Action::\"login\"", "", true),
        (
            "action == Action::\"break_glass\"",
            "when { context.on_call }",
            true,
        ),
        (
            "action in [Action::\"revoke\", Action::\"login\"]",
            "",
            true,
        ),
        ("action == Action::\"approve\"", "", false),
        ("action == Action::\"revoke\"", "", false),
        ("action == Action::\"read_audit\"", "", false),
        (
            "action == Action::\"login\"",
            "when { resource in Environment::\"prod\" }",
            false,
        ),
        (
            "action == Action::\"login\"",
            "when { resource.name == \"deploy\" }",
            false,
        ),
        (
            "action == Action::\"login\"",
            "when { resource is Account }",
            true,
        ),
    ] {
        let scope = format!("permit (principal in Group::\"sre\", {action}, resource)");
        let found = warnings("", &scope, conditions);
        assert_eq!(
            found.len(),
            usize::from(warned),
            "{action} {conditions} {found:?}"
        );
        let found = warnings("@everywhere(\"they run it all\")", &scope, conditions);
        assert_eq!(found, [], "{action} {conditions}");
    }
    let found = warnings("", SRE, "");
    let message = "the policy permits login in every environment, those to come included";
    assert_eq!((found[0].line, found[0].message.as_str()), (4, message));
    let forbids = SRE.replace("permit", "forbid");
    assert_eq!(warnings("", &forbids, ""), []);
}

#[test]
fn an_annotation_that_excuses_nothing_is_warned_of() {
    let everybody = "@everybody(\"why\")";
    for scope in [
        "permit (principal in Group::\"sre\", action == Action::\"revoke\", resource)",
        "forbid (principal, action, resource)",
    ] {
        let found = warnings(everybody, scope, "");
        assert_eq!(
            found[0].message,
            "@everybody, but this is no permit for everybody"
        );
    }
}

#[test]
fn the_examples_give_no_warning() {
    assert_eq!(examples().warnings(), []);
}

#[test]
fn a_set_that_was_in_force_before_is_still_read_from_its_texts() {
    let (name, schema) = EXAMPLES[0];
    let open = text("", ANYBODY, "when { context.duration <= 3600 }");
    let sources = [Source::new(name, schema), Source::new("a.cedar", &open)];
    assert_eq!(
        PolicySet::from_sources(&sources).unwrap().policies().len(),
        1
    );
    let open = text("", ANYBODY, "");
    let sources = [Source::new(name, schema), Source::new("a.cedar", &open)];
    assert!(
        PolicySet::from_sources(&sources).is_err(),
        "that was always refused"
    );
}
