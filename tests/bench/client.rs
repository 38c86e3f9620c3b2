//! Figure 7: `jit-ssh login` as a whole process, with a session open and the CA on loopback.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use crate::ca::Ca;
use crate::measure::{median, quantile};
use crate::report::{Figure, Target, round};
use crate::support::agent::Agent;
use crate::support::programs::{command, program};
use crate::support::run::run;
use crate::{Extent, say};

/// Somebody with a home folder, an ssh-agent and a session.
pub(crate) struct Person {
    home: TempDir,
    pub(crate) agent: Agent,
    config: PathBuf,
}

impl Person {
    /// Signs in while the CA runs as `ca-server dev`.
    pub(crate) fn sign_in(ca: &Ca, name: &str) -> Self {
        let person = Self {
            home: TempDir::new().expect("a home"),
            agent: Agent::start(),
            config: ca.text("/client_config").into(),
        };
        // The step before this one opened the first session.
        let code = ca.code(name, 0);
        // Not a login: not everybody may.
        let mut signs_in = person.jit_ssh(&["requests", "--mine"]);
        signs_in
            .args(["--login-hint", name])
            .args(["--totp-command", &format!("echo {code}")]);
        run(signs_in).succeeds();
        person
    }

    fn login(&self) -> Command {
        self.jit_ssh(&["login", "staging", "--json"])
    }

    /// `jit-ssh` as this person.
    pub(crate) fn jit_ssh(&self, arguments: &[&str]) -> Command {
        let mut client = command(&program("jit-ssh"), self.home.path());
        client
            .args(arguments)
            .env("JIT_SSH_CONFIG", &self.config)
            .env("SSH_AUTH_SOCK", self.agent.socket())
            .env("BROWSER", "curl -fsSLk -o /dev/null");
        client
    }

    /// Seconds of one run, and the serial it ended with.
    fn time_login(&self) -> (f64, serde_json::Value) {
        let mut login = self.login();
        let begun = Instant::now();
        let output = login.output().expect("jit-ssh");
        let seconds = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "jit-ssh login: {said}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (seconds, answer["serial"].clone())
    }
}

/// The CA runs.
pub(crate) fn figures(person: &Person, extent: &Extent) -> Vec<Figure> {
    say("the client");
    let (mut held, mut new) = (Vec::new(), Vec::new());
    for _ in 0..extent.logins {
        // With an empty agent nothing is held, and the session still is.
        person.agent.ssh_add(&["-D"]).succeeds();
        let (seconds, serial) = person.time_login();
        new.push(seconds);
        let (seconds, again) = person.time_login();
        assert_eq!(serial, again, "a live grant is used again");
        held.push(seconds);
    }
    let figure = |name, seconds: &[f64]| Figure {
        number: 7,
        name,
        unit: "ms",
        value: Some(median(seconds) * 1e3),
        target: Target::AtMost(30.0),
        how: "whole process, session open, CA on loopback, real ssh-agent; median",
        raw: json!({
            "runs": seconds.len(),
            "p99_milliseconds": round(quantile(seconds, 0.99) * 1e3),
        }),
    };
    vec![
        figure("jit-ssh login, a live grant", &held),
        figure("jit-ssh login, a new certificate", &new),
    ]
}
