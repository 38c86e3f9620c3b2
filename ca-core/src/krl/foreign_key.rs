//! Whether OpenSSH reads bytes as a public key, of whatever kind.
//!
//! Wider than the keys that are certified or that sign here: a list of somebody else may be about
//! any authority, and sshd refuses the whole list if it cannot read one. Compares shapes and the
//! points of P-256 and P-384; a P-521 point off its curve and a certificate with a wrong signature
//! pass here and not there. Such keys name no authority of ours, so no verdict hangs on them.

use super::KrlError;
use super::section::magnitude;
use crate::certificate::CERTIFICATE_SUFFIX;
use crate::certificate::subject_key::SubjectKey;
use crate::certificate::tbs;
use crate::wire::Fields;

/// Smallest RSA modulus of OpenSSH in bytes (1024 bits, the topmost set).
const RSA_BYTES_MIN: usize = 128;
/// An uncompressed point of P-521.
const P521_POINT: usize = 133;

/// Whether `blob` is a key, or a certificate, in the spelling that `ssh-keygen` writes.
pub(super) fn is_read_by_openssh(blob: &[u8]) -> bool {
    let mut fields = Fields::new(blob);
    let Ok(name) = fields.string() else {
        return false;
    };
    if name.ends_with(CERTIFICATE_SUFFIX.as_bytes()) {
        return tbs::split(blob).is_ok();
    }
    let sound = match name {
        b"ssh-ed25519" => ed25519(&mut fields),
        b"sk-ssh-ed25519@openssh.com" => {
            ed25519(&mut fields).map(|sound| sound && fields.string().is_ok())
        }
        b"ecdsa-sha2-nistp521" => p521(&mut fields),
        b"ssh-rsa" => rsa(&mut fields),
        b"ssh-dss" => numbers::<4>(&mut fields).map(|_| true),
        // Points are checked there as here; other names are refused there.
        _ => return SubjectKey::from_blob(blob).is_ok(),
    };
    sound == Ok(true) && fields.is_empty()
}

/// OpenSSH looks at the length only, so a point off the curve does not make it refuse a list.
fn ed25519(fields: &mut Fields<'_>) -> Result<bool, KrlError> {
    Ok(fields.string()?.len() == 32)
}

fn p521(fields: &mut Fields<'_>) -> Result<bool, KrlError> {
    let (curve, point) = (fields.string()?, fields.string()?);
    Ok(curve == b"nistp521" && point.len() == P521_POINT && point.first() == Some(&4))
}

fn rsa(fields: &mut Fields<'_>) -> Result<bool, KrlError> {
    let [_, modulus] = numbers::<2>(fields)?;
    let full = modulus.len() == RSA_BYTES_MIN && modulus.first().is_some_and(|top| *top >= 0x80);
    Ok(full || modulus.len() > RSA_BYTES_MIN)
}

fn numbers<'a, const N: usize>(fields: &mut Fields<'a>) -> Result<[&'a [u8]; N], KrlError> {
    let mut numbers = [&[][..]; N];
    for number in &mut numbers {
        *number = magnitude(fields.string()?)?;
    }
    Ok(numbers)
}
