//! Figure 14: what a connection that waits for news costs the server.

use std::time::Duration;

use ca_core::api::WAIT_SECONDS_MAX;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::ENVIRONMENT;
use super::fleet::Fleet;
use crate::ca::Ca;
use crate::connection::Connection;
use crate::measure::{process_cpu, process_mebibytes};
use crate::report::{Figure, Target, round};
use crate::{Extent, say};

/// Until all that was begun has come to rest.
const SETTLED: Duration = Duration::from_millis(1500);
/// Connections opened at once.
const AT_ONCE: usize = 16;

/// What was measured of one kind.
struct Measured {
    kibibytes_each: f64,
    anonymous_kibibytes_each: f64,
}

impl Measured {
    fn json(&self) -> Value {
        json!({
            "kibibytes_each": round(self.kibibytes_each),
            "anonymous_kibibytes_each": round(self.anonymous_kibibytes_each),
        })
    }
}

/// Starts the CA anew for each kind: memory that was used before would hide what is used now.
pub(super) fn figures(ca: &mut Ca, (fleet, extent): (&Fleet, &Extent)) -> Vec<Figure> {
    say("waiting");
    let host = &fleet.hosts[0];
    let lists = async {
        let mut connection = ca.target().connect().await.expect("a connection");
        let signed = host.poll(&mut connection, None).await;
        host.check(&signed).0
    };
    let version = ca.runtime().block_on(lists);
    let wait = WAIT_SECONDS_MAX;
    let lists = format!("/v1/environments/{ENVIRONMENT}/krl?after={version}&wait={wait}");
    let lists = (lists.as_str(), fleet);
    ca.stop();
    ca.start();
    // At rest, also from its own start.
    std::thread::sleep(SETTLED);
    let idle = watch(ca, extent);
    let mut busy = 0.0;
    let tls = measure(ca, (lists, extent), |ca| busy = watch(ca, extent));
    ca.stop();
    ca.start_plain();
    let plain = measure(ca, (lists, extent), |_| ());
    ca.stop();
    ca.start();
    shown(&tls, &plain, (idle, busy), extent)
}

fn shown(
    tls: &Measured,
    plain: &Measured,
    (idle, busy): (f64, f64),
    extent: &Extent,
) -> Vec<Figure> {
    let memory = Figure {
        number: 14,
        name: "idle long-poll waiter: server memory",
        unit: "KiB",
        value: Some(tls.kibibytes_each),
        target: Target::AtMost(32.0),
        how: "growth of VmRSS of a fresh ca-server serve by connections over TLS that wait for \
              a revocation list, divided by their number; handshakes included",
        raw: json!({
            "waiters": extent.waiters,
            "hosts_over_tls": tls.json(),
            "hosts_over_plain_http": plain.json(),
        }),
    };
    let seconds = extent.watched.as_secs_f64();
    let cpu = Figure {
        name: "idle long-poll waiters: server CPU of all together",
        unit: "ms a second",
        value: Some((busy - idle).max(0.0) * 1e3 / seconds),
        // One tick of the clock that counts in ten seconds is nothing.
        target: Target::AtMost(1.0),
        how: "utime+stime of the server while all wait, less the same without any",
        raw: json!({
            "waiters": extent.waiters,
            "watched_seconds": seconds,
            "cpu_milliseconds_with": round(busy * 1e3),
            "cpu_milliseconds_without": round(idle * 1e3),
            "resolution_milliseconds": 10,
        }),
        ..memory.clone()
    };
    vec![memory, cpu]
}

/// CPU seconds of the server while nothing happens.
fn watch(ca: &Ca, extent: &Extent) -> f64 {
    let before = process_cpu(ca.id());
    std::thread::sleep(extent.watched);
    process_cpu(ca.id()) - before
}

/// Opens the connections, lets them wait, and does `meanwhile`.
fn measure(
    ca: &Ca,
    ((path, fleet), extent): ((&str, &Fleet), &Extent),
    meanwhile: impl FnOnce(&Ca),
) -> Measured {
    // What the first connection of all needs is not what each needs.
    let first = ca.runtime().block_on(open(ca, 1));
    drop(first);
    std::thread::sleep(SETTLED);
    let resident = |name| process_mebibytes(ca.id(), name) * 1024.0;
    let (all, anonymous) = (resident("VmRSS"), resident("RssAnon"));
    let connections = ca.runtime().block_on(open(ca, extent.waiters));
    let mut waiting = JoinSet::new();
    // A host may wait eight times at once, so many hosts wait a few times each.
    let tokens = fleet.hosts.iter().map(|host| &host.credential).cycle();
    for (mut connection, token) in connections.into_iter().zip(tokens) {
        let (path, token) = (path.to_owned(), token.to_owned());
        waiting.spawn_on(
            async move {
                let answer = connection.get_as(&path, &token).await;
                answer.map(|(status, _)| status)
            },
            ca.runtime().handle(),
        );
    }
    std::thread::sleep(SETTLED);
    meanwhile(ca);
    let (all, anonymous) = (resident("VmRSS") - all, resident("RssAnon") - anonymous);
    let ended = waiting.try_join_next();
    assert!(ended.is_none(), "one did not wait: {ended:?}");
    ca.runtime().block_on(waiting.shutdown());
    let number = f64::from(u32::try_from(extent.waiters).expect("small"));
    Measured {
        kibibytes_each: all / number,
        anonymous_kibibytes_each: anonymous / number,
    }
}

async fn open(ca: &Ca, count: usize) -> Vec<Connection> {
    let mut opened = Vec::new();
    while opened.len() < count {
        let mut some = JoinSet::new();
        for _ in 0..AT_ONCE.min(count - opened.len()) {
            let target = ca.target();
            some.spawn(async move { target.connect().await });
        }
        for connection in some.join_all().await {
            opened.push(connection.expect("a connection"));
        }
    }
    opened
}
