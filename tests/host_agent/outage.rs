//! The authority is away: sessions go on and end in time, new logins as the environment says.

use ca_core::api::{SessionEvent, Staleness};

use super::enrolled::Host;
use crate::support::clock::unix_now;
use crate::support::keygen::KeyFiles;
use crate::support::wait;

fn strict() -> Host {
    Host::start(|settings| {
        settings.staleness = Staleness::Strict;
        settings.stale_after_seconds = 6;
    })
}

fn wait_until_refused(host: &Host, key: &KeyFiles) {
    wait::until("a refusal", wait::START_MAX, || {
        (!host.lets_in(key)).then_some(())
    });
}

fn wait_until_let_in(host: &Host, key: &KeyFiles) {
    wait::until("a login", wait::START_MAX, || {
        host.lets_in(key).then_some(())
    });
}

#[test]
fn a_strict_host_refuses_new_logins_while_its_list_is_stale_and_break_glass_still_works() {
    let mut host = strict();
    let hour = unix_now() + 3600;
    let key = host.certificate(940, hour);
    let break_glass = host.certificate_of(&host.authority.break_glass, 941, hour);
    wait_until_let_in(&host, &key);
    let mut running = host.open(&key, "cat");
    host.wait_for_registrations(1);
    host.authority.change(|state| state.away = true);
    wait_until_refused(&host, &key);
    assert!(host.lets_in(&break_glass));
    assert!(running.runs());
    // A daemon that starts while the list is stale changes nothing about that.
    host.kill_daemon();
    host.start_daemon();
    assert!(!host.lets_in(&key) && host.lets_in(&break_glass) && running.runs());
    host.authority.change(|state| state.away = false);
    wait_until_let_in(&host, &key);
    assert!(running.runs());
}

#[test]
fn while_the_daemon_is_dead_the_timer_makes_a_strict_host_refuse() {
    let mut host = strict();
    let key = host.certificate(942, unix_now() + 3600);
    wait_until_let_in(&host, &key);
    host.kill_daemon();
    host.run(&["enforce"]).succeeds();
    wait::until("a refusal", wait::START_MAX, || {
        host.run(&["enforce"]).succeeds();
        (!host.lets_in(&key)).then_some(())
    });
    host.start_daemon();
    wait_until_let_in(&host, &key);
}

#[test]
fn a_lenient_host_goes_on_with_its_last_list_and_grants_still_end() {
    let host = Host::start(|settings| settings.stale_after_seconds = 1);
    host.authority.revoke(943);
    host.authority.wait_for_acknowledgement();
    host.authority.change(|state| state.away = true);
    let end = unix_now() + 8;
    let [revoked, fine] = [943, 944].map(|serial| host.certificate(serial, end));
    let mut session = host.open(&fine, "cat");
    host.wait_for_registrations(1);
    wait::until("two seconds", wait::START_MAX, || {
        (unix_now() + 5 >= end).then_some(())
    });
    assert!(host.lets_in(&fine) && !host.lets_in(&revoked));
    session.ends_within("the session", wait::START_MAX);
    assert!((end..=end + 2).contains(&unix_now()));
    host.authority.change(|state| state.away = false);
    host.authority.wait_for(944, SessionEvent::EndedAtExpiry);
}
