//! oathtool agrees with RFC 6238 and with the library that the product uses.

use totp_rs::{Builder, Secret};

use crate::support::oath;

/// "12345678901234567890", the secret of RFC 6238 appendix B.
const RFC_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[test]
fn codes_are_those_of_rfc_6238() {
    // Appendix B gives eight digits; six are the last six of them.
    let codes = [59, 1_111_111_109, 20_000_000_000].map(|time| oath::code_at(RFC_SECRET, time));
    assert_eq!(codes, ["287082", "081804", "353130"]);
    assert_eq!(oath::code_of_step(RFC_SECRET, 1), "287082");
}

#[test]
fn oathtool_and_totp_rs_give_the_same_codes() {
    let secret = Secret::try_from_base32(RFC_SECRET).unwrap();
    let totp = Builder::new()
        .with_secret(secret)
        .with_account_name("alice")
        .build()
        .unwrap();
    for time in [0, 29, 30, 1_700_000_000] {
        assert_eq!(
            oath::code_at(RFC_SECRET, time),
            totp.generate(time).to_string(),
            "{time}"
        );
    }
    assert_eq!(oath::secret_of(&totp.to_url().unwrap()), RFC_SECRET);
}
