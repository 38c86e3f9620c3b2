//! `jit-ssh` at work: waiting beside the test, or with its sign-in answered.

use std::time::Duration;

use serde_json::Value;

use crate::support::dev::{Dev, Person};
use crate::support::process::Process;
use crate::support::run::{Finished, run};

/// Longest time until somebody who waits has noticed: pauses after failures are 10 s at most.
const NOTICED_MAX: Duration = Duration::from_secs(60);

/// What every request of these tests asks for.
pub const ROOT: [&str; 6] = [
    "login",
    "prod",
    "--as",
    "root",
    "--reason",
    "INC-42 db down",
];

/// `jit-ssh login …`, waiting for others.
pub struct Waiting(Process);

impl Waiting {
    /// As `person`, with a sign-in.
    #[track_caller]
    pub fn for_root(person: &Person) -> (Self, u64) {
        let mut client = person.jit_ssh(&ROOT);
        client.args(["--login-hint", &person.name, "--totp-command"]);
        client.arg(format!("echo {}", person.code()));
        let mut waiting = Self(Process::start("jit-ssh login", client));
        let id = waiting.request();
        (waiting, id)
    }

    /// As `person`, who has a session.
    #[track_caller]
    pub fn again(person: &Person) -> Self {
        let mut waiting = Self(Process::start("jit-ssh login", person.jit_ssh(&ROOT)));
        waiting.request();
        waiting
    }

    /// The number of the request that it waits for.
    #[track_caller]
    fn request(&mut self) -> u64 {
        let line = self.0.wait_for_log("approve with: jit-ssh approve");
        let (_, rest) = line.split_once("jit-ssh approve ").expect("a number");
        let digits = rest.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse().expect("a number")
    }

    /// How it ended, and everything that it said.
    #[track_caller]
    pub fn ends(mut self) -> (Option<i32>, String) {
        let status = self.0.wait_for_exit(NOTICED_MAX);
        (status.code(), self.0.log())
    }

    /// Waits until it has said so.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        self.0.wait_for_log(text);
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.0.signal(nix::sys::signal::Signal::SIGINT);
    }
}

/// `jit-ssh ARGUMENTS` as `person`, who signs in first.
#[track_caller]
pub fn signing_in(person: &Person, arguments: &[&str]) -> Finished {
    let mut client = person.jit_ssh(arguments);
    client.args(["--login-hint", &person.name, "--totp-command"]);
    client.arg(format!("echo {}", person.code()));
    run(client)
}

/// `jit-ssh ARGUMENTS` as `person`, who has a session.
#[track_caller]
pub fn signed_in(person: &Person, arguments: &[&str]) -> Finished {
    run(person.jit_ssh(arguments))
}

/// The records of a kind.
#[track_caller]
pub fn records(dev: &Dev, kind: &str) -> Vec<Value> {
    let found = dev.ca_server(&["audit", "search", "--json", "--kind", kind]);
    serde_json::from_str(&found.succeeds().stdout).expect("JSON")
}
