//! Figures 11 to 13 and 17: from a revocation, or the end of a grant, until nothing of it works.

use std::time::{Duration, Instant};

use ca_core::api::{Hosts, Revoke, Revoked};
use ca_server::clock::Clock;
use serde_json::{Value, json};

use super::fleet::{Fleet, Running};
use super::host::{Host, refused};
use super::{Caller, ENVIRONMENT, People};
use crate::ca::Ca;
use crate::measure::{process_mebibytes, quantile};
use crate::report::{Figure, Target, round};
use crate::support::programs::program;
use crate::support::run::run;
use crate::support::wait;
use crate::{Extent, say};

/// The shortest window there is.
const GRANT_SECONDS: u64 = 60;
/// Sessions whose grants end one after the other.
const GRANTS: u64 = 5;

/// Seconds of each kind, from the begin of the call.
#[derive(Default)]
struct Times {
    in_place: Vec<f64>,
    answered: Vec<f64>,
    refused: Vec<f64>,
    ended: Vec<f64>,
    /// As the CA counts, of every host.
    acknowledged: Vec<f64>,
    /// Of the last host in each round.
    last: Vec<f64>,
}

pub(super) fn figures(ca: &Ca, people: &People, (fleet, extent): (&Fleet, &Extent)) -> Vec<Figure> {
    say("a real host joins");
    let host = Host::start(ca, &people.carol_token);
    let running = fleet.start(ca);
    let mut times = Times::default();
    for number in 0..extent.revocations {
        say(&format!(
            "revocation {} of {}",
            number + 1,
            extent.revocations
        ));
        revoke(ca, people, (&host, &running, number), &mut times);
    }
    say("jit-ssh done");
    let runs = extent.revocations.div_ceil(2);
    let done: Vec<f64> = (0..runs).map(|_| done(people, &host)).collect();
    let mut figures = of_revocations(&times, extent);
    figures.push(of_done(&done));
    if !extent.quick {
        say("the end of a grant");
        figures.push(end_of_grant(ca, people, &host));
    }
    figures.extend(of_the_program(&host));
    figures
}

/// One certificate with a running session; it is revoked, and everybody is watched.
fn revoke(ca: &Ca, people: &People, (host, fleet, number): (&Host, &Running, u32), to: &mut Times) {
    let mut alice = Caller::new(ca, &people.alice_token);
    let access = host.access(&mut alice, 3600, &format!("revoked-{number}"));
    let serial = access.issued.serial;
    let session = host.session(&access);
    let ssh = host.ssh(&access);
    // In turn given back by the holder and taken away by somebody else.
    let token = if number.is_multiple_of(2) {
        &people.alice_token
    } else {
        &people.carol_token
    };
    let mut caller = Caller::new(ca, token);
    caller.ready();
    fleet.expect(serial);
    let body = Revoke {
        serial: Some(serial),
        ..Revoke::default()
    };
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| session.ended());
        let begun = Instant::now();
        let refused = scope.spawn(|| refused(&ssh));
        let revoked: Revoked = caller.post("/v1/revocations", &body);
        let since = |at: Instant| at.saturating_duration_since(begun).as_secs_f64();
        to.answered.push(since(Instant::now()));
        assert_eq!(revoked.serials, [serial]);
        let arrivals: Vec<f64> = fleet.wait().into_iter().map(since).collect();
        to.last.push(arrivals.iter().copied().fold(0.0, f64::max));
        to.in_place.extend(arrivals);
        to.refused.push(since(refused.join().expect("ssh").0));
        to.ended.push(since(ended.join().expect("ssh")));
    });
    to.acknowledged.extend(acknowledged(ca, people));
}

/// Waits until every host has acknowledged the newest list; seconds as the CA counts them.
fn acknowledged(ca: &Ca, people: &People) -> Vec<f64> {
    let mut carol = Caller::new(ca, &people.carol_token);
    wait::until("all acknowledgements", wait::START_MAX, || {
        let hosts: Hosts = carol.get("/v1/hosts");
        let times = hosts.hosts.iter().map(|host| {
            let newest = host.krl_version == Some(host.krl_version_newest);
            let milliseconds = u32::try_from(host.acknowledged_after_milliseconds?).ok()?;
            newest.then(|| f64::from(milliseconds) / 1e3)
        });
        times.collect()
    })
}

/// `jit-ssh done` as a whole process; seconds until the session had ended.
fn done(people: &People, host: &Host) -> f64 {
    people.alice.agent.ssh_add(&["-D"]).succeeds();
    let login = people.alice.jit_ssh(&["login", ENVIRONMENT, "--json"]);
    let granted = run(login).succeeds().stdout;
    let granted: Value = serde_json::from_str(&granted).expect("JSON");
    let serial = granted["serial"].as_u64().expect("a serial");
    let session = host.session_of_agent(people.alice.agent.socket(), serial);
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| session.ended());
        let begun = Instant::now();
        run(people.alice.jit_ssh(&["done", ENVIRONMENT])).succeeds();
        let ended = ended.join().expect("ssh");
        ended.saturating_duration_since(begun).as_secs_f64()
    })
}

fn of_revocations(times: &Times, extent: &Extent) -> Vec<Figure> {
    let spread = |seconds: &[f64]| {
        let milliseconds = |share| round(quantile(seconds, share) * 1e3);
        json!({
            "p50_milliseconds": milliseconds(0.5),
            "p99_milliseconds": milliseconds(0.99),
            "count": seconds.len(),
        })
    };
    let in_force = Figure {
        number: 11,
        name: "revocation to the list in force on every host, p99",
        unit: "s",
        value: Some(quantile(&times.in_place, 0.99)),
        target: Target::AtMost(1.0),
        how: "from the begin of POST /v1/revocations until the list that names the serial is \
              checked and renamed into place, each of the simulated hosts in each round; all wait \
              in long polls over TLS, and acknowledge",
        raw: json!({
            "simulated_hosts": extent.hosts - 1,
            "rounds": extent.revocations,
            "each_host": spread(&times.in_place),
            "last_host_of_each_round": spread(&times.last),
            "answer_to_whoever_revokes": spread(&times.answered),
            "acknowledged_as_the_ca_counts": spread(&times.acknowledged),
        }),
    };
    let refused = Figure {
        name: "revocation to certificate refused by a live sshd, p99",
        value: Some(quantile(&times.refused, 0.99)),
        how: "from the begin of the call until the first ssh login that sshd refuses has ended; \
              logins one after the other beside the fleet, sshd kept by jit-ssh-host",
        raw: json!({ "refused": spread(&times.refused) }),
        ..in_force.clone()
    };
    let ended = Figure {
        number: 12,
        name: "revocation to running ssh session ended, p99",
        value: Some(quantile(&times.ended, 0.99)),
        target: Target::AtMost(2.0),
        how: "in the same rounds, until the ssh client of an idle session has exited",
        raw: json!({ "ended": spread(&times.ended) }),
        ..in_force.clone()
    };
    vec![in_force, refused, ended]
}

fn of_done(seconds: &[f64]) -> Figure {
    Figure {
        number: 12,
        name: "jit-ssh done to running ssh session ended, p99",
        unit: "s",
        value: Some(quantile(seconds, 0.99)),
        target: Target::AtMost(2.0),
        how: "from starting the process jit-ssh done until the ssh client has exited; the fleet \
              beside it",
        raw: json!({
            "runs": seconds.len(),
            "p50_milliseconds": round(quantile(seconds, 0.5) * 1e3),
        }),
    }
}

/// Sessions with the shortest window, begun a second after each other.
fn end_of_grant(ca: &Ca, people: &People, host: &Host) -> Figure {
    let mut alice = Caller::new(ca, &people.alice_token);
    let late: Vec<f64> = std::thread::scope(|scope| {
        let begin = |number| {
            let access = host.access(&mut alice, GRANT_SECONDS, &format!("short-{number}"));
            let session = host.session(&access);
            std::thread::sleep(Duration::from_secs(1));
            scope.spawn(move || {
                session.ended();
                let end = access.issued.valid_before;
                let now = Clock::System.now();
                assert!(now >= end, "it was ended before its time");
                now.since(end).as_secs_f64()
            })
        };
        let sessions: Vec<_> = (0..GRANTS).map(begin).collect();
        let ended = sessions.into_iter().map(|session| session.join());
        ended.map(|late| late.expect("ssh")).collect()
    });
    Figure {
        number: 13,
        name: "end of grant to running ssh session ended, worst",
        unit: "s",
        value: Some(late.iter().copied().fold(0.0, f64::max)),
        target: Target::AtMost(2.0),
        how: "from valid_before of a certificate for 60 s until the ssh client of an idle session \
              has exited",
        raw: json!({
            "sessions": late.len(),
            "milliseconds": late.iter().map(|late| round(late * 1e3)).collect::<Vec<_>>(),
        }),
    }
}

/// After all that it did here: some dozens of lists, sessions and long polls.
fn of_the_program(host: &Host) -> Vec<Figure> {
    let id = host.daemon.id();
    let memory = Figure {
        number: 17,
        name: "jit-ssh-host: resident memory",
        unit: "MiB",
        value: Some(process_mebibytes(id, "VmRSS")),
        target: Target::AtMost(12.0),
        how: "VmRSS of the daemon after these rounds",
        raw: json!({
            "anonymous_mebibytes": round(process_mebibytes(id, "RssAnon")),
            "peak_mebibytes": round(process_mebibytes(id, "VmHWM")),
        }),
    };
    let bytes = std::fs::metadata(program("jit-ssh-host"))
        .expect("it")
        .len();
    let kibibytes = u32::try_from(bytes / 1024).expect("small");
    let size = Figure {
        name: "jit-ssh-host: size of the program",
        value: Some(f64::from(kibibytes) / 1024.0),
        target: Target::AtMost(8.0),
        how: "the file as the release profile builds it, stripped",
        raw: json!({ "bytes": bytes }),
        ..memory.clone()
    };
    vec![memory, size]
}
