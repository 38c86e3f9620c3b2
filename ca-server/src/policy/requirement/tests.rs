use proptest::prelude::*;

use super::super::REQUIREMENTS_NAME;
use super::*;

fn parse(text: &str) -> Result<Requirements, Vec<Problem>> {
    Requirements::parse(&Source::new(REQUIREMENTS_NAME, text))
}

fn table(text: &str) -> Requirements {
    parse(&format!("[requirements]\n{text}")).unwrap()
}

fn problem(line: &str) -> Problem {
    let mut problems = parse(&format!("[requirements]\n{line}\n")).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let found = problems.remove(0);
    assert_eq!((found.file.as_str(), found.line), (REQUIREMENTS_NAME, 2));
    found
}

#[test]
fn alternatives_are_read_and_told_in_words() {
    let found = table(
        "two-keys = [[\"1 of sre-leads\", \"1 of security\"], [\"2 of security\"]]\n\
         both = [[\"2 approvals\", \"1 of security\"]]\n",
    );
    let words = |name| found.get(name).unwrap().to_string();
    assert_eq!(
        words("two-keys"),
        "1 of sre-leads and 1 of security, or 2 of security"
    );
    assert_eq!(words("both"), "1 of security and 2 approvals");
    assert_eq!(found.get("both").unwrap().line(), 3);
}

#[test]
fn a_group_may_have_any_name_without_being_taken_for_anybody() {
    let found = table("a = [[\"1 of anyone\", \"1 of approvals\", \"1 of sre of the night\"]]\n");
    let seats = &found.get("a").unwrap().alternatives[0].seats;
    let groups: Vec<_> = seats.iter().filter_map(|s| s.group.as_deref()).collect();
    assert_eq!(groups, ["anyone", "approvals", "sre of the night"]);
}

#[test]
fn an_empty_file_and_an_empty_table_have_no_requirements() {
    for text in ["", "# nothing\n", "[requirements]\n"] {
        assert_eq!(parse(text).unwrap(), Requirements::default());
    }
}

#[test]
fn seats_that_are_none_are_refused_with_their_place() {
    for seats in [
        "",
        "security",
        "1",
        "1 of",
        "1 of ",
        "1 of  security",
        "one of security",
        "1 security",
        "+1 of security",
        "1  of security",
        " 1 of security",
        "1 of security ",
        "1of security",
        "1 of a\\tb",
    ] {
        let found = problem(&format!("a = [[\"1 of b\", \"{seats}\"]]"));
        assert!(found.message.contains("neither"), "{seats:?}: {found}");
        assert_eq!(found.column, 17, "{seats:?}: {found}");
    }
}

#[test]
fn nobody_and_too_many_people_are_refused() {
    for count in ["0", "00", "9", "18446744073709551616"] {
        let found = problem(&format!("a = [[\"{count} of b\"]]"));
        assert!(found.message.contains("at most 8"), "{found}");
    }
    let found = problem("a = [[\"5 of b\", \"4 approvals\"]]");
    assert!(found.message.contains("9 people"), "{found}");
}

#[test]
fn alternatives_that_ask_nobody_are_refused() {
    let found = problem("a = []");
    assert!(found.message.contains("never met"), "{found}");
    let found = problem("a = [[\"1 of b\"], []]");
    assert_eq!(found.column, 18, "{found}");
}

#[test]
fn the_same_group_twice_is_refused_because_it_could_be_meant_in_two_ways() {
    let found = problem("a = [[\"1 of b\", \"2 of b\"]]");
    assert!(found.message.contains("again"), "{found}");
    assert_eq!(found.column, 17, "{found}");
}

#[test]
fn names_are_plain_and_given_once() {
    let found = problem("\"a b\" = [[\"1 of b\"]]");
    assert!(found.message.contains("no plain name"), "{found}");
    let problems = parse("[requirements]\na = [[\"1 of b\"]]\na = [[\"1 of c\"]]\n").unwrap_err();
    assert_eq!(problems[0].line, 3, "{problems:?}");
    assert!(problems[0].message.contains("duplicate"), "{problems:?}");
}

#[test]
fn what_is_no_table_of_requirements_is_refused() {
    let problems = parse("[requirement]\na = [[\"1 of b\"]]\n").unwrap_err();
    assert!(
        problems[0].message.contains("unknown field"),
        "{problems:?}"
    );
    assert_eq!(problems[0].line, 1, "{problems:?}");
    for wrong in [
        "a = \"1 of b\"",
        "a = [\"1 of b\"]",
        "a = [[1]]",
        "a.b = [[\"1 of b\"]]",
    ] {
        problem(wrong);
    }
}

#[test]
fn every_problem_of_the_table_is_reported() {
    let text = "[requirements]\na = []\nb = [[\"0 of x\", \"many\"]]\n";
    let lines: Vec<usize> = parse(text).unwrap_err().iter().map(|p| p.line).collect();
    assert_eq!(lines, [2, 3, 3]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]\"a-c0-9 =\n.of]{0,80}|\\PC{0,60}") {
        let below = format!("[requirements]\n{text}");
        for text in [text, below] {
            if let Err(problems) = parse(&text) {
                prop_assert!(!problems.is_empty());
            }
        }
    }

    #[test]
    fn words_of_a_requirement_are_its_table_again(
        count in 1_usize..=8, group in "[a-z]{1,8}( [a-z]{1,8})?",
    ) {
        let found = table(&format!("x = [[\"{count} of {group}\"]]\n"));
        prop_assert_eq!(found.get("x").unwrap().to_string(), format!("{count} of {group}"));
    }
}
