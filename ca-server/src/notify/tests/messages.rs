//! What is told about each event.

use ca_core::api::{SecondFactor, SessionEvent};
use ca_core::digest::Digest;
use ca_core::event::{
    Asked, BreakGlassSessionOpened, CertificateIssued, CertificatesRevoked, FreezeLifted,
    RequestApproved, RequestDenied, RequestExpired, RequestOpened, RequestWithdrawn, ReviewClosed,
    RevocationCause, SshSessionReported,
};

use super::super::message::message;
use super::super::{Message, Topic};
use super::*;

/// Number of the access request: entry 17 of epoch 1.
const REQUEST: u64 = (1 << 40) + 17;
const SERIAL: u64 = (1 << 40) + 42;

fn digest() -> Digest {
    Digest::of(b"a secret token")
}

fn source() -> std::net::IpAddr {
    "192.0.2.7".parse().unwrap()
}

fn asked() -> Asked {
    Asked {
        unreviewed: None,
        environment: "prod".parse().unwrap(),
        principals: vec!["root".parse().unwrap(), "app".parse().unwrap()],
        duration_seconds: 3600,
        groups: ["engineering".to_owned()].into(),
        mfa_age_seconds: 12,
        second_factor: SecondFactor::Totp,
        token_bound: true,
        on_call: false,
        reason: Some("db full".to_owned()),
        ticket: Some("OPS-17".to_owned()),
        source: source(),
    }
}

fn certificate(break_glass: bool) -> Event {
    Event::CertificateIssued(Box::new(CertificateIssued {
        person: person("alice"),
        session: digest(),
        request_id: "0123456789abcdef".to_owned(),
        request_digest: digest(),
        asked: asked(),
        policies: vec![],
        policy_digest: digest(),
        serial: SERIAL,
        key_id: format!("alice@prod#{SERIAL}"),
        subject_key: "SHA256:x".to_owned(),
        valid_after: 1_800_000_000,
        valid_before: 1_800_003_600,
        request: None,
        approvers: vec![],
        break_glass,
    }))
}

pub(super) fn emergency() -> Event {
    certificate(true)
}

fn opened(approvals_missing: u32, not_before: Option<Timestamp>) -> Event {
    Event::RequestOpened(Box::new(RequestOpened {
        request: REQUEST,
        person: person("alice"),
        session: digest(),
        request_id: "0123456789abcdef".to_owned(),
        request_digest: digest(),
        asked: asked(),
        not_before,
        digest: digest(),
        needs: if approvals_missing > 0 {
            "1 of sre-leads".to_owned()
        } else {
            String::new()
        },
        approvals_missing,
        policies: vec![],
        policy_digest: digest(),
        expires: Timestamp::from_unix_seconds(1_800_028_800),
    }))
}

fn approved(approvals_missing: u32) -> Event {
    Event::RequestApproved(Box::new(RequestApproved {
        token_bound: None,
        on_call: None,
        request: REQUEST,
        digest: digest(),
        requester: person("alice"),
        by: person("carol"),
        groups: ["security".to_owned()].into(),
        environment: "prod".parse().unwrap(),
        duration_seconds: 1800,
        mfa_age_seconds: 12,
        second_factor: SecondFactor::Totp,
        needs: "1 of sre-leads".to_owned(),
        approvals_missing,
        policies: vec![],
        policy_digest: digest(),
        source: source(),
    }))
}

fn revoked(by: &str, cause: RevocationCause) -> Event {
    Event::CertificatesRevoked(CertificatesRevoked {
        judged: None,
        by: person(by),
        holder: person("alice"),
        serials: vec![SERIAL],
        cause,
        sessions: vec![digest()],
        everything: false,
        requests: Vec::new(),
        reason: Some("laptop lost".to_owned()),
        source: source(),
    })
}

fn reported(happened: SessionEvent, recorded: bool) -> Event {
    Event::SshSessionReported(Box::new(SshSessionReported {
        host: 30,
        environment: "prod".parse().unwrap(),
        ssh_session: digest(),
        happened,
        at: now(),
        serial: SERIAL,
        ca_fingerprint: "SHA256:x".to_owned(),
        key_id: "mallory@prod#1 <!here>".to_owned(),
        account: "root".parse().unwrap(),
        from: Some("198.51.100.4".to_owned()),
        recorded,
    }))
}

fn told(event: &Event) -> Message {
    message(99, event).unwrap()
}

fn text(event: &Event) -> String {
    told(event).text()
}

#[test]
fn a_request_says_who_what_how_long_why_and_how_to_decide() {
    assert_eq!(
        text(&opened(1, None)),
        "`alice` asks for `prod` as `root, app` for 1 h\n\
         reason: `db full`\n\
         ticket: `OPS-17`\n\
         needs `1 of sre-leads`\n\
         decide: `jit-ssh approve 17` or `jit-ssh deny 17`, until 2027-01-15T16:00:00Z"
    );
    let data = told(&opened(1, None)).data;
    assert_eq!(data.command.as_deref(), Some("jit-ssh approve 17"));
    assert_eq!((data.request, data.index), (Some(17), 99));
}

#[test]
fn a_request_that_only_waits_for_its_time_asks_nobody_to_decide() {
    let later = Timestamp::from_unix_seconds(1_800_007_200);
    let scheduled = told(&opened(0, Some(later)));
    assert!(scheduled.text().contains("not before 2027-01-15T10:00:00Z"));
    assert!(!scheduled.text().contains("approve"));
    assert_eq!(scheduled.data.command, None);
}

#[test]
fn an_approval_says_whether_more_are_needed() {
    let complete = told(&approved(0));
    assert_eq!(complete.topic, Topic::RequestApproved);
    assert_eq!(
        complete.text(),
        "Request 17 of `alice` for `prod` was approved by `carol` for at most 30 min\n\
         nothing is missing; `alice` picks it up: `jit-ssh login prod`"
    );
    let partial = told(&approved(1));
    assert_eq!(partial.topic, Topic::ApprovalGiven);
    assert!(
        partial
            .text()
            .ends_with("still needs `1 of sre-leads`; decide: `jit-ssh approve 17`")
    );
}

#[test]
fn the_other_ends_of_a_request_are_told_in_a_line() {
    let environment = || "prod".parse().unwrap();
    let denied = Event::RequestDenied(RequestDenied {
        judged: None,
        request: REQUEST,
        requester: person("alice"),
        by: person("carol"),
        environment: environment(),
        reason: "not now".to_owned(),
        policy_digest: digest(),
        source: source(),
    });
    let expired = Event::RequestExpired(RequestExpired {
        request: REQUEST,
        person: person("alice"),
        environment: environment(),
    });
    let withdrawn = Event::RequestWithdrawn(RequestWithdrawn {
        request: REQUEST,
        person: person("alice"),
        environment: environment(),
        source: source(),
    });
    let who = "Request 17 of `alice` for `prod`";
    assert_eq!(
        text(&denied),
        format!("{who} was denied by `carol`\nreason: `not now`")
    );
    assert_eq!(text(&expired), format!("{who} expired"));
    assert_eq!(text(&withdrawn), format!("{who} was withdrawn"));
    assert_eq!(told(&expired).topic, Topic::RequestExpired);
}

#[test]
fn breaking_glass_is_loud_and_an_ordinary_certificate_is_not_told() {
    assert_eq!(message(99, &certificate(false)), None);
    assert_eq!(
        text(&emergency()),
        format!(
            "BREAK-GLASS: `alice` took `prod` as `root, app` until 2027-01-15T09:00:00Z, without \
             prior approval\nreason: `db full`\nticket: `OPS-17`\nreview afterwards: `jit-ssh \
             review 99`; stop it now: `jit-ssh revoke {SERIAL}`"
        )
    );
    let session = Event::BreakGlassSessionOpened(Box::new(BreakGlassSessionOpened {
        person: person("alice"),
        groups: [].into(),
        session: digest(),
        fingerprint: "SHA256:x".to_owned(),
        totp_step: 60_000_000,
        expires: now(),
        source: source(),
    }));
    assert!(text(&session).starts_with("BREAK-GLASS: `alice` signed in"));
}

#[test]
fn an_imported_emergency_says_who_signed_it_and_asks_for_its_review() {
    let json = include_bytes!("../../../../ca-core/tests/golden/break-glass-imported.json");
    let imported = told(&Event::from_bytes(json.trim_ascii()).unwrap());
    assert_eq!(imported.topic, Topic::BreakGlassImported);
    let text = imported.text();
    assert!(
        text.starts_with("BREAK-GLASS: while the authority was away `"),
        "{text}"
    );
    assert!(text.contains("with the shares of `"), "{text}");
    assert!(text.ends_with("review it: `jit-ssh review 99`"), "{text}");
}

#[test]
fn a_closed_review_tells_its_finding() {
    let closed = Event::ReviewClosed(ReviewClosed {
        judged: None,
        serial: SERIAL,
        by: person("carol"),
        environment: "prod".parse().unwrap(),
        finding: "only deploy was used".to_owned(),
        source: source(),
    });
    assert_eq!(
        text(&closed),
        format!(
            "The emergency in `prod` with serial {SERIAL} was reviewed by `carol`\n\
             finding: `only deploy was used`"
        )
    );
}

#[test]
fn giving_back_is_not_told_and_taking_away_is() {
    assert_eq!(message(99, &revoked("alice", RevocationCause::Done)), None);
    assert_eq!(
        message(99, &revoked("alice", RevocationCause::Revoked)),
        None
    );
    assert_eq!(
        text(&revoked("carol", RevocationCause::Revoked)),
        "`carol` revoked 1 certificate of `alice`\nreason: `laptop lost`"
    );
}

#[test]
fn a_freeze_and_its_end_name_whom_and_why() {
    assert_eq!(
        text(&frozen("stolen")),
        "`carol` froze environment `prod`\nreason: `stolen`"
    );
    let lifted = Event::FreezeLifted(FreezeLifted {
        judged: None,
        target: FreezeTarget::Person(person("alice")),
        by: person("carol"),
        reason: "found".to_owned(),
        source: source(),
    });
    assert_eq!(
        text(&lifted),
        "`carol` lifted the freeze of `alice`\nreason: `found`"
    );
}

#[test]
fn sessions_are_told_only_when_they_raise_an_alarm() {
    for happened in [
        SessionEvent::Began,
        SessionEvent::Closed,
        SessionEvent::EndedAtExpiry,
        SessionEvent::EndedByRevocation,
    ] {
        assert_eq!(message(99, &reported(happened, true)), None);
        let alarm = told(&reported(happened, false));
        assert_eq!(alarm.topic, Topic::SshSessionNotRecorded);
        assert!(
            alarm
                .text()
                .starts_with("ALARM: a certificate without a record was used on host 30")
        );
        assert!(!alarm.text().contains('<'));
    }
    let alarm = told(&reported(SessionEvent::NotEnded, true));
    assert_eq!(alarm.topic, Topic::SshSessionNotEnded);
}

#[test]
fn no_message_holds_a_digest_or_an_address() {
    for event in [
        opened(1, None),
        approved(0),
        emergency(),
        revoked("carol", RevocationCause::Revoked),
        reported(SessionEvent::Began, false),
        frozen("x"),
    ] {
        let message = told(&event);
        let all = message.text() + &serde_json::to_string(&message.data).unwrap();
        for secret in [
            digest().to_string(),
            "192.0.2.7".into(),
            "198.51.100.4".into(),
        ] {
            assert!(!all.contains(&secret), "{all}");
        }
    }
}
