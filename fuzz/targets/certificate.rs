//! Certificates as bytes, as lines and as bytes to be signed. What the lint passes keeps every
//! promise of the profile; it and the verification agree about the same bytes.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use ca_core::certificate::CERTIFICATE_SIZE_MAX;
use ca_core::certificate::authority_key::{AuthorityKey, ed25519_signature_blob};
use ca_core::certificate::draft::{assemble, openssh_line};
use ca_core::certificate::lint::{Expectations, ExpectedPrincipals, ExpectedWindow, lint};
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::certificate::tbs::ToBeSigned;
use ca_core::certificate::untrusted::{read_untrusted, read_untrusted_blob};
use ca_core::certificate::verify::{verify, verify_line};
use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;
use ed25519_dalek::{Signer as _, SigningKey};
use libfuzzer_sys::fuzz_target;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Fixed {
    signing: SigningKey,
    authority: AuthorityKey,
    environment: Environment,
    principal: Principal,
    now: Timestamp,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let signing = SigningKey::from_bytes(&[7; 32]);
    Fixed {
        authority: SubjectKey::from(&signing.verifying_key())
            .try_into()
            .expect("Ed25519"),
        signing,
        environment: "prod".parse().expect("a name"),
        principal: "deploy".parse().expect("a name"),
        now: Timestamp::from_unix_seconds(1_800_000_000),
    }
});

fn expectations(fixed: &Fixed) -> Expectations<'_> {
    Expectations {
        authority_key: &fixed.authority,
        environment: &fixed.environment,
        subject_key: None,
        principals: ExpectedPrincipals::Including(&fixed.principal),
        window: ExpectedWindow::InUse { lifetime_max: DAY },
        serial: None,
        user: None,
        profile: None,
        options: None,
    }
}

fn signed_after_all(tbs: &[u8]) {
    let fixed = &*FIXED;
    let expected = expectations(fixed);
    let verdict = lint(tbs, &expected, fixed.now);
    let parsed = ToBeSigned::parse(tbs);
    assert!(parsed.is_ok() || verdict.is_err());
    if parsed.is_err() {
        return;
    }
    let blob = ed25519_signature_blob(&fixed.signing.sign(tbs).to_bytes());
    let certificate = assemble(tbs, &blob);
    let verified = verify(&certificate, &expected, fixed.now);
    assert_eq!(
        verdict.is_ok(),
        verified.is_ok(),
        "{verdict:?} {verified:?}"
    );
    let Ok(verified) = verified else { return };
    assert!(certificate.len() <= CERTIFICATE_SIZE_MAX);
    assert_eq!(verified.to_be_signed(), tbs);
    assert_ne!(verified.serial().get(), 0);
    assert!((1..=32).contains(&verified.principals().as_slice().len()));
    assert!(verified.validity().contains(fixed.now));
    let line = openssh_line(&certificate, "comment").expect("a line");
    verify_line(&line, &expected, fixed.now).expect("the line says the same");
    let other = Environment::try_from("staging".to_owned()).expect("a name");
    let elsewhere = Expectations {
        environment: &other,
        ..expected
    };
    verify(&certificate, &elsewhere, fixed.now).expect_err("good in one environment only");
}

fuzz_target!(|bytes: &[u8]| {
    let fixed = &*FIXED;
    let expected = expectations(fixed);
    let _ = verify(bytes, &expected, fixed.now);
    if let Ok(read) = read_untrusted_blob(bytes) {
        assert_eq!(read.blob, bytes);
    }
    signed_after_all(bytes);
    // A whole certificate of somebody else: the same, signed by us.
    for cut in [83, 87, 0].map(|tail| bytes.len().checked_sub(tail)) {
        if let Some(tbs) = cut.and_then(|cut| bytes.get(..cut)) {
            signed_after_all(tbs);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = read_untrusted(text);
        let _ = verify_line(text, &expected, fixed.now);
    }
});
