use super::*;

const RFC_SEED: &[u8; 20] = b"12345678901234567890";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn code(text: &str) -> Code {
    Code::parse(text).ok().unwrap()
}

#[test]
fn the_sha_1_vectors_of_rfc_6238_appendix_b_match_in_their_step() {
    let seed = Seed::new(*RFC_SEED);
    for (seconds, digits) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        assert_eq!(
            matching_step(&seed, &code(digits), at(seconds)),
            Some(seconds / 30)
        );
    }
}

#[test]
fn oathtool_makes_the_codes_that_are_accepted() {
    let seed = Seed::new([0xa7; 20]);
    for seconds in [0, 29, 30, 1_700_000_000, 4_102_444_800_u64] {
        let said = std::process::Command::new("oathtool")
            .args(["--totp", &"a7".repeat(20)])
            .arg(format!("--now=@{seconds}"))
            .output()
            .expect("oathtool is installed");
        let digits = String::from_utf8(said.stdout).unwrap();
        assert_eq!(
            matching_step(&seed, &code(digits.trim()), at(seconds)),
            Some(seconds / 30),
            "at {seconds}"
        );
    }
}

#[test]
fn a_code_is_right_one_step_early_or_late_and_no_further() {
    let seed = Seed::new(*RFC_SEED);
    let digits = code("050471");
    let step = 1_111_111_111 / 30;
    for (seconds, wanted) in [
        ((step - 1) * 30 - 1, None),
        ((step - 1) * 30, Some(step)),
        ((step + 2) * 30 - 1, Some(step)),
        ((step + 2) * 30, None),
    ] {
        assert_eq!(matching_step(&seed, &digits, at(seconds)), wanted);
    }
}

#[test]
fn a_code_is_accepted_once_and_no_earlier_step_after_it() {
    let seed = Seed::new(*RFC_SEED);
    let now = at(1_111_111_111);
    let step = accept(&seed, &code("050471"), None, now).unwrap();
    assert_eq!(
        accept(&seed, &code("050471"), Some(step), now),
        Err(TotpError::Replayed)
    );
    assert_eq!(
        accept(&seed, &code("081804"), Some(step), now),
        Err(TotpError::Replayed)
    );
    assert_eq!(
        accept(&seed, &code("050471"), Some(step - 1), now),
        Ok(step)
    );
    assert_eq!(
        accept(&seed, &code("050472"), None, now),
        Err(TotpError::Wrong)
    );
}

#[test]
fn only_six_ascii_digits_are_a_code() {
    for text in [
        "",
        "12345",
        "1234567",
        "123 456",
        " 123456",
        "123456 ",
        "123456\n",
        "１２３４５６",
        "12345a",
        "+12345",
        "-12345",
        "12345\0",
        "٠١٢٣٤٥",
        "0x1234",
    ] {
        assert!(Code::parse(text).is_err(), "{text:?} was accepted");
    }
    assert!(Code::parse("000000").is_ok());
}

#[test]
fn the_uri_names_issuer_account_and_seed() {
    let uri = Seed::new(*RFC_SEED)
        .otpauth_uri("jit-ssh", "alice@example.com")
        .unwrap();
    assert!(uri.starts_with("otpauth://totp/jit-ssh:alice"), "{}", *uri);
    assert!(uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
    assert!(uri.contains("issuer=jit-ssh"));
    let wrong = Seed::new(*RFC_SEED).otpauth_uri("jit-ssh", "a:b");
    assert_eq!(wrong.err(), Some(TotpError::Uri));
}

#[test]
fn five_wrong_codes_are_free_then_the_wait_doubles_up_to_an_hour() {
    let mut lockout = Lockout::default();
    let mut waits = Vec::new();
    for _ in 0..15 {
        lockout = lockout.after_failure(at(1000));
        waits.push(
            lockout
                .locked_until()
                .map_or(0, |until| until.since(at(1000)).as_secs()),
        );
    }
    assert_eq!(
        waits,
        [
            0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600
        ]
    );
}

#[test]
fn the_wait_ends_at_its_last_millisecond() {
    let lockout = (0..6).fold(Lockout::default(), |lockout, _| {
        lockout.after_failure(at(1000))
    });
    assert!(lockout.is_locked(Timestamp::from_unix_milliseconds(1_029_999)));
    assert!(!lockout.is_locked(at(1030)));
    assert!(!Lockout::default().is_locked(at(0)));
}

#[test]
fn failures_at_the_end_of_their_count_still_lock() {
    let lockout: Lockout =
        serde_json::from_str(r#"{"failures":4294967295,"locked_until":null}"#).unwrap();
    assert!(lockout.after_failure(at(5)).is_locked(at(3604)));
}
