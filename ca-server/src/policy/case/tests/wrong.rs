//! Claims about files of cases that are not read.

use proptest::prelude::*;

use super::super::super::Problem;
use super::*;

/// The only problem of `text`.
fn problem(text: &str) -> Problem {
    let mut problems = Cases::parse("c.toml", text).unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[track_caller]
fn refused(text: &str, place: (usize, usize), message: &str, hint: Option<&str>) {
    let found = problem(text);
    assert_eq!((found.line, found.column), place, "{found}");
    assert_eq!(found.message, message, "{found}");
    assert_eq!(found.hint.as_deref(), hint, "{found}");
}

#[test]
fn a_misspelt_key_is_named_with_its_place_and_the_right_one() {
    let text = "[[case]]\nname = \"x\"\nusr = \"alice\"\nexpect = \"deny\"\n";
    refused(
        text,
        (3, 1),
        "unknown key `usr`",
        Some("did you mean \"user\"?"),
    );
    let shown = problem(text).to_string();
    assert!(
        shown.starts_with("c.toml:3:1: unknown key `usr`\n 3 | usr = \"alice\"\n   | ^^^\n"),
        "{shown}"
    );
    let text = format!("{ROOT}expect = \"deny\"\n").replace("name =", "nmae =");
    refused(
        &text,
        (2, 1),
        "unknown key `nmae`",
        Some("did you mean \"name\"?"),
    );
    refused(
        "[[cases]]\n",
        (1, 3),
        "unknown key `cases`",
        Some("did you mean \"case\"?"),
    );
}

#[test]
fn a_misspelt_value_is_named_with_its_place_and_the_right_one() {
    let text = format!("{ROOT}expect = \"permitt\"\n");
    refused(
        &text,
        (7, 10),
        "unknown value `permitt`",
        Some("did you mean \"permit\"?"),
    );
}

#[test]
fn a_misspelt_key_in_a_row_or_a_table_is_named_once() {
    let table = |shared: &str, row: &str| {
        format!(
            "[[table]]\nname = \"t\"\nuser = \"alice\"\nenvironment = \"prod\"\n\
             accounts = [\"root\"]\n{shared}\nrows = [\n  {{ expect = \"approval\" }},\n  {{ {row} }},\n]\n"
        )
    };
    let text = table("on_cal = true", "expect = \"deny\", for = \"2h\"");
    refused(
        &text,
        (6, 1),
        "unknown key `on_cal`",
        Some("did you mean \"on_call\"?"),
    );
    let text = table("", "expect = \"deny\", fro = \"2h\"");
    refused(
        &text,
        (9, 22),
        "unknown key `fro`",
        Some("did you mean \"for\"?"),
    );
    let text = table("", "for = \"2h\"");
    refused(
        &text,
        (9, 3),
        "there is no `expect`",
        Some("write expect = \"permit\", \"approval\" or \"deny\""),
    );
    let text = table("", "expect = \"approval\"").replace("rows", "row");
    refused(
        &text,
        (7, 1),
        "unknown key `row`",
        Some("did you mean \"rows\"?"),
    );
    let text = "[[table]]\nname = \"t\"\nuser = \"alice\"\n";
    assert_eq!(problem(text).message, "the table has no `rows`");
}

#[test]
fn what_an_action_needs_must_be_there() {
    let text =
        "[[case]]\nname = \"x\"\nuser = \"alice\"\nenvironment = \"prod\"\nexpect = \"deny\"\n";
    refused(
        text,
        (1, 1),
        "action login needs `accounts`",
        Some("write accounts = [\"deploy\"]"),
    );
    let text = "[[case]]\nname = \"x\"\nuser = \"alice\"\naction = \"review\"\nexpect = \"deny\"\n";
    refused(
        text,
        (1, 1),
        "action review needs `environment`",
        Some("write environment = \"prod\""),
    );
    let text = "[[case]]\nname = \"x\"\naction = \"administer\"\nexpect = \"deny\"\n";
    refused(
        text,
        (1, 1),
        "there is no `user`",
        Some("write user = \"alice\""),
    );
}

#[test]
fn an_expectation_that_no_answer_could_meet_is_refused() {
    let text = format!("{ROOT}expect = \"permit\"\nobligation = \"1 of a\"\n");
    let hint = "an answer that waits for approvals is expect = \"approval\"";
    refused(
        &text,
        (8, 14),
        "an obligation, but expect = \"permit\"",
        Some(hint),
    );
    let text = format!("{ROOT}expect = \"permit\"\nhint = \"needs a reason\"\n");
    let hint = "hints come with expect = \"approval\" or \"deny\"";
    refused(&text, (8, 8), "a hint, but expect = \"permit\"", Some(hint));
    let text = format!("{ROOT}action = \"approve\"\nexpect = \"approval\"\n");
    let message = "approve never waits for approvals: only login does";
    refused(
        &text,
        (1, 1),
        message,
        Some("expect = \"permit\" or \"deny\""),
    );
}

#[test]
fn the_key_that_was_renamed_says_so() {
    let text = format!("{ROOT}expect = \"deny\"\nmissing = \"1 of approver\"\n");
    let hint = "this is `obligation` now, with expect = \"approval\"";
    refused(&text, (8, 1), "unknown key `missing`", Some(hint));
}

#[test]
fn values_of_another_kind_are_refused_at_their_place() {
    for (line, message) in [
        (
            "for = \"soon\"",
            "\"soon\" is no duration: write 2h, 30m or 1h30m",
        ),
        (
            "now = \"someday\"",
            "\"someday\" is no time: write \"tuesday 22:30\" or \"2026-11-22T10:00:00Z\"",
        ),
        (
            "unreviewed = \"1\"",
            "invalid type: string \"1\", expected u64",
        ),
        (
            "approvals = [4]",
            "invalid type: integer `4`, expected \"NAME\" or { user = \"NAME\", groups = [\"GROUP\"] }",
        ),
    ] {
        let found = problem(&format!("{ROOT}expect = \"deny\"\n{line}\n"));
        assert_eq!(
            (found.line, found.message.as_str()),
            (8, message),
            "{found}"
        );
        assert!(found.column > 5, "{found}");
    }
    let text =
        format!("{ROOT}approvals = [{{ user = \"carol\", group = [] }}]\nexpect = \"deny\"\n");
    refused(
        &text,
        (7, 32),
        "unknown key `group`",
        Some("did you mean \"groups\"?"),
    );
}

#[test]
fn text_that_is_no_toml_is_refused_at_its_place() {
    let found = problem("[[case]]\nname = \"x\nuser = \"alice\"\n");
    assert_eq!(found.line, 2, "{found}");
}

#[test]
fn somebody_who_is_not_under_people_needs_groups() {
    let text = format!("[people]\nalice = []\n{ROOT}approvals = [\"alcie\"]\nexpect = \"deny\"\n");
    let message = "\"alcie\" is not under [people], and no groups are given";
    refused(&text, (9, 14), message, Some("did you mean \"alice\"?"));
}

#[test]
fn two_cases_of_one_name_are_refused() {
    let text = format!("{ROOT}expect = \"approval\"\n");
    let hint = "give each case, and each row that looks like another, its own name";
    refused(
        &format!("{text}\n{text}"),
        (9, 1),
        "the name \"x\" is taken by line 1",
        Some(hint),
    );
}

#[test]
fn the_first_thing_wrong_of_each_case_is_reported() {
    let text = "[[case]]\nname = \"a\"\nusr = \"x\"\n[[case]]\nname = \"b\"\nexpect = 4\n[[cas]]\n";
    let found = Cases::parse("c.toml", text).unwrap_err().problems;
    let lines: Vec<usize> = found.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 6, 7], "{found:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// A half-written file: every text is read or refused, with places that exist.
    #[test]
    fn a_file_cut_or_changed_anywhere_is_read_or_refused(at in 0_usize..400, cut in 0_usize..40, put in "[\\[\\]{}\"=a1\n.,é]{0,6}") {
        let whole = format!("[people]\nalice = []\n{ROOT}expect = \"deny\"\n[[table]]\nname = \"t\"\n\
            user = \"alice\"\nenvironment = \"prod\"\naccounts = [\"root\"]\nrows = [\n  \
            {{ expect = \"deny\", for = \"2h\" }},\n  {{ name = \"x\", expect = \"permit\" }},\n]\n");
        let head: String = whole.chars().take(at).collect();
        let tail: String = whole.chars().skip(at + cut).collect();
        let text = format!("{head}{put}{tail}");
        if let Err(error) = Cases::parse("c.toml", &text) {
            prop_assert!(!error.problems.is_empty());
            for problem in error.problems {
                prop_assert!(problem.line <= text.lines().count().max(1), "{problem}");
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}
