//! The rules that every certificate obeys, checked over its bytes.
//!
//! Run by the authority before signing and after, by the client before its agent gets the
//! certificate, and by hosts. Reads the bytes again instead of trusting the draft they came from,
//! so an encoder that errs is caught. Checks no signature; `verify` does.

use std::fmt;
use std::time::Duration;

use super::CERTIFICATE_SIZE_MAX;
use super::authority_key::AuthorityKey;
use super::draft::TYPE_USER;
use super::key_id::{KeyId, Mark};
use super::options::{Options, OptionsError};
use super::principals::{PRINCIPALS_MAX, Principals};
use super::profile::Profile;
use super::subject_key::SubjectKey;
use super::tbs::ToBeSigned;
use crate::name::{Environment, Principal, UserName};
use crate::serial::Serial;
use crate::time::{Timestamp, Validity};

/// How far the authority dates a certificate back, so that hosts whose clocks are a little behind
/// accept it at once.
pub const BACKDATED: Duration = Duration::from_secs(60);

/// Room that a signature takes after the signed bytes: 137 bytes for P-384, 87 for Ed25519.
const SIGNATURE_SIZE_MAX: usize = 160;

/// What the reader knows of the certificate it expects. What is `None` is not compared; all other
/// rules hold always.
#[derive(Clone, Debug)]
pub struct Expectations<'a> {
    /// The environment's authority.
    pub authority_key: &'a AuthorityKey,
    /// Where it must be good for.
    pub environment: &'a Environment,
    /// Which key was asked to be certified.
    pub subject_key: Option<&'a SubjectKey>,
    /// Which login names it must have.
    pub principals: ExpectedPrincipals<'a>,
    /// How its window must lie.
    pub window: ExpectedWindow,
    /// Which serial was recorded.
    pub serial: Option<Serial>,
    /// Who it was issued to.
    pub user: Option<&'a UserName>,
    /// The environment's ceiling.
    pub profile: Option<&'a Profile>,
    /// Exactly which options were decided.
    pub options: Option<&'a Options>,
}

/// Which login names a certificate must have.
#[derive(Clone, Copy, Debug)]
pub enum ExpectedPrincipals<'a> {
    /// These in this order: what was granted.
    Exactly(&'a Principals),
    /// This among others: what a host is asked for.
    Including(&'a Principal),
}

/// How a certificate's window must lie, seen from `now`.
#[derive(Clone, Copy, Debug)]
pub enum ExpectedWindow {
    /// Just issued: begins [`BACKDATED`] ago and ends at most `lifetime_max` from now, both give or
    /// take `skew` between the two clocks.
    JustIssued {
        /// Longest rest of life.
        lifetime_max: Duration,
        /// Difference of clocks to forgive; zero for the authority itself.
        skew: Duration,
    },
    /// In use: contains now, and is no longer than `lifetime_max` and [`BACKDATED`] together.
    InUse {
        /// Longest life.
        lifetime_max: Duration,
    },
}

/// The rules, by the names that findings and audits show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The bytes are a certificate, read strictly.
    Encoding,
    /// At most 8 KiB with its signature.
    Size,
    /// A user certificate, never a host's.
    UserType,
    /// A serial of ours, and the recorded one.
    Serial,
    /// `user@environment#serial`, agreeing with the other fields; marked when signed offline.
    KeyId,
    /// 1 to 32 different well-formed names, and the granted ones.
    Principals,
    /// Never empty or open-ended, and where it should be.
    Window,
    /// Known names in the right section with well-formed values, and the decided ones.
    Options,
    /// No looser than the environment's profile.
    Profile,
    /// A key that may be certified, and the one asked about.
    SubjectKey,
    /// The environment's authority.
    AuthorityKey,
    /// `verify-required` binds security keys only; on other keys OpenSSH ignores it.
    VerifyRequired,
}

/// One rule that a certificate breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// What was found, for people.
    pub detail: String,
}

impl Rule {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Size => "size",
            Self::UserType => "user-type",
            Self::Serial => "serial",
            Self::KeyId => "key-id",
            Self::Principals => "principals",
            Self::Window => "window",
            Self::Options => "options",
            Self::Profile => "profile",
            Self::SubjectKey => "subject-key",
            Self::AuthorityKey => "authority-key",
            Self::VerifyRequired => "verify-required",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.name(), self.detail)
    }
}

/// A certificate that broke no rule, in types that cannot break one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Linted {
    pub(crate) key_id: KeyId,
    pub(crate) principals: Principals,
    pub(crate) validity: Validity,
    pub(crate) options: Options,
    pub(crate) subject_key: SubjectKey,
}

/// Checks the bytes to be signed against every rule.
///
/// # Errors
///
/// Every rule that is broken, in the order of [`Rule`]'s fields in the certificate.
pub fn lint(tbs: &[u8], expected: &Expectations<'_>, now: Timestamp) -> Result<(), Vec<Finding>> {
    let parsed = ToBeSigned::parse(tbs).map_err(|e| vec![finding(Rule::Encoding, &e)])?;
    lint_fields(&parsed, tbs.len(), expected, now).map(|_| ())
}

pub(crate) fn lint_fields(
    found: &ToBeSigned,
    tbs_size: usize,
    expected: &Expectations<'_>,
    now: Timestamp,
) -> Result<Linted, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut keep = |outcome: Result<(), Finding>| findings.extend(outcome.err());
    keep(check_size(tbs_size));
    keep(check_type(found.certificate_type));
    keep(check_authority_key(&found.authority_blob, expected));
    let subject_key = split_finding(check_subject_key(found, expected), &mut findings);
    let key_id = split_finding(check_key_id(found, expected), &mut findings);
    let principals = split_finding(check_principals(found, expected), &mut findings);
    let validity = split_finding(check_window(found, expected.window, now), &mut findings);
    let options = split_finding(check_options(found, expected), &mut findings);
    match (subject_key, key_id, principals, validity, options) {
        (Some(subject_key), Some(key_id), Some(principals), Some(validity), Some(options))
            if findings.is_empty() =>
        {
            Ok(Linted {
                key_id,
                principals,
                validity,
                options,
                subject_key,
            })
        }
        _ => Err(findings),
    }
}

fn split_finding<T>(outcome: Result<T, Finding>, findings: &mut Vec<Finding>) -> Option<T> {
    outcome.map_err(|found| findings.push(found)).ok()
}

fn finding(rule: Rule, detail: &impl ToString) -> Finding {
    Finding {
        rule,
        detail: detail.to_string(),
    }
}

fn check_size(tbs_size: usize) -> Result<(), Finding> {
    if tbs_size.saturating_add(SIGNATURE_SIZE_MAX) > CERTIFICATE_SIZE_MAX {
        let detail = format!("{tbs_size} bytes before the signature");
        return Err(finding(Rule::Size, &detail));
    }
    Ok(())
}

fn check_type(certificate_type: u32) -> Result<(), Finding> {
    if certificate_type == TYPE_USER {
        return Ok(());
    }
    let detail = format!("type {certificate_type} is not a user certificate");
    Err(finding(Rule::UserType, &detail))
}

fn check_authority_key(blob: &[u8], expected: &Expectations<'_>) -> Result<(), Finding> {
    if blob == expected.authority_key.blob() {
        return Ok(());
    }
    let found = super::subject_key::fingerprint(blob);
    let meant = expected.authority_key.fingerprint();
    let detail = format!("signed for {found}, the environment's authority is {meant}");
    Err(finding(Rule::AuthorityKey, &detail))
}

fn check_subject_key(
    found: &ToBeSigned,
    expected: &Expectations<'_>,
) -> Result<SubjectKey, Finding> {
    // The very bytes of a sound key are a sound key: looking at its point again would cost half a
    // signature.
    if let Some(meant) = expected.subject_key
        && meant.blob() == found.subject_blob
    {
        return Ok(meant.clone());
    }
    let key =
        SubjectKey::from_blob(&found.subject_blob).map_err(|e| finding(Rule::SubjectKey, &e))?;
    if expected.subject_key.is_some_and(|meant| *meant != key) {
        let detail = format!(
            "certifies {}, which is not the key asked about",
            key.fingerprint()
        );
        return Err(finding(Rule::SubjectKey, &detail));
    }
    Ok(key)
}

fn check_key_id(found: &ToBeSigned, expected: &Expectations<'_>) -> Result<KeyId, Finding> {
    let serial = Serial::try_from(found.serial).map_err(|e| finding(Rule::Serial, &e))?;
    if expected.serial.is_some_and(|recorded| recorded != serial) {
        return Err(finding(
            Rule::Serial,
            &format!("{serial} is not the recorded one"),
        ));
    }
    let id: KeyId = found.key_id.parse().map_err(|e| finding(Rule::KeyId, &e))?;
    let agrees = id.serial == serial
        && id.environment == *expected.environment
        && (id.mark == Mark::BreakGlass || !serial.is_offline())
        && expected.user.is_none_or(|user| *user == id.user);
    if agrees {
        return Ok(id);
    }
    let detail = format!("{id} does not agree with serial {serial}, environment and user");
    Err(finding(Rule::KeyId, &detail))
}

fn check_principals(
    found: &ToBeSigned,
    expected: &Expectations<'_>,
) -> Result<Principals, Finding> {
    let broken = |detail: &dyn fmt::Display| finding(Rule::Principals, &detail.to_string());
    if found.principals.len() > PRINCIPALS_MAX {
        return Err(broken(&format!("{} principals", found.principals.len())));
    }
    let names: Result<Vec<Principal>, _> = found.principals.iter().map(|p| p.parse()).collect();
    let names = names.map_err(|e| broken(&e))?;
    let list = Principals::new(names).map_err(|e| broken(&e))?;
    let as_expected = match expected.principals {
        ExpectedPrincipals::Exactly(granted) => list == *granted,
        ExpectedPrincipals::Including(asked) => list.as_slice().contains(asked),
    };
    if as_expected {
        return Ok(list);
    }
    Err(broken(&format!(
        "{:?} are not the expected ones",
        list.as_slice()
    )))
}

fn check_window(
    found: &ToBeSigned,
    expected: ExpectedWindow,
    now: Timestamp,
) -> Result<Validity, Finding> {
    let window = Validity::new(found.valid_after, found.valid_before)
        .map_err(|e| finding(Rule::Window, &e))?;
    let (after, before) = (window.valid_after(), window.valid_before());
    let second = now.unix_seconds();
    let as_expected = match expected {
        ExpectedWindow::JustIssued { lifetime_max, skew } => {
            let (earliest, skew) = (BACKDATED.saturating_add(skew).as_secs(), skew.as_secs());
            after >= second.saturating_sub(earliest)
                && after <= second.saturating_add(skew)
                && before > second.saturating_sub(skew)
                && before <= second.saturating_add(lifetime_max.as_secs().saturating_add(skew))
        }
        ExpectedWindow::InUse { lifetime_max } => {
            let longest = lifetime_max.as_secs().saturating_add(BACKDATED.as_secs());
            window.contains(now) && before - after <= longest
        }
    };
    if as_expected {
        return Ok(window);
    }
    let [from, to] = [after, before].map(Timestamp::from_unix_seconds);
    let detail = format!("valid from {from} to {to}, which is not as expected at {now}");
    Err(finding(Rule::Window, &detail))
}

fn check_options(found: &ToBeSigned, expected: &Expectations<'_>) -> Result<Options, Finding> {
    let options = Options::decode(&found.critical_options, &found.extensions)
        .map_err(|e: OptionsError| finding(Rule::Options, &e))?;
    if expected.options.is_some_and(|decided| *decided != options) {
        return Err(finding(Rule::Options, &"not the options that were decided"));
    }
    if let Some(profile) = expected.profile {
        let outcome = profile.admits(&options);
        outcome.map_err(|e| finding(Rule::Profile, &e))?;
        let longest = u64::from(profile.max_duration_seconds.get()) + BACKDATED.as_secs();
        if found.valid_before.saturating_sub(found.valid_after) > longest {
            return Err(finding(Rule::Profile, &"longer than the profile allows"));
        }
    }
    if options.verify_required && !found.kind.is_security_key() {
        let detail = "verify-required on a key that is in no security key";
        return Err(finding(Rule::VerifyRequired, &detail));
    }
    Ok(options)
}

#[cfg(test)]
mod cases;
