//! The second factor shown in a request: found, evaluated, and turned into what is recorded.
//!
//! The evaluation needs the sealed seed, which is not in the state, so it is made before the
//! commit; the commit then decides on the newest state whether the result may be used.

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{Attempt, Person};
use ca_core::time::Timestamp;

use super::{Ca, Failure, refused};
use crate::authn::recovery;
use crate::authn::totp::{self, Code};
use crate::ledger::Refusal;
use crate::state::{Factor, State};

/// What was shown besides the ID token, evaluated against one generation of the seed.
#[derive(Clone, Debug)]
pub(super) enum Evaluated {
    /// Neither a code nor a recovery code.
    Nothing,
    /// A code; the step is none if it is right in no step that may be accepted.
    Totp { generation: u32, step: Option<u64> },
    /// A recovery code; none if it has no valid shape.
    Recovery(Option<Digest>),
}

/// A second factor that the state accepts: what it spends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) kind: SecondFactor,
    pub(super) totp_step: Option<u64>,
    pub(super) recovery_code: Option<Digest>,
}

impl Ca {
    /// Evaluates the shown factor with the person's confirmed seed, or with `generation`.
    pub(super) async fn evaluate(
        &self,
        person: &Person,
        (code, recovery_code): (Option<&str>, Option<&str>),
        generation: Option<u32>,
        now: Timestamp,
    ) -> Result<Evaluated, Failure> {
        match (code, recovery_code) {
            (None, None) => Ok(Evaluated::Nothing),
            (Some(_), Some(_)) => Err(Failure::Invalid {
                field: "totp",
                detail: "give a code or a recovery code, not both".to_owned(),
            }),
            (None, Some(typed)) => Ok(Evaluated::Recovery(recovery::digest(typed).ok())),
            (Some(typed), None) => {
                let generation = match generation {
                    Some(generation) => Some(generation),
                    None => self.confirmed_generation(person).await?,
                };
                let Some(generation) = generation else {
                    return Ok(Evaluated::Totp {
                        generation: 0,
                        step: None,
                    });
                };
                let seed = self.seed(person, generation)?;
                let step = Code::parse(typed)
                    .ok()
                    .and_then(|code| totp::matching_step(&seed, &code, now));
                Ok(Evaluated::Totp { generation, step })
            }
        }
    }

    async fn confirmed_generation(&self, person: &Person) -> Result<Option<u32>, Failure> {
        let subject = person.subject.clone();
        let look = move |state: &State, _| state.factor(&subject).and_then(|f| f.confirmed);
        Ok(self.ledger.read(look).await?)
    }

    /// The person's seed of that generation, unsealed.
    pub(super) fn seed(&self, person: &Person, generation: u32) -> Result<totp::Seed, Failure> {
        let internal = |error: String| Failure::Internal(format!("sealed seed: {error}"));
        let sealed = self
            .store
            .secret(&seed_name(person, generation))
            .map_err(|error| internal(error.to_string()))?
            .ok_or_else(|| internal("missing".to_owned()))?;
        self.seal_key
            .open(&sealed, &person.subject, generation)
            .map_err(|error| internal(error.to_string()))
    }
}

/// Name of a sealed seed in the store.
pub(super) fn seed_name(person: &Person, generation: u32) -> String {
    let subject = Digest::of(person.subject.to_string().as_bytes());
    format!("totp/{subject}/{generation}")
}

/// Whether `evaluated` opens the door on this state. Lockout first: while it lasts nothing is
/// evaluated, so a right code says nothing to somebody who guesses.
pub(super) fn accept(
    factor: &Factor,
    evaluated: &Evaluated,
    now: Timestamp,
) -> Result<Spent, (Failure, &'static str)> {
    if factor.lockout.is_locked(now) {
        let until = factor.lockout.locked_until().unwrap_or(now);
        let retry_after_seconds = until.since(now).as_secs().saturating_add(1);
        return Err((
            Failure::TooManyAttempts {
                retry_after_seconds,
            },
            "totp-locked",
        ));
    }
    match evaluated {
        Evaluated::Nothing => Err((Failure::TotpRequired, "totp-required")),
        Evaluated::Totp { generation, .. } if factor.confirmed != Some(*generation) => {
            Err((Failure::LoginRefused, "totp-wrong"))
        }
        Evaluated::Totp { step: None, .. } => Err((Failure::LoginRefused, "totp-wrong")),
        Evaluated::Totp {
            step: Some(step), ..
        } => {
            if factor.last_step.is_some_and(|last| *step <= last) {
                return Err((Failure::LoginRefused, "totp-replayed"));
            }
            Ok(Spent {
                kind: SecondFactor::Totp,
                totp_step: Some(*step),
                recovery_code: None,
            })
        }
        Evaluated::Recovery(code) => match code {
            Some(code) if factor.recovery_codes.contains(code) => Ok(Spent {
                kind: SecondFactor::RecoveryCode,
                totp_step: None,
                recovery_code: Some(*code),
            }),
            _ => Err((Failure::LoginRefused, "recovery-code-wrong")),
        },
    }
}

/// The refusal of an identified person's attempt.
pub(super) fn refuse(
    (attempt, person, source): (Attempt, &Person, std::net::IpAddr),
    (why, code): (Failure, &str),
) -> Refusal<Failure> {
    let detail = why.to_string();
    let mut record = refused(attempt, code, &detail, source);
    record.person = Some(person.clone());
    Refusal {
        why,
        record: Some(Box::new(record)),
    }
}
