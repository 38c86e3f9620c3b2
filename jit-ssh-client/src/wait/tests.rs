//! What a waiting person reads, and what ends a wait.

use std::io::{Read, Write};
use std::net::TcpListener;

use ca_core::api::{ApprovalGiven, SessionOpened};

use super::*;
use crate::access::Plan;
use crate::api::Patience;
use crate::ca::Ca;
use crate::config::{ConfigFile, Surroundings, resolve};
use crate::pins::Pins;
use crate::second_factor::Source;
use crate::session::Session;
use crate::sign_in::SignInWish;
use crate::terminal::Voice;
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

/// A CA that answers each connection with the next of `answers`; none hangs up. Gives the first
/// lines of what it was asked.
fn serve(
    listener: TcpListener,
    answers: Vec<Option<AccessRequest>>,
) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let count = stream.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..count]).into_owned();
            asked.push(head.lines().next().unwrap_or_default().to_owned());
            let Some(answer) = answer else { continue };
            let body = serde_json::to_string(&answer).unwrap();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        }
        asked
    })
}

fn ca(folder: &std::path::Path, listener: &TcpListener) -> Ca {
    let file = ConfigFile {
        ca_url: format!("http://{}", listener.local_addr().unwrap()),
        ca_certificate: None,
        state_dir: Some(folder.join("state")),
        browser: None,
    };
    let config = resolve(&Surroundings::default(), folder.join("c.toml"), file).unwrap();
    let opened = SessionOpened {
        token: "t0ken".into(),
        user: "alice".parse().unwrap(),
        expires_at: clock::now().plus(Duration::from_secs(3600)),
    };
    Session::opened(opened, None).save(&config).unwrap();
    Ca::new(config, Patience::Person, Voice::Silent).unwrap()
}

fn caller(ca: &Ca) -> Caller<'_> {
    let pins = Pins {
        fetched_at: clock::now(),
        discovery: crate::pins::tests::discovery(),
    };
    let plan = Plan {
        wish: SignInWish::default(),
        factor: Source::Nobody,
        fresh: false,
    };
    Caller::new(ca, pins, plan)
}

/// Waits for request 17 at a CA that answers so.
async fn waited(
    answers: Vec<Option<AccessRequest>>,
    deadline: Option<Timestamp>,
) -> (Result<Waited, Failure>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ca = ca(folder.path(), &listener);
    let served = serve(listener, answers);
    let waited = until_usable(&mut caller(&ca), request(17), deadline).await;
    (waited, served.join().unwrap())
}

fn at_revision(revision: u64, status: RequestStatus) -> AccessRequest {
    AccessRequest {
        revision,
        status,
        ..request(17)
    }
}

#[tokio::test]
async fn the_wait_outlives_broken_connections_and_asks_for_news_only() {
    let answers = vec![
        None,
        Some(at_revision(18, RequestStatus::Waiting)),
        None,
        Some(at_revision(19, RequestStatus::Approved)),
    ];
    let (waited, asked) = waited(answers, None).await;
    assert!(matches!(waited, Ok(Waited::Ready(request)) if request.revision == 19));
    let asked: Vec<&str> = asked
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(
        asked,
        [
            "/v1/requests/17?after=17&wait=25",
            "/v1/requests/17?after=17&wait=25",
            "/v1/requests/17?after=18&wait=25",
            "/v1/requests/17?after=18&wait=25",
        ]
    );
}

#[tokio::test]
async fn a_denial_ends_the_wait_with_exit_3() {
    let answers = vec![Some(at_revision(18, RequestStatus::Denied))];
    let (waited, _) = waited(answers, None).await;
    assert_eq!(waited.unwrap_err().exit, Exit::Denied);
}

#[tokio::test]
async fn a_scheduled_request_is_ready_when_its_time_comes_and_not_before() {
    let begin = clock::now().plus(Duration::from_millis(700));
    let scheduled = AccessRequest {
        not_before: Some(begin),
        ..at_revision(18, RequestStatus::Approved)
    };
    // The last connection is taken and left without an answer.
    let (waited, _) = waited(vec![Some(scheduled), None], None).await;
    assert!(matches!(waited, Ok(Waited::Ready(_))));
    assert!(clock::now() >= begin);
}

#[tokio::test]
async fn the_deadline_ends_the_wait_and_leaves_the_request_open() {
    let end = clock::now().plus(Duration::from_millis(300));
    let (waited, _) = waited(vec![None], Some(end)).await;
    assert!(matches!(waited, Ok(Waited::Open(_, Stop::TimeOver))));
}
