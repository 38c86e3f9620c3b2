//! The daemon is killed at any moment: what should end ends, nothing else does, nothing is lost.

use std::time::Duration;

use ca_core::api::SessionEvent;

use super::enrolled::{Host, runs, unique_seconds, wait_for_process};
use crate::support::clock::unix_now;
use crate::support::wait;

#[test]
fn a_session_that_opened_while_the_daemon_was_dead_is_found_and_ended() {
    let mut host = Host::start(|_| {});
    host.kill_daemon();
    let key = host.certificate(910, unix_now() + 3600);
    let mut session = host.open(&key, "cat");
    host.wait_for_registrations(1);
    host.authority.revoke(910);
    host.start_daemon();
    session.ends_within("the session", Duration::from_secs(3));
    host.authority.wait_for(910, SessionEvent::Began);
    host.authority
        .wait_for(910, SessionEvent::EndedByRevocation);
}

#[test]
fn a_grant_that_ended_while_the_daemon_was_dead_ends_its_session_at_the_start() {
    let mut host = Host::start(|_| {});
    let end = unix_now() + 6;
    let key = host.certificate(911, end);
    let mut session = host.open(&key, "cat");
    host.wait_for_registrations(1);
    host.kill_daemon();
    wait::until("the end of the grant", wait::START_MAX, || {
        (unix_now() > end).then_some(())
    });
    assert!(session.runs());
    host.start_daemon();
    session.ends_within("the session", Duration::from_secs(2));
    host.authority.wait_for(911, SessionEvent::EndedAtExpiry);
}

#[test]
fn killed_at_any_moment_of_a_revocation_it_ends_the_session_after_its_start_and_no_other() {
    let mut host = Host::start(|_| {});
    let other = unique_seconds();
    let stays = host.certificate(920, unix_now() + 3600);
    let mut survivor = host.open(&stays, &format!("sleep {other}"));
    wait_for_process(&format!("sleep {other}"));
    for (serial, delay) in (921..).zip([0, 5, 15, 40, 90, 200, 500, 800]) {
        let left = unique_seconds();
        let key = host.certificate(serial, unix_now() + 3600);
        // A job that heeds no polite signal keeps the ending open until SIGKILL.
        let remote =
            format!("(trap '' HUP TERM; exec setsid sleep {left}) >/dev/null 2>&1 & exec cat");
        let mut session = host.open(&key, &remote);
        wait_for_process(&format!("sleep {left}"));
        host.authority.revoke(serial);
        std::thread::sleep(Duration::from_millis(delay));
        host.kill_daemon();
        host.start_daemon();
        session.ends_within("the session", Duration::from_secs(4));
        wait::until("what it left", Duration::from_secs(4), || {
            (!runs(&format!("sleep {left}"))).then_some(())
        });
        host.authority
            .wait_for(serial, SessionEvent::EndedByRevocation);
        assert!(survivor.runs() && runs(&format!("sleep {other}")));
        let bytes = std::fs::read(host.revoked_keys()).expect("a list");
        assert!(bytes.len() >= 44);
    }
    host.wait_for_registrations(1);
}

#[test]
fn reports_wait_for_the_authority_and_survive_the_daemon() {
    let mut host = Host::start(|_| {});
    host.authority.change(|state| state.away = true);
    let key = host.certificate(930, unix_now() + 3600);
    host.ssh(&key).run("true").succeeds();
    host.wait_for_registrations(0);
    host.kill_daemon();
    host.start_daemon();
    host.authority.change(|state| state.away = false);
    host.authority.wait_for(930, SessionEvent::Began);
    host.authority.wait_for(930, SessionEvent::Closed);
    let mine = host.authority.session_reports();
    let mine = mine.iter().filter(|report| report.serial == 930);
    assert_eq!(mine.count(), 2);
}
