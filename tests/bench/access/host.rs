//! A real host: a stock sshd with PAM and `jit-ssh-host`, as an operator sets it up.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use ca_core::api::IssuedCertificate;
use tempfile::TempDir;

use super::Caller;
use super::fleet::join_token;
use crate::ca::Ca;
use crate::support::keygen::{self, KeyFiles};
use crate::support::process::Process;
use crate::support::programs::{command, program};
use crate::support::run::{run, run_with_input};
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;
use crate::support::wait;

/// Enrolled, with its daemon running and one account.
pub(super) struct Host {
    pub(super) daemon: Process,
    sshd: Sshd,
    account: UnixAccount,
    dir: TempDir,
}

/// A key and its certificate in files, a pair of their own.
pub(super) struct Access {
    key: KeyFiles,
    pub(super) issued: IssuedCertificate,
}

/// An ssh client with its session, until it ends by itself.
pub(super) struct Session {
    client: Child,
    /// Holds the files that the client reads.
    _ssh: Ssh,
}

impl Host {
    pub(super) fn start(ca: &Ca, administrator: &str) -> Self {
        // sshd and PAM want folders that only root can change.
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-bench-")
            .tempdir_in("/run")
            .expect("a folder in /run");
        let state = dir.path().join("state");
        let account = UnixAccount::create();
        let setup = Sshd::trusting(&[]).account(&account, &["deploy"]);
        let include = format!("Include {}/sshd_config.d/*.conf", setup.dir().display());
        let pam = format!(
            "session optional pam_exec.so quiet {} session --dir {}",
            program("jit-ssh-host").display(),
            state.display()
        );
        let setup = setup.setting(&include).with_pam_line(&pam);
        let mut sshd = setup.start();
        let jit_ssh_host = |arguments: &[&str]| {
            let mut command = command(&program("jit-ssh-host"), dir.path());
            command.args(arguments).arg("--dir").arg(&state);
            command
        };
        let token = join_token(ca, administrator, "real.prod.example.com");
        let mut enrol = jit_ssh_host(&["enroll", "--token-file", "-"]);
        enrol.args(["--ca", ca.text("/ca_url")]);
        enrol.args(["--ca-file", ca.text("/ca_certificate")]);
        enrol.arg("--sshd-dir").arg(sshd.dir());
        enrol.arg("--host-key").arg(&sshd.host_key().private);
        enrol.arg("--run-dir").arg(dir.path().join("run"));
        run_with_input(enrol, token.as_bytes()).succeeds();
        sshd.reload();
        let mut daemon = Process::start("jit-ssh-host", jit_ssh_host(&["run"]));
        daemon.wait_for_log("ready");
        Self {
            daemon,
            sshd,
            account,
            dir,
        }
    }

    /// A new key of `caller`'s with a certificate for `seconds`.
    pub(super) fn access(&self, caller: &mut Caller<'_>, seconds: u64, name: &str) -> Access {
        let key = keygen::generate(self.dir.path(), name);
        let line = key.public_line();
        let words: Vec<&str> = line.split(' ').take(2).collect();
        let issued = caller.certificate(&words.join(" "), seconds, name);
        let file = key.private.with_file_name(format!("{name}-cert.pub"));
        std::fs::write(file, format!("{}\n", issued.certificate)).expect("a file");
        Access { key, issued }
    }

    /// An ssh client with this key.
    pub(super) fn ssh(&self, access: &Access) -> Ssh {
        Ssh::to(&self.sshd, self.account.name())
            .identity(&access.key.private)
            .first("IdentitiesOnly yes")
    }

    /// A session with this key that does nothing, once the daemon knows of it.
    pub(super) fn session(&self, access: &Access) -> Session {
        let session = Session::start(self.ssh(access));
        self.wait_for_registration(access.issued.serial);
        session
    }

    /// The same with the keys of an agent; waits for a session of another serial than before.
    pub(super) fn session_of_agent(&self, socket: &Path, serial: u64) -> Session {
        let ssh = Ssh::to(&self.sshd, self.account.name()).agent(socket);
        let session = Session::start(ssh);
        self.wait_for_registration(serial);
        session
    }

    fn wait_for_registration(&self, serial: u64) {
        let wanted = format!("\"serial\":{serial},");
        wait::until("the session's registration", wait::START_MAX, || {
            let found = self
                .registrations()
                .iter()
                .any(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&wanted)));
            found.then_some(())
        });
    }

    fn registrations(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("run/sessions"));
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

/// Logs in again and again until sshd refuses; when it had refused, and how often it had not.
pub(super) fn refused(ssh: &Ssh) -> (Instant, u32) {
    for accepted in 0.. {
        let attempt = run(ssh.command(&[], "host", "true"));
        if !attempt.succeeded() {
            let said = attempt.stderr;
            assert!(said.contains("Permission denied"), "{said}");
            return (Instant::now(), accepted);
        }
    }
    unreachable!("it is refused before that")
}

impl Session {
    fn start(ssh: Ssh) -> Self {
        let mut command = ssh.command(&[], "host", "cat");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            client: command.spawn().expect("ssh"),
            _ssh: ssh,
        }
    }

    /// Waits for its end.
    pub(super) fn ended(mut self) -> Instant {
        // Held, so that the session does not end for want of input.
        let input = self.client.stdin.take();
        self.client.wait().expect("ssh");
        drop(input);
        Instant::now()
    }
}
