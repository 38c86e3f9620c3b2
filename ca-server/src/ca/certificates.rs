//! The main job: from a wish to a certificate, recorded before it is signed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ca_core::api::{self, IssuedCertificate, PolicyReason, RequestCertificate};
use ca_core::digest::Digest;
use ca_core::event::Attempt;
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::login::random;
use super::{Ca, Caller, Failure, Signing, actor_or_refuse, refused};
use crate::access::{self, Denied};
use crate::authn::session::Actor;
use crate::issuance::{self, Certificate, Prepared};
use crate::ledger::{CommitError, Recorded, Refusal, Turn};
use crate::policy::{self, PolicySet};
use crate::state::State;

use wish::Parsed;

mod wish;

/// Searches for hints at once.
static HINTING: Semaphore = Semaphore::const_new(2);
/// Longest wait for a place among them; then the denial is told without hints.
const HINT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Why no new certificate was recorded.
#[derive(Debug)]
enum NotRecorded {
    /// The same request was answered with this certificate before.
    Answered(Serial),
    /// Policy said no; hints are still to be computed.
    Denied(Box<Denied>),
    /// Anything else.
    Failed(Failure),
}

impl From<Refusal<Failure>> for Refusal<NotRecorded> {
    fn from(refusal: Refusal<Failure>) -> Self {
        Self {
            why: NotRecorded::Failed(refusal.why),
            record: refusal.record,
        }
    }
}

impl Ca {
    /// Decides, records, signs, checks. The same request again gives the same certificate.
    ///
    /// # Errors
    ///
    /// [`Failure`]; every decision, also a refusal, has its record.
    pub async fn issue(
        self: Arc<Self>,
        caller: Caller,
        body: RequestCertificate,
    ) -> Result<IssuedCertificate, Failure> {
        let policies = self.policies.current();
        let (ca, nonce) = (Arc::clone(&self), random()?);
        let set = Arc::clone(&policies);
        let committed = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Certificate)?;
            let parsed = ca
                .parse(&body, caller.source)
                .map_err(|failure| refuse_wish(&actor, failure, caller.source))?;
            decide(&ca, (state, turn), &actor, &set, (parsed, nonce))
        });
        let recorded = match committed.await {
            Ok(recorded) => recorded,
            Err(CommitError::Refused(NotRecorded::Answered(serial))) => self.recall(serial).await?,
            Err(CommitError::Refused(NotRecorded::Denied(denied))) => {
                return Err(self.denied(policies, *denied).await);
            }
            Err(CommitError::Refused(NotRecorded::Failed(failure))) => return Err(failure),
            Err(CommitError::Busy(why)) => return Err(Failure::Busy(why)),
            Err(CommitError::Stopped) => return Err(Failure::Stopped),
        };
        let certificate = self.sign(&recorded).await?;
        self.answer(&recorded, &certificate)
    }

    /// Signs what was recorded and checks the product. A wrong product stops this key for good.
    async fn sign(&self, recorded: &Recorded<Prepared>) -> Result<Certificate, Failure> {
        let signing = self
            .environments
            .get(recorded.get().environment())
            .ok_or(Failure::CaKeyUnavailable)?;
        let signature = signing.signer.sign(recorded).await.map_err(|error| {
            tracing::error!(%error, environment = %recorded.get().environment(), "CA key");
            Failure::CaKeyUnavailable
        })?;
        let key = signing.signer.public_key();
        // Judged as of its record. A slow signer, a clock that was set or a request repeated late
        // may find the window over, which is not the key's fault and harms nobody.
        recorded
            .get()
            .finish(signature.blob(), key, recorded.time())
            .map_err(|error| {
                tracing::error!(%error, "wrong certificate not released; this key signs no more");
                signing.distrusted.store(true, Ordering::SeqCst);
                Failure::Internal("the CA key made a wrong certificate".to_owned())
            })
    }

    async fn recall(&self, serial: Serial) -> Result<Recorded<Prepared>, Failure> {
        let ledger = self.ledger.clone();
        let recalled = tokio::task::spawn_blocking(move || ledger.recall(serial.index())).await;
        recalled
            .map_err(|error| Failure::Internal(error.to_string()))?
            .map_err(|error| Failure::Internal(error.to_string()))
    }

    fn answer(
        &self,
        recorded: &Recorded<Prepared>,
        certificate: &Certificate,
    ) -> Result<IssuedCertificate, Failure> {
        let receipt = recorded
            .receipt()
            .map_err(|error| Failure::Internal(error.to_string()))?;
        let issued = certificate.issued();
        Ok(IssuedCertificate {
            certificate: certificate.line().to_owned(),
            serial: issued.serial,
            environment: issued.asked.environment.clone(),
            principals: issued.asked.principals.clone(),
            key_id: issued.key_id.clone(),
            valid_after: Timestamp::from_unix_seconds(issued.valid_after),
            valid_before: Timestamp::from_unix_seconds(issued.valid_before),
            policies: issued.policies.clone(),
            receipt: receipt.to_string(),
            server_time: self.clock.now(),
        })
    }

    /// Reasons and hints in words. Hints cost some dozens of evaluations for each login name, so
    /// they are computed here and not while everybody waits for the ledger, on few threads at once
    /// and not at all in a crowd: being denied must not be a way to keep the machine busy.
    async fn denied(&self, policies: Arc<PolicySet>, denied: Denied) -> Failure {
        let Denied {
            denial, question, ..
        } = denied;
        let environment = question.on.environment();
        let accounts = environment
            .and_then(|name| self.environments.get(name))
            .map_or_else(Vec::new, |signing| signing.rules.accounts.clone());
        let hints = match tokio::time::timeout(HINT_WAIT_MAX, HINTING.acquire()).await {
            Ok(Ok(_place)) => {
                let search = move || policy::hints(&policies, &question, &accounts);
                let found = tokio::task::spawn_blocking(search).await;
                found.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Failure::Denied {
            reasons: denial.reasons.iter().map(reason).collect(),
            hints: hints.iter().map(hint).collect(),
        }
    }
}

/// The decision, on one state: answered before, given back, denied, or prepared.
fn decide(
    ca: &Ca,
    (state, turn): (&State, Turn),
    actor: &Actor,
    policies: &PolicySet,
    (parsed, nonce): (Parsed<'_>, [u8; 32]),
) -> Result<Prepared, Refusal<NotRecorded>> {
    let Parsed {
        signing,
        wish,
        subject_key,
        request_id,
        request_digest,
    } = parsed;
    let Signing { rules, .. } = signing;
    let source = wish.source;
    let subject = &actor.person().subject;
    if let Some(answered) = state.answered(subject, &request_id, turn.now()) {
        let serial = Serial::try_from(answered.serial).ok();
        let same = answered.digest == request_digest && !state.is_revoked(answered.serial);
        return Err(match serial.filter(|_| same) {
            Some(serial) => Refusal {
                why: NotRecorded::Answered(serial),
                record: None,
            },
            None => refuse_wish(actor, Failure::RequestIdReused, source).into(),
        });
    }
    let on_call = ca.settings.on_call.includes(actor);
    let grant = access::grant(actor, wish, (rules, policies), on_call, turn.now())
        .map_err(|denied| refuse_denied(actor, policies, denied, source))?;
    let particulars = issuance::Particulars {
        subject_key,
        request_id,
        request_digest,
        nonce,
    };
    issuance::prepare(grant, particulars, rules, turn.serial(), turn.now()).map_err(|error| {
        tracing::error!(%error, "a granted certificate breaks a rule");
        refuse_wish(actor, Failure::Internal(error.to_string()), source).into()
    })
}

/// A refusal of somebody known that policy was not asked about.
fn refuse_wish(actor: &Actor, failure: Failure, source: IpAddr) -> Refusal<Failure> {
    let code = match failure {
        Failure::RequestIdReused => "request-id-reused",
        Failure::Invalid { .. } => "invalid-request",
        _ => "not-issued",
    };
    let mut record = refused(Attempt::Certificate, code, &failure, source);
    record.person = Some(actor.person().clone());
    Refusal {
        why: failure,
        record: Some(Box::new(record)),
    }
}

fn refuse_denied(
    actor: &Actor,
    policies: &PolicySet,
    denied: Box<Denied>,
    source: IpAddr,
) -> Refusal<NotRecorded> {
    let reasons = &denied.denial.reasons;
    let sentences: Vec<&str> = reasons
        .iter()
        .map(|reason| reason.sentence.as_str())
        .collect();
    let mut record = refused(
        Attempt::Certificate,
        "denied",
        &sentences.join("; "),
        source,
    );
    record.person = Some(actor.person().clone());
    record.asked = Some(denied.asked.clone());
    record.policies = reasons
        .iter()
        .filter_map(|reason| reason.policy.clone())
        .collect();
    record.policy_digest = Some(Digest::from_bytes(policies.digest()));
    Refusal {
        why: NotRecorded::Denied(denied),
        record: Some(Box::new(record)),
    }
}

/// A policy's reason as the API spells it.
pub(super) fn reason(reason: &policy::Reason) -> PolicyReason {
    PolicyReason {
        policy: reason.policy.clone(),
        sentence: reason.sentence.clone(),
    }
}

fn hint(hint: &policy::Hint) -> api::Hint {
    use policy::Change;
    let change = |change: &Change| match change {
        Change::Approvals { count, groups } => api::HintChange::Approvals {
            count: u32::try_from(*count).unwrap_or(u32::MAX),
            groups: groups.clone(),
        },
        Change::BoundToken => api::HintChange::BoundToken,
        Change::FreshSecondFactor => api::HintChange::FreshSecondFactor,
        Change::OtherAccount { principal } => api::HintChange::OtherAccount {
            principal: principal.clone(),
        },
        Change::Reason => api::HintChange::Reason,
        Change::Requirement {
            sentence, people, ..
        } => api::HintChange::Requirement {
            count: u32::try_from(people.len()).unwrap_or(u32::MAX),
            sentence: sentence.clone(),
        },
        Change::ShorterDuration { seconds_max } => api::HintChange::ShorterDuration {
            seconds_max: *seconds_max,
        },
        Change::Ticket => api::HintChange::Ticket,
    };
    api::Hint {
        changes: hint.changes.iter().map(change).collect(),
        sentence: hint.to_string(),
    }
}
