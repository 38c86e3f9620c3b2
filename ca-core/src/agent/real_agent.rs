//! Our messages against a real `ssh-agent`, started for each test on a socket of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::answer::{AnswerError, Identity, answer_length, identities, signature, success};
use super::{CertificateEntry, EntryError, Request, SignFlags};
use crate::certificate::authority_key::AuthorityKey;
use crate::certificate::draft::Draft;
use crate::certificate::example::{client, client_key, draft, sign, ssh_keygen};

struct Agent {
    process: Child,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(folder.path().join("socket"))
            .env_remove("SSH_ASKPASS")
            .env_remove("DISPLAY")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-agent starts: install openssh-client");
        // It prints the socket's name once it listens.
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        Self { process, folder }
    }

    fn ask(&self, request: &Request) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.folder.path().join("socket")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut header = [0; 4];
        stream.read_exact(&mut header).unwrap();
        let mut answer = vec![0; answer_length(header).unwrap()];
        stream.read_exact(&mut answer).unwrap();
        answer
    }

    fn list(&self) -> Vec<Identity> {
        identities(&self.ask(&Request::list())).unwrap()
    }

    /// Puts a plain key into the agent with OpenSSH's own program.
    fn add_foreign(&self) {
        let folder = self.folder.path();
        ssh_keygen(
            folder,
            &[
                "-q", "-t", "ed25519", "-N", "", "-C", "foreign", "-f", "foreign",
            ],
        );
        let status = Command::new("ssh-add")
            .args(["-q", "foreign"])
            .current_dir(folder)
            .env("SSH_AUTH_SOCK", folder.join("socket"))
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn entry(certificate: &[u8]) -> Request {
    constrained(certificate, NonZeroU32::new(3600), false)
}

fn constrained(certificate: &[u8], seconds: Option<NonZeroU32>, confirm: bool) -> Request {
    Request::add(&CertificateEntry {
        certificate,
        key: &client(),
        comment: "jit-ssh prod",
        lifetime_seconds: seconds,
        confirm,
    })
    .unwrap()
}

fn certificate() -> Vec<u8> {
    sign(&draft().to_be_signed())
}

fn renewed() -> Vec<u8> {
    let draft = Draft {
        nonce: [4; 32],
        ..draft()
    };
    sign(&draft.to_be_signed())
}

#[test]
fn a_certificate_entry_is_listed_exactly_and_signs_as_its_key() {
    let agent = Agent::start();
    let blob = certificate();
    success(&agent.ask(&entry(&blob))).unwrap();
    let [only] = &agent.list()[..] else {
        panic!("{:?}", agent.list());
    };
    assert_eq!((&only.blob, only.comment.as_str()), (&blob, "jit-ssh prod"));
    let answer = agent.ask(&Request::sign(&blob, b"challenge", SignFlags::Default));
    let signed = signature(&answer).unwrap();
    let key: AuthorityKey = client_key().try_into().unwrap();
    key.verify(b"challenge", &signed).unwrap();
    assert!(key.verify(b"another", &signed).is_err());
    let plain = Request::sign(client_key().blob(), b"challenge", SignFlags::Default);
    assert_eq!(signature(&agent.ask(&plain)), Err(AnswerError::Refused));
}

#[test]
fn removal_takes_the_certificates_own_blob_and_leaves_foreign_identities_alone() {
    let agent = Agent::start();
    agent.add_foreign();
    let (old, new) = (certificate(), renewed());
    success(&agent.ask(&entry(&old))).unwrap();
    success(&agent.ask(&entry(&new))).unwrap();
    assert_eq!(
        agent.list().len(),
        3,
        "the agent keeps one entry for each certificate"
    );
    let plain = Request::remove(client_key().blob());
    assert_eq!(success(&agent.ask(&plain)), Err(AnswerError::Refused));
    success(&agent.ask(&Request::remove(&old))).unwrap();
    assert_eq!(
        success(&agent.ask(&Request::remove(&old))),
        Err(AnswerError::Refused)
    );
    let left: Vec<String> = agent.list().into_iter().map(|i| i.comment).collect();
    assert_eq!(left, ["foreign", "jit-ssh prod"]);
    success(&agent.ask(&Request::remove(&new))).unwrap();
    assert_eq!(agent.list()[0].comment, "foreign");
}

#[test]
fn the_agent_forgets_the_entry_after_its_lifetime() {
    let agent = Agent::start();
    let blob = certificate();
    let started = Instant::now();
    success(&agent.ask(&constrained(&blob, NonZeroU32::new(1), false))).unwrap();
    while !agent.list().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "still listed");
        std::thread::yield_now();
    }
    let lasting = agent.ask(&constrained(&blob, None, false));
    success(&lasting).unwrap();
    assert_eq!(agent.list().len(), 1);
}

#[test]
fn an_entry_to_be_confirmed_does_not_sign_where_nobody_can_be_asked() {
    let agent = Agent::start();
    let blob = certificate();
    success(&agent.ask(&constrained(&blob, NonZeroU32::new(60), true))).unwrap();
    assert_eq!(agent.list().len(), 1);
    let answer = agent.ask(&Request::sign(&blob, b"x", SignFlags::Default));
    assert_eq!(signature(&answer), Err(AnswerError::Refused));
}

#[test]
fn a_locked_agent_refuses_and_an_unlocked_one_accepts_again() {
    let agent = Agent::start();
    success(&agent.ask(&Request::lock(b"secret"))).unwrap();
    assert_eq!(
        success(&agent.ask(&entry(&certificate()))),
        Err(AnswerError::Refused)
    );
    assert_eq!(agent.list(), []);
    success(&agent.ask(&Request::unlock(b"secret"))).unwrap();
    success(&agent.ask(&entry(&certificate()))).unwrap();
    assert_eq!(agent.list().len(), 1);
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_not_sent() {
    let blob = certificate();
    let other = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let mut wrong = CertificateEntry {
        certificate: &blob,
        key: &other,
        comment: "",
        lifetime_seconds: None,
        confirm: false,
    };
    assert_eq!(Request::add(&wrong).unwrap_err(), EntryError::OtherKey);
    let right = client();
    wrong.key = &right;
    wrong.comment = "Allow use of key other?\n";
    assert_eq!(Request::add(&wrong).unwrap_err(), EntryError::Comment);
    wrong.comment = "";
    wrong.certificate = client_key_blob();
    assert_eq!(
        Request::add(&wrong).unwrap_err(),
        EntryError::NotEd25519Certificate
    );
}

fn client_key_blob() -> &'static [u8] {
    b"\0\0\0\x0bssh-ed25519"
}

#[test]
fn debug_output_holds_no_key() {
    let request = entry(&certificate());
    assert_eq!(
        format!("{request:?}"),
        format!("Request({} bytes)", request.as_bytes().len())
    );
}
