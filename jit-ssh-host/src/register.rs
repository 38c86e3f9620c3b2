//! Reads from PAM's environment which certificate opened the session. Pure but for what is passed.
//!
//! `SSH_AUTH_INFO_0` is set by sshd itself, as root, before any session module runs. A module that
//! reads a file of the user's into the environment (`pam_env` with `user_readenv`) could replace
//! it, so the line of this program stands before that one, and `check` looks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::presented::{PresentedCertificate, PresentedError, read_presented};

/// Longest value looked at, bytes: several methods and a certificate of the largest size.
const INFO_MAX: usize = 64 * 1024;

/// Why there is nothing to register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurs {
    /// Another method than a certificate, or none.
    #[error("no certificate was used")]
    NoCertificate,
    /// A certificate that is not watched.
    #[error(transparent)]
    Certificate(#[from] PresentedError),
}

/// The certificate in `info`: one line for each method that was passed, `publickey TYPE BASE64`
/// for a key or certificate.
///
/// # Errors
///
/// [`NotOurs`]
pub(crate) fn certificate(
    info: &str,
    authorities: &[AuthorityKey],
) -> Result<PresentedCertificate, NotOurs> {
    let mut problem = NotOurs::NoCertificate;
    for line in info.get(..INFO_MAX).unwrap_or(info).lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().take(3).collect();
        let ["publickey", kind, base64] = words.as_slice() else {
            continue;
        };
        if !kind.ends_with("-cert-v01@openssh.com") {
            continue;
        }
        let Ok(blob) = STANDARD.decode(base64) else {
            continue;
        };
        match read_presented(&blob, authorities) {
            Ok(found) => return Ok(found),
            Err(error) => problem = NotOurs::Certificate(error),
        }
    }
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_methods_and_nonsense_register_nothing() {
        for info in [
            "",
            "password",
            "publickey ssh-ed25519 AAAA",
            "publickey ssh-ed25519-cert-v01@openssh.com",
            "publickey ssh-ed25519-cert-v01@openssh.com !!!",
            "keyboard-interactive/pam\n",
        ] {
            assert_eq!(
                certificate(info, &[]),
                Err(NotOurs::NoCertificate),
                "{info}"
            );
        }
        assert!(matches!(
            certificate("publickey ssh-ed25519-cert-v01@openssh.com AAAA\n", &[]),
            Err(NotOurs::Certificate(PresentedError::Encoding(_)))
        ));
    }
}
