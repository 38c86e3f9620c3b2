//! Claims about requirements that policies ask for, at load.

use super::*;

#[test]
fn a_requirement_that_is_not_in_the_table_is_refused_with_those_that_are() {
    let text = "@id(\"a\")\n@reason(\"r\")\nforbid (principal, action, resource)\n\
                unless { context.met.containsAll([\"one\", \"tow\"]) };";
    let error = set_with("one = [[\"1 of a\"]]\ntwo = [[\"2 of a\"]]\n", text).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    let found = &error.problems[0];
    assert_eq!((found.line, found.column), (4, 42), "{error}");
    let expected = "there is no requirement \"tow\" (there are: one, two)";
    assert_eq!(found.message, expected);
    let error = set(text).unwrap_err();
    assert_eq!(error.problems.len(), 2, "{error}");
    assert!(
        error
            .to_string()
            .contains("requirements.toml is absent or empty")
    );
}

#[test]
fn names_of_requirements_that_cannot_be_checked_are_refused() {
    for condition in [
        "context.met == [\"one\"]",
        "[\"one\"].containsAny(context.met)",
        "context.met.contains(context.mfa_kind)",
        "context.met.contains(\"one\") || context.met.contains(principal.name)",
    ] {
        let text = format!(
            "@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource)\nunless {{ {condition} }};"
        );
        let error = set_with("one = [[\"1 of a\"]]\n", &text).unwrap_err();
        assert!(
            error.to_string().contains("can be checked"),
            "{condition}: {error}"
        );
    }
}

#[test]
fn a_wrong_table_is_told_with_wrong_policies_but_names_are_not_blamed_for_it() {
    let text = "@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource)\nunless { context.met.contains(\"one\") };\n\
                @id(\"b\") @reason(\"r\")\nforbid (principal, action == Action::\"login\", resource)\nunless { context.mett };";
    let error = set_with("one = [[\"0 of a\"]]\n", text).unwrap_err();
    let places: Vec<_> = error
        .problems
        .iter()
        .map(|p| (p.file.as_str(), p.line))
        .collect();
    assert_eq!(places, [("a.cedar", 6), (REQUIREMENTS_NAME, 2)], "{error}");
}

#[test]
fn requirements_that_no_policy_asks_for_are_known() {
    let text = "@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource)\nunless { context.met.contains(\"one\") };";
    let policies = set_with("one = [[\"1 of a\"]]\ntwo = [[\"2 of a\"]]\n", text).unwrap();
    let unused: Vec<_> = policies
        .unused_requirements()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(unused, ["two"]);
    assert!(examples().unused_requirements().is_empty());
}

#[test]
fn the_table_is_part_of_the_digest() {
    let text = "@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource);";
    let with = |table: &str| set_with(table, text).unwrap().digest();
    assert_ne!(with("a = [[\"1 of a\"]]"), with("a = [[\"2 of a\"]]"));
    assert_ne!(with(""), set(text).unwrap().digest());
}
