//! The main job: from a wish to a certificate, recorded before it is signed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ca_core::api::{self, IssuedCertificate, PolicyReason, RequestCertificate};
use ca_core::event::Attempt;
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::login::random;
use super::waiting::Wait;
use super::{Ca, Caller, Failure, actor_or_refuse};
use crate::access::Denied;
use crate::issuance::{Certificate, Prepared};
use crate::ledger::{CommitError, Recorded, Refusal};
use crate::policy::{self, PolicySet, Question};
use crate::recordable::Either;

pub(super) mod decide;
pub(super) mod wish;

/// Searches for hints at once.
static HINTING: Semaphore = Semaphore::const_new(2);
/// Longest wait for a place among them; then the denial is told without hints.
const HINT_WAIT_MAX: Duration = Duration::from_secs(2);

/// What came of asking for a certificate.
#[derive(Debug)]
pub enum Answer {
    /// The certificate.
    Issued(Box<IssuedCertificate>),
    /// An access request that waits for others, or for its time.
    Waits(Box<api::AccessRequest>),
}

/// Why no new certificate was recorded.
#[derive(Debug)]
pub(super) enum NotRecorded {
    /// The same request was answered with this certificate before.
    Answered(Serial),
    /// Policy said no; hints are still to be computed.
    Denied(Box<Denied>),
    /// The same is asked for in this open access request.
    Waits(u64),
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
    /// Decides, records, signs, checks. The same request again gives the same certificate, or the
    /// same access request.
    ///
    /// # Errors
    ///
    /// [`Failure`]; every decision, also a refusal, has its record.
    pub async fn issue(
        self: Arc<Self>,
        caller: Caller,
        body: RequestCertificate,
    ) -> Result<Answer, Failure> {
        let policies = self.policies.current();
        let (ca, nonce) = (Arc::clone(&self), random()?);
        let set = Arc::clone(&policies);
        let committed = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Certificate)?;
            let parsed = ca
                .parse(&body, caller.source)
                .map_err(|failure| decide::refuse_wish(&actor, failure, caller.source))?;
            decide::decide(&ca, (state, turn), &actor, &set, (parsed, nonce))
        });
        let recorded = match committed.await.map(Recorded::either) {
            Ok(Either::This(recorded)) => recorded,
            Ok(Either::That(opened)) => return self.waits(caller, opened.index()).await,
            Err(CommitError::Refused(NotRecorded::Answered(serial))) => self.recall(serial).await?,
            Err(CommitError::Refused(NotRecorded::Waits(index))) => {
                return self.waits(caller, index).await;
            }
            Err(CommitError::Refused(NotRecorded::Denied(denied))) => {
                return Err(self.denied(policies, *denied).await);
            }
            Err(CommitError::Refused(NotRecorded::Failed(failure))) => return Err(failure),
            Err(CommitError::Busy(why)) => return Err(Failure::Busy(why)),
            Err(CommitError::Stopped) => return Err(Failure::Stopped),
        };
        let certificate = self.sign(&recorded).await?;
        let issued = self.answer(&recorded, &certificate)?;
        Ok(Answer::Issued(Box::new(issued)))
    }

    async fn waits(self: Arc<Self>, caller: Caller, index: u64) -> Result<Answer, Failure> {
        let request = self.request(caller, index, Wait::default()).await?;
        Ok(Answer::Waits(Box::new(request)))
    }

    /// Signs what was recorded and checks the product. A wrong product stops this key for good.
    pub(super) async fn sign(&self, recorded: &Recorded<Prepared>) -> Result<Certificate, Failure> {
        let signing = self
            .environments
            .get(recorded.get().environment())
            .ok_or(Failure::CaKeyUnavailable)?;
        let key = signing.signer.public_key();
        if !recorded.get().is_for(key) {
            // Asked again after the key was rotated: the old one signs no more, and the new one
            // must not be blamed.
            return Err(Failure::RequestIdReused);
        }
        let signature = signing
            .signer
            .sign(recorded.into())
            .await
            .map_err(|error| {
                tracing::error!(%error, environment = %recorded.get().environment(), "CA key");
                Failure::CaKeyUnavailable
            })?;
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

    pub(super) async fn recall(&self, serial: Serial) -> Result<Recorded<Prepared>, Failure> {
        let ledger = self.ledger.clone();
        let recalled = tokio::task::spawn_blocking(move || ledger.recall(serial.index())).await;
        recalled
            .map_err(|error| Failure::Internal(error.to_string()))?
            .map_err(|error| Failure::Internal(error.to_string()))
    }

    pub(super) fn answer(
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

    /// Reasons and hints in words.
    pub(super) async fn denied(&self, policies: Arc<PolicySet>, denied: Denied) -> Failure {
        let Denied {
            denial, question, ..
        } = denied;
        Failure::Denied {
            reasons: denial.reasons.iter().map(reason).collect(),
            hints: self.hints(policies, question).await,
        }
    }

    /// The nearest things that are permitted, in words. They cost some dozens of evaluations for each
    /// login name, so they are looked for here and not while everybody waits for the ledger, on few
    /// threads at once and not at all in a crowd: being denied must not be a way to keep the machine
    /// busy.
    pub(super) async fn hints(
        &self,
        policies: Arc<PolicySet>,
        question: Question,
    ) -> Vec<api::Hint> {
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
        hints.iter().map(hint).collect()
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
