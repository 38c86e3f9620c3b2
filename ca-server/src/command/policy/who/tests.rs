mod against;

use std::collections::{BTreeMap, BTreeSet};

use ca_core::event::Person;
use ca_core::name::Subject;
use clap::Parser;
use serde_json::Value;

use super::super::{EXIT_FAILED, EXIT_USAGE};
use super::*;
use crate::policy::{EXAMPLES, SCHEMA_NAME};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    who: Who,
    #[arg(long)]
    json: bool,
}

const POLICIES: &str = r#"
@id("root")
@reason("sre becomes root for 1 h")
permit (principal in Group::"sre", action == Action::"login", resource == Account::"prod/root")
when { context.duration <= 3600 };

@id("root-is-approved")
@reason("root needs an approval")
forbid (principal, action == Action::"login", resource == Account::"prod/root")
unless { context.met.contains("one") };

@id("deploy")
@reason("builders deploy")
permit (principal, action == Action::"login", resource == Account::"prod/deploy")
when { principal in Group::"sre" || principal in Group::"dev" };

@id("glass")
@reason("sre on call breaks glass")
permit (principal in Group::"sre", action == Action::"break_glass", resource in Environment::"prod")
when { context.on_call };

@id("own")
@reason("everybody gives back")
permit (principal, action == Action::"revoke", resource)
when { context has holder && context.holder == principal };

@id("security")
@reason("security revokes")
permit (principal in Group::"security", action == Action::"revoke", resource);
"#;

fn folder(policies: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (_, schema) = EXAMPLES
        .iter()
        .find(|(name, _)| *name == SCHEMA_NAME)
        .unwrap();
    std::fs::write(dir.path().join(SCHEMA_NAME), schema).unwrap();
    std::fs::write(dir.path().join("a.cedar"), policies).unwrap();
    let table = "[requirements]\none = [[\"1 of approver\"]]\n";
    std::fs::write(dir.path().join("requirements.toml"), table).unwrap();
    dir
}

fn directory(people: &[(&str, &str, &[&str])]) -> Directory {
    let mut directory = Directory::default();
    for (issuer, name, groups) in people {
        let person = Person {
            subject: Subject::new(issuer, name).unwrap(),
            user: name.parse().unwrap(),
        };
        let groups: BTreeSet<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let seen = Timestamp::from_unix_seconds(1_795_000_000);
        directory.signed_in(&person, groups, seen);
    }
    directory
}

fn people() -> Directory {
    directory(&[
        ("https://i.example", "alice", &["dev"]),
        ("https://i.example", "bob", &["sre"]),
        ("https://i.example", "dora", &["idle"]),
    ])
}

/// Exit code and what was printed; without a directory, as without a log.
fn who(policies: &Path, directory: Option<&Directory>, words: &[&str]) -> (u8, String) {
    let program = std::iter::once("who").chain(words.iter().copied());
    let program = Program::try_parse_from(program).unwrap();
    let environments = ["prod", "staging"].map(|name| (name.parse().unwrap(), Vec::new()));
    let setting = PolicySetting {
        policy_dir: policies.to_owned(),
        accounts: Some(BTreeMap::from(environments)),
        now: Timestamp::from_unix_seconds(1_795_341_600),
        config: None,
    };
    let mut out = Vec::new();
    let given = |_| Ok(directory.cloned());
    let asked = (&program.who, &setting);
    let code = tell(asked, &given, program.json, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

fn lines(text: &str) -> Vec<String> {
    let squeezed = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    squeezed.collect()
}

#[test]
fn an_account_is_told_with_people_groups_and_what_it_takes() {
    let dir = folder(POLICIES);
    let (code, text) = who(dir.path(), Some(&people()), &["--account", "prod/root"]);
    assert_eq!(code, EXIT_OK);
    let expected = [
        "3 people signed in, by the 0 records of the log",
        "1 groups of the log are named by no policy and give nothing beyond what anybody gets",
        "",
        "prod/root",
        "ACTION WHO FOR AT MOST IF THANKS TO",
        "login bob 1 h approval: 1 of approver root",
        "anyone in group sre",
        "break_glass bob no limit on call; reviewed afterwards glass",
        "anyone in group sre",
        "approve: nobody",
    ];
    assert_eq!(lines(&text), expected, "{text}");
}

#[test]
fn a_person_is_told_of_everything_that_they_can_get() {
    let dir = folder(POLICIES);
    let (_, text) = who(dir.path(), Some(&people()), &["--person", "bob"]);
    let found = lines(&text);
    assert!(
        found.contains(&"bob, in group sre, last signed in 2026-11-18T11:06:40Z".to_owned()),
        "{text}"
    );
    assert!(found.contains(&"login prod/root 1 h approval: 1 of approver root".to_owned()));
    assert!(found.contains(&"login prod/deploy no limit at once deploy".to_owned()));
    let glass =
        "break_glass prod/deploy, prod/root, prod/* no limit on call; reviewed afterwards glass";
    assert!(found.contains(&glass.to_owned()), "{text}");
    assert!(found.contains(&"revoke (own) prod, staging - at once own".to_owned()));
}

#[test]
fn a_policy_is_told_by_what_it_permits_or_asks_for() {
    let dir = folder(POLICIES);
    let policies = ["--policy", "deploy", "--policy", "root-is-approved"];
    let (_, text) = who(dir.path(), Some(&people()), &policies);
    let found = lines(&text);
    assert!(
        found.contains(&"deploy (a.cedar:12): builders deploy".to_owned()),
        "{text}"
    );
    assert!(
        found.contains(&"alice, bob login prod/deploy no limit at once deploy".to_owned()),
        "{text}"
    );
    assert!(found.contains(&"asks for some of what is needed here".to_owned()));
    assert!(found.contains(&"bob login prod/root 1 h approval: 1 of approver root".to_owned()));
    assert!(!text.contains("break_glass"), "{text}");
}

#[test]
fn whoever_gets_what_anybody_gets_is_not_told_again() {
    let dir = folder(POLICIES);
    let (_, text) = who(
        dir.path(),
        Some(&people()),
        &["--action", "revoke", "--environment", "prod"],
    );
    let found = lines(&text);
    assert!(
        found.contains(&"revoke (own) anybody - at once own".to_owned()),
        "{text}"
    );
    assert!(found.contains(&"revoke anyone in group security - at once security".to_owned()));
    assert_eq!(text.matches("revoke (own)").count(), 1, "{text}");
}

#[test]
fn without_a_log_it_is_about_groups_and_says_so() {
    let dir = folder(POLICIES);
    let (code, text) = who(dir.path(), None, &["--account", "prod/deploy"]);
    assert_eq!(code, EXIT_OK);
    assert!(
        text.starts_with("no log was read, so this is about groups only"),
        "{text}"
    );
    assert!(
        lines(&text)
            .contains(&"login anyone in group dev or sre no limit at once deploy".to_owned()),
        "{text}"
    );
}

#[test]
fn groups_asked_for_together_are_one_person() {
    let dir = folder(POLICIES);
    let (_, text) = who(
        dir.path(),
        None,
        &["--group", "sre", "--group", "security", "--json"],
    );
    let json: Value = serde_json::from_str(&text).unwrap();
    let reach = json["reach"].as_array().unwrap();
    assert!(reach.iter().all(|one| one["who"]["kind"] == "anyone"));
    assert!(
        reach
            .iter()
            .all(|one| one["who"]["groups"] == serde_json::json!(["security", "sre"]))
    );
    let whose = |wanted| {
        reach
            .iter()
            .any(|one| one["action"] == "revoke" && one["whose"] == wanted)
    };
    assert!(whose("others") && whose("own"));
    let root = reach
        .iter()
        .find(|one| one["account"] == "root" && one["action"] == "login");
    let way = &root.unwrap()["ways"][0];
    assert_eq!(way["obligation"], "1 of approver");
    assert_eq!(way["at_once"], false);
    assert_eq!(
        way["longest"],
        serde_json::json!({"seconds_max": 3600, "by": "policy"})
    );
    assert_eq!(way["policies"], serde_json::json!(["root"]));
    assert_eq!(way["because"], serde_json::json!(["root-is-approved"]));
    assert!(
        reach
            .iter()
            .any(|one| one["account"] == "*" && one["action"] == "break_glass")
    );
}

#[test]
fn people_of_the_same_name_are_told_apart() {
    let dir = folder(POLICIES);
    let two = directory(&[
        ("https://i.example", "bob", &["sre"]),
        ("https://j.example", "bob", &["dev"]),
    ]);
    let (_, text) = who(
        dir.path(),
        Some(&two),
        &["--account", "prod/deploy", "--action", "login"],
    );
    assert!(
        text.contains("https://i.example#bob") && text.contains("https://j.example#bob"),
        "{text}"
    );
    let (_, text) = who(
        dir.path(),
        Some(&two),
        &["--person", "https://j.example#bob"],
    );
    assert!(
        text.contains("in group dev") && !text.contains("in group sre"),
        "{text}"
    );
}

#[test]
fn what_does_not_exist_is_an_error_that_says_what_does() {
    let dir = folder(POLICIES);
    for (words, expected) in [
        (
            ["--person", "eve"],
            "nobody called \"eve\" has signed in (the log knows 3 people)\nhint: ",
        ),
        (["--policy", "rot"], "there is no policy \"rot\"\nhint: "),
        (
            ["--account", "prd/root"],
            "there is no environment \"prd\" (there are: prod, staging)",
        ),
        (
            ["--environment", "prd"],
            "there is no environment \"prd\" (there are: prod, staging)",
        ),
    ] {
        let (code, text) = who(dir.path(), Some(&people()), &words);
        assert_eq!(code, EXIT_USAGE);
        assert!(text.starts_with(&format!("error: {expected}")), "{text}");
    }
    let (code, text) = who(
        dir.path(),
        None,
        &["--account", "prod/root", "--action", "review"],
    );
    assert_eq!(code, EXIT_USAGE);
    assert!(text.contains("review"), "{text}");
    let (code, text) = who(dir.path(), None, &["--json", "--policy", "rot"]);
    assert_eq!(code, EXIT_USAGE);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["ok"], false);
    assert!(Program::try_parse_from(["who", "--account", "root"]).is_err());
}

#[test]
fn odd_names_cannot_break_a_table() {
    let odd = "x\u{1b}[31m\nroot, \u{202e}y";
    let dir = folder(POLICIES);
    let people = directory(&[("https://i.example", "mallory", &["sre", odd])]);
    for words in [
        ["--person", "mallory"],
        ["--group", odd],
        ["--account", "prod/root"],
    ] {
        let (_, text) = who(dir.path(), Some(&people), &words);
        let plain = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(text.chars().all(plain), "{text:?}");
        let escaped = r#""x\u{1b}[31m\nroot, \u{202e}y""#;
        assert_eq!(text.contains(escaped), words[0] != "--account", "{text}");
    }
    assert_eq!(
        words::printable("a\u{7}b \"c\" \\ é"),
        "a\\u{7}b \"c\" \\ é"
    );
    assert_eq!(words::name("sre-leads"), "sre-leads");
    assert_eq!(words::name("a, b"), "\"a, b\"");
}
