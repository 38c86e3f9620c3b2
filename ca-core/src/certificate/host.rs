//! Host certificates: what a host shows so that nobody has to trust its key on first use.
//!
//! No options exist for them: the client refuses any critical one and ignores extensions
//! (draft-miller-ssh-cert §3), so ours have none.

use std::time::Duration;

use super::CERTIFICATE_SIZE_MAX;
use super::authority_key::AuthorityKey;
use super::lint::BACKDATED;
use super::subject_key::SubjectKey;
use super::tbs::{ToBeSigned, split};
use crate::name::{Environment, HostName, UserName};
use crate::serial::Serial;
use crate::time::{Timestamp, Validity};
use crate::wire::put_string;

/// The certificate type number of hosts.
pub const TYPE_HOST: u32 = 2;

/// Most names of one host.
pub const HOST_NAMES_MAX: usize = 16;

/// 1 to [`HOST_NAMES_MAX`] different names. An empty list would be every host to OpenSSH before
/// 10.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNames(Vec<HostName>);

/// No names, too many, or one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host has 1 to {HOST_NAMES_MAX} different names")]
pub struct HostNamesError;

impl HostNames {
    /// These names, in this order.
    ///
    /// # Errors
    ///
    /// [`HostNamesError`]
    pub fn new(names: Vec<HostName>) -> Result<Self, HostNamesError> {
        let different: std::collections::BTreeSet<&HostName> = names.iter().collect();
        if different.len() == names.len() && (1..=HOST_NAMES_MAX).contains(&names.len()) {
            Ok(Self(names))
        } else {
            Err(HostNamesError)
        }
    }

    /// The names.
    #[must_use]
    pub fn as_slice(&self) -> &[HostName] {
        &self.0
    }
}

/// Everything that a host certificate will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDraft {
    /// Fresh random bytes, so that nobody can choose what is signed.
    pub nonce: [u8; 32],
    /// The host key.
    pub subject_key: SubjectKey,
    /// Where the record is.
    pub serial: Serial,
    /// The host's number.
    pub host: u64,
    /// Where it stands.
    pub environment: Environment,
    /// Its names.
    pub names: HostNames,
    /// The window, both ends in seconds.
    pub validity: Validity,
    /// The host CA key that will sign it.
    pub authority_key: AuthorityKey,
}

/// Why a host certificate is not as it was drafted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostCertificateError {
    /// The bytes are no certificate, or not signed by that key.
    #[error("not a certificate of the host CA key")]
    NotSigned,
    /// A field is another than drafted.
    #[error("{0} is not as it must be")]
    Field(&'static str),
}

impl HostDraft {
    /// `host-NUMBER@environment#serial`.
    #[must_use]
    pub fn key_id(&self) -> String {
        let (host, environment, serial) = (self.host, &self.environment, self.serial);
        format!("host-{host}@{environment}#{serial}")
    }

    /// The bytes that the authority signs (draft-miller-ssh-cert §2).
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let kind = self.subject_key.kind();
        put_string(&mut out, kind.certificate_name().as_bytes());
        put_string(&mut out, &self.nonce);
        out.extend_from_slice(self.subject_key.fields());
        out.extend_from_slice(&self.serial.get().to_be_bytes());
        out.extend_from_slice(&TYPE_HOST.to_be_bytes());
        put_string(&mut out, self.key_id().as_bytes());
        let mut names = Vec::new();
        for name in self.names.as_slice() {
            put_string(&mut names, name.as_str().as_bytes());
        }
        put_string(&mut out, &names);
        out.extend_from_slice(&self.validity.valid_after().to_be_bytes());
        out.extend_from_slice(&self.validity.valid_before().to_be_bytes());
        for empty in [b"", b"", b""] {
            put_string(&mut out, empty);
        }
        put_string(&mut out, self.authority_key.blob());
        out
    }
}

/// Checks a finished host certificate against what was decided, reading its bytes again.
///
/// # Errors
///
/// [`HostCertificateError`]; it must not be released, or not be used.
pub fn verify_host(
    certificate: &[u8],
    authority_key: &AuthorityKey,
    (subject, names): (&[u8], &[HostName]),
    (lifetime_max, now): (Duration, Timestamp),
) -> Result<Validity, HostCertificateError> {
    let parts = split(certificate).map_err(|_| HostCertificateError::NotSigned)?;
    authority_key
        .verify(parts.tbs, parts.signature)
        .map_err(|_| HostCertificateError::NotSigned)?;
    check(&parts.fields, authority_key, (subject, names))?;
    let wrong = HostCertificateError::Field;
    if certificate.len() > CERTIFICATE_SIZE_MAX {
        return Err(wrong("size"));
    }
    let window = Validity::new(parts.fields.valid_after, parts.fields.valid_before)
        .map_err(|_| wrong("window"))?;
    let longest = lifetime_max.saturating_add(BACKDATED).as_secs();
    let length = window.valid_before().saturating_sub(window.valid_after());
    if length > longest || !window.contains(now) {
        return Err(wrong("window"));
    }
    Ok(window)
}

fn check(
    found: &ToBeSigned,
    authority_key: &AuthorityKey,
    (subject, names): (&[u8], &[HostName]),
) -> Result<(), HostCertificateError> {
    let same_names = found.principals.len() == names.len()
        && found
            .principals
            .iter()
            .zip(names)
            .all(|(found, name)| found == name.as_str());
    let rules = [
        ("type", found.certificate_type == TYPE_HOST),
        ("CA key", found.authority_blob == authority_key.blob()),
        ("host key", found.subject_blob == subject),
        ("serial", Serial::try_from(found.serial).is_ok()),
        (
            "names",
            same_names && HostNames::new(names.to_vec()).is_ok(),
        ),
        ("critical options", found.critical_options.is_empty()),
        ("extensions", found.extensions.is_empty()),
        ("key id", is_key_id(&found.key_id, found.serial)),
    ];
    match rules.iter().find(|(_, kept)| !kept) {
        Some((field, _)) => Err(HostCertificateError::Field(field)),
        None => Ok(()),
    }
}

fn is_key_id(text: &str, serial: u64) -> bool {
    let parsed: Result<super::key_id::KeyId, _> = text.parse();
    parsed.is_ok_and(|id| id.serial.get() == serial && is_host(&id.user))
}

fn is_host(user: &UserName) -> bool {
    let number = user.as_str().strip_prefix("host-");
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::super::authority_key::ed25519_signature_blob;
    use super::super::draft::{assemble, openssh_line};
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const DAY: Duration = Duration::from_secs(86_400);

    fn key(seed: u8) -> (SigningKey, Vec<u8>) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, key.verifying_key().as_bytes());
        (key, blob)
    }

    fn draft(names: &[&str]) -> (HostDraft, SigningKey) {
        let (ca, ca_blob) = key(1);
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        let draft = HostDraft {
            nonce: [9; 32],
            subject_key: SubjectKey::from_blob(&key(2).1).unwrap(),
            serial: Serial::new(1, 42).unwrap(),
            host: 17,
            environment: "prod".parse().unwrap(),
            names: HostNames::new(names).unwrap(),
            validity: Validity::new(NOW - 60, NOW + 86_400).unwrap(),
            authority_key: AuthorityKey::from_blob(&ca_blob).unwrap(),
        };
        (draft, ca)
    }

    fn signed(draft: &HostDraft, ca: &SigningKey) -> Vec<u8> {
        let tbs = draft.to_be_signed();
        assemble(&tbs, &ed25519_signature_blob(&ca.sign(&tbs).to_bytes()))
    }

    #[test]
    fn openssh_reads_a_host_certificate_as_it_was_drafted() {
        let (draft, ca) = draft(&["web1.prod.example.com", "web1"]);
        let line = openssh_line(&signed(&draft, &ca), "host").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host-cert.pub");
        std::fs::write(&path, format!("{line}\n")).unwrap();
        let shown = std::process::Command::new("ssh-keygen")
            .arg("-Lf")
            .arg(&path)
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        for part in [
            "ed25519-cert-v01@openssh.com host certificate",
            "Key ID: \"host-17@prod#1099511627818\"",
            "web1.prod.example.com\n",
            "Critical Options: (none)",
            "Extensions: (none)",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
    }

    #[test]
    fn what_differs_from_the_decision_is_not_released() {
        let (draft, ca) = draft(&["web1"]);
        let blob = signed(&draft, &ca);
        let now = Timestamp::from_unix_seconds(NOW);
        let subject = key(2).1;
        let names = draft.names.as_slice().to_vec();
        let verify = |blob: &[u8], subject: &[u8], names: &[HostName], at| {
            verify_host(blob, &draft.authority_key, (subject, names), (DAY, at))
        };
        assert!(verify(&blob, &subject, &names, now).is_ok());
        let other: Vec<HostName> = vec!["web2".parse().unwrap()];
        assert!(verify(&blob, &subject, &other, now).is_err());
        assert!(verify(&blob, &key(3).1, &names, now).is_err());
        assert!(verify(&blob, &subject, &names, now.plus(DAY * 2)).is_err());
        for at in (0..blob.len()).step_by(7) {
            let mut bad = blob.clone();
            bad[at] ^= 1;
            assert!(verify(&bad, &subject, &names, now).is_err(), "byte {at}");
        }
    }

    #[test]
    fn no_names_many_names_and_doubles_are_no_names() {
        assert_eq!(HostNames::new(Vec::new()), Err(HostNamesError));
        let name: HostName = "a".parse().unwrap();
        assert_eq!(
            HostNames::new(vec![name.clone(), name]),
            Err(HostNamesError)
        );
        let many = (0..17).map(|n| format!("h{n}").parse().unwrap()).collect();
        assert_eq!(HostNames::new(many), Err(HostNamesError));
    }
}
