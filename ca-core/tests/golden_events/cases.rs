//! What is compared with the files, and a log made of the same events.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use ca_core::event::Event;
use ca_core::time::Timestamp;
use ca_core::tlog::checkpoint::Checkpoint;
use ca_core::tlog::hash::{Hash, leaf_hash};
use ca_core::tlog::leaf::{Leaf, NO_SUBJECT, context_digest, subject_digest};
use ca_core::tlog::note::VerifierKey;
use ca_core::tlog::receipt::Receipt;
use ca_core::tlog::tree::{Batch, Peaks};
use ed25519_dalek::SigningKey;

use crate::examples::{PRECERTIFICATE, examples};

const ORIGIN: &str = "ca.example.com/2027a";

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The file's text without its final line feed; written first if it is missing and that was asked.
fn read_or_write(name: &str, now: &str) -> String {
    let path = golden(name);
    let write = std::env::var("JIT_SSH_GOLDEN").is_ok_and(|value| value == "write");
    if write && !path.exists() {
        std::fs::write(&path, format!("{now}\n")).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn every_event_is_spelled_as_it_always_was() {
    for (name, event) in examples() {
        let bytes = String::from_utf8(event.to_bytes().unwrap()).unwrap();
        let written = read_or_write(&format!("{name}.json"), &bytes);
        assert_eq!(bytes, written, "{name}");
        assert_eq!(
            Event::from_bytes(written.as_bytes()).unwrap(),
            event,
            "{name}"
        );
    }
}

#[test]
fn every_type_of_event_has_an_example_and_every_file_is_one() {
    let examples = examples();
    let types: BTreeSet<&str> = examples.iter().map(|(_, event)| event.name()).collect();
    assert_eq!(types.len(), EVENT_TYPES);
    assert!(types.iter().copied().eq(Event::NAMES));
    let files: BTreeSet<String> = std::fs::read_dir(golden(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    let names: BTreeSet<String> = examples
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(files, names);
    for (name, event) in &examples {
        let json: serde_json::Value = serde_json::from_slice(&event.to_bytes().unwrap()).unwrap();
        assert_eq!(json["v"], 1, "{name}");
        assert_eq!(json["type"], event.name(), "{name}");
        assert!(name.starts_with(event.name()), "{name}");
    }
}

/// Variants of [`Event`]. The match fails to compile when there is another: add its example.
const EVENT_TYPES: usize = {
    const fn _all(event: &Event) {
        match event {
            Event::AuditRead(_)
            | Event::BreakGlassImported(_)
            | Event::BreakGlassKeyAdded(_)
            | Event::BreakGlassKeyRemoved(_)
            | Event::BreakGlassSessionOpened(_)
            | Event::CaKeyAdded(_)
            | Event::CertificateIssued(_)
            | Event::CertificatesRevoked(_)
            | Event::FreezeLifted(_)
            | Event::Frozen(_)
            | Event::HostAcknowledged(_)
            | Event::HostCertificateIssued(_)
            | Event::HostEnrolled(_)
            | Event::HostRemoved(_)
            | Event::JoinTokenIssued(_)
            | Event::LogCreated(_)
            | Event::PolicyLoaded(_)
            | Event::PolicyText(_)
            | Event::Refused(_)
            | Event::RefusalsSummarised(_)
            | Event::RequestApproved(_)
            | Event::RequestDenied(_)
            | Event::RequestExpired(_)
            | Event::RequestOpened(_)
            | Event::RequestWithdrawn(_)
            | Event::ReviewClosed(_)
            | Event::SessionClosed(_)
            | Event::SessionOpened(_)
            | Event::SshSessionReported(_)
            | Event::TicketIssued(_)
            | Event::TotpConfirmed(_)
            | Event::TotpOffered(_) => {}
        }
    }
    32
};

/// Examples that `log.txt` is made of; the rest is in `log-access-and-hosts.txt`.
const FIRST: usize = 20;

/// Examples that `log-access-and-hosts.txt` is made of; what came later is in no log.
const SECOND: usize = 30;

#[test]
fn a_log_of_the_examples_has_the_bytes_it_always_had() {
    let mut examples = examples();
    let mut rest = examples.split_off(FIRST);
    rest.truncate(SECOND);
    let text = log_of(&examples);
    assert_eq!(text, read_or_write("log.txt", &text));
    let text = log_of(&rest);
    assert_eq!(text, read_or_write("log-access-and-hosts.txt", &text));
}

/// Events as a log: leaf and leaf hash of each, root, checkpoint and one receipt.
fn log_of(examples: &[(&str, Event)]) -> String {
    let key = SigningKey::from_bytes(&[7; 32]);
    let verifier = VerifierKey::new(ORIGIN.parse().unwrap(), key.verifying_key());
    let mut text = format!("vkey {verifier}\n");
    let mut leaves: Vec<[u8; Leaf::LENGTH]> = Vec::new();
    for (index, (name, event)) in (0_u8..).zip(examples) {
        let precertificate = matches!(
            event,
            Event::CertificateIssued(_) | Event::HostCertificateIssued(_)
        )
        .then_some(PRECERTIFICATE);
        let leaf = Leaf {
            kind: event.kind(),
            time: Timestamp::from_unix_milliseconds(1_800_000_000_000 + u64::from(index) * 1500),
            subject_digest: precertificate.map_or(NO_SUBJECT, subject_digest),
            context_digest: context_digest(&[index; 32], &event.to_bytes().unwrap()),
        }
        .encode();
        writeln!(text, "{index} {name}\n  leaf {}", hex(&leaf)).unwrap();
        writeln!(text, "  hash {}", leaf_hash(&leaf)).unwrap();
        leaves.push(leaf);
    }
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let tree = Batch::append(&Peaks::new(), &hashes).unwrap();
    let checkpoint = Checkpoint::new(ORIGIN.parse().unwrap(), tree.size(), tree.root()).unwrap();
    let note = checkpoint.sign(&key);
    let receipt = Receipt::new(
        Some(leaves[2].to_vec()),
        2,
        tree.proof(2).unwrap(),
        note.clone(),
    )
    .unwrap();
    receipt.verify(&leaves[2], &verifier).unwrap();
    write!(text, "\ncheckpoint\n{note}\nreceipt of 2\n{receipt}").unwrap();
    text.trim_end().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
