//! Ten thousand connections that do nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::oidc::Provider;
use crate::support::serve::{Installation, Person};
use crate::support::signing_key::Alg;

/// As many as the issue asks for, or as this process may open.
fn crowd_size() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the limit");
    let room = usize::try_from(hard.saturating_sub(2000)).unwrap_or(usize::MAX);
    let size = room.min(10_000);
    if size < 10_000 {
        eprintln!("only {size} connections: the limit of open files is {hard}");
    }
    size
}

fn resident_mib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.expect("VmRSS").split_whitespace().nth(1);
    words.expect("a size").parse::<u64>().expect("kB") / 1024
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_from_logging_in() {
    let provider = Provider::with(Alg::EdDsa).start();
    let mut ca = Installation::plain_made_for(&provider.issuer()).start();
    let alice = Person::of("alice", &ca);
    alice.enrols(&[]);
    let size = crowd_size();
    let mut crowd = Vec::with_capacity(size);
    for number in 0..size {
        let mut stream = TcpStream::connect(("127.0.0.1", ca.port())).expect("a connection");
        // Most say nothing, some have been served once, some stop in the middle of a head.
        match number % 10 {
            0 => stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ca\r\n\r\n"),
            1 => stream.write_all(b"GET /healthz HTTP/1.1\r\nHo"),
            _ => Ok(()),
        }
        .expect("a connection");
        crowd.push(stream);
    }
    let began = Instant::now();
    alice.logs_in(&["staging"]).succeeds();
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let id = ca.process().id();
    assert!(resident_mib(id) < 300, "{} MiB", resident_mib(id));
    // The oldest made room, and all that never asked anything are closed within seconds.
    for stream in crowd.iter_mut().filter(|_| size == 10_000).take(10) {
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).expect("a socket");
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        assert!(read.is_ok_and(|length| length < 1000), "it is still open");
    }
}
