//! Examples of emergencies while the authority was away.

use ca_core::break_glass::Record;
use ca_core::certificate::principals::Principals;
use ca_core::event::{BreakGlassImported, Event};
use ca_core::serial::Serial;

use crate::examples::{NOW, at, digest};

/// The certificate is no real one: golden files are about spelling.
pub(crate) fn all() -> Vec<(&'static str, Event)> {
    let record = Record {
        version: Record::VERSION,
        environment: "prod".parse().unwrap(),
        user: "alice".parse().unwrap(),
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        reason: "INC-42 the authority is down".to_owned(),
        holders: vec!["bob".parse().unwrap(), "carol".parse().unwrap()],
        set: "0123456789abcdef".to_owned(),
        signed_at: at(NOW),
        serial: Serial::new(Serial::OFFLINE_EPOCH, 42).unwrap(),
        subject_key: "SHA256:uLd1q+cgSMNZDEMJR1TNVVAQ2fWWPAXlJhEHdZcXqcA".to_owned(),
        valid_after: NOW - 60,
        valid_before: NOW + 1800,
        authority_key:
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
                .parse()
                .unwrap(),
        certificate: "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
    };
    let imported = BreakGlassImported {
        record,
        signature: "c2lnbmF0dXJl".to_owned(),
        record_digest: digest("record"),
        imported_by: "root".to_owned(),
    };
    vec![(
        "break-glass-imported",
        Event::BreakGlassImported(Box::new(imported)),
    )]
}
