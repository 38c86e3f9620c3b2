//! Bytes that OpenSSH forgives and we do not, built by hand.

use proptest::prelude::*;

use super::super::example::{RawFields, any_draft, client_key, draft, sign};
use super::super::options::Options;
use super::{TbsError, ToBeSigned, split};
use crate::wire::string;

type Change<'a> = &'a dyn Fn(&mut RawFields);

#[test]
fn bytes_built_by_hand_are_the_drafts_bytes() {
    assert_eq!(RawFields::new().bytes(), draft().to_be_signed());
}

#[test]
fn what_openssh_forgives_is_refused() {
    let refused = |change: Change<'_>| {
        let mut raw = RawFields::new();
        change(&mut raw);
        ToBeSigned::parse(&raw.bytes()).unwrap_err().to_string()
    };
    let cases: [(&str, Change<'_>); 11] = [
        ("nonce", &|raw| raw.nonce = vec![]),
        ("nonce", &|raw| raw.nonce = vec![1; 16]),
        ("key id: holds a NUL", &|raw| raw.key_id.push(0)),
        ("key id: not UTF-8", &|raw| raw.key_id.push(0xff)),
        ("principals: holds a NUL", &|raw| raw.principals[0].push(0)),
        ("principals: more than 256", &|raw| {
            raw.principals = vec![b"a".to_vec(); 257]
        }),
        ("extensions: names do not increase", &|raw| {
            raw.extensions.push(("permit-pty", vec![]));
        }),
        ("critical options: names do not increase", &|raw| {
            raw.critical = vec![("b", vec![]), ("a", vec![])];
        }),
        ("reserved", &|raw| raw.reserved = vec![0]),
        ("itself a certificate", &|raw| {
            raw.authority_blob = sign(&draft().to_be_signed())
        }),
        ("not a certificate type", &|raw| {
            raw.type_name = b"ssh-ed25519".to_vec()
        }),
    ];
    for (reason, change) in cases {
        let error = refused(change);
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_missing_and_an_additional_byte_anywhere_at_the_end_are_refused() {
    let bytes = draft().to_be_signed();
    for length in 0..bytes.len() {
        assert!(ToBeSigned::parse(&bytes[..length]).is_err(), "{length}");
    }
    assert!(ToBeSigned::parse(&[&bytes[..], &[0]].concat()).is_err());
    let whole = sign(&bytes);
    assert!(split(&whole).is_ok());
    assert!(split(&[&whole[..], &[0]].concat()).is_err());
    assert!(split(&whole[..whole.len() - 1]).is_err());
}

#[test]
fn more_than_8_kib_is_not_even_read() {
    let mut raw = RawFields::new();
    raw.key_id = vec![b'a'; 9000];
    assert!(matches!(
        ToBeSigned::parse(&raw.bytes()),
        Err(TbsError::TooLarge(_))
    ));
}

#[test]
fn a_nested_certificate_as_subject_is_no_certificate_type() {
    let mut raw = RawFields::new();
    raw.type_name = b"ssh-ed25519-cert-v01@openssh.com-cert-v01@openssh.com".to_vec();
    assert!(matches!(
        ToBeSigned::parse(&raw.bytes()),
        Err(TbsError::Type(_))
    ));
}

proptest! {
    #[test]
    fn any_draft_is_read_back_as_it_was(draft in any_draft()) {
        let found = ToBeSigned::parse(&draft.to_be_signed()).unwrap();
        prop_assert_eq!(found.nonce, draft.nonce);
        prop_assert_eq!(found.subject_blob, client_key().blob().to_vec());
        prop_assert_eq!(found.serial, draft.serial.get());
        prop_assert_eq!(found.certificate_type, 1);
        prop_assert_eq!(found.key_id, draft.key_id().to_string());
        let names: Vec<&str> = draft.principals.as_slice().iter().map(|p| p.as_str()).collect();
        prop_assert_eq!(found.principals, names);
        prop_assert_eq!(found.valid_after, draft.validity.valid_after());
        prop_assert_eq!(found.valid_before, draft.validity.valid_before());
        let options = Options::decode(&found.critical_options, &found.extensions);
        prop_assert_eq!(options, Ok(draft.options));
        prop_assert_eq!(&found.authority_blob[..], draft.authority_key.blob());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(ToBeSigned::parse(&bytes).is_err());
        let typed = [string(b"ssh-ed25519-cert-v01@openssh.com"), string(&[0; 32]), bytes].concat();
        if let Ok(parts) = split(&typed) {
            prop_assert!(parts.tbs.len() < typed.len());
        }
    }

    #[test]
    fn any_changed_bytes_are_read_without_a_panic(
        at in 0_usize..300, bytes in proptest::collection::vec(any::<u8>(), 1..8),
    ) {
        let mut whole = sign(&draft().to_be_signed());
        for (place, byte) in whole.iter_mut().skip(at).zip(bytes) {
            *place = byte;
        }
        if let Ok(parts) = split(&whole) {
            prop_assert_eq!(parts.tbs, &whole[..parts.tbs.len()]);
        }
    }
}
