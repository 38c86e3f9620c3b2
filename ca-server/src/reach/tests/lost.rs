//! Emergency access that another set takes away.

use ca_core::event;

use super::*;

fn directory(people: &[(&str, &[&str])]) -> Directory {
    let mut directory = Directory::default();
    for (name, names) in people {
        let person = event::Person {
            subject: Subject::new("https://i.example", name).unwrap(),
            user: name.parse().unwrap(),
        };
        directory.signed_in(&person, groups(names), now());
    }
    directory
}

/// Whoever is in one of these groups breaks glass in prod.
fn breakers(names: &[&str]) -> PolicySet {
    let lines = names.iter().map(|name| {
        format!(
            "{name}: permit (principal in Group::\"{name}\", action == Action::\"break_glass\", \
             resource in Environment::\"prod\") when {{ context.on_call && context has reason }};\n"
        )
    });
    set(&lines.collect::<String>(), "")
}

fn names(actors: &[Actor]) -> Vec<String> {
    let name = |actor: &Actor| match actor.known {
        Acquaintance::Anyone => actor.who.groups.iter().cloned().collect(),
        _ => actor.who.name.to_string(),
    };
    actors.iter().map(name).collect()
}

fn compare(old: &PolicySet, new: &PolicySet, directory: &Directory) -> BreakGlassLoss {
    let found = break_glass_lost((old, new), directory, &accounts(), &limits()).unwrap();
    assert_eq!(found.len(), 2);
    let staging = &found[1];
    assert!(staging.kept.is_empty() && staging.lost.is_empty() && !staging.is_everybodys());
    found[0].clone()
}

#[test]
fn nobody_loses_anything_to_the_same_set() {
    let people = directory(&[("alice", &["sre"]), ("bob", &["dev"])]);
    let loss = compare(&examples(), &examples(), &people);
    assert_eq!(names(&loss.kept), ["alice"]);
    assert!(loss.lost.is_empty() && loss.gained.is_empty() && !loss.is_everybodys());
}

#[test]
fn one_who_loses_it_is_told_and_it_is_not_everybodys_loss() {
    let people = directory(&[("alice", &["a"]), ("bob", &["b"]), ("carol", &["c"])]);
    let loss = compare(&breakers(&["a", "b"]), &breakers(&["b", "c"]), &people);
    assert_eq!(names(&loss.kept), ["bob"]);
    assert_eq!(names(&loss.lost), ["alice"]);
    assert_eq!(names(&loss.gained), ["carol"]);
    assert!(!loss.is_everybodys());
}

#[test]
fn it_is_everybodys_loss_when_none_of_those_who_could_still_can() {
    let people = directory(&[("alice", &["a"]), ("carol", &["c"])]);
    let loss = compare(&breakers(&["a"]), &breakers(&["c"]), &people);
    assert!(loss.is_everybodys());
    assert_eq!(
        (names(&loss.lost), names(&loss.gained)),
        (vec!["alice".into()], vec!["carol".into()])
    );
}

#[test]
fn groups_stand_for_people_where_the_log_knows_none_who_could() {
    for people in [directory(&[]), directory(&[("dora", &["d"])])] {
        let loss = compare(&breakers(&["a", "b"]), &breakers(&["b"]), &people);
        assert_eq!(
            (names(&loss.lost), names(&loss.kept)),
            (vec!["a".into()], vec!["b".into()])
        );
        assert!(compare(&breakers(&["a"]), &breakers(&["e"]), &people).is_everybodys());
    }
}

#[test]
fn an_emergency_that_only_costs_more_is_not_lost() {
    let new = set(
        "a: permit (principal in Group::\"a\", action == Action::\"break_glass\", resource) when { context.on_call && context has ticket && context.hour == 3 && context.duration <= 60 };",
        "",
    );
    let people = directory(&[("alice", &["a"])]);
    let found = break_glass_lost((&breakers(&["a"]), &new), &people, &accounts(), &limits());
    let found = found.unwrap();
    assert_eq!(names(&found[0].kept), ["alice"]);
    assert_eq!(names(&found[1].gained), ["alice"]);
}
