//! OpenSSH's own `ssh-keygen` as the judge: it reads what we write, we read what it writes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::authority_key::AuthorityKey;
use super::draft::{assemble, openssh_line};
use super::example::{
    Issuer, NOW, authority, client_key, draft, environment, now, principals, sign, ssh_keygen,
};
use super::lint::{Expectations, ExpectedPrincipals, ExpectedWindow, Rule};
use super::option_value::Extension;
use super::options::Options;
use super::subject_key::{KeyKind, SubjectKey};
use super::untrusted::read_untrusted;
use super::verify::{VerifyError, verify, verify_line};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

fn listed(line: &str) -> String {
    let folder = folder();
    fs::write(folder.path().join("id-cert.pub"), line).unwrap();
    ssh_keygen(folder.path(), &["-L", "-f", "id-cert.pub"])
}

/// A new key `name` of `kind`, and the arguments `ssh-keygen -s` signs it with.
fn make_key(folder: &Path, name: &str, kind: &[&str]) {
    let mut arguments = vec!["-q", "-N", "", "-C", "", "-f", name];
    arguments.extend_from_slice(kind);
    ssh_keygen(folder, &arguments);
}

#[test]
fn ssh_keygen_shows_every_field_as_the_draft_says_it() {
    let mut draft = draft();
    draft.options = serde_json::from_str(
        r#"{"extensions":["permit-X11-forwarding","permit-agent-forwarding",
            "permit-port-forwarding","permit-pty","permit-user-rc"],
            "force_command":"/usr/bin/uptime --pretty",
            "source_address":["10.0.0.0/8","2001:db8::/32"]}"#,
    )
    .unwrap();
    let blob = sign(&draft.to_be_signed());
    let shown = listed(&openssh_line(&blob, "jit-ssh prod").unwrap());
    let lines: Vec<&str> = shown.lines().map(str::trim).skip(1).collect();
    let subject = format!(
        "Public key: ED25519-CERT {}",
        draft.subject_key.fingerprint()
    );
    let signer = format!(
        "Signing CA: ED25519 {} (using ssh-ed25519)",
        draft.authority_key.fingerprint()
    );
    let expected = [
        "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
        &subject,
        &signer,
        "Key ID: \"alice@prod#42\"",
        "Serial: 42",
        "Valid: from 2027-01-15T07:59:00 to 2027-01-15T09:00:00",
        "Principals:",
        "deploy",
        "app",
        "Critical Options:",
        "force-command /usr/bin/uptime --pretty",
        "source-address 10.0.0.0/8,2001:db8::/32",
        "Extensions:",
        "permit-X11-forwarding",
        "permit-agent-forwarding",
        "permit-port-forwarding",
        "permit-pty",
        "permit-user-rc",
    ];
    assert_eq!(lines, expected);
    assert!(verify(&blob, &Issuer::of(&draft).expects(), now()).is_ok());
}

#[test]
fn the_bytes_of_the_example_never_change() {
    // SHA-256 of the bytes that ssh-keygen -L was seen to read as above.
    let digest = super::subject_key::fingerprint(&draft().to_be_signed());
    assert_eq!(digest, "SHA256:8MpXgOVf90YPIsfM28Y73Lqh4OrK6NgFa7pvvtjWElo");
    assert_eq!(sign(&draft().to_be_signed()).len(), 346);
}

#[test]
fn a_subject_key_of_each_accepted_kind_gets_a_certificate_that_ssh_keygen_reads() {
    let folder = folder();
    let kinds: [(&str, &[&str], KeyKind); 4] = [
        ("ed", &["-t", "ed25519"], KeyKind::Ed25519),
        ("p256", &["-t", "ecdsa", "-b", "256"], KeyKind::EcdsaP256),
        ("p384", &["-t", "ecdsa", "-b", "384"], KeyKind::EcdsaP384),
        ("rsa", &["-t", "rsa", "-b", "3072"], KeyKind::Rsa),
    ];
    for (name, arguments, kind) in kinds {
        make_key(folder.path(), name, arguments);
        let text = read(folder.path(), &format!("{name}.pub"));
        let mut draft = draft();
        draft.subject_key = text.parse().unwrap();
        assert_eq!(draft.subject_key.kind(), kind);
        let blob = sign(&draft.to_be_signed());
        let line = openssh_line(&blob, "").unwrap();
        assert!(
            listed(&line).contains(&draft.subject_key.fingerprint()),
            "{name}"
        );
        assert!(
            verify_line(&line, &Issuer::of(&draft).expects(), now()).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn keys_that_are_too_weak_or_of_other_kinds_are_refused() {
    let folder = folder();
    let refused: [(&str, &[&str], &str); 2] = [
        (
            "rsa",
            &["-t", "rsa", "-b", "2048"],
            "RSA key of 2048 bits (allowed: 3072 to 16384)",
        ),
        (
            "p521",
            &["-t", "ecdsa", "-b", "521"],
            "\"ecdsa-sha2-nistp521\" is not accepted",
        ),
    ];
    for (name, arguments, reason) in refused {
        make_key(folder.path(), name, arguments);
        let text = read(folder.path(), &format!("{name}.pub"));
        let error = text.parse::<SubjectKey>().unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains("allowed"),
            "{error}"
        );
    }
    let line = openssh_line(&sign(&draft().to_be_signed()), "").unwrap();
    let error = line.parse::<SubjectKey>().unwrap_err().to_string();
    assert!(
        error.contains("is a certificate; give the plain public key"),
        "{error}"
    );
}

/// Has `ssh-keygen -s` certify the example's client key; the CA is of kind `ca`.
fn keygen_signed(ca: &[&str], options: &[&str]) -> (AuthorityKey, String) {
    let folder = folder();
    make_key(folder.path(), "ca", ca);
    fs::write(folder.path().join("id.pub"), client_key().to_string()).unwrap();
    let window = format!("{}:{}", hexadecimal(NOW - 60), hexadecimal(NOW + 600));
    let mut arguments = vec!["-q", "-s", "ca", "-I", "alice@prod#42", "-z", "42"];
    arguments.extend(["-n", "deploy,app", "-V", &window]);
    arguments.extend_from_slice(options);
    arguments.push("id.pub");
    ssh_keygen(folder.path(), &arguments);
    let authority = read(folder.path(), "ca.pub").parse().unwrap();
    (authority, read(folder.path(), "id-cert.pub"))
}

fn hexadecimal(second: u64) -> String {
    format!("{second:#x}")
}

fn client_expects<'a>(
    authority: &'a AuthorityKey,
    names: &'a super::principals::Principals,
    environment: &'a crate::name::Environment,
) -> Expectations<'a> {
    Expectations {
        authority_key: authority,
        environment,
        subject_key: None,
        principals: ExpectedPrincipals::Exactly(names),
        window: ExpectedWindow::InUse {
            lifetime_max: Duration::from_secs(3600),
        },
        serial: None,
        user: None,
        profile: None,
        options: None,
    }
}

#[test]
fn certificates_of_ssh_keygen_are_read_and_believed_under_each_kind_of_authority() {
    let (names, prod) = (principals(&["deploy", "app"]), environment("prod"));
    let kinds: [&[&str]; 3] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
    ];
    for kind in kinds {
        let (authority, line) = keygen_signed(kind, &[]);
        let expected = client_expects(&authority, &names, &prod);
        let verified = verify_line(&line, &expected, now()).unwrap();
        assert_eq!(verified.serial().get(), 42);
        assert_eq!(verified.options().extensions, Extension::ALL.into());
        assert_eq!(*verified.subject_key(), client_key());
        assert_eq!(verified.validity().valid_before(), NOW + 600);
    }
}

#[test]
fn options_that_ssh_keygen_writes_are_read_as_meant() {
    let (names, prod) = (principals(&["deploy", "app"]), environment("prod"));
    let (authority, line) = keygen_signed(
        &["-t", "ed25519"],
        &[
            "-O",
            "clear",
            "-O",
            "force-command=echo hi",
            "-O",
            "source-address=10.0.0.0/8,192.0.2.1",
            "-O",
            "permit-pty",
        ],
    );
    let verified = verify_line(&line, &client_expects(&authority, &names, &prod), now()).unwrap();
    let meant: Options = serde_json::from_str(
        r#"{"extensions":["permit-pty"],"force_command":"echo hi",
            "source_address":["10.0.0.0/8","192.0.2.1"]}"#,
    )
    .unwrap();
    assert_eq!(*verified.options(), meant);
    let (authority, line) = keygen_signed(&["-t", "ed25519"], &["-O", "clear"]);
    let verified = verify_line(&line, &client_expects(&authority, &names, &prod), now()).unwrap();
    assert_eq!(*verified.options(), Options::default());
}

fn rules_broken(options: &[&str]) -> Vec<Rule> {
    let (names, prod) = (principals(&["deploy", "app"]), environment("prod"));
    let (authority, line) = keygen_signed(&["-t", "ed25519"], options);
    let outcome = verify_line(&line, &client_expects(&authority, &names, &prod), now());
    match outcome {
        Err(VerifyError::Rules(findings)) => findings.iter().map(|f| f.rule).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn host_certificates_and_options_of_others_break_their_rules() {
    assert_eq!(rules_broken(&["-h"]), [Rule::UserType]);
    assert_eq!(
        rules_broken(&["-O", "extension:x@example.com=1"]),
        [Rule::Options]
    );
    assert_eq!(
        rules_broken(&["-O", "critical:x@example.com=1"]),
        [Rule::Options]
    );
    assert_eq!(
        rules_broken(&["-O", "extension:force-command=id"]),
        [Rule::Options]
    );
    assert_eq!(rules_broken(&["-O", "no-touch-required"]), [Rule::Options]);
    assert_eq!(
        rules_broken(&["-O", "verify-required"]),
        [Rule::VerifyRequired]
    );
    assert_eq!(rules_broken(&["-z", "0"]), [Rule::Serial]);
    assert_eq!(
        rules_broken(&["-z", "18446744073709551615"]),
        [Rule::Serial]
    );
    assert_eq!(rules_broken(&["-I", "alice (x)"]), [Rule::KeyId]);
    assert_eq!(rules_broken(&["-n", "app,deploy"]), [Rule::Principals]);
    assert_eq!(rules_broken(&["-V", "always:forever"]), [Rule::Window]);
}

#[test]
fn an_rsa_authority_is_refused() {
    let folder = folder();
    make_key(folder.path(), "ca", &["-t", "rsa", "-b", "3072"]);
    let error = read(folder.path(), "ca.pub")
        .parse::<AuthorityKey>()
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot be ssh-rsa (allowed:"),
        "{error}"
    );
}

#[test]
fn read_untrusted_tells_what_a_certificate_claims_without_judging() {
    let (authority, line) = keygen_signed(&["-t", "ed25519"], &["-h", "-V", "always:forever"]);
    let claims = read_untrusted(&line).unwrap();
    assert_eq!(claims.certificate_type, 2);
    assert_eq!(claims.serial, 42);
    assert_eq!(claims.key_id, "alice@prod#42");
    assert_eq!(claims.principals, ["deploy", "app"]);
    assert_eq!((claims.valid_after, claims.valid_before), (0, u64::MAX));
    assert_eq!(claims.fingerprint, client_key().fingerprint());
    assert_eq!(claims.authority_fingerprint, authority.fingerprint());
}

#[test]
fn a_signature_of_another_algorithm_name_is_refused() {
    use ed25519_dalek::Signer;
    let tbs = draft().to_be_signed();
    let mut signature = crate::wire::string(b"ssh-rsa");
    crate::wire::put_string(&mut signature, &authority().sign(&tbs).to_bytes());
    let outcome = verify(
        &assemble(&tbs, &signature),
        &Issuer::of(&draft()).expects(),
        now(),
    );
    assert_eq!(outcome, Err(VerifyError::Signature));
}

#[test]
fn a_change_of_any_byte_of_an_ecdsa_signature_ends_belief() {
    let (names, prod) = (principals(&["deploy", "app"]), environment("prod"));
    let (authority, line) = keygen_signed(&["-t", "ecdsa", "-b", "256"], &[]);
    let whole = read_untrusted(&line).unwrap().blob;
    let expected = client_expects(&authority, &names, &prod);
    assert!(verify(&whole, &expected, now()).is_ok());
    for at in whole.len() - 104..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, &expected, now()).is_err(), "byte {at}");
    }
    let another = keygen_signed(&["-t", "ecdsa", "-b", "256"], &[]).0;
    let expected = client_expects(&another, &names, &prod);
    assert_eq!(
        verify(&whole, &expected, now()),
        Err(VerifyError::Signature)
    );
}
