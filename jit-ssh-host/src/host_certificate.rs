//! The host certificate: when to renew it, and putting it where sshd reads it.

use ca_core::api::HostCertificate;
use ca_core::time::Timestamp;

use crate::failure::Failure;
use crate::file::{self, Keep};
use crate::journal;
use crate::place::Place;
use crate::sshd;

/// Whether it is to be renewed: two thirds of its window are over, or there is none although the
/// environment has a host CA key.
pub(crate) fn renewal_is_due(
    held: Option<&HostCertificate>,
    has_host_ca: bool,
    now: Timestamp,
) -> bool {
    match held {
        None => has_host_ca,
        Some(certificate) => now >= renewal_at(certificate),
    }
}

/// When two thirds of its window are over.
fn renewal_at(certificate: &HostCertificate) -> Timestamp {
    let window = certificate.valid_before.since(certificate.valid_after);
    certificate.valid_after.plus(window / 3).plus(window / 3)
}

/// Puts a certificate in place. A crash between the two files means one renewal too many.
///
/// # Errors
///
/// A [`Failure`] naming a file.
pub(crate) fn install(place: &Place, certificate: &HostCertificate) -> Result<(), Failure> {
    let line = format!("{}\n", certificate.certificate.trim());
    file::replace(
        &place.host_certificate(),
        line.as_bytes(),
        0o644,
        Keep::Durably,
    )?;
    file::replace_json(&place.host_certificate_window(), certificate, Keep::Durably)
}

/// Makes sshd read a renewed certificate: up to 9.7 it does at every connection, later versions
/// only when told.
pub(crate) fn tell_sshd(place: &Place) {
    let config = &place.config;
    if sshd::reads_host_certificates_at_start_only(&config.sshd) {
        match sshd::reload(&config.reload) {
            Ok(()) => journal::info("sshd was told to read its host certificate again"),
            Err(failure) => journal::warning(&failure.what),
        }
    }
}

/// What is in place.
pub(crate) fn held(place: &Place) -> Option<HostCertificate> {
    file::read_json(&place.host_certificate_window()).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_window_are_over() {
        let at = Timestamp::from_unix_seconds;
        let certificate = HostCertificate {
            certificate: String::new(),
            serial: 1,
            valid_after: at(900),
            valid_before: at(1200),
        };
        let due = |second| renewal_is_due(Some(&certificate), true, at(second));
        assert!(!due(1099));
        assert!(due(1100));
        assert!(due(5000));
        assert!(renewal_is_due(None, true, at(0)));
        assert!(!renewal_is_due(None, false, at(0)));
    }
}
