//! Certificates of any serial, and `ssh-keygen -Q` to ask about them, for the tests of this folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use ed25519_dalek::{Signer as _, SigningKey};

use super::{Certified, Comment, Contents, Krl, SerialRange, Serials};
use crate::certificate::authority_key::{AuthorityKey, ed25519_signature_blob};
use crate::certificate::draft::{assemble, openssh_line};
use crate::certificate::example::{RawFields, authority, client_key, now};
use crate::certificate::subject_key::SubjectKey;

/// A certificate of the example's client, as far as a list can see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'a> {
    pub(super) serial: u64,
    pub(super) key_id: &'a str,
}

/// What `ssh-keygen -Q` thinks: one verdict for each file, or the list is unreadable.
pub(super) type Verdict = Result<Vec<bool>, String>;

pub(super) fn other_authority() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

pub(super) fn key_of(signing: &SigningKey) -> AuthorityKey {
    SubjectKey::from(&signing.verifying_key())
        .try_into()
        .unwrap()
}

pub(super) fn range(first: u64, last: u64) -> SerialRange {
    SerialRange::new(first, last).unwrap()
}

/// A list of the example's authority that revokes these.
pub(super) fn contents(serials: Serials) -> Contents {
    Contents {
        version: (1 << 40) | 17,
        generated: now(),
        comment: "jit-ssh prod".parse::<Comment>().unwrap(),
        certificates: vec![(key_of(&authority()), serials)],
        keys: vec![],
    }
}

impl Probe<'_> {
    pub(super) const fn serial(serial: u64) -> Self {
        Self {
            serial,
            key_id: "alice@prod",
        }
    }

    fn line(&self, signing: &SigningKey) -> String {
        let fields = RawFields {
            serial: self.serial,
            key_id: self.key_id.as_bytes().to_vec(),
            authority_blob: key_of(signing).blob().to_vec(),
            ..RawFields::new()
        };
        let tbs = fields.bytes();
        let signature = ed25519_signature_blob(&signing.sign(&tbs).to_bytes());
        openssh_line(&assemble(&tbs, &signature), "").unwrap()
    }

    /// Our verdict.
    pub(super) fn revoked_by(&self, krl: &Krl, signing: &SigningKey) -> bool {
        krl.revokes(&Certified {
            authority: &key_of(signing),
            serial: self.serial,
            key_id: self.key_id,
            subject_key: client_key().blob(),
        })
    }
}

/// Asks OpenSSH about certificates of `signing`.
pub(super) fn openssh_revokes(krl: &[u8], signing: &SigningKey, probes: &[Probe<'_>]) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (number, probe) in probes.iter().enumerate() {
        let name = format!("{number}-cert.pub");
        fs::write(folder.path().join(&name), probe.line(signing)).unwrap();
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    openssh_revokes_files(folder.path(), krl, &names)
}

/// Asks OpenSSH about files in `folder`.
pub(super) fn openssh_revokes_files(folder: &Path, krl: &[u8], names: &[&str]) -> Verdict {
    fs::write(folder.join("krl"), krl).unwrap();
    let output = Command::new("ssh-keygen")
        .args(["-Q", "-f", "krl"])
        .args(names)
        .current_dir(folder)
        .output()
        .expect("ssh-keygen starts: install openssh-client");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<bool> = lines
        .lines()
        .map(|line| {
            let revoked = line.ends_with(": REVOKED");
            assert!(revoked || line.ends_with(": ok"), "{line}");
            revoked
        })
        .collect();
    match output.status.code() {
        Some(255) => Err(errors),
        Some(code @ (0 | 1)) => {
            assert_eq!(verdicts.len(), names.len(), "{errors}");
            assert_eq!(code == 1, verdicts.contains(&true), "{lines}");
            Ok(verdicts)
        }
        other => panic!("{other:?} {errors}"),
    }
}
