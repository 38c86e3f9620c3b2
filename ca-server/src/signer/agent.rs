//! A CA key in an ssh-agent: hardware keys work today, through whatever their agent supports.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_core::agent::{Request, SignFlags, answer};
use ca_core::certificate::authority_key::AuthorityKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{SignError, Signable, Signature, Signer, Signing};

/// How long an agent may take; somebody may have to touch a key.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// A key that an agent holds, by its public half.
#[derive(Clone)]
pub struct AgentSigner {
    socket: PathBuf,
    public: AuthorityKey,
}

impl fmt::Debug for AgentSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AgentSigner({} at {:?})",
            self.public.fingerprint(),
            self.socket
        )
    }
}

impl AgentSigner {
    /// The key `public` in the agent at `socket`. Nothing is asked of the agent yet.
    #[must_use]
    pub fn new(socket: &Path, public: AuthorityKey) -> Self {
        Self {
            socket: socket.to_owned(),
            public,
        }
    }

    /// Whether the agent answers and holds the key.
    ///
    /// # Errors
    ///
    /// [`SignError::Unavailable`] with what to do.
    pub async fn check(&self) -> Result<(), SignError> {
        let answer = self.ask(&Request::list()).await?;
        let held = answer::identities(&answer).map_err(unavailable)?;
        if held
            .iter()
            .any(|identity| identity.blob == self.public.blob())
        {
            return Ok(());
        }
        let text = format!(
            "the agent at {:?} does not hold {}",
            self.socket, self.public
        );
        Err(SignError::Unavailable(text))
    }

    async fn sign_bytes(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        let request = Request::sign(self.public.blob(), bytes, SignFlags::default());
        let answer = self.ask(&request).await?;
        answer::signature(&answer)
            .map(Signature)
            .map_err(unavailable)
    }

    /// One connection for each question: an agent that was restarted is found again.
    async fn ask(&self, request: &Request) -> Result<Vec<u8>, SignError> {
        let exchange = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut header = [0; 4];
            stream.read_exact(&mut header).await?;
            let length = answer::answer_length(header).map_err(std::io::Error::other)?;
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match tokio::time::timeout(ANSWER_WAIT_MAX, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(SignError::Unavailable(format!(
                "agent at {:?}: {error}",
                self.socket
            ))),
            Err(_) => Err(SignError::Unavailable(format!(
                "agent at {:?} did not answer in {} s",
                self.socket,
                ANSWER_WAIT_MAX.as_secs()
            ))),
        }
    }
}

fn unavailable(error: impl fmt::Display) -> SignError {
    SignError::Unavailable(error.to_string())
}

impl Signer for AgentSigner {
    fn public_key(&self) -> &AuthorityKey {
        &self.public
    }

    fn sign<'a>(&'a self, what: Signable<'a>) -> Signing<'a> {
        Box::pin(self.sign_bytes(what.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Agent(Child);

    impl Drop for Agent {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    fn start(socket: &Path) -> Agent {
        let agent = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(socket)
            .spawn()
            .unwrap();
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            std::thread::yield_now();
        }
        Agent(agent)
    }

    #[tokio::test]
    async fn a_key_in_a_real_agent_signs_until_the_agent_forgets_it() {
        let dir = tempfile::tempdir().unwrap();
        let (key, socket) = (dir.path().join("ca"), dir.path().join("agent"));
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ca", "-f"])
            .arg(&key);
        assert!(keygen.status().unwrap().success());
        let _agent = start(&socket);
        let add = |args: &[&str]| {
            let mut add = Command::new("ssh-add");
            add.args(args).arg(&key).env("SSH_AUTH_SOCK", &socket);
            assert!(add.output().unwrap().status.success());
        };
        let line = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let signer = AgentSigner::new(&socket, line.trim().parse().unwrap());
        assert!(signer.check().await.is_err());
        add(&[]);
        signer.check().await.unwrap();
        let signature = signer.sign_bytes(b"to be signed").await.unwrap();
        signer
            .public_key()
            .verify(b"to be signed", signature.blob())
            .unwrap();
        add(&["-d"]);
        assert!(signer.sign_bytes(b"to be signed").await.is_err());
    }

    #[tokio::test]
    async fn an_agent_that_is_not_there_is_named() {
        let public =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let signer = AgentSigner::new(Path::new("/nonexistent/agent"), public.parse().unwrap());
        let error = signer.check().await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/agent"), "{error}");
    }
}
