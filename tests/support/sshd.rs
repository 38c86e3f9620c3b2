//! A real, unmodified sshd on a free loopback port that trusts the CAs it is given.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::keygen::{self, KeyFiles};
use super::port;
use super::process::Process;
use super::unix_account::UnixAccount;
use super::wait;

const SSHD: &str = "/usr/sbin/sshd";
const PAM: &str = "/etc/pam.d/sshd";

/// What an sshd is going to be: trust, principals, settings.
pub struct Setup {
    dir: TempDir,
    host_key: KeyFiles,
    settings: String,
    pam: Option<PathBuf>,
}

/// A running sshd; stopped when dropped. Its sessions end with the [`UnixAccount`]s.
pub struct Sshd {
    port: u16,
    host_key: KeyFiles,
    process: Process,
    dir: TempDir,
}

impl Sshd {
    /// An sshd that trusts these CA public keys (one line each) for user certificates, nothing else.
    #[track_caller]
    pub fn trusting(ca_public_lines: &[&str]) -> Setup {
        // sshd wants files of root below directories that only root can change, so not /tmp.
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-sshd-")
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir_in("/run")
            .expect("a directory in /run (the tests need root: sudo -E make test)");
        std::fs::create_dir(dir.path().join("principals")).expect("principals");
        std::fs::write(dir.path().join("ca.pub"), ca_public_lines.join("\n") + "\n").expect("CAs");
        let host_key = keygen::generate(dir.path(), "host_key");
        Setup {
            dir,
            host_key,
            settings: String::new(),
            pam: None,
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The line of `known_hosts` for it.
    pub fn known_hosts_line(&self) -> String {
        format!(
            "[127.0.0.1]:{} {}\n",
            self.port,
            self.host_key.public_line()
        )
    }

    /// The host key in files, for example to have it certified.
    pub fn host_key(&self) -> &KeyFiles {
        &self.host_key
    }

    /// The folder of its files, readable by all: root-owned, below `/run`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything it has logged (LogLevel VERBOSE).
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until it has logged a line with `text` and returns that line.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) -> String {
        self.process.wait_for_log(text)
    }

    /// Replaces the key revocation list as a host should: another file, then rename.
    ///
    /// Only for one started with [`Setup::with_revocation_list`].
    #[track_caller]
    pub fn replace_revocation_list(&self, krl: &[u8]) {
        let new = self.dir.path().join("krl.new");
        std::fs::write(&new, krl).expect("a KRL");
        std::fs::rename(new, self.dir.path().join("krl")).expect("a KRL");
    }

    /// Makes it read its settings again, as `systemctl reload ssh` does, and waits until it listens.
    #[track_caller]
    pub fn reload(&mut self) {
        let heard = |log: &str| log.matches("Server listening on 127.0.0.1").count();
        let before = heard(&self.process.log());
        self.process.signal(Signal::SIGHUP);
        wait::until("sshd to listen again", wait::START_MAX, || {
            (heard(&self.process.log()) > before).then_some(())
        });
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

impl Setup {
    /// Lets certificates with any of these principals log in to `account`.
    ///
    /// Without this an account accepts only its own login name as principal.
    #[must_use]
    pub fn account(self, account: &UnixAccount, principals: &[&str]) -> Self {
        let file = self.dir.path().join("principals").join(account.name());
        std::fs::write(file, principals.join("\n") + "\n").expect("a principals file");
        let line = format!(
            "AuthorizedPrincipalsFile {}/principals/%u",
            self.dir.path().display()
        );
        self.setting(&line)
    }

    /// Adds a line of `sshd_config`; the first value of a keyword wins, over the defaults here too.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// Refuses what this key revocation list names. (An empty *file* would revoke nothing.)
    #[must_use]
    pub fn with_revocation_list(self, krl: &[u8]) -> Self {
        let file = self.file("krl", krl);
        self.setting(&format!("RevokedKeys {}", file.display()))
    }

    /// Uses PAM, with `line` after `pam_loginuid` in a copy of `/etc/pam.d/sshd` that only this sshd
    /// sees.
    #[must_use]
    pub fn with_pam_line(mut self, line: &str) -> Self {
        let own = std::fs::read_to_string(PAM).expect("/etc/pam.d/sshd");
        let lines = own.lines().flat_map(|old| {
            let ours = old.contains("pam_loginuid.so").then_some(line);
            std::iter::once(old).chain(ours)
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        assert!(text.contains(line), "no pam_loginuid in {PAM}");
        self.pam = Some(self.file("pam", text.as_bytes()));
        self.setting("UsePAM yes")
    }

    /// Writes a file that only root can change into its folder and returns the path.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file for sshd");
        path
    }

    /// The folder of its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Sshd {
        // Its privilege separation directory; a reboot empties /run.
        std::fs::create_dir_all("/run/sshd").expect("/run/sshd");
        let port = port::free();
        let config = self.file("sshd_config", self.config(port).as_bytes());
        let mut command = match &self.pam {
            None => Command::new(SSHD),
            Some(pam) => {
                // A mount namespace of its own; `exec` keeps the process id.
                let mut command = Command::new("unshare");
                let script = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
                command.args(["-m", "--", "sh", "-c", script]).arg(pam);
                command.args([PAM, SSHD]);
                command
            }
        };
        command.args(["-D", "-e", "-f"]).arg(config);
        let mut process = Process::start("sshd", command);
        process.wait_for_log("Server listening on 127.0.0.1");
        Sshd {
            port,
            host_key: self.host_key,
            process,
            dir: self.dir,
        }
    }

    fn config(&self, port: u16) -> String {
        let dir = self.dir.path().display();
        let settings = &self.settings;
        format!(
            "{settings}
Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host_key
PidFile none
LogLevel VERBOSE
TrustedUserCAKeys {dir}/ca.pub
AuthorizedKeysFile none
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 200
"
        )
    }
}
