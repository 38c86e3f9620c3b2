//! Belief is lost with any byte. Certificates by others: see the OpenSSH oracle.

use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;

use super::super::authority_key::ed25519_signature_blob;
use super::super::draft::{LineError, assemble, openssh_line};
use super::super::example::{Issuer, NOW, client_key, draft, now, sign};
use super::super::lint::Rule;
use super::{VerifyError, verify, verify_line};
use crate::time::Timestamp;

#[test]
fn a_certificate_of_the_authority_is_believed_and_says_what_was_drafted() {
    let draft = draft();
    let blob = sign(&draft.to_be_signed());
    let line = openssh_line(&blob, "jit-ssh prod").unwrap();
    let verified = verify_line(&line, &Issuer::of(&draft).expects(), now()).unwrap();
    assert_eq!(verified.serial(), draft.serial);
    assert_eq!(*verified.key_id(), draft.key_id());
    assert_eq!(*verified.principals(), draft.principals);
    assert_eq!(verified.validity(), draft.validity);
    assert_eq!(*verified.options(), draft.options);
    assert_eq!(*verified.subject_key(), client_key());
    assert_eq!(verified.blob(), blob);
}

#[test]
fn a_change_of_any_byte_ends_belief() {
    let whole = sign(&draft().to_be_signed());
    let issuer = Issuer::of(&draft());
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            assert!(
                verify(&changed, &issuer.expects(), now()).is_err(),
                "byte {at}"
            );
        }
    }
}

#[test]
fn another_signer_is_not_believed_even_when_the_certificate_names_the_authority() {
    let tbs = draft().to_be_signed();
    let signature = SigningKey::from_bytes(&[8; 32]).sign(&tbs).to_bytes();
    let forged = assemble(&tbs, &ed25519_signature_blob(&signature));
    let outcome = verify(&forged, &Issuer::of(&draft()).expects(), now());
    assert_eq!(outcome, Err(VerifyError::Signature));
}

#[test]
fn a_signed_certificate_that_breaks_a_rule_is_refused_by_the_rules_name() {
    let whole = sign(&draft().to_be_signed());
    let issuer = Issuer::of(&draft());
    let later = Timestamp::from_unix_seconds(NOW + 7200);
    let error = verify(&whole, &issuer.expects(), later).unwrap_err();
    let VerifyError::Rules(findings) = &error else {
        panic!("{error}");
    };
    assert_eq!(findings[0].rule, Rule::Window);
    assert_eq!(
        error.to_string(),
        "the certificate breaks a rule: window: valid from 2027-01-15T07:59:00Z to \
         2027-01-15T09:00:00Z, which is not as expected at 2027-01-15T10:00:00Z"
    );
}

#[test]
fn a_line_of_another_type_than_its_certificate_is_refused() {
    let line = openssh_line(&sign(&draft().to_be_signed()), "").unwrap();
    let other = line.replace("ssh-ed25519-cert", "ssh-rsa-cert");
    let outcome = verify_line(&other, &Issuer::of(&draft()).expects(), now());
    assert_eq!(outcome, Err(VerifyError::TypeMismatch));
}

#[test]
fn a_comment_cannot_start_another_line() {
    let blob = sign(&draft().to_be_signed());
    assert_eq!(openssh_line(&blob, "a\nssh-rsa x"), Err(LineError::Comment));
    assert_eq!(openssh_line(b"", ""), Err(LineError::NoType));
    assert_eq!(
        openssh_line(&crate::wire::string(b"a b"), ""),
        Err(LineError::NoType)
    );
}

proptest! {
    #[test]
    fn any_bytes_and_texts_are_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "\\PC*",
    ) {
        let issuer = Issuer::of(&draft());
        prop_assert!(verify(&bytes, &issuer.expects(), now()).is_err());
        prop_assert!(verify_line(&text, &issuer.expects(), now()).is_err());
    }

    #[test]
    fn any_signature_bytes_are_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let issuer = Issuer::of(&draft());
        let whole = assemble(&draft().to_be_signed(), &bytes);
        prop_assert_eq!(verify(&whole, &issuer.expects(), now()), Err(VerifyError::Signature));
    }
}
