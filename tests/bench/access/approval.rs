//! Figure 16: from an approval until the one who waited for it has the certificate.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ca_core::agent::Request;
use ca_core::agent::answer::answer_length;
use ca_core::api::{RequestStatus, Requests};
use serde_json::json;

use super::{Caller, ENVIRONMENT, People};
use crate::ca::Ca;
use crate::measure::quantile;
use crate::report::{Figure, Target, round};
use crate::support::wait;
use crate::{Extent, say};

/// From the request's record until its client waits for news of it.
const SETTLED: Duration = Duration::from_millis(300);
/// Longest wait for the certificate.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// Seconds of one approval.
struct Approval {
    /// From the start of `jit-ssh approve` to the certificate in the agent.
    whole: f64,
    /// The run of `jit-ssh approve`.
    approving: f64,
    /// The run of `jit-ssh login`, counted from the same start.
    login: f64,
}

pub(super) fn figure(ca: &Ca, people: &People, extent: &Extent) -> Figure {
    say("approvals");
    let rounds = 0..extent.approvals;
    let all: Vec<Approval> = rounds.map(|number| approve(ca, people, number)).collect();
    let of = |part: fn(&Approval) -> f64, share: f64| {
        let seconds: Vec<f64> = all.iter().map(part).collect();
        quantile(&seconds, share) * 1e3
    };
    Figure {
        number: 16,
        name: "approval to the certificate in the agent of a waiting jit-ssh login, p95",
        unit: "ms",
        value: Some(of(|one| one.whole, 0.95)),
        target: Target::AtMost(150.0),
        how: "from starting the process jit-ssh approve until a real ssh-agent lists the \
              certificate; jit-ssh login of somebody else waits in its long poll",
        raw: json!({
            "runs": all.len(),
            "p50_milliseconds": round(of(|one| one.whole, 0.5)),
            "jit_ssh_approve_p50_milliseconds": round(of(|one| one.approving, 0.5)),
            "jit_ssh_login_exits_p50_milliseconds": round(of(|one| one.login, 0.5)),
        }),
    }
}

fn approve(ca: &Ca, people: &People, number: u32) -> Approval {
    let alice = &people.alice;
    alice.agent.ssh_add(&["-D"]).succeeds();
    let reason = format!("measured, round {number}");
    let mut login = alice.jit_ssh(&["login", ENVIRONMENT, "--as", "root", "--reason", &reason]);
    login.args(["--wait", "2m"]).stdin(Stdio::null());
    let login = login.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut login = login.expect("jit-ssh");
    let mut carol = Caller::new(ca, &people.carol_token);
    let id = wait::until("the request", wait::START_MAX, || {
        let seen: Requests = carol.get("/v1/requests?show=to-approve");
        let waiting = seen.requests.iter().find(|request| {
            request.status == RequestStatus::Waiting && request.reason.as_ref() == Some(&reason)
        });
        waiting.map(|request| request.id)
    });
    std::thread::sleep(SETTLED);
    assert!(!holds_a_key(alice.agent.socket()));
    let mut approve = people.carol.jit_ssh(&["approve", &id.to_string(), "--yes"]);
    approve
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let mut approve = approve.spawn().expect("jit-ssh");
        let approving = scope.spawn(move || {
            assert!(approve.wait().expect("jit-ssh").success(), "not approved");
            begun.elapsed().as_secs_f64()
        });
        let login = scope.spawn(move || {
            assert!(login.wait().expect("jit-ssh").success(), "no certificate");
            begun.elapsed().as_secs_f64()
        });
        while !holds_a_key(alice.agent.socket()) {
            assert!(begun.elapsed() < ARRIVAL_MAX, "no certificate");
            std::thread::sleep(Duration::from_millis(1));
        }
        Approval {
            whole: begun.elapsed().as_secs_f64(),
            approving: approving.join().expect("jit-ssh"),
            login: login.join().expect("jit-ssh"),
        }
    })
}

/// Asked in the agent's protocol: a process of its own for each look would be load.
fn holds_a_key(socket: &Path) -> bool {
    let mut agent = UnixStream::connect(socket).expect("the agent");
    agent
        .write_all(Request::list().as_bytes())
        .expect("written");
    let mut header = [0; 4];
    agent.read_exact(&mut header).expect("an answer");
    let mut said = vec![0; answer_length(header).expect("a length")];
    agent.read_exact(&mut said).expect("an answer");
    // Its kind, then how many keys.
    assert_eq!(said.first(), Some(&12), "not a list of keys");
    said.get(1..5).is_some_and(|count| count != [0; 4])
}
