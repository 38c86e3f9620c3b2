//! Proof that this machine holds the host key: an SSHSIG over the join token.

use std::path::Path;

use ca_core::api::HOST_ENROLMENT_NAMESPACE;
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::file;

/// The public half, one line without comment, and the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// For `host_public_key`.
    pub(crate) public_key: String,
    /// For `signature`.
    pub(crate) signature: String,
}

/// Signs `token` with the private host key in `path`.
///
/// # Errors
///
/// A [`Failure`] when there is no such key, or of a kind that cannot be used here.
pub(crate) fn prove(path: &Path, token: &str) -> Result<Proof, Failure> {
    let failed = |error: ssh_key::Error| {
        Failure::file("used as host key", path, &error)
            .hint("use an Ed25519 or ECDSA host key: --host-key FILE")
    };
    let text = file::read_text(path)?.map(Zeroizing::new).ok_or_else(|| {
        Failure::file("read", path, &"there is no such host key")
            .hint("ssh-keygen -A makes the usual ones; another one: --host-key FILE")
    })?;
    let key = PrivateKey::from_openssh(text.as_str()).map_err(failed)?;
    let signature = key
        .sign(HOST_ENROLMENT_NAMESPACE, HashAlg::Sha512, token.as_bytes())
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map_err(failed)?;
    Ok(Proof {
        public_key: line(key.public_key()).map_err(failed)?,
        signature,
    })
}

fn line(key: &ssh_key::PublicKey) -> Result<String, ssh_key::Error> {
    let text = key.to_openssh()?;
    let words: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_verifies_with_the_host_key_over_the_token_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&[5; 32]);
        let key = PrivateKey::from(pair);
        std::fs::write(&path, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
        let proof = prove(&path, "token").unwrap();
        let signature = ssh_key::SshSig::from_pem(&proof.signature).unwrap();
        let public = ssh_key::PublicKey::from_openssh(&proof.public_key).unwrap();
        let verify = |token: &[u8]| public.verify(HOST_ENROLMENT_NAMESPACE, token, &signature);
        assert!(verify(b"token").is_ok());
        assert!(verify(b"other").is_err());
        assert!(prove(&folder.path().join("absent"), "token").is_err());
    }
}
