//! Claims about reading cases and about what becomes of them.

use std::time::Duration;

use super::super::tests::{examples, login, set, subject};
use super::super::{EXAMPLES, SecondFactor};
use super::*;

mod wrong;

fn run(text: &str) -> Vec<Outcome> {
    Cases::parse("c.toml", text).unwrap().run(&examples())
}

#[test]
fn every_case_of_the_examples_is_decided_as_it_says() {
    let policies = examples();
    let mut count = 0;
    for (name, text) in EXAMPLES
        .iter()
        .filter(|(name, _)| name.starts_with("cases/"))
    {
        let cases = Cases::parse(name, text).unwrap();
        assert_eq!(cases.unknown_policies(&policies), []);
        for outcome in cases.run(&policies) {
            assert!(outcome.passed, "{outcome:#?}");
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} cases");
}

#[test]
fn a_case_that_is_decided_otherwise_fails_and_names_its_line() {
    let text = "\n[[case]]\nname = \"x\"\nuser = \"alice\"\nenvironment = \"staging\"\n\
                accounts = [\"deploy\"]\nexpect = \"permit\"\n";
    let outcomes = run(text);
    assert!(!outcomes[0].passed);
    assert_eq!(outcomes[0].line, 2);
    assert_eq!(outcomes[0].expected, "permit");
    assert_eq!(outcomes[0].got, "deny by no policy");
}

const ROOT: &str = "[[case]]\nname = \"x\"\nuser = \"alice\"\ngroups = [\"engineering\"]\n\
                    environment = \"prod\"\naccounts = [\"root\"]\n";

#[test]
fn each_expectation_alone_makes_a_case_fail() {
    for (answer, passes) in [
        ("expect = \"approval\"", true),
        ("expect = \"deny\"", false),
        ("expect = \"permit\"", false),
        (
            "expect = \"approval\"\nobligation = \"1 of approver\"",
            true,
        ),
        (
            "expect = \"approval\"\nobligation = \"2 of approver\"",
            false,
        ),
        (
            "expect = \"approval\"\npolicy = \"prod-root-needs-approval\"",
            true,
        ),
        ("expect = \"approval\"\npolicy = \"prod-root\"", false),
        (
            "expect = \"approval\"\nhint = \"account deploy is allowed\"",
            false,
        ),
        (
            "expect = \"approval\"\nother_accounts = [\"deploy\"]\nhint = \"account deploy is allowed\"",
            true,
        ),
        (
            "expect = \"approval\"\nbecause = \"root in prod needs the approval of another person from group approver\"",
            true,
        ),
        ("expect = \"approval\"\nbecause = \"root in prod\"", false),
    ] {
        let outcomes = run(&format!("{ROOT}{answer}\n"));
        assert_eq!(outcomes[0].passed, passes, "{answer} {outcomes:#?}");
    }
}

#[test]
fn a_permit_and_a_denial_without_policy_give_their_reasons_too() {
    let text = "[people]\nalice = [\"engineering\"]\n[[table]]\nname = \"t\"\nuser = \"alice\"\n\
                environment = \"prod\"\naccounts = [\"deploy\"]\nrows = [\n\
                { because = \"engineering uses deploy in prod for up to 1 h\", expect = \"permit\" },\n\
                { because = \"no policy lets alice log in to prod/deploy like this\", \
                for = \"2h\", expect = \"deny\" },\n]\n";
    for outcome in run(text) {
        assert!(outcome.passed, "{outcome:#?}");
    }
}

#[test]
fn a_row_changes_what_its_table_shares_and_is_called_by_that() {
    let text = "[people]\nalice = [\"engineering\"]\nbob = [\"sre\"]\n\n[[table]]\n\
                name = \"deploy\"\nuser = \"alice\"\nenvironment = \"prod\"\naccounts = [\"deploy\"]\n\
                rows = [\n  { expect = \"permit\" },\n  { for = \"4h\", expect = \"deny\" },\n  \
                { user = \"bob\", for = \"4h\", expect = \"permit\", policy = \"prod-deploy-for-sre\" },\n  \
                { name = \"nobody in particular\", groups = [], expect = \"deny\" },\n]\n";
    let outcomes = run(text);
    let told: Vec<_> = outcomes
        .iter()
        .map(|o| (o.line, o.name.as_str(), o.passed))
        .collect();
    assert_eq!(
        told,
        [
            (11, "deploy: row 1", true),
            (12, "deploy: for 4h", true),
            (13, "deploy: user bob, for 4h", true),
            (14, "deploy: nobody in particular", true),
        ]
    );
}

#[test]
fn people_bring_their_groups_to_the_cases_of_their_file() {
    let text = format!(
        "[people]\nalice = [\"engineering\"]\ncarol = [\"approver\"]\n{}approvals = [\"carol\"]\n\
         expect = \"permit\"\n",
        ROOT.replace("groups = [\"engineering\"]\n", "")
    );
    assert!(run(&text)[0].passed);
    let other = text.replace("[\"carol\"]", "[{ user = \"carol\", groups = [\"sre\"] }]");
    assert!(
        !run(&other)[0].passed,
        "groups given with the name come first"
    );
}

#[test]
fn whoever_has_the_name_of_the_person_who_asks_is_that_person() {
    let text = "[[case]]\nname = \"x\"\nuser = \"alice\"\nsub = \"4711\"\nissuer = \"https://id.example\"\n\
                action = \"revoke\"\nenvironment = \"prod\"\nholder = \"alice\"\nexpect = \"permit\"\n";
    let cases = Cases::parse("c.toml", text).unwrap();
    let question = cases.cases()[0].question();
    let own = ca_core::name::Subject::new("https://id.example", "4711").unwrap();
    assert_eq!(question.who.subject, own);
    assert_eq!(question.facts.holder, Some(own));
    assert!(run(text)[0].passed);
}

#[test]
fn a_time_is_a_weekday_or_a_date() {
    let text = format!("{ROOT}now = \"tue 22:30\"\nexpect = \"deny\"\n");
    let of = |text: &str| {
        Cases::parse("c", text).unwrap().cases()[0]
            .question()
            .facts
            .now
    };
    assert_eq!(of(&text).to_string(), "2026-11-17T22:30:00Z");
    let text = text.replace("tue 22:30", "2027-01-01T00:00:00Z");
    assert_eq!(of(&text).to_string(), "2027-01-01T00:00:00Z");
}

#[test]
fn a_question_written_as_a_case_is_read_back_as_the_same_question() {
    let mut question = login("prod", &["root", "deploy"]);
    let facts = &mut question.facts;
    facts.duration = Duration::from_secs(5401);
    facts.second_factor = SecondFactor::Recovery(Duration::from_secs(61));
    facts.token_bound = false;
    facts.reason = Some("a \"quote\"\nand a line".to_owned());
    facts.ticket = Some("OPS-1".to_owned());
    facts.on_call = true;
    facts.unreviewed = 2;
    facts.source = "2001:db8::1".parse().unwrap();
    facts.now = "2027-03-01T07:08:09Z".parse().unwrap();
    facts.holder = Some(subject("bob"));
    for name in ["carol", "alice", "bob"] {
        facts.approvals.push(crate::policy::Approval {
            subject: subject(name),
            groups: [name.to_owned(), "all".to_owned()].into(),
        });
    }
    for question in [question, login("staging", &["deploy"])] {
        let text = case_text("x: \"y\"", &question, Verdict::Deny);
        let cases = Cases::parse("c.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(cases.cases()[0].question(), &question, "{text}");
        assert_eq!(cases.cases()[0].name(), "x: \"y\"");
    }
}

#[test]
fn a_written_case_leaves_out_what_is_usual() {
    let mut question = login("staging", &["deploy"]);
    question.who.subject = ca_core::name::Subject::new("https://cases.invalid", "alice").unwrap();
    assert_eq!(
        case_text("x", &question, Verdict::Permit),
        "[[case]]\nname = \"x\"\nuser = \"alice\"\ngroups = [\"engineering\"]\n\
         environment = \"staging\"\naccounts = [\"deploy\"]\nexpect = \"permit\"\n"
    );
}

#[test]
fn people_of_another_issuer_stay_different_people_in_a_written_case() {
    let mut question = login("prod", &["root"]);
    for (issuer, sub) in [
        ("https://a.example", "alice"),
        ("https://b.example", "alice"),
        ("https://issuer.example", "No Name"),
    ] {
        question.facts.approvals.push(crate::policy::Approval {
            subject: ca_core::name::Subject::new(issuer, sub).unwrap(),
            groups: ["leads".to_owned()].into(),
        });
    }
    let text = case_text("x", &question, Verdict::Deny);
    let cases = Cases::parse("c.toml", &text).unwrap();
    assert_eq!(cases.cases()[0].question().approvers().len(), 3, "{text}");
}

#[test]
fn a_policy_that_a_case_names_must_exist() {
    let text = format!("{ROOT}expect = \"approval\"\npolicy = \"prod-root-needs-aproval\"\n");
    let cases = Cases::parse("c.toml", &text).unwrap();
    let found = cases.unknown_policies(&examples());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].line, found[0].column), (8, 10), "{}", found[0]);
    assert_eq!(
        found[0].message,
        "there is no policy \"prod-root-needs-aproval\""
    );
    let hint = "did you mean \"prod-root-needs-approval\"?";
    assert_eq!(found[0].hint.as_deref(), Some(hint));
    let other = set("@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource);").unwrap();
    let found = cases.unknown_policies(&other);
    assert_eq!(found[0].hint.as_deref(), Some("there are: a"));
}
