//! Who can get what, told of the people who really signed in, with the server running and stopped.

use serde_json::Value;

use crate::support::dev::Dev;

fn told(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON document")
}

/// The ways of one person to an account.
fn ways<'a>(told: &'a Value, user: &str, action: &str) -> Option<&'a Value> {
    let mut reach = told["reach"].as_array().expect("a list").iter();
    reach.find(|one| one["who"]["user"] == user && one["action"] == action)
}

#[test]
fn people_who_signed_in_are_told_with_what_they_can_get_and_what_it_takes() {
    let dev = Dev::start();
    let (alice, carol) = (dev.person("alice"), dev.person("carol"));
    alice.login(&["prod"]).succeeds();
    let carols = carol.login(&["prod"]);
    assert!(!carols.stderr.is_empty(), "carol has signed in at least");
    let line = ["policy", "who", "--account", "prod/root", "--json"];
    let root = told(&dev.ca_server(&line).succeeds().stdout);
    let alices = ways(&root, "alice", "login").expect("alice may ask for root");
    assert_eq!(alices["ways"][0]["obligation"], "1 of approver");
    assert_eq!(alices["who"]["groups"], serde_json::json!(["engineering"]));
    assert!(ways(&root, "carol", "login").is_none(), "{root}");
    assert!(ways(&root, "carol", "approve").is_some(), "{root}");
    assert!(
        ways(&root, "bob", "login").is_none(),
        "bob never signed in: {root}"
    );
    let line = ["policy", "who", "--person", "alice"];
    let text = dev.ca_server(&line).succeeds().stdout;
    assert!(text.contains("alice, in group engineering"), "{text}");
    let unknown = dev.ca_server(&["policy", "who", "--person", "bob"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
}
