use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

use super::*;
use crate::certificate::authority_key::ed25519_signature_blob;
use crate::certificate::draft::{Draft, assemble, openssh_line};
use crate::certificate::options::Options;
use crate::certificate::subject_key::SubjectKey;
use crate::time::Validity;

const SUBJECT: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxwGDKHPDlVPr9UiYQyU47HsSTyYowW55+GBRGgUfIq";

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> AuthorityKey {
    let mut blob = Vec::new();
    crate::wire::put_string(&mut blob, b"ssh-ed25519");
    crate::wire::put_string(&mut blob, key.verifying_key().as_bytes());
    AuthorityKey::from_blob(&blob).unwrap()
}

fn signature(key: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    ed25519_signature_blob(&key.sign(bytes).to_bytes())
}

/// A certificate for an hour, with `change` made to its draft, and its record.
fn signed(key: &SigningKey, change: impl FnOnce(&mut Draft)) -> SignedRecord {
    let (after, before) = window(now(), Duration::from_secs(3600));
    let subject: SubjectKey = SUBJECT.parse().unwrap();
    let mut draft = Draft {
        nonce: [7; 32],
        subject_key: subject.clone(),
        serial: Serial::new(Serial::OFFLINE_EPOCH, 42).unwrap(),
        mark: Mark::BreakGlass,
        user: "alice".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        validity: Validity::new(after, before).unwrap(),
        options: Options {
            extensions: [Extension::PermitPty].into(),
            ..Options::default()
        },
        authority_key: public(key),
    };
    change(&mut draft);
    let tbs = draft.to_be_signed();
    let certificate = assemble(&tbs, &signature(key, &tbs));
    let record = Record {
        version: Record::VERSION,
        environment: "prod".parse().unwrap(),
        user: "alice".parse().unwrap(),
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        reason: "INC-42 the authority is down".to_owned(),
        holders: vec!["bob".parse().unwrap(), "carol".parse().unwrap()],
        set: "0123456789abcdef".to_owned(),
        signed_at: now(),
        serial: draft.serial,
        subject_key: subject.fingerprint(),
        valid_after: after,
        valid_before: before,
        authority_key: public(key),
        certificate: openssh_line(&certificate, "").unwrap(),
    };
    let blob = signature(key, &record.to_be_signed().unwrap());
    SignedRecord::new(record, &blob)
}

/// `change` made to the record, and the record signed again by whoever has the key.
fn lied(key: &SigningKey, change: impl FnOnce(&mut Record)) -> SignedRecord {
    let mut record = signed(key, |_| {}).record;
    change(&mut record);
    let blob = signature(key, &record.to_be_signed().unwrap());
    SignedRecord::new(record, &blob)
}

#[test]
fn a_record_reads_back_from_its_file_and_is_believed_under_its_own_key_only() {
    let (ours, other) = (key(1), key(2));
    let record = signed(&ours, |_| {});
    let read = SignedRecord::from_bytes(&record.to_bytes().unwrap()).unwrap();
    assert_eq!(read, record);
    read.verify(&public(&ours), now()).unwrap();
    read.verify(&public(&ours), now().plus(Duration::from_secs(9_999_999)))
        .unwrap();
    assert!(matches!(
        read.verify(&public(&other), now()),
        Err(RecordError::Altered)
    ));
}

#[test]
fn no_word_of_a_record_can_be_changed_afterwards() {
    let ours = key(1);
    let mut record = signed(&ours, |_| {});
    record.record.reason = "a drill".to_owned();
    let error = record.verify(&public(&ours), now()).unwrap_err();
    assert!(matches!(error, RecordError::Altered), "{error}");
    let mut record = signed(&ours, |_| {});
    record.record.holders.pop();
    assert!(record.verify(&public(&ours), now()).is_err());
    let mut record = signed(&ours, |_| {});
    record.signature = "AAAA".to_owned();
    assert!(record.verify(&public(&ours), now()).is_err());
}

#[test]
fn a_record_that_says_something_else_than_its_certificate_is_refused_though_the_key_signed_it() {
    let ours = key(1);
    let refused = |record: SignedRecord| record.verify(&public(&ours), now()).is_err();
    assert!(!refused(lied(&ours, |_| {})));
    assert!(refused(lied(&ours, |r| r.user = "bob".parse().unwrap())));
    let staging = "staging".parse().unwrap();
    assert!(refused(lied(&ours, |r| r.environment = staging)));
    let root = Principals::new(vec!["root".parse().unwrap()]).unwrap();
    assert!(refused(lied(&ours, |r| r.principals = root)));
    assert!(refused(lied(&ours, |r| r.valid_before -= 1)));
    assert!(refused(lied(&ours, |r| r.subject_key.push('x'))));
    assert!(refused(lied(&ours, |r| r.holders.clear())));
    assert!(refused(lied(&ours, |r| r.reason = "  ".to_owned())));
    let other = Serial::new(Serial::OFFLINE_EPOCH, 43).unwrap();
    assert!(refused(lied(&ours, |r| r.serial = other)));
}

#[test]
fn a_certificate_that_the_offline_key_may_not_sign_is_refused() {
    let ours = key(1);
    let refused =
        |change: fn(&mut Draft)| signed(&ours, change).verify(&public(&ours), now()).is_err();
    assert!(!refused(|_| {}));
    assert!(refused(|d| d.mark = Mark::Ordinary));
    assert!(refused(|d| d.serial = Serial::new(1, 42).unwrap()));
    assert!(refused(|d| {
        d.options.extensions.insert(Extension::PermitPortForwarding);
    }));
    assert!(refused(|d| {
        let after = d.validity.valid_after();
        let too_long = after + 60 + u64::from(LIFETIME_MAX_SECONDS) + 1;
        d.validity = Validity::new(after, too_long).unwrap();
    }));
}

#[test]
fn a_record_from_the_future_or_of_another_version_is_refused() {
    let ours = key(1);
    let record = signed(&ours, |_| {});
    let before = now().minus(Duration::from_secs(301));
    assert!(matches!(
        record.verify(&public(&ours), before),
        Err(RecordError::Future(_))
    ));
    let bytes = lied(&ours, |r| r.version = 2).to_bytes().unwrap();
    assert!(matches!(
        SignedRecord::from_bytes(&bytes),
        Err(RecordError::Version(2))
    ));
    assert!(matches!(
        SignedRecord::from_bytes(&vec![b' '; RECORD_BYTES_MAX + 1]),
        Err(RecordError::TooLarge(_))
    ));
}

proptest! {
    #[test]
    fn whatever_bytes_are_read_as_a_record_are_written_as_one(bytes: Vec<u8>, at in 0_usize..2000, with: u8) {
        assert!(SignedRecord::from_bytes(&bytes).is_err());
        let mut file = signed(&key(1), |_| {}).to_bytes().unwrap();
        let at = at % file.len();
        file[at] = with;
        if let Ok(read) = SignedRecord::from_bytes(&file) {
            let written = read.to_bytes().unwrap();
            prop_assert_eq!(SignedRecord::from_bytes(&written).unwrap(), read);
        }
    }
}
