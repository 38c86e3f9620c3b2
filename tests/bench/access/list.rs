//! Figure 15: a long revocation list: its size, what making it costs, and what sshd makes of it.

use std::time::{Duration, Instant};

use ca_core::api::{Revoke, Revoked};
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::krl::{self, Comment, Contents, SerialRange};
use ca_core::serial::Serial;
use ca_server::clock::Clock;
use serde_json::json;

use super::fleet::{Fleet, Simulated};
use super::{Caller, People};
use crate::ca::Ca;
use crate::load::{Until, load};
use crate::measure::{median, quantile};
use crate::report::{Figure, Target, round};
use crate::support::keygen::{self, KeyFiles, Wanted};
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;
use crate::{Extent, say};

/// Between two revoked serials: too far for ranges and bitmaps, the dearest there is.
const APART: u64 = 9973;
/// Longer than the server hands out the same list again.
const STALE: Duration = Duration::from_millis(1100);
/// Lists that are made at the server.
const LOOKS: u32 = 15;
/// Revocations on top of a long list.
const MORE: u32 = 5;
const CLIENTS: u32 = 64;

pub(super) fn figures(ca: &Ca, people: &People, (fleet, extent): (&Fleet, &Extent)) -> Vec<Figure> {
    say("a long revocation list");
    let folder = tempfile::tempdir().expect("a folder");
    let key = keygen::generate(folder.path(), "ca");
    let scattered = scattered(&key, extent);
    let (bytes, size) = bytes(&scattered, extent);
    let built = built(&scattered, extent);
    let login = login(&key, &bytes, extent);
    let mut figures = vec![size, built, login];
    figures.extend(at_the_server(ca, people, (fleet, extent)));
    figures
}

fn scattered(key: &KeyFiles, extent: &Extent) -> Contents {
    let authority: AuthorityKey = key.public_line().parse().expect("a key");
    let serials = (0..u64::from(extent.revoked)).map(|number| {
        let serial = Serial::new(1, 1 + number * APART).expect("a serial").get();
        SerialRange::new(serial, serial).expect("a serial")
    });
    Contents {
        version: 1,
        generated: Clock::System.now(),
        comment: Comment::default(),
        certificates: vec![(authority, serials.collect())],
        keys: Vec::new(),
    }
}

fn bytes(scattered: &Contents, extent: &Extent) -> (Vec<u8>, Figure) {
    let bytes = krl::write(scattered);
    let length = f64::from(u32::try_from(bytes.len()).expect("small"));
    let figure = Figure {
        number: 15,
        name: "revocation list with 10,000 live revocations: size",
        unit: "KB",
        value: Some(length / 1e3),
        target: Target::AtMost(100.0),
        how: "serials so far apart that neither ranges nor bitmaps help",
        raw: json!({ "revoked": extent.revoked, "bytes": bytes.len() }),
    };
    (bytes, figure)
}

fn built(scattered: &Contents, extent: &Extent) -> Figure {
    let one = |_| {
        let begun = Instant::now();
        std::hint::black_box(krl::write(std::hint::black_box(scattered)));
        begun.elapsed().as_secs_f64()
    };
    let seconds: Vec<f64> = (0..100).map(one).collect();
    Figure {
        number: 15,
        name: "… : time to write it",
        unit: "ms",
        value: Some(median(&seconds) * 1e3),
        target: Target::AtMost(5.0),
        how: "ca_core::krl::write, median of 100",
        raw: json!({
            "revoked": extent.revoked,
            "p99_milliseconds": round(quantile(&seconds, 0.99) * 1e3),
        }),
    }
}

/// Two sshds that differ in `RevokedKeys` only, in turn.
fn login(ca: &KeyFiles, list: &[u8], extent: &Extent) -> Figure {
    let account = UnixAccount::create();
    let user = keygen::generate(ca.private.parent().expect("a folder"), "user");
    let wanted = Wanted {
        principals: &[account.name()],
        serial: Serial::new(1, 3).expect("a serial").get(),
        ..Wanted::default()
    };
    keygen::sign(ca, &user, &wanted);
    let line = ca.public_line();
    let setup = || Sshd::trusting(&[&line]);
    let with = setup().with_revocation_list(list).start();
    let without = setup().start();
    let seconds = |sshd: &Sshd| {
        let ssh = Ssh::to(sshd, account.name()).identity(&user.private);
        let mut command = ssh.command(&[], "host", "true");
        let begun = Instant::now();
        let output = command.output().expect("ssh");
        let seconds = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        seconds
    };
    for sshd in [&with, &without] {
        seconds(sshd);
    }
    let pairs: Vec<(f64, f64)> = (0..extent.ssh_logins)
        .map(|_| (seconds(&with), seconds(&without)))
        .collect();
    let (with, without): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let ratios: Vec<f64> = pairs.iter().map(|(with, without)| with / without).collect();
    Figure {
        number: 15,
        name: "… : ssh login with it over login without a list",
        unit: "times",
        value: Some(median(&with) / median(&without)),
        target: Target::AtMost(1.1),
        how: "ssh HOST true as a whole process, two sshds that differ in RevokedKeys, in turn; \
              medians",
        raw: json!({
            "logins_each": pairs.len(),
            "with_p50_milliseconds": round(median(&with) * 1e3),
            "without_p50_milliseconds": round(median(&without) * 1e3),
            "median_of_the_ratios_of_pairs": round(median(&ratios)),
        }),
    }
}

/// As many certificates of bob's are issued and revoked at once, then lists are asked for.
fn at_the_server(ca: &Ca, people: &People, (fleet, extent): (&Fleet, &Extent)) -> Vec<Figure> {
    // Alice's, in staging, are in between; a tenth more, as clients are not equally fast.
    load(
        ca,
        CLIENTS,
        Until::Count(extent.revoked / 5 * 11),
        "revoked",
    );
    let mut carol = Caller::new(ca, &people.carol_token);
    carol.ready();
    let body = Revoke {
        person: Some("bob".to_owned()),
        ..Revoke::default()
    };
    let begun = Instant::now();
    let revoked: Revoked = carol.post("/v1/revocations", &body);
    let took = begun.elapsed().as_secs_f64();
    let (fresh, again, length) = looks(ca, &fleet.hosts[0]);
    let made = median(&fresh) - median(&again);
    let whole = Figure {
        number: 15,
        name: "… : time the server takes to make one, signed and checked",
        unit: "ms",
        value: Some(made * 1e3),
        target: Target::AtMost(5.0),
        how: "GET of a list that has to be made, less GET of one that was just made; medians",
        raw: json!({
            "revoked": revoked.serials.len(),
            "bytes": length,
            "made_p50_milliseconds": round(median(&fresh) * 1e3),
            "made_before_p50_milliseconds": round(median(&again) * 1e3),
            "revoking_all_at_once_milliseconds": round(took * 1e3),
        }),
    };
    vec![whole, more(ca, people, (fleet, extent))]
}

/// Seconds of each, and the bytes of a list.
fn looks(ca: &Ca, host: &Simulated) -> (Vec<f64>, Vec<f64>, usize) {
    ca.runtime().block_on(async {
        let mut connection = ca.target().connect().await.expect("a connection");
        let (mut fresh, mut again, mut length) = (Vec::new(), Vec::new(), 0);
        for _ in 0..LOOKS {
            tokio::time::sleep(STALE).await;
            for seconds in [&mut fresh, &mut again] {
                let begun = Instant::now();
                let signed = host.poll(&mut connection, None).await;
                seconds.push(begun.elapsed().as_secs_f64());
                length = host.check(&signed).1.len();
            }
        }
        (fresh, again, length)
    })
}

/// Single revocations while the list is long, to the whole fleet.
fn more(ca: &Ca, people: &People, (fleet, extent): (&Fleet, &Extent)) -> Figure {
    let running = fleet.start(ca);
    let mut alice = Caller::new(ca, &people.alice_token);
    let mut in_place = Vec::new();
    for number in 0..MORE {
        let name = format!("one-more-{number}");
        let issued = alice.certificate(crate::ca::PUBLIC_KEY, 3600, &name);
        running.expect(issued.serial);
        let body = Revoke {
            serial: Some(issued.serial),
            ..Revoke::default()
        };
        let begun = Instant::now();
        let _: Revoked = alice.post("/v1/revocations", &body);
        let since = |at: Instant| at.saturating_duration_since(begun).as_secs_f64();
        in_place.extend(running.wait().into_iter().map(since));
    }
    Figure {
        number: 11,
        name: "revocation to the list in force on every host, on top of 10,000, p99",
        unit: "s",
        value: Some(quantile(&in_place, 0.99)),
        target: Target::AtMost(1.0),
        how: "as figure 11, while the list of the environment is that long",
        raw: json!({
            "simulated_hosts": extent.hosts - 1,
            "rounds": MORE,
            "p50_milliseconds": round(quantile(&in_place, 0.5) * 1e3),
        }),
    }
}
