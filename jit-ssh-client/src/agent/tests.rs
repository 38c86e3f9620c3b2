//! Against the real ssh-agent of this machine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ca_core::name::Environment;

use super::*;
use crate::clock;
use crate::grant;

/// An ssh-agent of our own, ended with the value.
pub(crate) struct RealAgent {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl RealAgent {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(folder.path().join("agent"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Ready when it accepts a connection; gives up when it has ended.
        while UnixStream::connect(folder.path().join("agent")).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "ssh-agent ended");
            std::thread::yield_now();
        }
        Self { process, folder }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    pub(crate) fn connect(&self) -> Agent {
        Agent::connect_to(self.socket()).unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `ssh-add` against it.
    pub(crate) fn ssh_add(&self, arguments: &[&str]) -> String {
        let output = Command::new("ssh-add")
            .args(arguments)
            .env("SSH_AUTH_SOCK", self.socket())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A certificate for `environment` signed by `authority`, good until `valid_before`.
pub(crate) fn certificate(
    authority: &SigningKey,
    environment: &str,
    serial: Serial,
    (valid_after, valid_before): (u64, u64),
) -> (Vec<u8>, SigningKey) {
    let key = fresh_key().unwrap();
    let draft = Draft {
        nonce: [7; 32],
        subject_key: public_line(&key).unwrap().parse().unwrap(),
        serial,
        mark: ca_core::certificate::key_id::Mark::Ordinary,
        user: "alice".parse().unwrap(),
        environment: environment.parse::<Environment>().unwrap(),
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        validity: Validity::new(valid_after, valid_before).unwrap(),
        options: Options::default(),
        authority_key: public_line(authority).unwrap().parse().unwrap(),
    };
    let tbs = draft.to_be_signed();
    let signature = ed25519_signature_blob(&authority.sign(&tbs).to_bytes());
    (assemble(&tbs, &signature), key)
}

#[test]
fn a_certificate_is_listed_with_our_comment_and_gone_after_its_own_removal() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let authority = fresh_key().unwrap();
    let now = clock::now().unix_seconds();
    let serial = Serial::new(1, 1).unwrap();
    let (blob, key) = certificate(&authority, "prod", serial, (now, now + 60));
    let comment = grant::comment(&"prod".parse().unwrap(), "alice@prod#1");
    let entry = CertificateEntry {
        certificate: &blob,
        key: &key,
        comment: &comment,
        lifetime_seconds: NonZeroU32::new(60),
        confirm: false,
    };
    agent.add(&entry).unwrap();
    let listed = agent.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].blob, blob);
    assert!(real.ssh_add(&["-l"]).contains("jit-ssh:prod alice@prod#1"));
    assert!(agent.remove(&blob).unwrap());
    assert!(!agent.remove(&blob).unwrap());
    assert_eq!(agent.list().unwrap(), []);
}

#[test]
fn the_agent_forgets_a_certificate_at_the_end_of_its_lifetime() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let now = clock::now().unix_seconds();
    let serial = Serial::new(1, 1).unwrap();
    let (blob, key) = certificate(&fresh_key().unwrap(), "prod", serial, (now, now + 60));
    let entry = CertificateEntry {
        certificate: &blob,
        key: &key,
        comment: "jit-ssh:prod x",
        lifetime_seconds: NonZeroU32::new(1),
        confirm: false,
    };
    agent.add(&entry).unwrap();
    assert_eq!(agent.list().unwrap().len(), 1);
    // No sleep of a guessed length: asks until it is gone, for at most 10 s by the agent's clock.
    let begun = std::time::Instant::now();
    while !agent.list().unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "still listed");
        std::thread::yield_now();
    }
}

#[test]
fn a_probe_says_yes_and_leaves_nothing_behind() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    agent.probe(false, clock::now()).unwrap();
    agent.probe(true, clock::now()).unwrap();
    assert_eq!(agent.list().unwrap(), []);
}

#[test]
fn a_locked_agent_is_named_as_such_before_anything_is_asked() {
    let real = RealAgent::start();
    let mut agent = real.connect();
    let answer = agent.ask(&Request::lock(b"secret")).unwrap();
    answer::success(&answer).unwrap();
    let error = agent.probe(false, clock::now()).unwrap_err();
    assert!(matches!(error, AgentError::Locked), "{error}");
    let failure = Failure::from(error);
    assert_eq!(failure.exit, Exit::Local);
    assert!(failure.what.contains("locked"));
    assert!(failure.hints[0].contains("ssh-add -X"));
}

#[test]
fn an_agent_that_is_not_there_is_an_error_with_a_hint_and_exit_7() {
    let folder = tempfile::tempdir().unwrap();
    let error = Agent::connect_to(folder.path().join("none")).unwrap_err();
    let failure = Failure::from(error);
    assert_eq!(failure.exit.code(), 7);
    assert!(failure.what.contains("no SSH agent answered on"));
    assert!(failure.hints[0].contains("ssh-agent"));
}

/// An agent that refuses every message with constraints, as some do.
#[test]
fn an_agent_that_refuses_a_lifetime_is_told_from_a_locked_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut numbers = Vec::new();
        let mut header = [0; 4];
        while stream.read_exact(&mut header).is_ok() {
            let mut message = vec![0; usize::try_from(u32::from_be_bytes(header)).unwrap()];
            stream.read_exact(&mut message).unwrap();
            numbers.push(message[0]);
            let answer = if message[0] == 25 { 5 } else { 6 };
            stream.write_all(&[0, 0, 0, 1, answer]).unwrap();
        }
        numbers
    });
    let error = {
        let mut agent = Agent::connect_to(path).unwrap();
        agent.probe(false, clock::now()).unwrap_err()
    };
    assert!(
        matches!(error, AgentError::RefusesConstraint { .. }),
        "{error}"
    );
    assert!(Failure::from(error).hints[0].contains("--no-agent"));
    // Tried with a lifetime, then without, and the second was taken out again.
    assert_eq!(served.join().unwrap(), [25, 17, 18]);
}
