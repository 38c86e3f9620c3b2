//! From the texts of a request to a wish: each field parsed once, the error names the field, what
//! was wrong and what is allowed.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ca_core::api::RequestCertificate;
use ca_core::certificate::principals::Principals;
use ca_core::certificate::profile::Restrictions;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::name::Principal;

use super::super::text::{REASON_BYTES_MAX, line};
use super::super::{Ca, Failure, Signing};
use crate::access::Wish;

/// Longest ticket, bytes.
const TICKET_BYTES_MAX: usize = 64;
/// Shortest window, seconds.
const DURATION_SECONDS_MIN: u64 = 60;

/// A request, parsed.
pub(in super::super) struct Parsed<'a> {
    pub(in super::super) signing: &'a Signing,
    pub(in super::super) wish: Wish,
    pub(in super::super) subject_key: SubjectKey,
    pub(in super::super) request_id: String,
    pub(in super::super) request_digest: Digest,
    pub(in super::super) access_request: Option<u64>,
}

impl Ca {
    /// Parses all fields against the environment's ceiling.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] for the first wrong field.
    pub(in super::super) fn parse(
        &self,
        body: &RequestCertificate,
        source: IpAddr,
    ) -> Result<Parsed<'_>, Failure> {
        let signing = self
            .environments
            .get(body.environment.as_str())
            .ok_or_else(|| {
                let known: Vec<&str> = self.environments.keys().map(|name| name.as_str()).collect();
                let detail = format!(
                    "there is no environment {:?} (there are: {})",
                    cut(&body.environment),
                    known.join(", ")
                );
                Failure::Invalid {
                    field: "environment",
                    detail,
                }
            })?;
        if signing.distrusted.load(Ordering::SeqCst) {
            return Err(Failure::CaKeyUnavailable);
        }
        let rules = &signing.rules;
        let subject_key: SubjectKey = body
            .public_key
            .parse()
            .map_err(|error| invalid("public_key", &error))?;
        if rules.profile.verify_required && !subject_key.kind().is_security_key() {
            let detail = "this environment certifies only security keys (sk-…)";
            return Err(invalid("public_key", &detail));
        }
        let options = rules
            .profile
            .narrowed(&Restrictions::default())
            .map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(Parsed {
            signing,
            wish: Wish {
                principals: principals(body, &rules.default_principals)?,
                duration: duration(body, signing)?,
                options,
                reason: line("reason", body.reason.as_deref(), REASON_BYTES_MAX)?,
                ticket: line("ticket", body.ticket.as_deref(), TICKET_BYTES_MAX)?,
                not_before: body.not_before,
                source,
            },
            subject_key,
            request_id: request_id(&body.request_id)?,
            request_digest: request_digest(body)?,
            access_request: body.access_request,
        })
    }
}

fn principals(body: &RequestCertificate, defaults: &Principals) -> Result<Principals, Failure> {
    if body.principals.is_empty() {
        return Ok(defaults.clone());
    }
    let names: Vec<Principal> = body
        .principals
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()
        .map_err(|error| invalid("principals", &error))?;
    Principals::new(names).map_err(|error| invalid("principals", &error))
}

fn duration(body: &RequestCertificate, signing: &Signing) -> Result<Duration, Failure> {
    let rules = &signing.rules;
    let seconds = body
        .duration_seconds
        .unwrap_or(rules.default_duration_seconds);
    let seconds_max = u64::from(rules.profile.max_duration_seconds.get());
    if (DURATION_SECONDS_MIN..=seconds_max).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let detail = format!(
        "{seconds} s is not allowed ({DURATION_SECONDS_MIN} s to {seconds_max} s in {})",
        rules.name
    );
    Err(invalid("duration_seconds", &detail))
}

fn request_id(given: &str) -> Result<String, Failure> {
    let good = (16..=64).contains(&given.len())
        && given
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if good {
        return Ok(given.to_owned());
    }
    Err(invalid(
        "request_id",
        &"expected 16 to 64 characters of A-Z a-z 0-9 - _",
    ))
}

fn request_digest(body: &RequestCertificate) -> Result<Digest, Failure> {
    let bytes = serde_json::to_vec(body).map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(Digest::of(&bytes))
}

fn invalid(field: &'static str, detail: &dyn Display) -> Failure {
    Failure::Invalid {
        field,
        detail: detail.to_string(),
    }
}

/// Enough of a wrong name to recognise it.
fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
