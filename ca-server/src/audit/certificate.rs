//! Whether a recorded to-be-signed certificate is what its event says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ca_core::certificate::tbs::ToBeSigned;
use ca_core::event::CertificateIssued;
use ca_core::serial::Serial;
use sha2::{Digest as _, Sha256};

const USER_CERTIFICATE: u32 = 1;

/// The authority's key blob of the certificate, if all the rest agrees with the event of a record
/// at `index` in `epoch`.
pub(super) fn check(
    issued: &CertificateIssued,
    to_be_signed: &[u8],
    (epoch, index): (u32, u64),
) -> Result<Vec<u8>, String> {
    let found = ToBeSigned::parse(to_be_signed).map_err(|error| error.to_string())?;
    let serial = Serial::new(epoch, index).map_err(|error| error.to_string())?;
    let fingerprint = format!(
        "SHA256:{}",
        STANDARD_NO_PAD.encode(Sha256::digest(&found.subject_blob))
    );
    let principals = issued.asked.principals.iter().map(|name| name.as_str());
    let key_id = format!(
        "{}@{}#{serial}",
        issued.person.user, issued.asked.environment
    );
    let agree = [
        ("type", found.certificate_type == USER_CERTIFICATE),
        (
            "serial",
            found.serial == serial.get() && issued.serial == serial.get(),
        ),
        ("key id", found.key_id == key_id && issued.key_id == key_id),
        (
            "principals",
            found.principals.iter().map(String::as_str).eq(principals),
        ),
        ("start", found.valid_after == issued.valid_after),
        ("end", found.valid_before == issued.valid_before),
        ("subject key", fingerprint == issued.subject_key),
    ];
    match agree.into_iter().find(|(_, agrees)| !agrees) {
        Some((field, _)) => Err(format!("certificate and event differ: {field}")),
        None => Ok(found.authority_blob),
    }
}
