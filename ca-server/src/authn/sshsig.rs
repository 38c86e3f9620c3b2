//! Signatures by SSH keys over a text (PROTOCOL.sshsig), as `ssh-keygen -Y sign` makes them: proof
//! that somebody holds a key.

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
};
use ca_core::certificate::subject_key::{KeyKind, SubjectKey};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey, SshSig};

/// Longest armored signature read, bytes: an RSA one of 16,384 bits needs 6,000.
const ARMORED_BYTES_MAX: usize = 16 * 1024;

/// The flag of security keys that says somebody touched them (CTAP 2 §6.1, "UP").
const USER_PRESENT: u8 = 1;

/// Not a signature by this key over this message in this namespace. One face, whatever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by this key over this text")]
pub struct WrongSignature;

/// Checks an armored signature. Security keys must have been touched; RSA must use SHA-2.
///
/// # Errors
///
/// [`WrongSignature`]
pub fn verify(
    key: &SubjectKey,
    namespace: &str,
    message: &[u8],
    armored: &str,
) -> Result<(), WrongSignature> {
    if armored.len() > ARMORED_BYTES_MAX {
        return Err(WrongSignature);
    }
    let found = SshSig::from_pem(armored).map_err(|_| WrongSignature)?;
    let public = PublicKey::from_bytes(key.blob()).map_err(|_| WrongSignature)?;
    if found.namespace() != namespace || found.public_key() != public.key_data() {
        return Err(WrongSignature);
    }
    if key.kind() == KeyKind::Rsa {
        return verify_rsa(public.key_data(), &found, message);
    }
    if key.kind().is_security_key() {
        // The last five bytes: flags, and a counter that we keep no track of.
        let flags = found.signature_bytes().iter().rev().nth(4);
        if flags.is_none_or(|flags| flags & USER_PRESENT == 0) {
            return Err(WrongSignature);
        }
    }
    public
        .verify(namespace, message, &found)
        .map_err(|_| WrongSignature)
}

fn verify_rsa(key: &KeyData, found: &SshSig, message: &[u8]) -> Result<(), WrongSignature> {
    let KeyData::Rsa(key) = key else {
        return Err(WrongSignature);
    };
    let algorithm = match found.algorithm() {
        ssh_key::Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        } => &RSA_PKCS1_2048_8192_SHA256,
        ssh_key::Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        } => &RSA_PKCS1_2048_8192_SHA512,
        _ => return Err(WrongSignature),
    };
    let signed = SshSig::signed_data(found.namespace(), found.hash_alg(), message)
        .map_err(|_| WrongSignature)?;
    let components = RsaPublicKeyComponents {
        n: key.n().as_positive_bytes().ok_or(WrongSignature)?,
        e: key.e().as_positive_bytes().ok_or(WrongSignature)?,
    };
    components
        .verify(algorithm, &signed, found.signature_bytes())
        .map_err(|_| WrongSignature)
}
