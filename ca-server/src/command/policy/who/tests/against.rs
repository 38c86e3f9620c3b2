//! The difference that another set of policies makes.

use super::*;

#[test]
fn the_same_policies_differ_in_nothing() {
    let dir = folder(POLICIES);
    let renamed = folder(&POLICIES.replace("@id(\"deploy\")", "@id(\"build\")"));
    let against = renamed.path().to_str().unwrap();
    let (code, text) = who(dir.path(), Some(&people()), &["--against", against]);
    assert_eq!(code, EXIT_OK);
    assert!(
        text.ends_with("no difference: everybody can get what they could before\n"),
        "{text}"
    );
}

#[test]
fn what_other_policies_give_take_and_change_is_told_and_exits_1() {
    let dir = folder(POLICIES);
    let edited = POLICIES
        .replace("context.duration <= 3600", "context.duration <= 1800")
        .replace(
            "|| principal in Group::\"dev\"",
            "|| principal in Group::\"idle\"",
        );
    let edited = folder(&edited);
    let against = edited.path().to_str().unwrap();
    let words = [
        "--against",
        against,
        "--environment",
        "prod",
        "--action",
        "login",
    ];
    let (code, text) = who(dir.path(), Some(&people()), &words);
    assert_eq!(code, EXIT_FAILED);
    let found = lines(&text);
    for expected in [
        "login lost alice no limit: at once no",
        "login gained dora no no limit: at once",
        "login less bob 1 h: approval: 1 of approver 30 min: approval: 1 of approver",
        "for people: 1 gained, 1 lost, 1 less",
        "for anyone in a group: 1 gained, 1 lost, 1 less",
    ] {
        assert!(
            found.contains(&expected.to_owned()),
            "{expected:?} in {text}"
        );
    }
    let (code, text) = who(
        dir.path(),
        Some(&people()),
        &[&words[..], &["--json"]].concat(),
    );
    assert_eq!(code, EXIT_FAILED);
    let json: Value = serde_json::from_str(&text).unwrap();
    let changes = json["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 6);
    let alice = changes
        .iter()
        .find(|change| change["who"]["user"] == "alice")
        .unwrap();
    assert_eq!(
        (&alice["change"], &alice["account"]),
        (&"lost".into(), &"deploy".into())
    );
    assert_eq!(alice["after"], serde_json::json!([]));
}

#[test]
fn edited_policies_that_do_not_load_are_told_with_their_folder() {
    let (dir, broken) = (folder(POLICIES), folder("permit (principal"));
    let against = broken.path().to_str().unwrap();
    let (code, text) = who(dir.path(), None, &["--against", against]);
    assert_eq!(code, EXIT_USAGE);
    assert!(
        text.starts_with(&format!("in {against}:\na.cedar:1:")),
        "{text}"
    );
}
