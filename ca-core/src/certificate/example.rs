//! One fixed certificate, whole and in parts, that the tests of this folder vary.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;

use super::authority_key::{AuthorityKey, ed25519_signature_blob};
use super::draft::{Draft, assemble};
use super::lint::{BACKDATED, Expectations, ExpectedPrincipals, ExpectedWindow};
use super::option_value::{Extension, SourceAddress};
use super::options::Options;
use super::principals::Principals;
use super::subject_key::SubjectKey;
use crate::name::Environment;
use crate::serial::Serial;
use crate::time::{Timestamp, Validity};
use crate::wire::{put_string, string};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const LIFETIME: u64 = 3600;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

pub(crate) fn authority() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn client() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub(crate) fn authority_key() -> AuthorityKey {
    SubjectKey::from(&authority().verifying_key())
        .try_into()
        .unwrap()
}

pub(crate) fn client_key() -> SubjectKey {
    SubjectKey::from(&client().verifying_key())
}

pub(crate) fn principals(names: &[&str]) -> Principals {
    Principals::new(names.iter().map(|name| name.parse().unwrap()).collect()).unwrap()
}

pub(crate) fn draft() -> Draft {
    Draft {
        nonce: [3; 32],
        subject_key: client_key(),
        serial: Serial::new(0, 42).unwrap(),
        mark: crate::certificate::key_id::Mark::Ordinary,
        user: "alice".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        principals: principals(&["deploy", "app"]),
        validity: Validity::new(NOW - BACKDATED.as_secs(), NOW + LIFETIME).unwrap(),
        options: Options {
            extensions: [Extension::PermitPty].into(),
            ..Options::default()
        },
        authority_key: authority_key(),
    }
}

pub(crate) fn sign(tbs: &[u8]) -> Vec<u8> {
    let signature = authority().sign(tbs).to_bytes();
    assemble(tbs, &ed25519_signature_blob(&signature))
}

/// Owns what [`Expectations`] borrows: those of [`draft`]'s issuer, who knows everything.
pub(crate) struct Issuer {
    pub(crate) draft: Draft,
    pub(crate) lifetime: u64,
}

impl Issuer {
    pub(crate) fn of(draft: &Draft) -> Self {
        Self {
            draft: draft.clone(),
            lifetime: LIFETIME,
        }
    }

    pub(crate) fn expects(&self) -> Expectations<'_> {
        Expectations {
            authority_key: &self.draft.authority_key,
            environment: &self.draft.environment,
            subject_key: Some(&self.draft.subject_key),
            principals: ExpectedPrincipals::Exactly(&self.draft.principals),
            window: ExpectedWindow::JustIssued {
                lifetime_max: Duration::from_secs(self.lifetime),
                skew: Duration::ZERO,
            },
            serial: Some(self.draft.serial),
            user: Some(&self.draft.user),
            profile: None,
            options: Some(&self.draft.options),
        }
    }
}

/// The fields of a certificate as raw as they come, to be made wrong one at a time.
#[derive(Clone)]
pub(crate) struct RawFields {
    pub(crate) type_name: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) key_fields: Vec<u8>,
    pub(crate) serial: u64,
    pub(crate) certificate_type: u32,
    pub(crate) key_id: Vec<u8>,
    pub(crate) principals: Vec<Vec<u8>>,
    pub(crate) window: (u64, u64),
    pub(crate) critical: Vec<(&'static str, Vec<u8>)>,
    pub(crate) extensions: Vec<(&'static str, Vec<u8>)>,
    pub(crate) reserved: Vec<u8>,
    pub(crate) authority_blob: Vec<u8>,
}

impl RawFields {
    /// The same certificate as [`draft`].
    pub(crate) fn new() -> Self {
        Self {
            type_name: b"ssh-ed25519-cert-v01@openssh.com".to_vec(),
            nonce: vec![3; 32],
            key_fields: string(client().verifying_key().as_bytes()),
            serial: 42,
            certificate_type: 1,
            key_id: b"alice@prod#42".to_vec(),
            principals: vec![b"deploy".to_vec(), b"app".to_vec()],
            window: (NOW - 60, NOW + LIFETIME),
            critical: vec![],
            extensions: vec![("permit-pty", vec![])],
            reserved: vec![],
            authority_blob: authority_key().blob().to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let pairs = |list: &[(&str, Vec<u8>)]| {
            let mut section = Vec::new();
            for (name, data) in list {
                put_string(&mut section, name.as_bytes());
                put_string(&mut section, data);
            }
            section
        };
        let mut out = string(&self.type_name);
        put_string(&mut out, &self.nonce);
        out.extend_from_slice(&self.key_fields);
        out.extend_from_slice(&self.serial.to_be_bytes());
        out.extend_from_slice(&self.certificate_type.to_be_bytes());
        put_string(&mut out, &self.key_id);
        let names: Vec<u8> = self.principals.iter().flat_map(|p| string(p)).collect();
        put_string(&mut out, &names);
        out.extend_from_slice(&self.window.0.to_be_bytes());
        out.extend_from_slice(&self.window.1.to_be_bytes());
        put_string(&mut out, &pairs(&self.critical));
        put_string(&mut out, &pairs(&self.extensions));
        put_string(&mut out, &self.reserved);
        put_string(&mut out, &self.authority_blob);
        out
    }
}

pub(crate) fn environment(name: &str) -> Environment {
    name.parse().unwrap()
}

fn any_options() -> impl Strategy<Value = Options> {
    let networks = proptest::sample::subsequence(
        vec!["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "0.0.0.0/0"],
        0..4,
    );
    let extensions = proptest::sample::subsequence(Extension::ALL.to_vec(), 0..6);
    let command = proptest::option::of("[ -~]{1,40}");
    (extensions, command, networks).prop_map(|(extensions, command, networks)| {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        Options {
            extensions: extensions.into_iter().collect(),
            force_command: command.map(|text| text.parse().unwrap()),
            source_address: SourceAddress::try_from(networks).unwrap(),
            verify_required: false,
        }
    })
}

prop_compose! {
    /// Any draft that is valid around [`NOW`].
    pub(crate) fn any_draft()(
        nonce in any::<[u8; 32]>(),
        options in any_options(),
        names in proptest::collection::hash_set("[a-z_][a-z0-9._-]{0,31}", 1..=32),
        user in "[a-z0-9][a-z0-9._@+-]{0,63}",
        epoch in 0_u32..1 << 23,
        index in 1_u64..1 << 40,
        lifetime in 1_u64..=LIFETIME,
    ) -> Draft {
        Draft {
            nonce,
            options,
            principals: Principals::new(names.iter().map(|n| n.parse().unwrap()).collect()).unwrap(),
            user: user.parse().unwrap(),
            serial: Serial::new(epoch, index).unwrap(),
            mark: crate::certificate::key_id::Mark::Ordinary,
            validity: Validity::new(NOW - 60, NOW + lifetime).unwrap(),
            ..draft()
        }
    }
}

/// Runs `ssh-keygen` in `folder`, in UTC, and returns what it printed; panics when it fails.
pub(crate) fn ssh_keygen(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "UTC")
        .output()
        .expect("ssh-keygen starts: install openssh-client");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}
