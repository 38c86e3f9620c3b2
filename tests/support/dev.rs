//! `ca-server dev` as a process, and people who use `jit-ssh` against it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::agent::Agent;
use super::process::Process;
use super::programs::{command, program};
use super::run::{Finished, run};
use super::{oath, wait};

/// A development CA with its provider, alice, bob and carol.
pub struct Dev {
    dir: TempDir,
    place: PathBuf,
    process: Option<Process>,
    document: Value,
}

impl Dev {
    /// A new one in a folder of its own, ready.
    #[track_caller]
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a folder");
        let place = dir.path().join("ca");
        Self::start_at(dir, place)
    }

    /// A new one in this folder.
    #[track_caller]
    pub fn start_in(place: &Path) -> Self {
        Self::start_at(TempDir::new().expect("a folder"), place.to_owned())
    }

    #[track_caller]
    fn start_at(dir: TempDir, place: PathBuf) -> Self {
        let mut dev = Self {
            dir,
            place,
            process: None,
            document: Value::Null,
        };
        dev.start_again();
        dev
    }

    /// Starts it (again) on the same folder.
    #[track_caller]
    pub fn start_again(&mut self) {
        drop(std::fs::remove_file(self.place().join("dev.json")));
        let mut server = command(&program("ca-server"), self.dir.path());
        server.args(["dev", "--dir"]).arg(self.place());
        let mut process = Process::start("ca-server dev", server);
        process.wait_for_log("ready: ");
        let text = std::fs::read_to_string(self.place().join("dev.json")).expect("dev.json");
        self.document = serde_json::from_str(&text).expect("dev.json is JSON");
        self.process = Some(process);
    }

    /// Starts it on the same folder and waits until it gave up; what it said.
    #[track_caller]
    pub fn refuses_to_start(&self) -> String {
        let mut server = command(&program("ca-server"), self.dir.path());
        server.args(["dev", "--dir"]).arg(self.place());
        let finished = run(server);
        assert!(!finished.succeeded(), "it started");
        finished.stderr
    }

    /// Asks it to stop and waits.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::SIGTERM);
        let status = process.wait_for_exit(Duration::from_secs(20));
        assert!(
            status.success(),
            "it stopped with {status}: {}",
            process.log()
        );
    }

    /// Kills it: no clean-up of any kind.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Everything the server has said.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The folder that was given with `--dir`.
    pub fn place(&self) -> PathBuf {
        self.place.clone()
    }

    /// A value of `dev.json`.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        let value = self.document.pointer(pointer).and_then(Value::as_str);
        value
            .unwrap_or_else(|| panic!("dev.json has no {pointer}"))
            .to_owned()
    }

    /// The CA key of an environment, one line.
    #[track_caller]
    pub fn ca_line(&self, environment: &str) -> String {
        let file = self.text(&format!("/environments/{environment}/ca_public_key_file"));
        std::fs::read_to_string(file)
            .expect("the CA key")
            .trim()
            .to_owned()
    }

    /// Runs `ca-server` with `--dir` on this folder.
    #[track_caller]
    pub fn ca_server(&self, arguments: &[&str]) -> Finished {
        let mut server = command(&program("ca-server"), self.dir.path());
        server.args(arguments).arg("--dir").arg(self.place());
        run(server)
    }

    /// Somebody with a home folder and an ssh-agent of their own.
    #[track_caller]
    pub fn person(&self, name: &str) -> Person {
        let secret = oath::secret_of(&self.text(&format!("/people/{name}/totp_uri")));
        Person {
            name: name.to_owned(),
            home: TempDir::new().expect("a home"),
            agent: Agent::start(),
            config: self.text("/client_config").into(),
            secret,
            last_step: Cell::new(0),
        }
    }
}

/// One of the people, at a machine of their own.
pub struct Person {
    pub name: String,
    pub home: TempDir,
    pub agent: Agent,
    config: PathBuf,
    secret: String,
    last_step: Cell<u64>,
}

impl Person {
    /// A code that was not used yet. Three are good at any moment; then this waits for the next.
    #[track_caller]
    pub fn code(&self) -> String {
        let step = wait::until("the next TOTP step", Duration::from_secs(60), || {
            let now = oath::step_now();
            let next = (now - 1).max(self.last_step.get() + 1);
            (next <= now + 1).then_some(next)
        });
        self.last_step.set(step);
        oath::code_of_step(&self.secret, step)
    }

    /// The last code given out, once more.
    pub fn used_code(&self) -> String {
        oath::code_of_step(&self.secret, self.last_step.get())
    }

    /// `jit-ssh` as this person.
    pub fn jit_ssh(&self, arguments: &[&str]) -> Command {
        let mut client = command(&program("jit-ssh"), self.home.path());
        client
            .args(arguments)
            .env("JIT_SSH_CONFIG", &self.config)
            .env("SSH_AUTH_SOCK", self.agent.socket())
            .env("BROWSER", "curl -fsSLk -o /dev/null")
            .env("PATH", path_with_programs());
        client
    }

    /// `jit-ssh login ENV …` with a fresh code, without questions.
    #[track_caller]
    pub fn login(&self, arguments: &[&str]) -> Finished {
        let code = self.code();
        self.login_with_code(&code, arguments)
    }

    /// The same with this code.
    #[track_caller]
    pub fn login_with_code(&self, code: &str, arguments: &[&str]) -> Finished {
        let mut client = self.jit_ssh(&["login"]);
        client.args(arguments).args(["--login-hint", &self.name]);
        client.args(["--totp-command", &format!("echo {code}")]);
        run(client)
    }

    /// The certificate file of an environment.
    #[track_caller]
    pub fn certificate_file(&self, environment: &str) -> PathBuf {
        let name = format!("{environment}-cert.pub");
        find(self.home.path(), &name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The session token, from its file.
    #[track_caller]
    pub fn session_file(&self) -> PathBuf {
        find(self.home.path(), "session.json")
            .or_else(|| find(self.home.path(), "session"))
            .expect("a session file")
    }
}

/// `PATH` with the programs under test in front: ssh_config runs `jit-ssh` by name.
pub fn path_with_programs() -> std::ffi::OsString {
    let own = program("jit-ssh");
    let own = own.parent().expect("a folder").to_owned();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&inherited));
    std::env::join_paths(all).expect("PATH")
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name() == name {
                return Some(path);
            }
        }
    }
    None
}
