//! Whether to use what the CA sent: our key, the pinned authority, the names and window asked for,
//! and a receipt that it is in the log.
//!
//! Deliberately independent of the CA's good will: everything is checked against what was asked
//! and pinned, nothing against what the answer says about itself.

use std::time::Duration;

use ca_core::api::{DiscoveredEnvironment, DiscoveredLog, IssuedCertificate};
use ca_core::certificate::key_id::Mark;
use ca_core::certificate::lint::{Expectations, ExpectedPrincipals, ExpectedWindow};
use ca_core::certificate::principals::Principals;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::certificate::verify::{VerifiedCertificate, VerifyError, verify_line};
use ca_core::name::Principal;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::{Kind, Leaf, subject_digest};
use ca_core::tlog::note::VerifierKey;
use ca_core::tlog::receipt::{Receipt, ReceiptError};

use crate::ca::authority_key;
use crate::failure::{Exit, Failure};

/// The CA dates certificates by its own clock and answers within moments.
const SKEW: Duration = Duration::from_secs(60);
/// Further apart than this, nothing that clocks decide can be believed.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(24 * 3600);

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    /// Where, as pinned.
    pub(crate) environment: &'a DiscoveredEnvironment,
    /// The log, as pinned.
    pub(crate) log: &'a DiscoveredLog,
    /// Login names; empty for the environment's defaults.
    pub(crate) principals: &'a [Principal],
    /// Length asked for.
    pub(crate) duration: Option<Duration>,
    /// Our key.
    pub(crate) subject_key: &'a SubjectKey,
    /// Whether it is an emergency: certificate and log must both say so, or neither.
    pub(crate) mark: Mark,
}

/// Why an answer is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DistrustError {
    /// The certificate itself is wrong.
    #[error("{0}")]
    Certificate(#[from] VerifyError),
    /// The clocks are a day apart.
    #[error("the clocks of the CA and this machine are more than a day apart")]
    Clocks,
    /// What the answer says about the certificate is not what the certificate says.
    #[error("the answer describes another certificate than it carries ({0})")]
    Description(&'static str),
    /// An emergency passed off as ordinary, or the other way round.
    #[error("it is not marked as what was asked for (emergency or ordinary access)")]
    Mark,
    /// Other login names than asked for.
    #[error("it is for other login names than asked for")]
    Principals,
    /// The receipt proves nothing about this certificate.
    #[error("its receipt is about something else ({0})")]
    Receipt(&'static str),
    /// The receipt does not hold.
    #[error("its receipt does not hold: {0}")]
    ReceiptInvalid(#[from] ReceiptError),
    /// The pinned log key is no key.
    #[error("the pinned log key is not usable: {0}")]
    LogKey(String),
    /// The pinned CA key is no key.
    #[error("{0}")]
    Authority(String),
}

impl From<DistrustError> for Failure {
    fn from(error: DistrustError) -> Self {
        let exit = Exit::Broken;
        let what = format!("the CA's answer cannot be trusted and was not used: {error}");
        let failure = Self::new(exit, what);
        match error {
            DistrustError::Clocks => failure.hint("set this machine's clock: jit-ssh doctor"),
            _ => failure.hint("tell your administrator; nothing was put into the agent"),
        }
    }
}

/// Checks `answer` at local time `now`.
///
/// # Errors
///
/// [`DistrustError`]; the certificate must not be used then.
pub(crate) fn verify(
    answer: &IssuedCertificate,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<VerifiedCertificate, DistrustError> {
    // The window is measured on the clock that made it; a wrong local clock is warned about
    // elsewhere, and only an absurd difference is a reason to stop.
    let server = answer.server_time;
    if server.since(now).max(now.since(server)) > CLOCKS_APART_MAX {
        return Err(DistrustError::Clocks);
    }
    let authority_key = authority_key(asked.environment)
        .map_err(|failure| DistrustError::Authority(failure.what))?;
    let principals = granted(answer, asked.principals)?;
    let longest = asked.environment.duration_seconds_max;
    let lifetime_max = asked.duration.unwrap_or(Duration::from_secs(longest));
    let certificate = verify_line(
        answer.certificate.trim_end(),
        &Expectations {
            authority_key: &authority_key,
            environment: &asked.environment.name,
            subject_key: Some(asked.subject_key),
            principals: ExpectedPrincipals::Exactly(&principals),
            window: ExpectedWindow::JustIssued {
                lifetime_max,
                skew: SKEW,
            },
            serial: None,
            user: None,
            profile: None,
            options: None,
        },
        server,
    )?;
    described(answer, &certificate)?;
    if certificate.key_id().mark != asked.mark {
        return Err(DistrustError::Mark);
    }
    in_the_log(answer, asked, &certificate)?;
    Ok(certificate)
}

/// The names that were granted: exactly those asked for, in the CA's order.
fn granted(answer: &IssuedCertificate, asked: &[Principal]) -> Result<Principals, DistrustError> {
    let names = &answer.principals;
    let same = asked.iter().all(|name| names.contains(name))
        && names.iter().all(|name| asked.contains(name));
    if !asked.is_empty() && !same {
        return Err(DistrustError::Principals);
    }
    Principals::new(names.clone()).map_err(|_| DistrustError::Principals)
}

/// Whether the answer's own fields agree with the certificate: they are shown and stored.
fn described(
    answer: &IssuedCertificate,
    certificate: &VerifiedCertificate,
) -> Result<(), DistrustError> {
    let validity = certificate.validity();
    let checks = [
        (answer.serial == certificate.serial().get(), "serial"),
        (
            answer.environment == certificate.key_id().environment,
            "environment",
        ),
        (answer.key_id == certificate.key_id().to_string(), "key_id"),
        (
            answer.valid_after.unix_seconds() == validity.valid_after(),
            "valid_after",
        ),
        (
            answer.valid_before.unix_seconds() == validity.valid_before(),
            "valid_before",
        ),
    ];
    match checks.iter().find(|(agrees, _)| !agrees) {
        Some((_, field)) => Err(DistrustError::Description(field)),
        None => Ok(()),
    }
}

/// Whether the receipt shows this certificate's record in the pinned log, where its serial says.
fn in_the_log(
    answer: &IssuedCertificate,
    asked: &Asked<'_>,
    certificate: &VerifiedCertificate,
) -> Result<(), DistrustError> {
    let log = asked.log;
    let kind = match asked.mark {
        Mark::BreakGlass => Kind::BreakGlass,
        Mark::Ordinary => Kind::UserCertificate,
    };
    let key: VerifierKey = log
        .verifier_key
        .parse()
        .map_err(|error| DistrustError::LogKey(format!("{error}")))?;
    let receipt: Receipt = answer.receipt.parse()?;
    let entry = receipt.extra().ok_or(DistrustError::Receipt("no entry"))?;
    let leaf = Leaf::decode(entry).map_err(|_| DistrustError::Receipt("not an entry"))?;
    let serial = certificate.serial();
    let checks = [
        (serial.epoch() == log.epoch, "another log"),
        (serial.index() == receipt.index(), "another index"),
        (leaf.kind == kind, "another kind of entry"),
        (
            leaf.subject_digest == subject_digest(certificate.to_be_signed()),
            "another certificate",
        ),
    ];
    if let Some((_, what)) = checks.iter().find(|(holds, _)| !holds) {
        return Err(DistrustError::Receipt(what));
    }
    receipt.verify(entry, &key)?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
