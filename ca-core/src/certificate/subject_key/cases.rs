//! Keys that must be refused, built by hand. Accepted ones: see the OpenSSH oracle.

use proptest::prelude::*;

use super::super::example::client_key;
use super::{Fields, SubjectKey, SubjectKeyError, put_string};
use crate::wire::string;

fn blob(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| string(field)).collect()
}

#[test]
fn small_order_and_undecodable_ed25519_points_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut not_on_curve = [0; 32];
    not_on_curve[0] = 2;
    for point in [[0; 32], identity, not_on_curve, [0xff; 32]] {
        let refused = SubjectKey::from_blob(&blob(&[b"ssh-ed25519", &point]));
        assert_eq!(
            refused,
            Err(SubjectKeyError::Point("ssh-ed25519")),
            "{point:?}"
        );
        let in_token = blob(&[b"sk-ssh-ed25519@openssh.com", &point, b"ssh:"]);
        assert!(SubjectKey::from_blob(&in_token).is_err());
    }
}

#[test]
fn security_keys_are_accepted_with_their_application() {
    let plain = client_key();
    let mut fields = Fields::new(plain.blob());
    fields.string().unwrap();
    let point = fields.string().unwrap().to_vec();
    let token = blob(&[b"sk-ssh-ed25519@openssh.com", &point, b"ssh:work"]);
    let key = SubjectKey::from_blob(&token).unwrap();
    assert!(key.kind().is_security_key());
    assert_eq!(
        key.kind().certificate_name(),
        "sk-ssh-ed25519-cert-v01@openssh.com"
    );
    for application in [&b""[..], b"ssh:\n", b"a b"] {
        let bad = blob(&[b"sk-ssh-ed25519@openssh.com", &point, application]);
        assert!(SubjectKey::from_blob(&bad).is_err());
    }
}

#[test]
fn points_off_the_curve_and_mixed_up_curves_are_refused() {
    let mut point = [1; 65];
    point[0] = 4;
    let off = blob(&[b"ecdsa-sha2-nistp256", b"nistp256", &point]);
    assert_eq!(
        SubjectKey::from_blob(&off),
        Err(SubjectKeyError::Point("ecdsa-sha2-nistp256"))
    );
    let mixed = blob(&[b"ecdsa-sha2-nistp256", b"nistp384", &point]);
    assert!(SubjectKey::from_blob(&mixed).is_err());
    let infinity = blob(&[b"ecdsa-sha2-nistp256", b"nistp256", &[0]]);
    assert!(SubjectKey::from_blob(&infinity).is_err());
}

fn rsa(exponent: &[u8], modulus: &[u8]) -> Result<SubjectKey, SubjectKeyError> {
    SubjectKey::from_blob(&blob(&[b"ssh-rsa", exponent, modulus]))
}

#[test]
fn rsa_sizes_are_counted_in_bits_and_numbers_have_one_spelling() {
    let e = [1, 0, 1];
    let full = [&[0][..], &[0xff; 384]].concat();
    assert!(rsa(&e, &full).is_ok());
    let mut short = vec![0x7f; 384];
    short[383] = 1;
    assert_eq!(rsa(&e, &short), Err(SubjectKeyError::RsaSize(3071)));
    assert_eq!(
        rsa(&e, &[&[0][..], &[0xff; 2049]].concat()),
        Err(SubjectKeyError::RsaSize(16_392))
    );
    let padded = [&[0, 0][..], &[0xff; 384]].concat();
    assert!(rsa(&e, &padded).is_err());
    assert!(rsa(&e, &[0xff; 384]).is_err(), "negative modulus");
    assert!(rsa(&[], &full).is_err());
    assert!(rsa(&[1], &full).is_err());
    assert!(rsa(&[2], &full).is_err());
    assert!(rsa(&[1; 9], &full).is_err());
    let even = [&[0][..], &[0xfe; 384]].concat();
    assert!(rsa(&e, &even).is_err());
}

#[test]
fn bytes_after_the_key_are_refused() {
    let mut long = client_key().blob().to_vec();
    long.push(0);
    assert!(matches!(
        SubjectKey::from_blob(&long),
        Err(SubjectKeyError::Malformed { .. })
    ));
}

#[test]
fn a_line_is_a_type_base64_and_perhaps_a_comment() {
    let line = client_key().to_string();
    for good in [
        line.clone(),
        format!("{line}\n"),
        format!("{line} alice's key\r\n"),
    ] {
        assert_eq!(good.parse::<SubjectKey>().unwrap(), client_key());
    }
    let encoded = line.split(' ').nth(1).unwrap();
    for bad in [
        String::new(),
        "ssh-ed25519".into(),
        encoded.into(),
        format!("{line}\n{line}\n"),
        format!(" {line}"),
        format!("ssh-rsa {encoded}"),
        format!("no-pty {line}"),
        format!("ssh-ed25519 {encoded}="),
        format!("ssh-ed25519 {}", encoded.replace('A', "-")),
        format!("{line} a\0b"),
        format!("{line} {}", "x".repeat(20_000)),
    ] {
        assert!(bad.parse::<SubjectKey>().is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn the_error_for_an_unknown_kind_says_what_is_allowed() {
    for name in ["ssh-dss", "ssh-xmss@openssh.com", "", "ssh-ed25519\0"] {
        let error = SubjectKey::from_blob(&blob(&[name.as_bytes(), b"x"])).unwrap_err();
        assert!(
            error.to_string().contains("allowed: ssh-ed25519,"),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_what_is_accepted_is_unchanged(
        name in proptest::sample::select(super::KeyKind::ALL.to_vec()),
        body in proptest::collection::vec(any::<u8>(), 0..150),
    ) {
        let mut bytes = Vec::new();
        put_string(&mut bytes, name.name().as_bytes());
        bytes.extend(body);
        if let Ok(key) = SubjectKey::from_blob(&bytes) {
            prop_assert_eq!(key.blob(), &bytes[..]);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*") {
        prop_assert!(text.parse::<SubjectKey>().is_err());
    }
}
