//! A CA key in an OpenSSH private key file, in memory while the server runs.

use std::fmt;
use std::path::Path;

use ca_core::certificate::authority_key::{AuthorityKey, ed25519_signature_blob};
use secrecy::SecretString;
use ssh_encoding::Encode;
use ssh_key::PrivateKey;

use super::{SignError, Signable, Signature, Signer, Signing};
use crate::key_file::{self, KeyFileError};

/// An OpenSSH key file, decrypted. Its secret is zeroized when dropped.
pub struct FileSigner {
    key: Secret,
    public: AuthorityKey,
}

/// The private key, ready to sign: made ready once, because doing so costs as much as signing.
enum Secret {
    Ecdsa(PrivateKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSigner({})", self.public.fingerprint())
    }
}

impl FileSigner {
    /// Reads a key file, with its passphrase if it is encrypted. Ed25519, ECDSA P-256 or P-384.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]; the message says what to do.
    pub fn read(path: &Path, passphrase: Option<&SecretString>) -> Result<Self, KeyFileError> {
        let key = key_file::read(path, passphrase)?;
        let parse = |error: ssh_key::Error| KeyFileError::Parse {
            path: path.to_owned(),
            detail: error.to_string(),
        };
        let blob = key.public_key().to_bytes().map_err(parse)?;
        let public = AuthorityKey::from_blob(&blob).map_err(|source| KeyFileError::Kind {
            path: path.to_owned(),
            source,
        })?;
        let key = match key.key_data().ed25519() {
            Some(pair) => Secret::Ed25519(pair.try_into().map_err(parse)?),
            None => Secret::Ecdsa(key),
        };
        Ok(Self { key, public })
    }
}

impl Signer for FileSigner {
    fn public_key(&self) -> &AuthorityKey {
        &self.public
    }

    fn sign<'a>(&'a self, what: Signable<'a>) -> Signing<'a> {
        let signed = self.sign_bytes(what.bytes());
        Box::pin(std::future::ready(signed))
    }
}

impl FileSigner {
    fn sign_bytes(&self, bytes: &[u8]) -> Result<Signature, SignError> {
        use ed25519_dalek::ed25519::signature::Signer as _;
        let unavailable = |error: String| SignError::Unavailable(error);
        let key = match &self.key {
            Secret::Ecdsa(key) => key,
            Secret::Ed25519(key) => {
                let signature = key
                    .try_sign(bytes)
                    .map_err(|error| unavailable(error.to_string()))?;
                return Ok(Signature(ed25519_signature_blob(&signature.to_bytes())));
            }
        };
        let signature: ssh_key::Signature = key
            .try_sign(bytes)
            .map_err(|error| unavailable(error.to_string()))?;
        let mut blob = Vec::new();
        signature
            .encode(&mut blob)
            .map_err(|error| unavailable(error.to_string()))?;
        Ok(Signature(blob))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn keygen(path: &Path, kind: &[&str], passphrase: &str) {
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-q", "-C", "ca", "-N", passphrase, "-f"])
            .arg(path)
            .args(kind);
        assert!(command.status().unwrap().success());
    }

    #[test]
    fn keys_made_by_ssh_keygen_sign_what_their_public_half_verifies() {
        let dir = tempfile::tempdir().unwrap();
        for (name, kind) in [
            ("ed", ["-t", "ed25519"].as_slice()),
            ("p256", &["-t", "ecdsa", "-b", "256"]),
            ("p384", &["-t", "ecdsa", "-b", "384"]),
        ] {
            let path = dir.path().join(name);
            keygen(&path, kind, "");
            let signer = FileSigner::read(&path, None).unwrap();
            let signature = signer.sign_bytes(b"to be signed").unwrap();
            signer
                .public_key()
                .verify(b"to be signed", signature.blob())
                .unwrap();
            assert!(
                signer
                    .public_key()
                    .verify(b"other", signature.blob())
                    .is_err()
            );
        }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca");
        keygen(&path, &["-t", "ed25519"], "correct horse");
        assert!(FileSigner::read(&path, Some(&"correct horse".into())).is_ok());
        for wrong in [None, Some("battery staple".into())] {
            let error = FileSigner::read(&path, wrong.as_ref()).unwrap_err();
            assert!(matches!(error, KeyFileError::Passphrase { .. }), "{error}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca");
        keygen(&path, &["-t", "ed25519"], "");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = FileSigner::read(&path, None).unwrap_err();
        assert!(error.to_string().contains("has mode 640"), "{error}");
    }

    #[test]
    fn a_key_kind_that_may_not_sign_here_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca");
        keygen(&path, &["-t", "rsa", "-b", "2048"], "");
        assert!(FileSigner::read(&path, None).is_err());
    }
}
