//! The record of a certificate that was signed with an environment's offline break-glass key while
//! the authority was away: what it says, its one spelling, and whether to believe it.
//!
//! The key that signed the certificate signs the record too, so that nobody can change the reason or
//! the holders afterwards. Asks no log; whoever imports it does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::certificate::authority_key::AuthorityKey;
use crate::certificate::key_id::Mark;
use crate::certificate::lint::{BACKDATED, Expectations, ExpectedPrincipals, ExpectedWindow};
use crate::certificate::option_value::{Extension, SourceAddress};
use crate::certificate::principals::Principals;
use crate::certificate::profile::Profile;
use crate::certificate::verify::{VerifyError, verify_line};
use crate::digest::Digest;
use crate::name::{Environment, UserName};
use crate::serial::Serial;
use crate::time::Timestamp;

/// Longest life of a certificate that the offline key signs, seconds.
pub const LIFETIME_MAX_SECONDS: u32 = 8 * 3600;

/// Longest reason, bytes.
pub const REASON_BYTES_MAX: usize = 512;

/// Largest record file, bytes: a certificate of 8 KiB in base64, a reason, 255 names of holders,
/// and all the rest.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Version of the file that this program writes and reads.
const VERSION: u32 = 1;

/// What the record's signature is over begins with this; no certificate does.
const SIGNED: &[u8] = b"jit-ssh/break-glass-record/v1\0";

/// How far the clock of the laptop that signed may be ahead.
const SKEW: std::time::Duration = std::time::Duration::from_secs(300);

/// What is said about one certificate. In JSON in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1.
    pub version: u32,
    /// Where the certificate is good for.
    pub environment: Environment,
    /// Who it was signed for, as the holders of the key call them: nobody was authenticated.
    pub user: UserName,
    /// The login names.
    pub principals: Principals,
    /// Why, in their words.
    pub reason: String,
    /// Whose shares made the key whole.
    pub holders: Vec<UserName>,
    /// Name of the set of shares.
    pub set: String,
    /// When, by the clock of the laptop that signed.
    pub signed_at: Timestamp,
    /// Serial of the certificate: of [`Serial::OFFLINE_EPOCH`].
    pub serial: Serial,
    /// `SHA256:…` fingerprint of the key that was certified.
    pub subject_key: String,
    /// First second of the certificate, Unix time.
    pub valid_after: u64,
    /// First second after the certificate, Unix time.
    pub valid_before: u64,
    /// The offline key.
    pub authority_key: AuthorityKey,
    /// The certificate, one line of an OpenSSH file.
    pub certificate: String,
}

/// The file: a record and the offline key's signature over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRecord {
    /// What is said.
    pub record: Record,
    /// Base64 of the signature blob (RFC 4253 §6.6) over [`Record::to_be_signed`].
    pub signature: String,
}

/// Why a record is not believed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The offline key did not sign this text.
    #[error(
        "the record was changed after it was signed, or this environment's key did not sign it"
    )]
    Altered,
    /// The certificate is not what the key may sign, or not what the record says.
    #[error("its certificate: {0}")]
    Certificate(#[from] VerifyError),
    /// It says something else than its certificate, or something that makes no sense.
    #[error("the record's {0}")]
    Disagrees(&'static str),
    /// Signed later than now.
    #[error("it says that it was signed at {0}, which is later than now")]
    Future(Timestamp),
    /// Not the file that `break-glass sign` writes.
    #[error("not a break-glass record: {0}")]
    Shape(#[from] serde_json::Error),
    /// Larger than any record.
    #[error("{0} bytes are more than a break-glass record has")]
    TooLarge(usize),
    /// Written by another version.
    #[error("the record has version {0}, this program reads {VERSION}")]
    Version(u32),
}

/// What certificates of the offline key may contain: a terminal, for at most this long.
///
/// The life is at least a second and at most [`LIFETIME_MAX_SECONDS`].
#[must_use]
pub fn profile(max_seconds: u32) -> Profile {
    let seconds = max_seconds.clamp(1, LIFETIME_MAX_SECONDS);
    Profile {
        max_duration_seconds: std::num::NonZeroU32::new(seconds)
            .unwrap_or(std::num::NonZeroU32::MIN),
        extensions: [Extension::PermitPty].into(),
        force_command: None,
        source_address: SourceAddress::default(),
        verify_required: false,
    }
}

impl Record {
    /// The version that [`SignedRecord::verify`] takes.
    pub const VERSION: u32 = VERSION;

    /// The bytes that the offline key signs.
    ///
    /// # Errors
    ///
    /// Never for values of this type; it is passed on, not hidden.
    pub fn to_be_signed(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = SIGNED.to_vec();
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }

    /// Names the record in the log.
    ///
    /// # Errors
    ///
    /// As [`Record::to_be_signed`].
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        self.to_be_signed().map(|bytes| Digest::of(&bytes))
    }
}

/// Whether `reason` can be written down: one line that says something.
#[must_use]
pub fn is_reason(reason: &str) -> bool {
    let length = reason.len();
    (1..=REASON_BYTES_MAX).contains(&length)
        && reason.trim().len() == length
        && !reason.chars().any(char::is_control)
}

impl SignedRecord {
    /// The record and its signature blob, together.
    #[must_use]
    pub fn new(record: Record, signature_blob: &[u8]) -> Self {
        Self {
            record,
            signature: STANDARD.encode(signature_blob),
        }
    }

    /// The bytes of the file, for people as well.
    ///
    /// # Errors
    ///
    /// As [`Record::to_be_signed`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a file. Believes nothing yet.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooLarge`], [`RecordError::Shape`], [`RecordError::Version`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        let signed: Self = serde_json::from_slice(bytes)?;
        if signed.record.version != VERSION {
            return Err(RecordError::Version(signed.record.version));
        }
        Ok(signed)
    }

    /// Checks both signatures of `key`, that certificate and record say the same, and that the key
    /// may sign such a certificate at all.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; whatever it is, the record is not to be imported.
    pub fn verify(&self, key: &AuthorityKey, now: Timestamp) -> Result<(), RecordError> {
        let record = &self.record;
        let signature = STANDARD
            .decode(&self.signature)
            .map_err(|_| RecordError::Altered)?;
        if record.authority_key != *key {
            return Err(RecordError::Altered);
        }
        key.verify(&record.to_be_signed()?, &signature)
            .map_err(|_| RecordError::Altered)?;
        self.verify_certificate(key)?;
        if !is_reason(&record.reason) {
            return Err(RecordError::Disagrees("reason is empty or no line of text"));
        }
        if record.holders.is_empty() {
            return Err(RecordError::Disagrees("holders are missing"));
        }
        if record.signed_at > now.plus(SKEW) {
            return Err(RecordError::Future(record.signed_at));
        }
        Ok(())
    }

    fn verify_certificate(&self, key: &AuthorityKey) -> Result<(), RecordError> {
        let record = &self.record;
        let profile = profile(LIFETIME_MAX_SECONDS);
        let expected = Expectations {
            authority_key: key,
            environment: &record.environment,
            subject_key: None,
            principals: ExpectedPrincipals::Exactly(&record.principals),
            window: ExpectedWindow::JustIssued {
                lifetime_max: std::time::Duration::from_secs(LIFETIME_MAX_SECONDS.into()),
                skew: std::time::Duration::ZERO,
            },
            serial: Some(record.serial),
            user: Some(&record.user),
            profile: Some(&profile),
            options: None,
        };
        let certificate = verify_line(&record.certificate, &expected, record.signed_at)?;
        if !record.serial.is_offline() || certificate.key_id().mark != Mark::BreakGlass {
            return Err(RecordError::Disagrees("serial is not of the offline key's"));
        }
        let window = certificate.validity();
        if (window.valid_after(), window.valid_before())
            != (record.valid_after, record.valid_before)
        {
            return Err(RecordError::Disagrees("window is not its certificate's"));
        }
        if certificate.subject_key().fingerprint() != record.subject_key {
            return Err(RecordError::Disagrees("key is not the certified one"));
        }
        Ok(())
    }
}

/// First and last second for a certificate signed at `now`: dated back as all others are.
#[must_use]
pub fn window(now: Timestamp, life: std::time::Duration) -> (u64, u64) {
    let after = now.minus(BACKDATED).unix_seconds();
    (after, now.plus(life).unix_seconds())
}

#[cfg(test)]
mod tests;
