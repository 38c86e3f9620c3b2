//! Which revocation lists are believed, and what sshd finds meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use ca_core::api::SessionEvent;

use super::enrolled::Host;
use super::stand_in::State;
use crate::support::clock::unix_now;
use crate::support::wait;

#[test]
fn a_list_that_is_empty_broken_or_old_is_refused_and_the_one_before_stays() {
    let host = Host::start(|_| {});
    host.authority.revoke(950);
    host.authority.wait_for_acknowledgement();
    let good = std::fs::read(host.revoked_keys()).expect("a list");
    let [revoked, fine] = [950, 951].map(|serial| host.certificate(serial, unix_now() + 3600));
    let version = host.authority.change(|state| state.version);
    type Change = fn(&mut State);
    let bad: [(&str, Change); 4] = [
        ("is empty", |state| state.list = Some(Vec::new())),
        ("not an OpenSSH", |state| {
            state.list = Some(b"garbage".to_vec())
        }),
        ("older than one", |state| state.generated = Some(1)),
        ("older than one", |state| state.version = 1),
    ];
    for (complaint, change) in bad {
        host.authority.change(|state| {
            state.version = version + 1;
            change(state);
            // An old time makes only the same version older.
            if state.generated.is_some() {
                state.version = version;
            }
        });
        wait::until(complaint, wait::START_MAX, || {
            let status = host.run(&["status", "--json"]).succeeds().stdout;
            status.contains(complaint).then_some(())
        });
        assert_eq!(std::fs::read(host.revoked_keys()).expect("a list"), good);
        assert!(host.lets_in(&fine) && !host.lets_in(&revoked));
        host.authority.change(|state| {
            state.list = None;
            state.generated = None;
            state.version = version;
        });
        wait::until("good lists again", wait::START_MAX, || {
            let status = host.run(&["status", "--json"]).succeeds().stdout;
            status.contains("\"problem\":null").then_some(())
        });
    }
}

#[test]
fn sshd_finds_a_whole_list_at_every_moment_of_many_changes() {
    let host = Host::start(|_| {});
    let path = host.revoked_keys();
    let over = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !over.load(Ordering::Relaxed) {
                let bytes = std::fs::read(&path).expect("the file is there");
                ca_core::krl::Krl::read(&bytes).expect("a whole list");
                read += 1;
            }
            read
        });
        for serial in 1000..1040 {
            host.authority.revoke(serial);
            host.authority.wait_for_acknowledgement();
        }
        over.store(true, Ordering::Relaxed);
        reader.join().expect("whole lists")
    });
    assert!(read > 100, "{read}");
}

#[test]
fn a_list_that_somebody_emptied_is_put_right() {
    let host = Host::start(|_| {});
    host.authority.revoke(960);
    host.authority.wait_for_acknowledgement();
    std::fs::write(host.revoked_keys(), b"").expect("a file");
    let check = host.run(&["check"]);
    assert!(check.stdout.contains("revokes NOTHING"), "{check:?}");
    let key = host.certificate(960, unix_now() + 3600);
    wait::until("the list", wait::START_MAX, || {
        std::fs::read(host.revoked_keys())
            .is_ok_and(|bytes| !bytes.is_empty())
            .then_some(())
    });
    assert!(!host.lets_in(&key));
}

#[test]
fn a_revoked_certificate_is_refused_by_sshd_as_soon_as_the_host_has_acknowledged() {
    let host = Host::start(|_| {});
    for serial in 970..975 {
        let key = host.certificate(serial, unix_now() + 3600);
        assert!(host.lets_in(&key));
        let start = std::time::Instant::now();
        host.authority.revoke(serial);
        host.authority.wait_for_acknowledgement();
        eprintln!("revoked to acknowledged: {:?}", start.elapsed());
        assert!(!host.lets_in(&key));
    }
}

#[test]
fn a_break_glass_session_is_watched_too() {
    let host = Host::start(|_| {});
    let end = unix_now() + 5;
    let key = host.certificate_of(&host.authority.break_glass, 980, end);
    let mut session = host.open(&key, "cat");
    host.authority.wait_for(980, SessionEvent::Began);
    session.ends_within("the session", wait::START_MAX);
    assert!(unix_now() >= end);
    host.authority.wait_for(980, SessionEvent::EndedAtExpiry);
}
