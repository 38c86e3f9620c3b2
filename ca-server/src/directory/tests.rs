use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{BreakGlassSessionOpened, SessionOpened};
use ca_core::tlog::leaf::NO_SUBJECT;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000 + seconds)
}

fn person(issuer: &str, name: &str) -> Person {
    Person {
        subject: Subject::new(issuer, name).unwrap(),
        user: name.parse().unwrap(),
    }
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn session(person: Person, names: &[&str]) -> Event {
    Event::SessionOpened(Box::new(SessionOpened {
        person,
        groups: groups(names),
        session: Digest::of(b"session"),
        id_token: Digest::of(b"token"),
        id_token_expires: at(0),
        token_bound: true,
        second_factor: SecondFactor::Totp,
        totp_step: Some(1),
        recovery_code: None,
        expires: at(36_000),
        source: "::1".parse().unwrap(),
    }))
}

fn emergency(person: Person, names: &[&str]) -> Event {
    Event::BreakGlassSessionOpened(Box::new(BreakGlassSessionOpened {
        person,
        groups: groups(names),
        session: Digest::of(b"session"),
        fingerprint: "SHA256:x".to_owned(),
        totp_step: 1,
        expires: at(3600),
        source: "::1".parse().unwrap(),
    }))
}

fn leaf(kind: Kind, seconds: u64) -> Leaf {
    Leaf {
        kind,
        time: at(seconds),
        subject_digest: NO_SUBJECT,
        context_digest: [0; 32],
    }
}

fn record(directory: &mut Directory, event: &Event, seconds: u64) {
    let bytes = event.to_bytes().unwrap();
    let leaf = leaf(event.kind(), seconds);
    directory.record(&leaf, Some(&bytes)).unwrap();
}

#[test]
fn the_newest_sign_in_says_which_groups_and_old_groups_are_still_known() {
    let mut directory = Directory::default();
    let alice = || person("https://a.example", "alice");
    record(
        &mut directory,
        &session(alice(), &["engineering", "sre"]),
        1,
    );
    record(&mut directory, &session(alice(), &["security"]), 2);
    let known: Vec<_> = directory.people().collect();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].1.groups, groups(&["security"]));
    assert_eq!(known[0].1.seen, at(2));
    assert_eq!(
        *directory.groups(),
        groups(&["engineering", "security", "sre"])
    );
}

#[test]
fn a_break_glass_sign_in_is_seen_and_brings_groups_only_for_somebody_unknown() {
    let mut directory = Directory::default();
    let (alice, bob) = (
        person("https://a.example", "alice"),
        person("https://a.example", "bob"),
    );
    record(&mut directory, &session(alice.clone(), &["sre"]), 1);
    record(&mut directory, &emergency(alice.clone(), &["old"]), 5);
    record(&mut directory, &emergency(bob.clone(), &["sre"]), 6);
    let found = |person: &Person| directory.people.get(&person.subject).unwrap().clone();
    assert_eq!(
        (found(&alice).groups, found(&alice).seen),
        (groups(&["sre"]), at(5))
    );
    assert_eq!(
        (found(&bob).groups, found(&bob).seen),
        (groups(&["sre"]), at(6))
    );
}

#[test]
fn one_name_at_two_issuers_is_two_people_and_an_identity_finds_one() {
    let mut directory = Directory::default();
    record(
        &mut directory,
        &session(person("https://a.example", "alice"), &["a"]),
        1,
    );
    record(
        &mut directory,
        &session(person("https://b.example", "alice"), &["b"]),
        2,
    );
    assert_eq!(directory.called("alice").count(), 2);
    let one: Vec<_> = directory.called("https://b.example#alice").collect();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].1.groups, groups(&["b"]));
    assert_eq!(directory.called("bob").count(), 0);
}

#[test]
fn an_erased_sign_in_is_counted_and_other_erased_records_are_not() {
    let mut directory = Directory::default();
    directory
        .record(&leaf(Kind::SessionOpened, 1), None)
        .unwrap();
    directory
        .record(&leaf(Kind::UserCertificate, 2), None)
        .unwrap();
    record(
        &mut directory,
        &session(person("https://a.example", "bob"), &[]),
        3,
    );
    assert_eq!((directory.erased(), directory.records()), (1, 3));
    assert_eq!(directory.people().count(), 1);
}

#[test]
fn a_sign_in_that_cannot_be_read_is_an_error_and_not_a_person_less() {
    let mut directory = Directory::default();
    let newer = br#"{"v":2,"type":"session-opened"}"#;
    let found = directory.record(&leaf(Kind::SessionOpened, 1), Some(newer));
    assert!(matches!(found, Err(EventError::Version { found: 2 })));
}

#[test]
fn memory_is_bounded_and_what_found_no_room_is_counted() {
    let mut directory = Directory::default();
    for number in 0..=PEOPLE_MAX {
        let name = format!("p{number}");
        let person = person("https://a.example", &name);
        directory.signed_in(&person, groups(&[&name]), at(1));
    }
    assert_eq!(directory.people().count(), PEOPLE_MAX);
    assert_eq!(directory.groups().len(), GROUPS_MAX);
    assert_eq!(directory.left_out(), 2);
    let known = person("https://a.example", "p0");
    directory.signed_in(&known, groups(&["p1"]), at(2));
    assert_eq!(directory.left_out(), 2);
    assert_eq!(
        directory.called("p0").next().unwrap().1.groups,
        groups(&["p1"])
    );
}
