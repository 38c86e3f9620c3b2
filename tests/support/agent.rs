//! A real ssh-agent.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use super::programs;
use super::run::{Finished, run};
use super::wait;

/// What the person says when the agent asks before it uses a key that was added with confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The use is allowed.
    Agree,
    /// The use is refused.
    Refuse,
}

/// An `ssh-agent -D` on a socket of its own.
pub struct Agent {
    process: Process,
    socket: PathBuf,
    _dir: TempDir,
}

impl Agent {
    /// Starts an agent that may ask for confirmation and is always allowed.
    pub fn start() -> Self {
        Self::start_confirming(Confirmation::Agree)
    }

    /// Starts an agent whose questions before use of a key are answered with `answer`.
    pub fn start_confirming(answer: Confirmation) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-agent-")
            .tempdir()
            .expect("temp dir");
        let socket = dir.path().join("agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        let exit = match answer {
            Confirmation::Agree => "0",
            Confirmation::Refuse => "1",
        };
        with_askpass(&mut command, "yes", exit);
        let mut process = Process::start("ssh-agent", command);
        let path = socket.clone();
        wait::until("the socket of ssh-agent", wait::START_MAX, || {
            assert!(
                process.exit_status().is_none(),
                "ssh-agent ended:\n{}",
                process.log()
            );
            std::os::unix::net::UnixStream::connect(&path).ok()
        });
        Self {
            process,
            socket,
            _dir: dir,
        }
    }

    /// The socket, for `$SSH_AUTH_SOCK` or `IdentityAgent`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The public half of every identity, one line each as `ssh-add -L` prints them.
    #[track_caller]
    pub fn list(&self) -> Vec<String> {
        let listed = self.ssh_add(&["-L"]);
        if listed.code == Some(1) && listed.stdout.contains("no identities") {
            return Vec::new();
        }
        listed
            .succeeds()
            .stdout
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Runs `ssh-add` on this agent.
    #[track_caller]
    pub fn ssh_add(&self, arguments: &[&str]) -> Finished {
        self.ssh_add_answering("", arguments)
    }

    /// Adds the private key in `file`, and the certificate in `file-cert.pub` if there is one.
    #[track_caller]
    pub fn add(&self, file: &Path) {
        self.ssh_add(&["-q", file.to_str().expect("UTF-8")])
            .succeeds();
    }

    /// Locks the agent: it lists nothing and refuses to add and to sign.
    #[track_caller]
    pub fn lock(&self, password: &str) {
        self.ssh_add_answering(password, &["-x"]).succeeds();
    }

    /// Undoes [`Agent::lock`].
    #[track_caller]
    pub fn unlock(&self, password: &str) {
        self.ssh_add_answering(password, &["-X"]).succeeds();
    }

    /// Ends the agent; the socket is gone or dead afterwards.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    #[track_caller]
    fn ssh_add_answering(&self, answer: &str, arguments: &[&str]) -> Finished {
        let mut command = Command::new("ssh-add");
        command.args(arguments).env("SSH_AUTH_SOCK", &self.socket);
        with_askpass(&mut command, answer, "0");
        run(command)
    }
}

fn with_askpass(command: &mut Command, answer: &str, exit: &str) {
    command
        .env(
            "SSH_ASKPASS",
            programs::tests_folder().join("support/askpass.sh"),
        )
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("ASKPASS_ANSWER", answer)
        .env("ASKPASS_EXIT", exit);
}
