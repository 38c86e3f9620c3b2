//! One-time codes made by oathtool, not by us.

use std::process::Command;

use super::clock;
use super::run::run;

/// Seconds of one step (RFC 6238 §4.1).
pub const STEP_SECONDS: u64 = 30;

/// The six-digit code of `secret` (base32) at `unix_time`.
pub fn code_at(secret: &str, unix_time: u64) -> String {
    let mut oathtool = Command::new("oathtool");
    oathtool.args([
        "--totp",
        "--base32",
        &format!("--now=@{unix_time}"),
        "--",
        secret,
    ]);
    run(oathtool).succeeds().stdout.trim_end().to_owned()
}

/// The code of `secret` (base32) now.
pub fn code_now(secret: &str) -> String {
    code_at(secret, clock::unix_now())
}

/// The code of `secret` (base32) in step number `step`.
pub fn code_of_step(secret: &str, step: u64) -> String {
    code_at(secret, step * STEP_SECONDS)
}

/// The number of the current step. Codes of the steps one before to one after are accepted, each once.
pub fn step_now() -> u64 {
    clock::unix_now() / STEP_SECONDS
}

/// The `secret` of an `otpauth://totp/…` URI, in base32.
pub fn secret_of(totp_uri: &str) -> String {
    let uri = url::Url::parse(totp_uri).expect("an otpauth URI");
    assert_eq!(
        (uri.scheme(), uri.host_str()),
        ("otpauth", Some("totp")),
        "{totp_uri}"
    );
    let secret = uri.query_pairs().find(|(name, _)| name == "secret");
    secret.expect("a secret in the otpauth URI").1.into_owned()
}
