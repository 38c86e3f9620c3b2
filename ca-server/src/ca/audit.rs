//! Reading the records through the API, for people whom policy lets; each reading is a record.

use std::collections::BTreeSet;
use std::sync::Arc;

use ca_core::api::{AuditPage, AuditQuery};
use ca_core::digest::Digest;
use ca_core::event::{Attempt, AuditRead, Event, Judged};

use super::certificates::reason;
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::access;
use crate::audit;
use crate::authn::session::Actor;
use crate::ledger::Refusal;
use crate::policy::{self, Action, Decision, Denial, On, PolicySet, Question};

impl Ca {
    /// Records that match, each with its proof.
    ///
    /// # Errors
    ///
    /// [`Failure::Denied`] unless policy lets the caller `read_audit`.
    pub async fn read_audit(
        &self,
        caller: Caller,
        query: AuditQuery,
    ) -> Result<AuditPage, Failure> {
        let search =
            audit::search(&query).map_err(|(field, detail)| Failure::Invalid { field, detail })?;
        let asked =
            serde_json::to_string(&query).map_err(|error| Failure::Internal(error.to_string()))?;
        let policies = self.policies.current();
        let on_call = Arc::clone(&self.settings.on_call);
        let read = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Audit)?;
            let on_call = on_call.has(&actor);
            let question = Question {
                who: access::who(&actor),
                action: Action::ReadAudit,
                on: On::Authority,
                facts: access::facts(&actor, caller.source, on_call, turn.now()),
            };
            let judged = permitted(&policies, &question, (Attempt::Audit, &actor, caller))?;
            let by = actor.person().clone();
            Ok::<_, Refusal<Failure>>(Event::AuditRead(AuditRead {
                by,
                query: asked,
                judged: Some(Box::new(judged)),
                source: caller.source,
            }))
        });
        read.await?;
        let ledger = self.ledger.clone();
        let page = tokio::task::spawn_blocking(move || audit::page(&ledger, &search)).await;
        page.map_err(|error| Failure::Internal(error.to_string()))?
            .map_err(|error| Failure::Internal(error.to_string()))
    }
}

/// How policy permits it, else the refusal with its record.
pub(super) fn permitted(
    policies: &PolicySet,
    question: &Question,
    (attempt, actor, caller): (Attempt, &Actor, Caller),
) -> Result<Judged, Refusal<Failure>> {
    if actor.is_frozen() {
        let why = Failure::Frozen("others have to do this until it is lifted".to_owned());
        let mut record = refused(attempt, "frozen", &why, caller.source);
        record.person = Some(actor.person().clone());
        let record = Some(Box::new(record));
        return Err(Refusal { why, record });
    }
    let (denial, asked) = if actor.is_break_glass() {
        let only = "this session is good for break-glass only; sign in as usual";
        (Denial::because(only), false)
    } else {
        match policy::ask(policies, question) {
            Decision::Deny(denial) => (denial, true),
            Decision::Permit { policies: deciding } => {
                return Ok(access::judged((actor, question), (deciding, policies)));
            }
        }
    };
    let sentences: Vec<&str> = denial.reasons.iter().map(|r| r.sentence.as_str()).collect();
    let mut record = refused(attempt, "denied", &sentences.join("; "), caller.source);
    record.person = Some(actor.person().clone());
    let deciding = denial.reasons.iter().filter_map(|why| why.policy.clone());
    let deciding: BTreeSet<String> = deciding.collect();
    record.policies = deciding.iter().cloned().collect();
    if asked {
        let judged = access::judged((actor, question), (deciding, policies));
        record.judged = Some(Box::new(judged));
    }
    record.policy_digest = Some(Digest::from_bytes(policies.digest()));
    let why = Failure::Denied {
        reasons: denial.reasons.iter().map(reason).collect(),
        hints: Vec::new(),
    };
    Err(Refusal {
        why,
        record: Some(Box::new(record)),
    })
}
