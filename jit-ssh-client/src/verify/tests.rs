//! Answers as an honest CA gives them, and each way in which one may lie.

use ca_core::api::{DiscoveredEnvironment, DiscoveredLog};
use ca_core::certificate::authority_key::ed25519_signature_blob;
use ca_core::certificate::draft::{Draft, assemble, openssh_line};
use ca_core::certificate::key_id::Mark;
use ca_core::certificate::options::Options;
use ca_core::serial::Serial;
use ca_core::time::Validity;
use ca_core::tlog::checkpoint::Checkpoint;
use ca_core::tlog::hash::leaf_hash;
use ca_core::tlog::note::KeyName;
use ca_core::tlog::tree::{Batch, Peaks};
use ed25519_dalek::{Signer, SigningKey};

use super::*;
use crate::agent::public_line;
use crate::pins::tests::discovery;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const EPOCH: u32 = 5;
pub(crate) const INDEX: u64 = 1;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn environment() -> DiscoveredEnvironment {
    let mut environment = discovery().environments.remove(0);
    environment.ca_public_key = public_line(&key(1)).unwrap();
    environment
}

fn log_name() -> KeyName {
    "ca.example/log".parse().unwrap()
}

pub(crate) fn log() -> DiscoveredLog {
    DiscoveredLog {
        origin: log_name().to_string(),
        verifier_key: VerifierKey::new(log_name(), key(2).verifying_key()).to_string(),
        epoch: EPOCH,
    }
}

/// What an honest CA would decide for `deploy` and an hour.
pub(crate) fn draft() -> Draft {
    Draft {
        nonce: [7; 32],
        subject_key: public_line(&key(3)).unwrap().parse().unwrap(),
        serial: Serial::new(EPOCH, INDEX).unwrap(),
        mark: Mark::Ordinary,
        user: "alice".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
        validity: Validity::new(NOW - 60, NOW + 3600).unwrap(),
        options: Options::default(),
        authority_key: public_line(&key(1)).unwrap().parse().unwrap(),
    }
}

/// The answer that carries `draft` as `logged` recorded it.
fn answer(draft: &Draft, authority: &SigningKey, logged: &Leaf, log_key: u8) -> IssuedCertificate {
    let tbs = draft.to_be_signed();
    let signature = ed25519_signature_blob(&authority.sign(&tbs).to_bytes());
    let entry = logged.encode();
    let leaves = [leaf_hash(b"first"), leaf_hash(&entry), leaf_hash(b"third")];
    let batch = Batch::append(&Peaks::default(), &leaves).unwrap();
    let checkpoint = Checkpoint::new(log_name(), 3, batch.root()).unwrap();
    let note = checkpoint.sign(&key(log_key));
    let proof = batch.proof(INDEX).unwrap();
    let receipt = Receipt::new(Some(entry.to_vec()), INDEX, proof, note).unwrap();
    IssuedCertificate {
        certificate: openssh_line(&assemble(&tbs, &signature), "").unwrap(),
        serial: draft.serial.get(),
        environment: draft.environment.clone(),
        principals: draft.principals.as_slice().to_vec(),
        key_id: draft.key_id().to_string(),
        valid_after: Timestamp::from_unix_seconds(draft.validity.valid_after()),
        valid_before: Timestamp::from_unix_seconds(draft.validity.valid_before()),
        policies: vec![],
        receipt: receipt.to_string(),
        server_time: Timestamp::from_unix_seconds(NOW),
    }
}

pub(crate) fn leaf(draft: &Draft) -> Leaf {
    Leaf {
        kind: Kind::UserCertificate,
        time: Timestamp::from_unix_seconds(NOW),
        subject_digest: subject_digest(&draft.to_be_signed()),
        context_digest: [9; 32],
    }
}

pub(crate) fn honest(draft: &Draft) -> IssuedCertificate {
    answer(draft, &key(1), &leaf(draft), 2)
}

fn verdict(answer: &IssuedCertificate) -> Result<VerifiedCertificate, DistrustError> {
    verdict_at(answer, NOW)
}

fn verdict_at(answer: &IssuedCertificate, now: u64) -> Result<VerifiedCertificate, DistrustError> {
    verdict_as(Mark::Ordinary, answer, now)
}

fn verdict_as(
    mark: Mark,
    answer: &IssuedCertificate,
    now: u64,
) -> Result<VerifiedCertificate, DistrustError> {
    let asked = Asked {
        environment: &environment(),
        log: &log(),
        principals: &["deploy".parse().unwrap()],
        duration: Some(Duration::from_secs(3600)),
        subject_key: &public_line(&key(3)).unwrap().parse().unwrap(),
        mark,
    };
    verify(answer, &asked, Timestamp::from_unix_seconds(now))
}

#[test]
fn an_honest_answer_is_used() {
    assert_eq!(verdict(&honest(&draft())).unwrap().serial(), draft().serial);
}

#[test]
fn an_emergency_is_marked_and_recorded_as_one_or_not_used() {
    let mut marked = draft();
    marked.mark = Mark::BreakGlass;
    let entry = |kind| Leaf {
        kind,
        ..leaf(&marked)
    };
    let recorded = answer(&marked, &key(1), &entry(Kind::BreakGlass), 2);
    assert!(verdict_as(Mark::BreakGlass, &recorded, NOW).is_ok());
    // Passed off as ordinary, in the log, in the certificate or by what was asked for.
    let quiet = answer(&marked, &key(1), &entry(Kind::UserCertificate), 2);
    let refused = |mark, answer: &IssuedCertificate| verdict_as(mark, answer, NOW).unwrap_err();
    let error = refused(Mark::BreakGlass, &quiet);
    assert!(matches!(error, DistrustError::Receipt(_)), "{error}");
    let error = refused(Mark::BreakGlass, &honest(&draft()));
    assert!(matches!(error, DistrustError::Mark), "{error}");
    let error = refused(Mark::Ordinary, &recorded);
    assert!(matches!(error, DistrustError::Mark), "{error}");
}

#[test]
fn a_certificate_by_another_authority_is_refused() {
    let mut other = draft();
    other.authority_key = public_line(&key(4)).unwrap().parse().unwrap();
    let answer = answer(&other, &key(4), &leaf(&other), 2);
    let error = verdict(&answer).unwrap_err();
    assert!(matches!(
        error,
        DistrustError::Certificate(VerifyError::Signature)
    ));
    assert_eq!(Failure::from(error).exit, Exit::Broken);
}

#[test]
fn a_certificate_for_another_key_environment_name_or_longer_window_is_refused() {
    let changes: [fn(&mut Draft); 4] = [
        |d| d.subject_key = public_line(&key(5)).unwrap().parse().unwrap(),
        |d| d.environment = "staging".parse().unwrap(),
        |d| d.principals = Principals::new(vec!["root".parse().unwrap()]).unwrap(),
        |d| d.validity = Validity::new(NOW - 60, NOW + 7200).unwrap(),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut draft = draft();
        change(&mut draft);
        assert!(verdict(&honest(&draft)).is_err(), "change {at}");
    }
}

#[test]
fn an_answer_that_hides_another_name_than_it_shows_is_refused() {
    let mut wider = draft();
    let both = vec!["deploy".parse().unwrap(), "root".parse().unwrap()];
    wider.principals = Principals::new(both).unwrap();
    let mut answer = honest(&wider);
    answer.principals.pop();
    assert!(matches!(
        verdict(&answer),
        Err(DistrustError::Certificate(_))
    ));
}

#[test]
fn an_answer_that_describes_another_certificate_is_refused() {
    let mut answer = honest(&draft());
    answer.valid_before = Timestamp::from_unix_seconds(NOW + 7200);
    let error = verdict(&answer).unwrap_err();
    assert!(matches!(error, DistrustError::Description("valid_before")));
}

#[test]
fn a_receipt_signed_by_another_log_key_is_refused() {
    let answer = answer(&draft(), &key(1), &leaf(&draft()), 6);
    let error = verdict(&answer).unwrap_err();
    assert!(matches!(error, DistrustError::ReceiptInvalid(_)), "{error}");
}

#[test]
fn a_receipt_for_another_certificate_or_kind_is_refused() {
    let mut other = leaf(&draft());
    other.subject_digest = [0; 32];
    let error = verdict(&answer(&draft(), &key(1), &other, 2)).unwrap_err();
    assert!(matches!(
        error,
        DistrustError::Receipt("another certificate")
    ));
    let mut refusal = leaf(&draft());
    refusal.kind = Kind::Refusal;
    let error = verdict(&answer(&draft(), &key(1), &refusal, 2)).unwrap_err();
    assert!(matches!(
        error,
        DistrustError::Receipt("another kind of entry")
    ));
}

#[test]
fn a_receipt_at_another_index_or_of_another_epoch_is_refused() {
    for (epoch, index, what) in [
        (EPOCH, 2, "another index"),
        (EPOCH + 1, INDEX, "another log"),
    ] {
        let mut draft = draft();
        draft.serial = Serial::new(epoch, index).unwrap();
        let error = verdict(&honest(&draft)).unwrap_err();
        assert!(
            matches!(error, DistrustError::Receipt(found) if found == what),
            "{error}"
        );
    }
}

#[test]
fn an_entry_that_is_not_in_the_tree_is_refused() {
    let mut elsewhere = honest(&draft());
    let mut other = leaf(&draft());
    other.context_digest = [1; 32];
    let honest_receipt: Receipt = elsewhere.receipt.parse().unwrap();
    let swapped = Receipt::new(
        Some(other.encode().to_vec()),
        INDEX,
        honest_receipt.proof().to_vec(),
        honest_receipt.checkpoint().to_owned(),
    );
    elsewhere.receipt = swapped.unwrap().to_string();
    assert!(matches!(
        verdict(&elsewhere),
        Err(DistrustError::ReceiptInvalid(_))
    ));
}

#[test]
fn a_wrong_local_clock_does_not_spoil_the_window_but_a_day_is_too_much() {
    let answer = honest(&draft());
    assert!(verdict_at(&answer, NOW + 600).is_ok());
    assert!(verdict_at(&answer, NOW - 600).is_ok());
    let day = 24 * 3600;
    assert!(verdict_at(&answer, NOW + day).is_ok());
    assert!(matches!(
        verdict_at(&answer, NOW + day + 1),
        Err(DistrustError::Clocks)
    ));
}
