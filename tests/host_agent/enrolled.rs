//! A host as an operator makes it: a running sshd, `enroll`, reload, the daemon.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ca_core::api::HostSettings;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::stand_in::{StandIn, TOKEN};
use crate::support::clock::unix_now;
use crate::support::keygen::{self, KeyFiles, Wanted};
use crate::support::process::Process;
use crate::support::programs::{command, program};
use crate::support::run::{Finished, run, run_with_input};
use crate::support::ssh::Ssh;
use crate::support::sshd::{Setup, Sshd};
use crate::support::unix_account::UnixAccount;
use crate::support::wait;

/// A host with one account.
pub struct Host {
    pub authority: StandIn,
    pub sshd: Sshd,
    pub account: UnixAccount,
    pub daemon: Option<Process>,
    dir: TempDir,
    keys: Cell<u32>,
}

impl Host {
    /// Enrolled and with its daemon running.
    pub fn start(change: impl FnOnce(&mut HostSettings)) -> Self {
        let mut host = Self::new(change);
        host.enrol(&[]).succeeds();
        host.sshd.reload();
        host.start_daemon();
        host
    }

    /// With an sshd that knows nothing yet.
    pub fn new(change: impl FnOnce(&mut HostSettings)) -> Self {
        let authority = StandIn::start();
        authority.change(|state| change(&mut state.settings));
        // Below /run: sshd and the account must be able to reach it, and PAM runs the program.
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-host-")
            .tempdir_in("/run")
            .expect("a folder in /run");
        let account = UnixAccount::create();
        let setup: Setup = Sshd::trusting(&[]);
        let include = format!("Include {}/sshd_config.d/*.conf", setup.dir().display());
        let pam = format!(
            "session optional pam_exec.so quiet {} session --dir {}",
            program("jit-ssh-host").display(),
            dir.path().join("state").display()
        );
        let setup = setup.setting(&include).with_pam_line(&pam);
        let sshd = setup
            .setting("Subsystem sftp /usr/lib/openssh/sftp-server")
            .start();
        Self {
            authority,
            sshd,
            account,
            daemon: None,
            dir,
            keys: Cell::new(0),
        }
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The registrations.
    pub fn sessions(&self) -> PathBuf {
        self.dir.path().join("run/sessions")
    }

    /// What sshd reads.
    pub fn revoked_keys(&self) -> PathBuf {
        self.state().join("revoked_keys")
    }

    /// `jit-ssh-host` with `--dir`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&program("jit-ssh-host"), self.dir.path());
        command.args(arguments).arg("--dir").arg(self.state());
        command
    }

    /// Runs it.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        run(self.command(arguments))
    }

    /// Runs `enroll` with the right token and more arguments.
    #[track_caller]
    pub fn enrol(&self, more: &[&str]) -> Finished {
        self.enrol_with(
            &self.authority.url(),
            &self.authority.tls_file(),
            TOKEN,
            more,
        )
    }

    /// Runs `enroll` with these.
    #[track_caller]
    pub fn enrol_with(&self, url: &str, tls: &Path, token: &str, more: &[&str]) -> Finished {
        let mut enrol = self.command(&["enroll", "--ca", url, "--token-file", "-"]);
        enrol.arg("--ca-file").arg(tls);
        enrol.arg("--sshd-dir").arg(self.sshd.dir());
        enrol.arg("--host-key").arg(&self.sshd.host_key().private);
        enrol.arg("--run-dir").arg(self.dir.path().join("run"));
        enrol.args(more);
        run_with_input(enrol, token.as_bytes())
    }

    /// Starts the daemon (again).
    #[track_caller]
    pub fn start_daemon(&mut self) {
        let mut daemon = Process::start("jit-ssh-host", self.command(&["run"]));
        daemon.wait_for_log("ready");
        self.daemon = Some(daemon);
    }

    /// SIGKILL.
    pub fn kill_daemon(&mut self) {
        self.daemon.take().expect("it runs").kill();
    }

    /// A new key with a certificate of the environment's CA that ends at `end`, Unix time.
    pub fn certificate(&self, serial: u64, end: u64) -> KeyFiles {
        self.certificate_of(&self.authority.ca, serial, end)
    }

    /// The same of another CA.
    pub fn certificate_of(&self, ca: &KeyFiles, serial: u64, end: u64) -> KeyFiles {
        self.keys.set(self.keys.get() + 1);
        let key = keygen::generate(self.dir.path(), &format!("key{}", self.keys.get()));
        let wanted = Wanted {
            principals: &[self.account.name()],
            validity: &format!("{:#x}:{end:#x}", unix_now() - 60),
            serial,
            key_id: &format!("alice@prod#{serial}"),
            options: &[],
            host: false,
        };
        keygen::sign(ca, &key, &wanted);
        key
    }

    /// An ssh client with this key.
    pub fn ssh(&self, key: &KeyFiles) -> Ssh {
        Ssh::to(&self.sshd, self.account.name())
            .identity(&key.private)
            .first("IdentitiesOnly yes")
    }

    /// A client with this key that runs `remote` beside the test.
    pub fn open(&self, key: &KeyFiles, remote: &str) -> Client {
        self.open_with(key, |ssh| ssh.command(&[], "host", remote))
    }

    /// A client with this key that runs what `command` makes of its configuration. Each has a
    /// configuration of its own: [`Ssh::command`] writes it anew while others may read it.
    pub fn open_with(&self, key: &KeyFiles, command: impl FnOnce(&Ssh) -> Command) -> Client {
        let ssh = self.ssh(key);
        let mut client = Client::start(command(&ssh));
        client.configuration = Some(ssh);
        client
    }

    /// Whether a new login with this key works.
    #[track_caller]
    pub fn lets_in(&self, key: &KeyFiles) -> bool {
        self.ssh(key).run("true").succeeded()
    }

    /// Waits until as many sessions are registered.
    #[track_caller]
    pub fn wait_for_registrations(&self, count: usize) {
        wait::until("registrations", wait::START_MAX, || {
            (self.registrations().len() == count).then_some(())
        });
    }

    /// The registrations' texts.
    pub fn registrations(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.sessions()).into_iter().flatten();
        let visible = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            !name.to_string_lossy().starts_with('.')
        });
        visible
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(daemon) = &self.daemon {
            daemon.signal(Signal::SIGTERM);
        }
    }
}

/// A client that runs beside the test, its input held open.
pub struct Client {
    child: Child,
    /// Its configuration goes with it.
    configuration: Option<Ssh>,
}

impl Client {
    /// Starts it.
    fn start(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh");
        Self {
            child,
            configuration: None,
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends_within(&mut self, what: &str, limit: Duration) -> Instant {
        wait::until(what, limit, || (!self.runs()).then_some(()));
        Instant::now()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether a process with exactly these arguments runs.
pub fn runs(arguments: &str) -> bool {
    !process_ids(arguments).is_empty()
}

/// Process ids of those with exactly these arguments, zombies left out.
pub fn process_ids(arguments: &str) -> Vec<i32> {
    let wanted = arguments.replace(' ', "\0") + "\0";
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let ids = entries.filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        (line == wanted.as_bytes()).then(|| entry.file_name().to_str()?.parse().ok())?
    });
    ids.collect()
}

/// Waits until a process with these arguments runs.
#[track_caller]
pub fn wait_for_process(arguments: &str) {
    wait::until(arguments, wait::START_MAX, || runs(arguments).then_some(()));
}

/// A number of seconds for `sleep` that names a process of one test.
pub fn unique_seconds() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = 100_000 + (std::process::id() % 40_000) * 20_000;
    base + NEXT.fetch_add(1, Ordering::Relaxed)
}
