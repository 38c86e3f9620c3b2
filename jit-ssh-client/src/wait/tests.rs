//! What a waiting person reads, and what ends a wait.

use ca_core::api::ApprovalGiven;

use super::*;
use crate::terms::tests::request;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn approved_by(names: &[&str]) -> AccessRequest {
    let approvals = names.iter().map(|name| ApprovalGiven {
        user: name.parse().unwrap(),
        at: NOW,
    });
    AccessRequest {
        approvals: approvals.collect(),
        ..request(17)
    }
}

#[test]
fn the_line_says_what_is_missing_how_to_give_it_and_that_nothing_is_lost_by_leaving() {
    assert_eq!(
        progress(&request(17), NOW),
        "request 17: waiting for 2 approvals: 1 of sre-leads and 1 of security; approve with: \
         jit-ssh approve 17   (Ctrl-C keeps the request; `jit-ssh login prod` picks it up)"
    );
}

#[test]
fn a_partial_approval_names_who_said_yes_and_what_is_still_missing() {
    let half = AccessRequest {
        needs: "1 of security".into(),
        approvals_missing: 1,
        ..approved_by(&["bob"])
    };
    let lines = changes(&request(17), &half, NOW);
    assert_eq!(lines[0], "bob approved request 17");
    assert!(
        lines[1].contains("waiting for 1 approval: 1 of security"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
    assert_eq!(changes(&half, &half, NOW), Vec::<String>::new());
}

#[test]
fn a_vote_that_counts_no_more_and_a_shorter_window_are_said() {
    let shorter = AccessRequest {
        duration_seconds: 600,
        ..request(17)
    };
    assert_eq!(
        changes(&approved_by(&["bob"]), &shorter, NOW),
        [
            "bob's approval does not count any more",
            "the window is 10 min at most"
        ]
    );
}

#[test]
fn the_ca_being_away_is_said_once_and_asked_about_ever_more_slowly() {
    let away = Failure::new(Exit::Unreachable, "the CA cannot be reached");
    let mut trouble = Trouble::default();
    let (line, first) = trouble.again(&away, &request(17));
    assert!(line.is_some_and(|line| line.contains("request 17 is kept at the CA")));
    let mut pauses = vec![first];
    for _ in 0..8 {
        let (line, pause) = trouble.again(&away, &request(17));
        assert_eq!(line, None);
        pauses.push(pause);
    }
    assert!(
        pauses.is_sorted() && pauses.last() == Some(&PAUSE_MAX),
        "{pauses:?}"
    );
    assert!(trouble.over().is_some());
    assert_eq!(trouble.over(), None);
    assert!(trouble.again(&away, &request(17)).0.is_some());
}

#[test]
fn only_what_passes_by_itself_is_waited_out() {
    let refused = |json: &str| crate::problem::failure(serde_json::from_str(json).unwrap());
    for (kind, temporary) in [
        ("busy", true),
        ("internal", true),
        ("too-many-attempts", true),
        ("session-required", false),
        ("not-found", false),
        ("denied", false),
    ] {
        let json = format!(r#"{{"type":"{kind}","status":500,"title":"x"}}"#);
        assert_eq!(is_temporary(&refused(&json)), temporary, "{kind}");
    }
    let over = refused(r#"{"type":"session-required","status":401,"title":"x"}"#);
    let failure = kept(over, &request(17));
    assert_eq!(failure.exit.code(), 4);
    assert_eq!(
        failure.hints,
        ["sign in again to go on with it: jit-ssh login prod"]
    );
}

#[test]
fn a_call_ends_when_the_scheduled_time_or_the_deadline_comes() {
    let at = |seconds| NOW.plus(Duration::from_secs(seconds));
    let scheduled = AccessRequest {
        status: RequestStatus::Approved,
        not_before: Some(at(7)),
        ..request(17)
    };
    assert_eq!(limit(&scheduled, None, NOW), Duration::from_secs(7));
    assert_eq!(limit(&scheduled, Some(at(3)), NOW), Duration::from_secs(3));
    // Without approvals the time alone changes nothing.
    let waiting = AccessRequest {
        status: RequestStatus::Waiting,
        ..scheduled
    };
    assert_eq!(limit(&waiting, None, NOW), Duration::from_secs(50));
}
