//! How long, and when.

use super::*;

/// Length of the newest certificate, without the minute that it is back-dated by.
fn length(stage: &Stage) -> u64 {
    let Some((time, Event::CertificateIssued(issued))) = stage.record.last() else {
        panic!("no certificate");
    };
    assert!(issued.valid_after >= time.unix_seconds() - 60);
    issued.valid_before - time.unix_seconds()
}

#[test]
fn the_shortest_window_that_somebody_allowed_is_the_one_granted_from_activation_on() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    let seen = stage.request(index).digest;
    stage.approve_seen(lena, index, (seen, Some(1200))).unwrap();
    stage.approve_seen(carol, index, (seen, Some(600))).unwrap();
    stage.pass(3000);
    stage.activate(bob, index, &wish).unwrap();
    assert_eq!(length(&stage), 600);
}

#[test]
fn nobody_allows_more_than_was_asked_for_or_less_than_a_minute() {
    let (mut stage, bob, lena, carol) = three();
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    let seen = stage.request(index).digest;
    for wrong in [0, 59, 3601, u64::MAX] {
        let outcome = stage.approve_seen(lena, index, (seen, Some(wrong)));
        assert!(matches!(outcome, Err(NotDecided::Duration(_))), "{wrong}");
    }
    stage.approve_seen(lena, index, (seen, Some(3600))).unwrap();
    stage.approve_seen(carol, index, (seen, Some(60))).unwrap();
    stage.activate(bob, index, &wish).unwrap();
    assert_eq!(length(&stage), 60);
}

#[test]
fn a_vote_that_counts_no_more_also_shortens_no_more() {
    let (mut stage, bob, lena, carol) = three();
    let sam = stage.sign_in("sam", &["security"]);
    let wish = vault(3600);
    let index = stage.open(bob, &wish).unwrap();
    let seen = stage.request(index).digest;
    stage.approve(lena, index).unwrap();
    stage.approve_seen(carol, index, (seen, Some(600))).unwrap();
    stage.approve(sam, index).unwrap();
    stage.freeze("carol");
    stage.activate(bob, index, &wish).unwrap();
    assert_eq!(length(&stage), 3600);
}

#[test]
fn a_scheduled_window_cannot_start_earlier_and_ends_when_it_was_said_to() {
    let (mut stage, bob, lena, carol) = three();
    let wish = Wish {
        not_before: Some(stage.now.plus(Duration::from_secs(7200))),
        ..vault(3600)
    };
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    for wait in [0, 7199] {
        stage.pass(wait);
        let outcome = stage.activate(bob, index, &wish);
        assert!(matches!(outcome, Err(NotDecided::NotYet(_))), "{outcome:?}");
    }
    stage.pass(1 + 1000);
    stage.activate(bob, index, &wish).unwrap();
    assert_eq!(length(&stage), 2600);
}

#[test]
fn a_scheduled_window_that_is_over_is_not_activated() {
    let (mut stage, bob, lena, carol) = three();
    let wish = Wish {
        not_before: Some(stage.now.plus(Duration::from_secs(7200))),
        ..vault(3600)
    };
    let index = stage.open(bob, &wish).unwrap();
    stage.approve(lena, index).unwrap();
    stage.approve(carol, index).unwrap();
    stage.pass(7200 + 3600);
    let outcome = stage.activate(bob, index, &wish);
    assert!(matches!(outcome, Err(NotDecided::Closed(_))), "{outcome:?}");
}

#[test]
fn what_needs_no_approval_needs_a_request_only_ahead_of_its_time() {
    let (mut stage, bob, ..) = three();
    let now = Wish {
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        ..vault(3600)
    };
    assert_eq!(stage.open(bob, &now), None);
    let later = Wish {
        not_before: Some(stage.now.plus(Duration::from_secs(600))),
        ..now.clone()
    };
    let index = stage.open(bob, &later).unwrap();
    assert_eq!(stage.request(index).approvals_missing, 0);
    assert!(stage.activate(bob, index, &later).is_err());
    stage.pass(600);
    stage.activate(bob, index, &later).unwrap();
    assert_eq!(length(&stage), 3600);
    // What no approval could give opens no request.
    assert_eq!(stage.open(bob, &vault(7201)), None);
}
