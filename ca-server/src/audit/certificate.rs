//! Whether a recorded to-be-signed certificate is what its event says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ca_core::certificate::draft::TYPE_USER;
use ca_core::certificate::host::TYPE_HOST;
use ca_core::certificate::key_id::{KeyId, Mark};
use ca_core::certificate::tbs::ToBeSigned;
use ca_core::event::{CertificateIssued, HostCertificateIssued};
use ca_core::serial::Serial;
use sha2::{Digest as _, Sha256};

/// The authority's key blob of the certificate, if all the rest agrees with the event of a record
/// at `index` in `epoch`.
pub(super) fn check(
    issued: &CertificateIssued,
    to_be_signed: &[u8],
    (epoch, index): (u32, u64),
) -> Result<Vec<u8>, String> {
    let found = ToBeSigned::parse(to_be_signed).map_err(|error| error.to_string())?;
    let serial = Serial::new(epoch, index).map_err(|error| error.to_string())?;
    let principals = issued.asked.principals.iter().map(|name| name.as_str());
    let key_id = KeyId {
        user: issued.person.user.clone(),
        environment: issued.asked.environment.clone(),
        serial,
        mark: if issued.break_glass {
            Mark::BreakGlass
        } else {
            Mark::Ordinary
        },
    };
    let key_id = key_id.to_string();
    let agree = [
        ("type", found.certificate_type == TYPE_USER),
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
        ("subject key", fingerprint(&found) == issued.subject_key),
    ];
    agreed(&agree)?;
    Ok(found.authority_blob)
}

/// The same for a host certificate.
pub(super) fn check_host(
    issued: &HostCertificateIssued,
    to_be_signed: &[u8],
    (epoch, index): (u32, u64),
) -> Result<Vec<u8>, String> {
    let found = ToBeSigned::parse(to_be_signed).map_err(|error| error.to_string())?;
    let serial = Serial::new(epoch, index).map_err(|error| error.to_string())?;
    let names = issued.names.iter().map(|name| name.as_str());
    let key_id = format!("host-{}@{}#{serial}", issued.host, issued.environment);
    let agree = [
        ("type", found.certificate_type == TYPE_HOST),
        (
            "serial",
            found.serial == serial.get() && issued.serial == serial.get(),
        ),
        ("key id", found.key_id == key_id && issued.key_id == key_id),
        (
            "names",
            found.principals.iter().map(String::as_str).eq(names),
        ),
        ("start", found.valid_after == issued.valid_after),
        ("end", found.valid_before == issued.valid_before),
        ("subject key", fingerprint(&found) == issued.subject_key),
    ];
    agreed(&agree)?;
    Ok(found.authority_blob)
}

fn fingerprint(found: &ToBeSigned) -> String {
    let digest = Sha256::digest(&found.subject_blob);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
}

fn agreed(fields: &[(&str, bool)]) -> Result<(), String> {
    match fields.iter().find(|(_, agrees)| !agrees) {
        Some((field, _)) => Err(format!("certificate and event differ: {field}")),
        None => Ok(()),
    }
}
