//! `make bench`: the figures that travel, as one JSON document on stdout; progress on stderr.
//!
//! Every figure is a ratio to something measured in the same run on the same machine, or a time a
//! person waits. Real programs on loopback, a real disk; nothing is simulated. It reports and does
//! not judge: a missed figure is `"ok": false`, not an exit code.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use report::Figure;

mod access;
mod ca;
mod client;
mod connection;
mod fill;
mod issuance;
mod load;
mod measure;
mod policy;
mod proof;
mod report;
mod start;
#[path = "../support"]
mod support {
    pub(crate) mod agent;
    pub(crate) mod clock;
    pub(crate) mod keygen;
    pub(crate) mod port;
    pub(crate) mod process;
    pub(crate) mod programs;
    pub(crate) mod run;
    pub(crate) mod ssh;
    pub(crate) mod sshd;
    pub(crate) mod unix_account;
    pub(crate) mod wait;
}

/// How much is measured.
#[derive(Clone, Debug)]
struct Extent {
    quick: bool,
    /// Records of the short and of the long log.
    short: u64,
    long: u64,
    /// Of each round of load, and how many.
    round: Duration,
    rounds: u32,
    /// Requests of the one client.
    alone: u32,
    /// Runs of the client program.
    logins: u32,
    /// Hosts that keep a revocation list, one of them with a real sshd.
    hosts: usize,
    /// Revocations that end a real ssh session.
    revocations: u32,
    /// Access requests that somebody approves.
    approvals: u32,
    /// Connections that wait for news, and how long they are watched.
    waiters: usize,
    watched: Duration,
    /// Serials in the long revocation list.
    revoked: u32,
    /// Ssh logins with and without it.
    ssh_logins: u32,
    /// Only this part.
    only: Option<String>,
}

impl Extent {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let records = std::env::var("JIT_SSH_BENCH_RECORDS").ok();
        let long = records.map_or(if quick { 20_000 } else { 1_000_000 }, |text| {
            text.parse().expect("JIT_SSH_BENCH_RECORDS is a number")
        });
        Self {
            quick,
            short: 1000,
            long,
            round: Duration::from_secs(if quick { 1 } else { 4 }),
            rounds: if quick { 1 } else { 3 },
            alone: if quick { 60 } else { 600 },
            logins: if quick { 5 } else { 30 },
            hosts: if quick { 10 } else { 200 },
            revocations: if quick { 2 } else { 20 },
            approvals: if quick { 3 } else { 25 },
            waiters: if quick { 100 } else { 1000 },
            watched: Duration::from_secs(if quick { 2 } else { 20 }),
            revoked: if quick { 500 } else { 10_000 },
            ssh_logins: if quick { 5 } else { 100 },
            only: arguments
                .iter()
                .position(|argument| argument == "--only")
                .and_then(|at| arguments.get(at + 1).cloned()),
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn main() {
    let extent = Extent::from_arguments();
    let begun = Instant::now();
    // Beside the other build products, so on a disk and not in memory; removed at the end.
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(support::programs::target_folder())
        .expect("a folder for the logs");
    let mut units = measure::Units::new(folder.path());
    let mut figures = Vec::new();
    if extent.wants("policy") {
        say("policy decisions");
        figures.extend(policy::figures());
    }
    if extent.wants("proof") {
        say("proofs about policies");
        figures.extend(proof::figures());
    }
    if extent.wants("issuance") || extent.wants("client") {
        say("making a CA, signing in");
        let mut short = ca::Ca::create(&folder.path().join("short"));
        let person = client::Person::sign_in(&short, "alice");
        short.prepare_for_load();
        fill::fill(&short, extent.short);
        say("making a CA with a long log");
        let mut long = ca::Ca::create(&folder.path().join("long"));
        long.prepare_for_load();
        if extent.wants("issuance") {
            let filled = fill::fill(&long, extent.long);
            say(&format!("{} records in {filled:.1?}", extent.long));
            figures.extend(start::figures(&mut long, &extent));
            short.start();
            figures.extend(issuance::figures((&short, &long), &extent, &mut units));
            short.stop();
            long.stop();
        }
        if extent.wants("client") {
            short.start();
            figures.extend(client::figures(&person, &extent));
            short.stop();
        }
    }
    figures.extend(access::figures(folder.path(), &extent));
    figures.sort_by_key(|figure| figure.number);
    let document = document(&figures, &units, &extent, begun.elapsed());
    println!(
        "{}",
        serde_json::to_string_pretty(&document).expect("JSON of our own")
    );
}

fn document(figures: &[Figure], units: &measure::Units, extent: &Extent, took: Duration) -> Value {
    json!({
        "quick": extent.quick,
        "took_seconds": took.as_secs(),
        "machine": measure::machine(),
        "units": units.json(),
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
    })
}

/// Progress, for whoever waits.
fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// A folder of one measurement.
fn folder_in(parent: &std::path::Path, name: &str) -> PathBuf {
    let folder = parent.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
