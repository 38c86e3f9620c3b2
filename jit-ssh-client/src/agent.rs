//! Talking to ssh-agent on `$SSH_AUTH_SOCK`.
//!
//! Deliberately blocking: the messages are few and small, and nothing else runs meanwhile.

use std::io::{Read, Write};
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use ca_core::agent::answer::{self, AnswerError, Identity};
use ca_core::agent::{CertificateEntry, EntryError, Request};
use ca_core::certificate::authority_key::ed25519_signature_blob;
use ca_core::certificate::draft::{Draft, assemble};
use ca_core::certificate::options::Options;
use ca_core::certificate::principals::Principals;
use ca_core::serial::Serial;
use ca_core::time::{Timestamp, Validity};
use ed25519_dalek::{Signer, SigningKey};
use ssh_key::public::{Ed25519PublicKey, PublicKey};

use crate::failure::{Exit, Failure};
use crate::random;

/// How long the agent may take for one answer, seconds.
const ANSWER_SECONDS_MAX: u64 = 10;
/// How long a probe would stay if it could not be removed.
const PROBE_SECONDS: NonZeroU32 = NonZeroU32::MIN;

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// Its answer is a refusal or not an answer.
    #[error("the SSH agent: {0}")]
    Answer(#[from] AnswerError),
    /// The entry cannot be put into a message.
    #[error("cannot hand the certificate to the SSH agent: {0}")]
    Entry(#[from] EntryError),
    /// It takes no certificate at all: locked, or of a kind that holds none.
    #[error("the SSH agent takes no certificate; is it locked?")]
    Locked,
    /// `$SSH_AUTH_SOCK` is not set.
    #[error("there is no SSH agent: $SSH_AUTH_SOCK is not set")]
    NoSocket,
    /// The agent accepted the certificate and does not list it.
    #[error("the SSH agent accepted the certificate and does not list it")]
    NotListed,
    /// It takes certificates, but none that end by themselves (or ask for confirmation).
    #[error("the SSH agent does not take certificates with {constraint}")]
    RefusesConstraint {
        /// `a lifetime`, `a lifetime and confirmation`.
        constraint: &'static str,
    },
    /// The connection broke.
    #[error("no SSH agent answered on {}: {source}", path.display())]
    Socket {
        /// `$SSH_AUTH_SOCK`.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The throwaway certificate of a probe could not be made.
    #[error("cannot try the SSH agent: {0}")]
    Probe(String),
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let hint = match &error {
            AgentError::NoSocket | AgentError::Socket { .. } => {
                "start one with: eval \"$(ssh-agent)\" — or use files: add --no-agent"
            }
            AgentError::Locked => {
                "unlock it with: ssh-add -X — or use another agent, or add --no-agent"
            }
            AgentError::RefusesConstraint { .. } => {
                "use OpenSSH's own agent: eval \"$(ssh-agent)\" — or files: add --no-agent"
            }
            AgentError::Answer(_)
            | AgentError::Entry(_)
            | AgentError::NotListed
            | AgentError::Probe(_) => "check it with: jit-ssh doctor",
        };
        Self::new(Exit::Local, error.to_string()).hint(hint)
    }
}

/// A connection to the person's agent.
#[derive(Debug)]
pub(crate) struct Agent {
    path: PathBuf,
    stream: UnixStream,
}

impl Agent {
    /// Connects to the agent of `$SSH_AUTH_SOCK`.
    ///
    /// # Errors
    ///
    /// [`AgentError::NoSocket`], [`AgentError::Socket`].
    pub(crate) fn connect() -> Result<Self, AgentError> {
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        Self::connect_to(path.map(PathBuf::from).ok_or(AgentError::NoSocket)?)
    }

    /// Connects to the agent on `path`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Socket`].
    pub(crate) fn connect_to(path: PathBuf) -> Result<Self, AgentError> {
        let bound = Some(Duration::from_secs(ANSWER_SECONDS_MAX));
        let connected = UnixStream::connect(&path).and_then(|stream| {
            stream.set_read_timeout(bound)?;
            stream.set_write_timeout(bound)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Self { path, stream }),
            Err(source) => Err(AgentError::Socket { path, source }),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Vec<u8>, AgentError> {
        let lost = |source| AgentError::Socket {
            path: self.path.clone(),
            source,
        };
        let mut header = [0_u8; 4];
        self.stream.write_all(request.as_bytes()).map_err(lost)?;
        self.stream.read_exact(&mut header).map_err(lost)?;
        let mut answer = vec![0; answer::answer_length(header)?];
        self.stream.read_exact(&mut answer).map_err(lost)?;
        Ok(answer)
    }

    /// Everything it holds, ours or not.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when it does not answer with a list.
    pub(crate) fn list(&mut self) -> Result<Vec<Identity>, AgentError> {
        let answer = self.ask(&Request::list())?;
        Ok(answer::identities(&answer)?)
    }

    /// Adds a certificate entry.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when it refuses.
    pub(crate) fn add(&mut self, entry: &CertificateEntry<'_>) -> Result<(), AgentError> {
        let answer = self.ask(&Request::add(entry)?)?;
        Ok(answer::success(&answer)?)
    }

    /// Removes the entry with exactly this blob; whether it was there.
    ///
    /// # Errors
    ///
    /// [`AgentError`] when it does not answer.
    pub(crate) fn remove(&mut self, blob: &[u8]) -> Result<bool, AgentError> {
        let answer = self.ask(&Request::remove(blob))?;
        match answer::success(&answer) {
            Ok(()) => Ok(true),
            Err(AnswerError::Refused) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Finds out, before anything is asked of the person or issued, whether the agent would take a
    /// certificate: adds one that opens nothing and removes it.
    ///
    /// # Errors
    ///
    /// [`AgentError::Locked`], [`AgentError::RefusesConstraint`].
    pub(crate) fn probe(&mut self, confirm: bool, now: Timestamp) -> Result<(), AgentError> {
        let (certificate, key) = worthless_certificate(now)?;
        let mut entry = CertificateEntry {
            certificate: &certificate,
            key: &key,
            comment: "jit-ssh: probe",
            lifetime_seconds: Some(PROBE_SECONDS),
            confirm,
        };
        let constrained = self.add(&entry);
        if matches!(constrained, Err(AgentError::Answer(AnswerError::Refused))) {
            entry.lifetime_seconds = None;
            entry.confirm = false;
            return match self.add(&entry) {
                Ok(()) => {
                    self.remove(&certificate)?;
                    let constraint = if confirm {
                        "a lifetime and confirmation"
                    } else {
                        "a lifetime"
                    };
                    Err(AgentError::RefusesConstraint { constraint })
                }
                Err(AgentError::Answer(AnswerError::Refused)) => Err(AgentError::Locked),
                Err(other) => Err(other),
            };
        }
        constrained?;
        self.remove(&certificate)?;
        Ok(())
    }
}

/// A fresh Ed25519 key that lives in memory only and is wiped when dropped.
///
/// # Errors
///
/// A [`Failure`] when the system has no random bytes.
pub(crate) fn fresh_key() -> Result<SigningKey, Failure> {
    Ok(SigningKey::from_bytes(&*random::bytes::<32>()?))
}

/// The public half as an OpenSSH line without a comment.
///
/// # Errors
///
/// A [`Failure`] that never happens for an Ed25519 key; passed on, not hidden.
pub(crate) fn public_line(key: &SigningKey) -> Result<String, Failure> {
    let public = Ed25519PublicKey(key.verifying_key().to_bytes());
    PublicKey::from(public)
        .to_openssh()
        .map_err(|error| Failure::new(Exit::Broken, format!("cannot write the key: {error}")))
}

/// A certificate by an authority that nobody trusts, over a moment that is past.
fn worthless_certificate(now: Timestamp) -> Result<(Vec<u8>, SigningKey), AgentError> {
    let failed = |error: &dyn std::fmt::Display| AgentError::Probe(error.to_string());
    let key = fresh_key().map_err(|error| failed(&error))?;
    let authority = fresh_key().map_err(|error| failed(&error))?;
    let line = |key: &SigningKey| public_line(key).map_err(|error| failed(&error));
    let second = now.unix_seconds();
    let principal = "jit-ssh-probe".parse().map_err(|error| failed(&error))?;
    let draft = Draft {
        nonce: *random::bytes::<32>().map_err(|error| failed(&error))?,
        subject_key: line(&key)?.parse().map_err(|error| failed(&error))?,
        serial: Serial::new(0, 1).map_err(|error| failed(&error))?,
        mark: ca_core::certificate::key_id::Mark::Ordinary,
        user: "nobody".parse().map_err(|error| failed(&error))?,
        environment: "probe".parse().map_err(|error| failed(&error))?,
        principals: Principals::new(vec![principal]).map_err(|error| failed(&error))?,
        validity: Validity::new(second.saturating_sub(2), second.max(1))
            .map_err(|error| failed(&error))?,
        options: Options::default(),
        authority_key: line(&authority)?.parse().map_err(|error| failed(&error))?,
    };
    let tbs = draft.to_be_signed();
    let signature = ed25519_signature_blob(&authority.sign(&tbs).to_bytes());
    Ok((assemble(&tbs, &signature), key))
}

#[cfg(test)]
pub(crate) mod tests;
