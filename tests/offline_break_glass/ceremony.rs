//! A CA in a folder, four people with four kinds of keys, and the commands they run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::keygen::{self, KeyFiles};
use crate::support::programs::{command, program};
use crate::support::run::{Finished, run};

/// bob's key is encrypted with it.
pub const PASSPHRASE: &str = "correct horse battery";

/// What the certificates of the tests are for.
pub const REASON: &str = "INC-42 the authority is down";

/// alice has an Ed25519 key, bob one with a passphrase, carol RSA, dave an age key.
pub struct Ceremony {
    dir: TempDir,
    ca: PathBuf,
    user: KeyFiles,
}

/// A certificate that was signed and what lies beside it.
pub struct Signed {
    pub certificate: PathBuf,
    pub record: PathBuf,
    pub finished: Finished,
}

impl Signed {
    pub fn json(&self) -> Value {
        let text = std::fs::read(&self.record).expect("a record");
        serde_json::from_slice(&text).expect("JSON")
    }

    pub fn serial(&self) -> u64 {
        self.json()["record"]["serial"].as_u64().expect("a serial")
    }
}

impl Ceremony {
    /// A new CA that never ran, nothing sealed.
    #[track_caller]
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a folder");
        let ca = dir.path().join("ca");
        let mut init = command(&program("ca-server"), dir.path());
        init.arg("init").arg("--dir").arg(&ca);
        init.args(["--url", "https://ca.example.com", "--client-id", "jit-ssh"]);
        init.args(["--issuer", "https://id.example.com"]);
        run(init).succeeds();
        Self::at(dir, ca)
    }

    /// Keys of people around the CA in `ca`.
    pub fn at(dir: TempDir, ca: PathBuf) -> Self {
        keygen::generate(dir.path(), "alice");
        keygen::generate_kind(dir.path(), "bob", "ed25519", &["-N", PASSPHRASE]);
        keygen::generate_kind(dir.path(), "carol", "rsa", &["-b", "3072"]);
        let mut age = Command::new("age-keygen");
        age.arg("-o").arg(dir.path().join("dave"));
        let made = run(age).succeeds();
        let public = made.stderr.split_whitespace().last().expect("a key");
        std::fs::write(dir.path().join("dave.pub"), public).expect("a file");
        let user = keygen::generate(dir.path(), "user");
        Self { dir, ca, user }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The key pair that logs in.
    pub fn user(&self) -> &KeyFiles {
        &self.user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ca-server ARGUMENTS`, in a folder without anything of the CA's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut server = command(&program("ca-server"), self.dir.path());
        server.args(arguments);
        server
    }

    /// `ca-server ARGUMENTS --dir CA`.
    pub fn at_ca(&self, arguments: &[&str]) -> Finished {
        let mut server = self.command(arguments);
        server.arg("--dir").arg(&self.ca);
        run(server)
    }

    /// Seals prod's key into the folder `out`, `needed` of these holders.
    pub fn try_seal(&self, out: &str, needed: &str, holders: &[&str], more: &[&str]) -> Finished {
        let mut arguments = vec!["break-glass", "seal", "prod", "--needed", needed];
        arguments.extend(["--out", out]);
        let files: Vec<String> = holders.iter().map(|name| format!("{name}.pub")).collect();
        for file in &files {
            arguments.extend(["--holder", file.as_str()]);
        }
        arguments.extend(more);
        self.at_ca(&arguments)
    }

    /// The usual set: two of the four.
    #[track_caller]
    pub fn seal(&self) {
        let holders = ["alice", "bob", "carol", "dave"];
        self.try_seal("shares", "2", &holders, &[]).succeeds();
    }

    /// `break-glass sign prod …` with these share files and the keys of these people.
    pub fn sign_command(&self, shares: &[&str], holders: &[&str], more: &[&str]) -> Command {
        let mut sign = self.command(&["break-glass", "sign", "prod", "--user", "alice"]);
        sign.args(["--reason", REASON, "--public-key"]);
        sign.arg(&self.user.public).args(["--out", "out"]);
        if !more.contains(&"--for") {
            sign.args(["--for", "30m"]);
        }
        for share in shares {
            sign.args(["--share", share]);
        }
        for holder in holders {
            sign.args(["--identity", holder]);
        }
        sign.args(more);
        sign
    }

    pub fn try_sign(&self, shares: &[&str], holders: &[&str], more: &[&str]) -> Finished {
        run(self.sign_command(shares, holders, more))
    }

    /// alice and carol, both here.
    #[track_caller]
    pub fn sign(&self, more: &[&str]) -> Signed {
        let shares = ["shares/prod-alice.age", "shares/prod-carol.age"];
        let finished = self.try_sign(&shares, &["alice", "carol"], more).succeeds();
        self.signed(finished)
    }

    /// The newest files in the folder that `sign` wrote to.
    #[track_caller]
    pub fn signed(&self, finished: Finished) -> Signed {
        let line = finished.stderr.lines().find(|line| line.contains("serial"));
        let line = line.expect("the serial");
        let serial = line.split_whitespace().last().expect("a number");
        let out = self.path("out");
        Signed {
            certificate: out.join(format!("prod-{serial}-cert.pub")),
            record: out.join(format!("prod-{serial}-record.json")),
            finished,
        }
    }

    /// The public half of the sealed key.
    #[track_caller]
    pub fn public_line(&self) -> String {
        let file = self.ca.join("keys/prod.break-glass.pub");
        let text = std::fs::read_to_string(file).expect("a key");
        text.lines().next().expect("a line").to_owned()
    }

    /// How many files are in a folder of the ceremony; none if there is no folder.
    pub fn files(&self, folder: &str) -> usize {
        std::fs::read_dir(self.path(folder)).map_or(0, Iterator::count)
    }
}
