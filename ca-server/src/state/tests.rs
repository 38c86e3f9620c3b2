//! The fold: what ends, what stays, and that nothing makes it grow without bound.

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{
    Asked, Attempt, CertificateIssued, CertificatesRevoked, Event, Person, Refused,
    RevocationCause, SessionClosed, SessionOpened, TicketIssued, TotpConfirmed, TotpOffered,
};
use ca_core::name::Subject;
use ca_core::time::Timestamp;
use ca_core::tlog::hash::EMPTY_ROOT;
use proptest::prelude::*;

use super::{LATE, Snapshot, State};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000 + seconds)
}

fn person(n: u64) -> Person {
    Person {
        subject: Subject::new("https://id.example", &format!("sub-{n}")).unwrap(),
        user: format!("user{n}").parse().unwrap(),
    }
}

fn digest(n: u64) -> Digest {
    Digest::of(&n.to_be_bytes())
}

fn opened(who: u64, session: u64, expires: u64, step: Option<u64>) -> Event {
    Event::SessionOpened(Box::new(SessionOpened {
        person: person(who),
        groups: ["sre".to_owned()].into(),
        session: digest(session),
        id_token: digest(session + 1_000_000),
        id_token_expires: at(expires / 2),
        token_bound: true,
        second_factor: SecondFactor::Totp,
        totp_step: step,
        recovery_code: step.is_none().then(|| digest(77)),
        expires: at(expires),
        source: "::1".parse().unwrap(),
    }))
}

fn issued(who: u64, serial: u64, request: &str, until: u64) -> Event {
    let now = at(0).unix_seconds();
    Event::CertificateIssued(Box::new(CertificateIssued {
        approvers: Vec::new(),
        break_glass: false,
        request: None,
        person: person(who),
        session: digest(1),
        request_id: request.to_owned(),
        request_digest: digest(serial),
        asked: Asked {
            unreviewed: None,
            environment: "prod".parse().unwrap(),
            principals: vec!["deploy".parse().unwrap()],
            duration_seconds: until,
            groups: ["sre".to_owned()].into(),
            mfa_age_seconds: 1,
            second_factor: SecondFactor::Totp,
            token_bound: true,
            on_call: false,
            reason: None,
            ticket: None,
            source: "::1".parse().unwrap(),
        },
        policies: vec!["p".to_owned()],
        policy_digest: digest(0),
        serial,
        key_id: format!("user{who}@prod#{serial}"),
        subject_key: "SHA256:x".to_owned(),
        valid_after: now,
        valid_before: now + until,
    }))
}

fn revoked(serials: Vec<u64>) -> Event {
    Event::CertificatesRevoked(CertificatesRevoked {
        judged: None,
        by: person(0),
        holder: person(0),
        serials,
        cause: RevocationCause::Revoked,
        sessions: Vec::new(),
        everything: false,
        requests: Vec::new(),
        reason: None,
        source: "::1".parse().unwrap(),
    })
}

fn ticket(n: u64, expires: u64) -> Event {
    Event::TicketIssued(TicketIssued {
        judged: None,
        by: person(0),
        user: "user1".parse().unwrap(),
        ticket: digest(n + 2_000_000),
        expires: at(expires),
        source: "::1".parse().unwrap(),
    })
}

fn offered(who: u64, generation: u32, tickets: Vec<u64>, step: Option<u64>) -> Event {
    Event::TotpOffered(TotpOffered {
        person: person(who),
        generation,
        id_token: digest(5),
        tickets: tickets.into_iter().map(|n| digest(n + 2_000_000)).collect(),
        totp_step: step,
        recovery_code: None,
        source: "::1".parse().unwrap(),
    })
}

fn confirmed(who: u64, generation: u32, step: u64) -> Event {
    Event::TotpConfirmed(TotpConfirmed {
        person: person(who),
        generation,
        totp_step: step,
        recovery_codes: vec![digest(77), digest(78)],
        source: "::1".parse().unwrap(),
    })
}

fn wrong_code(who: u64) -> Event {
    Event::Refused(Box::new(Refused {
        approvers: None,
        request: None,
        not_before: None,
        judged: None,
        attempt: Attempt::SignIn,
        code: "totp-wrong".to_owned(),
        detail: String::new(),
        person: Some(person(who)),
        asked: None,
        policies: Vec::new(),
        policy_digest: None,
        source: "::1".parse().unwrap(),
    }))
}

fn closed(who: u64, session: u64, serials: Vec<u64>) -> Event {
    Event::SessionClosed(SessionClosed {
        person: person(who),
        session: digest(session),
        serials,
    })
}

/// A state after these events, all at time zero.
fn after(events: &[Event]) -> State {
    let mut state = State::default();
    for event in events {
        state.apply(at(0), event);
    }
    state
}

/// Something that happens and changes nothing but the time.
fn pass(state: &mut State, seconds: u64) {
    state.apply(at(seconds), &revoked(Vec::new()));
}

#[test]
fn a_session_its_token_a_ticket_and_a_certificate_end_at_their_second_and_are_forgotten() {
    let request = "request-1";
    let mut state = after(&[
        opened(1, 1, 100, Some(9)),
        ticket(1, 100),
        issued(1, 42, request, 100),
        revoked(vec![42]),
    ]);
    let (token, ticket) = (digest(1), digest(2_000_001));
    let id_token = digest(1_000_001);
    let who = person(1).subject;
    let answered = |state: &State, second| state.answered(&who, request, at(second)).is_some();
    // Also before a later record makes it forgotten.
    assert!(answered(&state, 99) && !answered(&state, 100));
    assert!(state.session(&token, at(99)).is_some() && state.session(&token, at(100)).is_none());
    assert!(state.ticket(&ticket, at(99)).is_some() && state.ticket(&ticket, at(100)).is_none());
    assert!(state.certificate(42, at(99)).is_some() && state.certificate(42, at(100)).is_none());
    pass(&mut state, 49);
    assert!(state.is_spent(&id_token));
    pass(&mut state, 50);
    assert!(!state.is_spent(&id_token));
    pass(&mut state, 99);
    assert_eq!(state.live_items(), 4);
    assert!(state.is_revoked(42) && answered(&state, 99));
    pass(&mut state, 100);
    // A host whose clock is behind must still find it revoked.
    assert!(state.is_revoked(42) && !answered(&state, 100));
    assert_eq!(
        state.revoked_in(&"prod".parse().unwrap(), at(100)).count(),
        1
    );
    pass(&mut state, 100 + LATE.as_secs());
    assert_eq!(
        state.revoked_in(&"prod".parse().unwrap(), at(700)).count(),
        0
    );
    // The second factor stays: its last step must never be forgotten.
    assert_eq!(state.live_items(), 1);
    assert!(!state.is_revoked(42));
    assert_eq!(state.factor(&who).unwrap().last_step, Some(9));
}

#[test]
fn a_revoked_certificate_is_not_live_and_a_serial_nobody_has_is_not_remembered() {
    let mut state = after(&[issued(1, 42, "a", 100), issued(1, 43, "b", 100)]);
    state.apply(at(1), &revoked(vec![42, 99]));
    assert!(state.is_revoked(42) && !state.is_revoked(43) && !state.is_revoked(99));
    let live: Vec<u64> = state
        .live_of(&person(1).subject, at(1))
        .map(|l| l.0)
        .collect();
    assert_eq!(live, [43]);
    assert_eq!(state.live_of(&person(2).subject, at(1)).count(), 0);
}

#[test]
fn logging_out_ends_that_session_and_what_it_names_and_no_other() {
    let mut state = after(&[
        opened(1, 1, 100, Some(1)),
        opened(1, 2, 100, Some(2)),
        issued(1, 42, "a", 100),
        issued(1, 43, "b", 100),
    ]);
    state.apply(at(1), &closed(1, 1, vec![42]));
    assert!(state.session(&digest(1), at(1)).is_none());
    assert!(state.session(&digest(2), at(1)).is_some());
    assert!(state.is_revoked(42) && !state.is_revoked(43));
    // Its ID token stays spent.
    assert!(state.is_spent(&digest(1_000_001)));
}

#[test]
fn an_enrolment_is_in_force_when_confirmed_and_uses_up_its_tickets_only_then() {
    let who = person(1).subject;
    let mut state = after(&[ticket(1, 100), ticket(2, 100), offered(1, 1, vec![1], None)]);
    let offered_to = |state: &State, n: u64| {
        let ticket = state.ticket(&digest(n + 2_000_000), at(1));
        ticket.map(|ticket| ticket.offered_to.clone())
    };
    assert_eq!(offered_to(&state, 1), Some(Some(who.clone())));
    assert_eq!(offered_to(&state, 2), Some(None));
    let factor = state.factor(&who).unwrap();
    assert_eq!((factor.confirmed, factor.generations), (None, 1));
    state.apply(at(1), &confirmed(1, 1, 50));
    assert_eq!(offered_to(&state, 1), None);
    assert_eq!(offered_to(&state, 2), Some(None));
    assert_eq!(state.ends.len(), 1);
    state.apply(at(2), &offered(1, 2, vec![], Some(51)));
    let factor = state.factor(&who).unwrap();
    assert_eq!((factor.confirmed, factor.last_step), (Some(1), Some(51)));
    let generation = factor.offered.as_ref().map(|offer| offer.generation);
    assert_eq!(generation, Some(2));
    state.apply(at(3), &confirmed(1, 2, 52));
    let factor = state.factor(&who).unwrap();
    assert_eq!((factor.confirmed, &factor.offered), (Some(2), &None));
    assert_eq!(factor.recovery_codes.len(), 2);
}

#[test]
fn a_ticket_of_a_broken_off_enrolment_stays_with_the_person_it_was_offered_to() {
    let who = person(1).subject;
    let mut state = after(&[ticket(1, 100), offered(1, 1, vec![1], None)]);
    // Somebody of another name shows it, then the same person again.
    state.apply(at(1), &offered(2, 1, vec![1], None));
    state.apply(at(1), &offered(1, 2, vec![1], None));
    state.apply(at(1), &confirmed(2, 1, 50));
    let ticket = state.ticket(&digest(2_000_001), at(1)).unwrap();
    assert_eq!(ticket.offered_to.as_ref(), Some(&who));
    state.apply(at(2), &confirmed(1, 2, 50));
    assert!(state.ticket(&digest(2_000_001), at(2)).is_none());
    assert!(state.ends.is_empty());
}

#[test]
fn the_last_step_never_goes_back_and_a_recovery_code_is_used_once() {
    let who = person(1).subject;
    let mut state = after(&[confirmed(1, 1, 50)]);
    state.apply(at(1), &opened(1, 1, 100, Some(60)));
    state.apply(at(1), &opened(1, 2, 100, Some(55)));
    assert_eq!(state.factor(&who).unwrap().last_step, Some(60));
    assert!(
        state
            .factor(&who)
            .unwrap()
            .recovery_codes
            .contains(&digest(77))
    );
    state.apply(at(2), &opened(1, 3, 100, None));
    let factor = state.factor(&who).unwrap();
    assert_eq!(factor.last_step, Some(60));
    assert!(!factor.recovery_codes.contains(&digest(77)));
}

#[test]
fn wrong_codes_lock_and_a_success_starts_again() {
    let who = person(1).subject;
    let mut state = State::default();
    for _ in 0..6 {
        state.apply(at(0), &wrong_code(1));
    }
    let lockout = state.factor(&who).unwrap().lockout;
    assert!(lockout.is_locked(at(29)) && !lockout.is_locked(at(30)));
    assert_eq!(state.factor(&person(2).subject), None);
    state.apply(at(31), &opened(1, 1, 100, Some(1)));
    assert_eq!(state.factor(&who).unwrap().lockout.failures(), 0);
}

/// A step of a random history: what, who, which number, how long, and seconds since the last.
type Step = (u8, u64, u64, u64, u64);

fn history() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..9, 0u64..3, 0u64..40, 0u64..300, 0u64..40);
    proptest::collection::vec(step, 0..200)
}

/// The events of a history, each with its time; what is handed out is new each time, as random
/// tokens are. With each, the ends of everything that was given out so far.
fn play(steps: &[Step]) -> Vec<(Timestamp, Event, Vec<u64>)> {
    let (mut now, mut ends, mut step) = (0, Vec::new(), 0);
    let mut played = Vec::new();
    for (n, (what, who, which, long, wait)) in (100u64..).zip(steps) {
        now += wait;
        step += 1;
        let end = now + long;
        let event = match what {
            0 | 1 => opened(*who, n, end, Some(step)),
            2 | 3 => issued(*who, n, &format!("request-{n}"), end),
            4 => revoked(vec![100 + which, 100 + which * 2]),
            5 => closed(*who, 100 + which, vec![100 + which * 3]),
            6 => ticket(n, end),
            7 => offered(*who, 1, vec![100 + which], Some(step)),
            _ if which % 2 == 0 => confirmed(*who, 1, step),
            _ => wrong_code(*who),
        };
        if matches!(what, 0..=3 | 6) {
            ends.push(end);
        }
        played.push((at(now), event, ends.clone()));
    }
    played
}

proptest! {
    #[test]
    fn what_is_held_is_bounded_by_people_and_live_things_and_nothing_panics(steps in history()) {
        let mut state = State::default();
        for (time, event, ends) in play(&steps) {
            state.apply(time, &event);
            // What was given out just now may be over already; the next record forgets it.
            let live = ends.iter().filter(|end| at(**end).plus(LATE) >= time).count();
            prop_assert!(state.live_items() <= 3 + live);
            prop_assert!(state.ends.len() <= 2 * ends.len());
            prop_assert!(state.revoked.len() <= state.certificates.len());
            prop_assert!(state.request_ids.len() <= state.certificates.len());
        }
        pass(&mut state, 1_000_000);
        prop_assert!(state.live_items() <= 3);
        prop_assert!(state.ends.is_empty() && state.spent_id_tokens.is_empty());
        prop_assert!(state.revoked.is_empty() && state.request_ids.is_empty());
    }

    #[test]
    fn a_snapshot_at_any_point_and_the_rest_give_the_same_state(steps in history(), cut in 0usize..200) {
        let played = play(&steps);
        let (mut whole, mut resumed) = (State::default(), State::default());
        for (n, (time, event, _)) in played.iter().enumerate() {
            if n == cut {
                let bytes = Snapshot::to_bytes(&resumed, EMPTY_ROOT).unwrap();
                resumed = Snapshot::from_bytes(&bytes).unwrap().0;
                prop_assert_eq!(&resumed, &whole);
            }
            whole.apply(*time, event);
            resumed.apply(*time, event);
        }
        prop_assert_eq!(resumed, whole);
    }
}
