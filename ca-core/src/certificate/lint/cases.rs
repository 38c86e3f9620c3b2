//! Each rule with the certificate that breaks it, built byte by byte.

use std::time::Duration;

use proptest::prelude::*;

use super::super::example::{
    Issuer, LIFETIME, NOW, RawFields, any_draft, authority_key, client_key, draft, environment,
    now, principals,
};
use super::super::profile::Profile;
use super::super::subject_key::SubjectKey;
use super::{Expectations, ExpectedPrincipals, ExpectedWindow, Rule, lint};
use crate::time::Timestamp;
use crate::wire::string;

fn broken_by(raw: &RawFields, expected: &Expectations<'_>) -> Vec<Rule> {
    match lint(&raw.bytes(), expected, now()) {
        Ok(()) => vec![],
        Err(findings) => findings.iter().map(|found| found.rule).collect(),
    }
}

/// What a host knows, so that a rule is seen without the comparison to what was decided.
fn only_rules(issuer: &Issuer) -> Expectations<'_> {
    Expectations {
        subject_key: None,
        serial: None,
        user: None,
        options: None,
        ..issuer.expects()
    }
}

fn changed(change: impl FnOnce(&mut RawFields)) -> Vec<Rule> {
    let mut raw = RawFields::new();
    change(&mut raw);
    broken_by(&raw, &only_rules(&Issuer::of(&draft())))
}

fn compared(change: impl FnOnce(&mut RawFields)) -> Vec<Rule> {
    let mut raw = RawFields::new();
    change(&mut raw);
    broken_by(&raw, &Issuer::of(&draft()).expects())
}

#[test]
fn the_certificate_that_was_decided_breaks_no_rule() {
    assert_eq!(compared(|_| ()), []);
    assert_eq!(changed(|_| ()), []);
}

#[test]
fn only_user_certificates_pass() {
    for number in [0, 2, 3, u32::MAX] {
        assert_eq!(
            changed(|raw| raw.certificate_type = number),
            [Rule::UserType]
        );
    }
}

#[test]
fn serial_zero_serials_of_nobody_and_other_serials_are_found() {
    for serial in [0, 1 << 40, 1 << 63, u64::MAX] {
        assert_eq!(changed(|raw| raw.serial = serial), [Rule::Serial]);
    }
    assert_eq!(compared(|raw| raw.serial = 43), [Rule::Serial]);
    assert_eq!(changed(|raw| raw.serial = 43), [Rule::KeyId]);
}

#[test]
fn a_key_id_of_another_shape_or_of_other_facts_is_found() {
    for id in [
        "",
        "alice",
        "alice@prod#42 from 1.2.3.4",
        "alice@prod#43",
        "alice@staging#42",
    ] {
        assert_eq!(
            changed(|raw| raw.key_id = id.into()),
            [Rule::KeyId],
            "{id:?}"
        );
    }
    assert_eq!(
        compared(|raw| raw.key_id = b"bob@prod#42".to_vec()),
        [Rule::KeyId]
    );
}

#[test]
fn no_principals_other_principals_and_principals_in_another_order_are_found() {
    let lists: [&[&str]; 10] = [
        &[],
        &[""],
        &["deploy"],
        &["app", "deploy"],
        &["deploy", "app", "root"],
        &["deploy", "app", "app"],
        &["deploy,app"],
        &["deploy", "app "],
        &["deploy", "*"],
        &["Deploy", "app"],
    ];
    for list in lists {
        let names = || list.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(
            changed(|raw| raw.principals = names()),
            [Rule::Principals],
            "{list:?}"
        );
    }
    let many = (0..33).map(|n| format!("u{n}").into_bytes()).collect();
    assert_eq!(changed(|raw| raw.principals = many), [Rule::Principals]);
}

#[test]
fn a_host_asks_for_one_name_among_others() {
    let issuer = Issuer::of(&draft());
    let mut expected = only_rules(&issuer);
    let (app, root) = ("app".parse().unwrap(), "root".parse().unwrap());
    expected.principals = ExpectedPrincipals::Including(&app);
    assert_eq!(broken_by(&RawFields::new(), &expected), []);
    expected.principals = ExpectedPrincipals::Including(&root);
    assert_eq!(broken_by(&RawFields::new(), &expected), [Rule::Principals]);
}

#[test]
fn open_ended_empty_early_late_and_overlong_windows_are_found() {
    for window in [
        (0, u64::MAX),
        (NOW - 60, u64::MAX),
        (NOW - 60, 1 << 60),
        (0, NOW + LIFETIME),
        (NOW - 61, NOW + LIFETIME),
        (NOW + 1, NOW + LIFETIME),
        (NOW - 60, NOW + LIFETIME + 1),
        (NOW - 60, NOW),
        (NOW - 60, NOW - 60),
        (NOW + 10, NOW - 10),
    ] {
        assert_eq!(
            changed(|raw| raw.window = window),
            [Rule::Window],
            "{window:?}"
        );
    }
    assert_eq!(changed(|raw| raw.window = (NOW, NOW + 1)), []);
}

#[test]
fn a_clients_clock_may_differ_by_the_skew_and_no_more() {
    let issuer = Issuer::of(&draft());
    let mut expected = only_rules(&issuer);
    expected.window = ExpectedWindow::JustIssued {
        lifetime_max: Duration::from_secs(LIFETIME),
        skew: Duration::from_secs(30),
    };
    let at = |seconds| {
        let time = Timestamp::from_unix_seconds(seconds);
        lint(&RawFields::new().bytes(), &expected, time).is_ok()
    };
    assert!(at(NOW - 30) && at(NOW + 30));
    assert!(!at(NOW - 31) && !at(NOW + 31));
}

#[test]
fn a_certificate_in_use_holds_from_its_first_second_until_just_before_its_last() {
    let issuer = Issuer::of(&draft());
    let mut expected = only_rules(&issuer);
    let lifetime_max = Duration::from_secs(LIFETIME);
    expected.window = ExpectedWindow::InUse { lifetime_max };
    let at = |seconds| {
        let time = Timestamp::from_unix_seconds(seconds);
        lint(&RawFields::new().bytes(), &expected, time).is_ok()
    };
    assert!(at(NOW - 60) && at(NOW + LIFETIME - 1));
    assert!(!at(NOW - 61) && !at(NOW + LIFETIME));
    let mut long = RawFields::new();
    long.window.1 += 1;
    assert_eq!(broken_by(&long, &expected), [Rule::Window]);
}

#[test]
fn critical_names_in_extensions_and_unknown_or_misplaced_options_are_found() {
    let as_extension: [(&'static str, Vec<u8>); 6] = [
        ("force-command", string(b"id")),
        ("source-address", string(b"10.0.0.0/8")),
        ("verify-required", vec![]),
        ("no-touch-required", vec![]),
        ("permit-everything", vec![]),
        ("permit-pty", string(b"x")),
    ];
    for option in as_extension {
        let name = option.0;
        assert_eq!(
            changed(|raw| raw.extensions = vec![option]),
            [Rule::Options],
            "{name}"
        );
    }
    let as_critical: [(&'static str, Vec<u8>); 5] = [
        ("permit-pty", vec![]),
        ("unknown", vec![]),
        ("force-command", b"id".to_vec()),
        ("source-address", string(b"10.0.0.1/8")),
        ("force-command", [string(b"id"), vec![0]].concat()),
    ];
    for option in as_critical {
        let name = option.0;
        assert_eq!(
            changed(|raw| raw.critical = vec![option]),
            [Rule::Options],
            "{name}"
        );
    }
}

#[test]
fn options_other_than_the_decided_ones_are_found_even_when_tighter() {
    assert_eq!(compared(|raw| raw.extensions = vec![]), [Rule::Options]);
    assert_eq!(
        compared(|raw| raw
            .extensions
            .insert(0, ("permit-agent-forwarding", vec![]))),
        [Rule::Options]
    );
    assert_eq!(
        compared(|raw| raw.critical = vec![("force-command", string(b"id"))]),
        [Rule::Options]
    );
}

#[test]
fn verify_required_on_a_key_that_cannot_verify_is_found() {
    let required = vec![("verify-required", vec![])];
    assert_eq!(
        changed(|raw| raw.critical = required.clone()),
        [Rule::VerifyRequired]
    );
    let mut raw = RawFields::new();
    raw.critical = required;
    raw.type_name = b"sk-ssh-ed25519-cert-v01@openssh.com".to_vec();
    raw.key_fields.extend(string(b"ssh:"));
    assert_eq!(broken_by(&raw, &only_rules(&Issuer::of(&draft()))), []);
}

#[test]
fn anything_looser_than_the_profile_is_found() {
    let profile = |json| serde_json::from_str::<Profile>(json).unwrap();
    let broken = |profile: &Profile| {
        let issuer = Issuer::of(&draft());
        let expected = Expectations {
            profile: Some(profile),
            ..only_rules(&issuer)
        };
        broken_by(&RawFields::new(), &expected)
    };
    assert_eq!(broken(&profile(r#"{"max_duration_seconds":3600}"#)), []);
    for json in [
        r#"{"max_duration_seconds":3599}"#,
        r#"{"max_duration_seconds":3600,"extensions":[]}"#,
        r#"{"max_duration_seconds":3600,"force_command":"id"}"#,
        r#"{"max_duration_seconds":3600,"source_address":["10.0.0.0/8"]}"#,
        r#"{"max_duration_seconds":3600,"verify_required":true}"#,
    ] {
        assert_eq!(broken(&profile(json)), [Rule::Profile], "{json}");
    }
}

#[test]
fn other_and_unsound_subject_keys_are_found() {
    let other = ed25519_dalek::SigningKey::from_bytes(&[5; 32]).verifying_key();
    assert_eq!(
        compared(|raw| raw.key_fields = string(other.as_bytes())),
        [Rule::SubjectKey]
    );
    assert_eq!(
        changed(|raw| raw.key_fields = string(&[0; 32])),
        [Rule::SubjectKey]
    );
}

#[test]
fn another_authority_is_found_and_a_certificate_as_authority_is_not_read() {
    assert_eq!(
        changed(|raw| raw.authority_blob = client_key().blob().to_vec()),
        [Rule::AuthorityKey]
    );
    let nested = string(b"ssh-ed25519-cert-v01@openssh.com");
    assert_eq!(changed(|raw| raw.authority_blob = nested), [Rule::Encoding]);
}

#[test]
fn a_certificate_that_would_exceed_8_kib_with_its_signature_is_found() {
    let mut large = draft();
    let command = "x".repeat(1024);
    large.options.force_command = Some(command.parse().unwrap());
    let modulus = [&[0][..], &[0xff; 2048]].concat();
    let blob = [string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat();
    large.subject_key = SubjectKey::from_blob(&blob).unwrap();
    let names: Vec<String> = (10..42).map(|n| format!("{n:a>32}")).collect();
    large.principals = principals(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let issuer = Issuer::of(&large);
    let bytes = large.to_be_signed();
    assert!(
        lint(&bytes, &issuer.expects(), now()).is_ok(),
        "{}",
        bytes.len()
    );
    let size = super::check_size(super::CERTIFICATE_SIZE_MAX - super::SIGNATURE_SIZE_MAX + 1);
    assert_eq!(size.unwrap_err().rule, Rule::Size);
    assert!(super::check_size(super::CERTIFICATE_SIZE_MAX - super::SIGNATURE_SIZE_MAX).is_ok());
}

#[test]
fn every_broken_rule_is_reported_at_once() {
    let found = changed(|raw| {
        raw.certificate_type = 2;
        raw.serial = 0;
        raw.principals = vec![];
        raw.window = (0, u64::MAX);
        raw.extensions = vec![("force-command", string(b"id"))];
    });
    let expected = [
        Rule::UserType,
        Rule::Serial,
        Rule::Principals,
        Rule::Window,
        Rule::Options,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_certificate_for_another_environment_is_found() {
    let issuer = Issuer::of(&draft());
    let staging = environment("staging");
    let expected = Expectations {
        environment: &staging,
        ..only_rules(&issuer)
    };
    assert_eq!(broken_by(&RawFields::new(), &expected), [Rule::KeyId]);
    assert_eq!(*expected.authority_key, authority_key());
}

proptest! {
    #[test]
    fn every_draft_passes_the_lint_of_its_issuer(draft in any_draft()) {
        let issuer = Issuer::of(&draft);
        prop_assert_eq!(lint(&draft.to_be_signed(), &issuer.expects(), now()), Ok(()));
    }

    #[test]
    fn every_draft_fails_the_lint_of_any_other_decision(draft in any_draft(), other in any_draft()) {
        let issuer = Issuer::of(&other);
        prop_assert!(draft == other || lint(&draft.to_be_signed(), &issuer.expects(), now()).is_err());
    }
}
