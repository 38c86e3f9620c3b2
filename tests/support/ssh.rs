//! The plain ssh client, with a configuration of the test's own and nobody's known hosts or keys.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::run::{Finished, run};
use super::sshd::Sshd;

/// An ssh client that knows one sshd (strict host key checking) under the name `host`.
pub struct Ssh {
    dir: TempDir,
    before: String,
    options: String,
    environment: Vec<(String, String)>,
}

impl Ssh {
    /// A client without agent and keys that logs in to `sshd` as `user`.
    pub fn to(sshd: &Sshd, user: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-client-")
            .tempdir()
            .expect("temp dir");
        let known_hosts = dir.path().join("known_hosts");
        std::fs::write(&known_hosts, sshd.known_hosts_line()).expect("known hosts");
        let options = format!(
            "Hostname 127.0.0.1
Port {port}
User {user}
UserKnownHostsFile {known_hosts}
GlobalKnownHostsFile none
StrictHostKeyChecking yes
UpdateHostKeys no
CheckHostIP no
BatchMode yes
ConnectTimeout 30
PreferredAuthentications publickey
",
            port = sshd.port(),
            known_hosts = known_hosts.display(),
        );
        Self {
            dir,
            before: String::new(),
            options,
            environment: Vec::new(),
        }
    }

    /// Uses the agent at `socket`. Without this there is none.
    #[must_use]
    pub fn agent(self, socket: &Path) -> Self {
        let line = format!("IdentityAgent {}", socket.display());
        self.first(&line)
    }

    /// Uses this private key; a certificate in `KEY-cert.pub` is found by ssh.
    #[must_use]
    pub fn identity(self, key: &Path) -> Self {
        let line = format!("IdentityFile {}", key.display());
        self.first(&line)
    }

    /// Uses this certificate file beside the keys.
    #[must_use]
    pub fn certificate(self, file: &Path) -> Self {
        let line = format!("CertificateFile {}", file.display());
        self.first(&line)
    }

    /// Adds a line of `ssh_config`, before and so stronger than all that is set here.
    #[must_use]
    pub fn first(mut self, line: &str) -> Self {
        self.before.push_str(line);
        self.before.push('\n');
        self
    }

    /// Sets an environment variable of ssh.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs `remote` on the host. Exit code 255 is ssh's own: refused or not connected.
    #[track_caller]
    pub fn run(&self, remote: &str) -> Finished {
        self.run_with(&[], "host", remote)
    }

    /// Runs `remote` on `host`, any name (all lead to the sshd), with more arguments before it.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], host: &str, remote: &str) -> Finished {
        run(self.command(arguments, host, remote))
    }

    /// The command itself, to be run on a pty or beside the test.
    pub fn command(&self, arguments: &[&str], host: &str, remote: &str) -> Command {
        let mut config = self.before.clone();
        // What comes later is weaker: these only fill what was not set.
        write!(
            config,
            "Match all\n{}IdentityAgent none\nIdentityFile none\n",
            self.options
        )
        .expect("a String");
        let file = self.dir.path().join("config");
        std::fs::write(&file, config).expect("ssh_config");
        let mut command = Command::new("ssh");
        command
            .arg("-F")
            .arg(file)
            .args(arguments)
            .arg("--")
            .arg(host);
        if !remote.is_empty() {
            command.arg(remote);
        }
        command
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("SSH_ASKPASS")
            .env_remove("DISPLAY");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
