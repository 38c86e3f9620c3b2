//! What is refused, one way of cheating at a time; and beside each what is not.

use ca_core::event::BreakGlassSessionOpened;

use super::*;

#[track_caller]
fn is_denied<T: std::fmt::Debug>(outcome: Result<T, NotDecided>, word: &str) {
    match outcome {
        Err(NotDecided::Denied(denial) | NotDecided::NotAllowed { denial, .. }) => {
            let said = format!("{:?}", denial.reasons);
            assert!(said.contains(word), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_closed<T: std::fmt::Debug>(outcome: Result<T, NotDecided>, word: &str) {
    match outcome {
        Err(NotDecided::Closed(how)) => assert!(how.contains(word), "{how}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn still_needs<T: std::fmt::Debug>(outcome: Result<T, NotDecided>, needs: &str) {
    match outcome {
        Err(NotDecided::StillNeeds(found)) => assert_eq!(found, needs),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lead_and_security_give_one_certificate_whose_record_names_both() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    assert_eq!(stage.request(index).needs, "1 of leads and 1 of security");
    assert_eq!(stage.request(index).approvals_missing, 2);
    still_needs(
        stage.activate(bob, index, &wish),
        "1 of leads and 1 of security",
    );
    let first = stage.approve(lena, index).unwrap();
    assert_eq!(
        (first.needs.as_str(), first.approvals_missing),
        ("1 of security", 1)
    );
    still_needs(stage.activate(bob, index, &wish), "1 of security");
    assert_eq!(stage.approve(carol, index).unwrap().approvals_missing, 0);
    let serial = stage.activate(bob, index, &wish).unwrap();
    let Some((_, Event::CertificateIssued(issued))) = stage.record.last() else {
        panic!("no certificate");
    };
    let names: Vec<_> = issued.approvers.iter().map(|p| p.user.as_str()).collect();
    assert_eq!(names, ["lena", "carol"]);
    assert_eq!(issued.request, Some(stage.request(index).number));
    is_closed(stage.activate(bob, index, &wish), &serial.to_string());
    is_closed(stage.approve(lena, index), &serial.to_string());
}

#[test]
fn nobody_approves_or_denies_their_own_request_whatever_groups_they_have() {
    let mut stage = Stage::new();
    let bob = stage.sign_in("bob", &["sre", "leads", "security"]);
    let index = stage.open(bob, &vault(3600)).unwrap();
    is_denied(stage.approve(bob, index), "own request");
    is_denied(stage.deny(bob, index), "own request");
    // Nor through another session of theirs.
    let again = stage.sign_in("bob", &["leads", "security"]);
    is_denied(stage.approve(again, index), "own request");
}

#[test]
fn one_person_in_two_groups_is_one_key_however_often_they_say_yes() {
    let (mut stage, bob, _, carol) = three();
    let zoe = stage.sign_in("zoe", &["leads", "security"]);
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    assert_eq!(stage.approve(zoe, index).unwrap().approvals_missing, 1);
    assert!(matches!(
        stage.approve(zoe, index),
        Err(NotDecided::Already)
    ));
    let other_session = stage.sign_in("zoe", &["leads", "security"]);
    let again = stage.approve(other_session, index);
    assert!(matches!(again, Err(NotDecided::Already)));
    assert!(stage.activate(bob, index, &wish).is_err());
    stage.approve(carol, index).unwrap();
    stage.activate(bob, index, &wish).unwrap();
}

#[test]
fn people_of_other_groups_decide_nothing() {
    let (mut stage, bob, ..) = three();
    let pat = stage.sign_in("pat", &["sre", "engineering"]);
    let index = stage.open(bob, &vault(3600)).unwrap();
    is_denied(stage.approve(pat, index), "no policy lets pat");
    is_denied(stage.deny(pat, index), "no policy lets pat");
}

#[test]
fn an_approval_of_somebody_who_lost_the_group_counts_no_more_until_they_have_it_again() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    stage.sign_in("carol", &["engineering"]);
    still_needs(stage.activate(bob, index, &wish), "1 of security");
    stage.sign_in("carol", &["security", "engineering"]);
    stage.activate(bob, index, &wish).unwrap();
}

#[test]
fn a_session_from_before_the_group_was_lost_gives_no_key() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.sign_in("carol", &["engineering"]);
    stage.approve(lena, index).unwrap();
    is_denied(stage.approve(carol, index), "sign in again");
    still_needs(stage.activate(bob, index, &wish), "1 of security");
}

#[test]
fn an_approval_of_somebody_who_is_frozen_counts_no_more_until_that_is_lifted() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    stage.freeze("lena");
    still_needs(stage.activate(bob, index, &wish), "1 of leads");
    stage.lift("lena");
    stage.activate(bob, index, &wish).unwrap();
}

#[test]
fn a_request_is_activated_only_as_it_was_opened() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    let mut other: Vec<Wish> = (0..6).map(|_| wish.clone()).collect();
    other[0].duration = Duration::from_secs(3601);
    other[1].duration = Duration::from_secs(3599);
    other[2].principals = Principals::new(vec!["deploy".parse().unwrap()]).unwrap();
    other[3].reason = Some("another".to_owned());
    other[4].ticket = Some("INC-1".to_owned());
    other[5].not_before = Some(stage.now);
    for changed in &other {
        let outcome = stage.activate(bob, index, changed);
        assert!(
            matches!(outcome, Err(NotDecided::Changed(_))),
            "{outcome:?} for {changed:?}"
        );
    }
    stage.activate(bob, index, &wish).unwrap();
}

#[test]
fn nobody_activates_or_withdraws_the_request_of_another() {
    let (mut stage, bob, lena, carol) = three();
    let ben = stage.sign_in("ben", &["sre"]);
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    is_denied(stage.activate(ben, index, &wish), "only the requester");
    is_denied(stage.withdraw(lena, index), "only the requester");
    stage.withdraw(bob, index).unwrap();
    is_closed(stage.activate(bob, index, &wish), "withdrawn");
}

#[test]
fn an_approval_is_not_good_for_another_request_even_for_the_same_thing() {
    let (mut stage, bob, lena, _) = three();
    let ben = stage.sign_in("ben", &["sre"]);
    let wish = vault(3600);
    let first = stage.open(bob, &wish).unwrap();
    let seen = stage.request(first).digest;
    stage.approve(lena, first).unwrap();
    stage.withdraw(bob, first).unwrap();
    for (who, what) in [(bob, wish.clone()), (bob, vault(1800)), (ben, wish)] {
        let other = stage.open(who, &what).unwrap();
        assert_ne!(stage.request(other).digest, seen);
        assert!(stage.request(other).votes.is_empty());
        let replayed = stage.approve_seen(lena, other, (seen, None));
        assert!(
            matches!(replayed, Err(NotDecided::Changed(_))),
            "{replayed:?}"
        );
    }
}

#[test]
fn approvals_say_nothing_when_the_request_has_expired() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.pass(REQUEST_LIFE.as_secs() - 1);
    stage.approve(carol, index).unwrap();
    stage.pass(1);
    // Before its end is recorded, and after.
    for _ in 0..2 {
        is_closed(stage.approve(carol, index), "expired");
        is_closed(stage.deny(carol, index), "expired");
        is_closed(stage.withdraw(bob, index), "expired");
        is_closed(stage.activate(bob, index, &wish), "expired");
        stage.expire();
    }
}

#[test]
fn a_no_ends_it_whatever_was_said_before_or_is_said_after() {
    let (mut stage, bob, lena, carol) = three();
    let sam = stage.sign_in("sam", &["security"]);
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    // Also by somebody who said yes before.
    stage.deny(carol, index).unwrap();
    is_closed(stage.activate(bob, index, &wish), "denied by carol");
    is_closed(stage.approve(sam, index), "denied by carol");
    is_closed(stage.deny(sam, index), "denied by carol");
    // The same may be asked again, and starts with nothing.
    let again = stage.open(bob, &wish).unwrap();
    still_needs(
        stage.activate(bob, again, &wish),
        "1 of leads and 1 of security",
    );
}

#[test]
fn policy_as_it_is_at_activation_decides() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    // Not sre any more: no approval helps.
    let bob = stage.sign_in("bob", &["engineering"]);
    let outcome = stage.activate(bob, index, &wish);
    assert!(
        matches!(outcome, Err(NotDecided::NotGranted(_))),
        "{outcome:?}"
    );
}

#[test]
fn an_emergency_session_neither_logs_in_nor_asks_nor_decides() {
    let (mut stage, bob, ..) = three();
    stage.on_call.users.insert("zoe".parse().unwrap());
    let all = ["sre", "leads", "security"];
    stage.sign_in("zoe", &all);
    let emergency = Digest::of(b"emergency");
    stage.apply(Event::BreakGlassSessionOpened(Box::new(
        BreakGlassSessionOpened {
            person: person("zoe"),
            groups: groups(&all),
            session: emergency,
            fingerprint: "SHA256:x".to_owned(),
            totp_step: 7_000,
            expires: stage.now.plus(Duration::from_secs(3600)),
            source: SOURCE,
        },
    )));
    let index = stage.open(bob, &vault(3600)).unwrap();
    is_denied(stage.approve(emergency, index), "break-glass only");
    is_denied(stage.deny(emergency, index), "break-glass only");
    assert_eq!(stage.open(emergency, &vault(3600)), None);
    let deploy = Wish {
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        ..vault(3600)
    };
    let (zoe, book) = (stage.actor(emergency), (&stage.rules, &stage.policies));
    assert!(grant(&zoe, deploy.clone(), book, true, stage.now).is_err());
    break_glass(&zoe, deploy.clone(), book, (true, 0), stage.now).unwrap();
    assert!(break_glass(&zoe, deploy.clone(), book, (false, 0), stage.now).is_err());
    assert!(break_glass(&zoe, deploy, book, (true, 1), stage.now).is_err());
}

#[test]
fn an_emergency_session_activates_nothing_that_was_approved_before() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    let emergency = Digest::of(b"emergency");
    stage.apply(Event::BreakGlassSessionOpened(Box::new(
        BreakGlassSessionOpened {
            person: person("bob"),
            groups: groups(&["sre"]),
            session: emergency,
            fingerprint: "SHA256:x".to_owned(),
            totp_step: 7_000,
            expires: stage.now.plus(Duration::from_secs(3600)),
            source: SOURCE,
        },
    )));
    let outcome = stage.activate(emergency, index, &wish);
    assert!(
        matches!(outcome, Err(NotDecided::NotGranted(_))),
        "{outcome:?}"
    );
    stage.activate(bob, index, &wish).unwrap();
}
