//! Signatures of Standard Webhooks (specification 1.0, symmetric): `v1,` and the base64 of
//! HMAC-SHA256 over `id.timestamp.body`. Reads no clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a secret that the specification allows.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets in one file: the new one and the old one while a receiver changes.
const SECRETS_MAX: usize = 4;

/// The secrets shared with one receiver. A message carries a signature by each.
pub(super) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Reads `whsec_…`, one a line.
    ///
    /// # Errors
    ///
    /// What is wrong, without quoting it.
    pub(super) fn parse(text: &SecretString) -> Result<Self, &'static str> {
        let lines = text.expose_secret().lines().map(str::trim);
        let secrets: Vec<_> = lines
            .filter(|line| !line.is_empty())
            .map(parse_one)
            .collect::<Result<_, _>>()?;
        match secrets.len() {
            0 => Err("no secret in it"),
            1..=SECRETS_MAX => Ok(Self(secrets)),
            _ => Err("more than four secrets in it"),
        }
    }

    /// The value of `webhook-signature`: one signature for each secret, separated by a space.
    #[must_use]
    pub(super) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let signatures: Vec<String> = self
            .0
            .iter()
            .filter_map(|secret| {
                let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).ok()?;
                mac.update(format!("{id}.{}.", at.unix_seconds()).as_bytes());
                mac.update(body);
                Some(format!(
                    "v1,{}",
                    STANDARD.encode(mac.finalize().into_bytes())
                ))
            })
            .collect();
        signatures.join(" ")
    }
}

fn parse_one(line: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let text = line
        .strip_prefix("whsec_")
        .ok_or("a secret begins with whsec_")?;
    let secret = STANDARD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| "a secret is whsec_ and base64")?;
    if !SECRET_BYTES.contains(&secret.len()) {
        return Err("a secret has 24 to 64 bytes");
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Secrets, &'static str> {
        Secrets::parse(&text.into())
    }

    /// The example that the libraries of Standard Webhooks test themselves with.
    #[test]
    fn the_signature_of_the_standards_example_is_the_one_it_names() {
        let secrets = parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let at = Timestamp::from_unix_seconds(1_614_265_330);
        let signed = secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            at,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_exchanged_each_message_is_signed_by_both() {
        let one = format!("whsec_{}", STANDARD.encode([1; 24]));
        let two = format!("whsec_{}", STANDARD.encode([2; 64]));
        let sign = |text: &str| parse(text).unwrap().sign("id", Timestamp::default(), b"{}");
        let both = sign(&format!("{one}\n\n  {two}\r\n"));
        assert_eq!(both, format!("{} {}", sign(&one), sign(&two)));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_quoted() {
        let of_bytes = |count| format!("whsec_{}", STANDARD.encode(vec![7; count]));
        for text in [
            "",
            "\n",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not base64",
            "whsec_",
            &of_bytes(23),
            &of_bytes(65),
            &[of_bytes(24), of_bytes(23)].join("\n"),
            &vec![of_bytes(24); 5].join("\n"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("MfKQ"), "{error}");
        }
        assert!(parse(&of_bytes(24)).is_ok() && parse(&of_bytes(64)).is_ok());
    }
}
