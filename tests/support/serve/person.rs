//! Somebody with a machine of their own, `jit-ssh` set up on it, and a browser.

use std::cell::{Cell, RefCell};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::Installation;
use crate::support::agent::Agent;
use crate::support::browser::Browser;
use crate::support::programs::{command, program};
use crate::support::run::{Finished, run};
use crate::support::{clock, oath, wait};

/// One person at one machine.
pub struct Person {
    /// Their name at the provider.
    pub name: String,
    /// Their home folder.
    pub home: TempDir,
    /// Their agent.
    pub agent: Agent,
    /// Their browser.
    pub browser: Browser,
    authenticator: Authenticator,
}

/// An authenticator app: makes codes that were not used yet.
#[derive(Default)]
pub struct Authenticator {
    secret: RefCell<Option<String>>,
    last_step: Cell<u64>,
}

impl Authenticator {
    /// Takes the secret of an `otpauth` address, in place of an older one.
    pub fn scan(&self, otpauth_uri: &str) {
        *self.secret.borrow_mut() = Some(oath::secret_of(otpauth_uri));
    }

    /// The secret, base32.
    #[track_caller]
    pub fn secret(&self) -> String {
        self.secret.borrow().clone().expect("an enrolment")
    }

    /// A step whose code was not given out yet. About three are good at any moment; then this
    /// waits for the next.
    #[track_caller]
    pub fn step(&self) -> u64 {
        let step = wait::until("the next TOTP step", Duration::from_secs(90), || {
            let now = oath::step_now();
            // The code of the step before is good for the rest of this one only.
            let early = clock::unix_now() % oath::STEP_SECONDS < 12;
            let next = (now - u64::from(early)).max(self.last_step.get() + 1);
            (next <= now + 1).then_some(next)
        });
        self.last_step.set(step);
        step
    }

    /// The code of such a step.
    #[track_caller]
    pub fn code(&self) -> String {
        oath::code_of_step(&self.secret(), self.step())
    }

    /// The last code given out, once more.
    #[track_caller]
    pub fn used_code(&self) -> String {
        oath::code_of_step(&self.secret(), self.last_step.get())
    }
}

impl Person {
    /// `name`, who has run `jit-ssh setup`.
    #[track_caller]
    pub fn of(name: &str, ca: &Installation) -> Self {
        let person = Self {
            name: name.to_owned(),
            home: TempDir::new().expect("a home"),
            agent: Agent::start(),
            browser: Browser::of(name),
            authenticator: Authenticator::default(),
        };
        let mut setup = person.jit_ssh(&["setup", &ca.url("")]);
        if let Some(root) = ca.root() {
            setup.arg("--ca-certificate").arg(root);
        }
        run(setup).succeeds();
        person
    }

    /// Their authenticator app.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// `jit-ssh` as this person.
    pub fn jit_ssh(&self, arguments: &[&str]) -> Command {
        let mut client = command(&program("jit-ssh"), self.home.path());
        client
            .args(arguments)
            .envs(self.browser.environment())
            .env("SSH_AUTH_SOCK", self.agent.socket());
        client
    }

    /// `jit-ssh totp enroll` without questions; the recovery codes.
    #[track_caller]
    pub fn enrols(&self, arguments: &[&str]) -> Vec<String> {
        let enrolled = self.tries_to_enrol(arguments).succeeds();
        let said: serde_json::Value = serde_json::from_str(&enrolled.stdout).expect("JSON");
        let codes = said["recovery_codes"].as_array().expect("recovery codes");
        let text = |code: &serde_json::Value| code.as_str().expect("a text").to_owned();
        codes.iter().map(text).collect()
    }

    /// `jit-ssh totp enroll`; the first code is made by oathtool from what the command is given.
    #[track_caller]
    pub fn tries_to_enrol(&self, arguments: &[&str]) -> Finished {
        let (uri, step) = (self.home.path().join("uri"), self.authenticator.step());
        // Whoever replaces a factor is asked for the old one first, and then there is no address.
        let script = format!(
            "umask 077; if [ -z \"$JIT_SSH_OTPAUTH_URI\" ]; then echo \"$OLD_CODE\"; exit; fi; \
             printf %s \"$JIT_SSH_OTPAUTH_URI\" > {uri}; \
             oathtool --totp --base32 --now=@{time} -- \
             \"$(printf %s \"$JIT_SSH_OTPAUTH_URI\" | sed 's/.*[?&]secret=\\([A-Z2-7]*\\).*/\\1/')\"",
            uri = uri.display(),
            time = step * oath::STEP_SECONDS,
        );
        let mut client = self.jit_ssh(&["totp", "enroll", "--json", "--totp-command", &script]);
        client.args(arguments);
        if self.authenticator.secret.borrow().is_some() {
            client.env(
                "OLD_CODE",
                oath::code_of_step(&self.authenticator.secret(), step),
            );
        }
        let finished = run(client);
        if finished.succeeded() {
            self.authenticator
                .scan(&std::fs::read_to_string(uri).expect("the address"));
        }
        finished
    }

    /// `jit-ssh login ENV …` with a fresh code, without questions.
    #[track_caller]
    pub fn logs_in(&self, arguments: &[&str]) -> Finished {
        let code = self.authenticator.code();
        self.logs_in_with(&code, arguments)
    }

    /// The same with this code.
    #[track_caller]
    pub fn logs_in_with(&self, code: &str, arguments: &[&str]) -> Finished {
        let mut client = self.jit_ssh(&["login"]);
        client.args(arguments);
        client.args(["--totp-command", &format!("echo {code}")]);
        run(client)
    }
}
