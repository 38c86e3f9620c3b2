//! What ssh-keygen prints is read completely.

use crate::support::keygen::{self, Described, Wanted};

#[test]
fn every_field_of_a_described_certificate_is_the_one_that_was_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let ca = keygen::generate(dir.path(), "ca");
    let subject = keygen::generate(dir.path(), "subject");
    let wanted = Wanted {
        principals: &["deploy", "root"],
        validity: "0x6553f100:0x6553ff10",
        serial: 42,
        key_id: "alice@prod#42",
        options: &[
            "clear",
            "force-command=id",
            "permit-pty",
            "source-address=10.0.0.0/8",
        ],
        host: false,
    };
    let certificate = keygen::sign(&ca, &subject, &wanted);
    let expected = Described {
        algorithm: "ssh-ed25519-cert-v01@openssh.com".to_owned(),
        kind: "user".to_owned(),
        public_key: keygen::fingerprint(&subject.public),
        signing_ca: keygen::fingerprint(&ca.public),
        signature_algorithm: "ssh-ed25519".to_owned(),
        key_id: "alice@prod#42".to_owned(),
        serial: 42,
        valid_after: Some(1_700_000_000),
        valid_before: Some(1_700_003_600),
        principals: vec!["deploy".to_owned(), "root".to_owned()],
        critical_options: vec![
            "force-command id".to_owned(),
            "source-address 10.0.0.0/8".to_owned(),
        ],
        extensions: vec!["permit-pty".to_owned()],
    };
    assert_eq!(keygen::describe(&certificate), expected);
    let line = std::fs::read_to_string(certificate).unwrap();
    assert_eq!(keygen::describe_line(&line), expected);
}

#[test]
fn an_open_ended_host_certificate_without_principals_is_described_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let ca = keygen::generate_kind(dir.path(), "ca", "ecdsa", &["-b", "384"]);
    let subject = keygen::generate_kind(dir.path(), "subject", "rsa", &["-b", "2048"]);
    let wanted = Wanted {
        validity: "always:forever",
        host: true,
        ..Wanted::default()
    };
    let described = keygen::describe(&keygen::sign(&ca, &subject, &wanted));
    assert_eq!(
        (&*described.kind, &*described.algorithm),
        ("host", "ssh-rsa-cert-v01@openssh.com")
    );
    assert_eq!(described.signature_algorithm, "ecdsa-sha2-nistp384");
    assert_eq!(
        (described.valid_after, described.valid_before),
        (None, None)
    );
    assert_eq!(
        (described.principals.len(), described.extensions.len()),
        (0, 0)
    );
}

#[test]
fn a_revocation_list_names_exactly_its_serials() {
    let dir = tempfile::tempdir().unwrap();
    let ca = keygen::generate(dir.path(), "ca");
    let krl = dir.path().join("krl");
    keygen::write_krl(&krl, &ca, "serial: 4-6\n");
    let judged = [3, 4, 6, 7].map(|serial| {
        let subject = keygen::generate(dir.path(), &format!("subject-{serial}"));
        let wanted = Wanted {
            principals: &["x"],
            serial,
            ..Wanted::default()
        };
        keygen::is_revoked(&krl, &keygen::sign(&ca, &subject, &wanted))
    });
    assert_eq!(judged, [false, true, true, false]);
    assert!(keygen::list_krl(&krl).contains("serial: 4-6"));
}

#[test]
#[should_panic(expected = "gives no answer")]
fn a_broken_revocation_list_is_not_taken_for_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let key = keygen::generate(dir.path(), "key");
    let krl = dir.path().join("krl");
    std::fs::write(&krl, b"SSHKRL\n\0broken").unwrap();
    keygen::is_revoked(&krl, &key.public);
}
