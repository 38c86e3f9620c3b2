//! What hosts report, and what is known of each: which revocation list is in force there, and which
//! ssh sessions began and ended.

use std::sync::Arc;

use ca_core::api::{self, HostReport, REPORTS_MAX, SessionEvent, SessionReport};
use ca_core::event::{Attempt, Event, HostAcknowledged, SshSessionReported};
use ca_core::name::Environment;
use ca_core::serial::Serial;
use ca_core::time::Timestamp;

use super::certificates::reason;
use super::hosts::Seen;
use super::{Ca, Caller, Failure, ignore_refusal, refused};
use crate::access;
use crate::authn::session::actor;
use crate::ledger::Refusal;
use crate::policy::{self, Action, Decision, On, Question};
use crate::state::State;

/// Ssh sessions open at once that one host may tell of: more is no host, or none of ours.
const SESSIONS_MAX: usize = 10_000;
/// Longest address and key id that are recorded, bytes.
const TEXT_BYTES_MAX: usize = 256;

impl Ca {
    /// Takes a report. What was reported before is not recorded again.
    ///
    /// # Errors
    ///
    /// [`Failure`]; what was recorded before it stays, and the host sends the rest again.
    pub async fn host_report(
        self: Arc<Self>,
        caller: Caller,
        body: HostReport,
    ) -> Result<api::ReportTaken, Failure> {
        let (host, environment) = self.calling_host(caller).await?;
        if body.sessions.len() > REPORTS_MAX {
            return Err(Failure::Invalid {
                field: "sessions",
                detail: format!("at most {REPORTS_MAX} in one report"),
            });
        }
        if let Some(version) = body.krl_version {
            self.acknowledge((host, &environment), version).await?;
        }
        for report in body.sessions {
            self.ssh_session((host, &environment), report).await?;
        }
        Ok(api::ReportTaken {
            server_time: self.clock.now(),
        })
    }

    async fn acknowledge(
        &self,
        (host, environment): (u64, &Environment),
        krl_version: u64,
    ) -> Result<(), Failure> {
        let environment = environment.clone();
        let acknowledged = self.ledger.commit(move |state, _| {
            let newest = state.krl_version(&environment).version;
            let before = state.host(host).and_then(|host| host.acknowledged);
            // Never backwards, and never what does not exist: a wrong claim must not look good.
            if krl_version > newest || before.is_some_and(|before| krl_version <= before) {
                return Err(Refusal {
                    why: (),
                    record: None,
                });
            }
            Ok(Event::HostAcknowledged(HostAcknowledged {
                host,
                environment,
                krl_version,
            }))
        });
        ignore_refusal(acknowledged.await)
    }

    async fn ssh_session(
        &self,
        (host, environment): (u64, &Environment),
        report: SessionReport,
    ) -> Result<(), Failure> {
        let cut = |text: &str| -> String {
            let printable = text.chars().filter(|c| !c.is_control());
            printable.take(TEXT_BYTES_MAX).collect()
        };
        let recorded = self.has_record(environment, &report).await?;
        if !recorded && report.happened == SessionEvent::Began {
            metrics::counter!("ca_unrecorded_ssh_sessions_total").increment(1);
            tracing::error!(
                host,
                serial = report.serial,
                ca = report.ca_fingerprint,
                "ALARM: an ssh session with a certificate that this log has no record of"
            );
        }
        let told = SshSessionReported {
            host,
            environment: environment.clone(),
            ssh_session: report.ssh_session,
            happened: report.happened,
            at: report.at,
            serial: report.serial,
            ca_fingerprint: cut(&report.ca_fingerprint),
            key_id: cut(&report.key_id),
            account: report.account,
            from: report.from.as_deref().map(cut),
            recorded,
        };
        let told = self.ledger.commit(move |state, _| {
            let known = state.host(host);
            let again = known.is_none_or(|host| host.knows(&told.ssh_session, told.happened));
            let full = known.is_some_and(|host| host.ssh_sessions.len() >= SESSIONS_MAX);
            if again || (full && told.happened == SessionEvent::Began) {
                return Err(Refusal {
                    why: (),
                    record: None,
                });
            }
            Ok(Event::SshSessionReported(Box::new(told)))
        });
        ignore_refusal(told.await)
    }

    /// Whether this log issued, or imported, the certificate of an ssh session.
    async fn has_record(
        &self,
        environment: &Environment,
        report: &SessionReport,
    ) -> Result<bool, Failure> {
        let serial = report.serial;
        let key = self
            .environments
            .get(environment)
            .map(|signing| signing.rules.authority_key.fingerprint());
        if key.as_deref() != Some(report.ca_fingerprint.as_str()) {
            let look = move |state: &State, _: Timestamp| state.is_imported(serial);
            return Ok(self.ledger.read(look).await?);
        }
        let Ok(number) = Serial::try_from(serial) else {
            return Ok(false);
        };
        if number.epoch() != self.ledger.epoch() {
            // A log before this one; its certificates are over within a day of the change.
            return Ok(number.epoch() < self.ledger.epoch());
        }
        let (ledger, environment) = (self.ledger.clone(), environment.clone());
        let read = tokio::task::spawn_blocking(move || ledger.records(number.index(), 1)).await;
        let internal = |error: String| Failure::Internal(error);
        let records = read
            .map_err(|error| internal(error.to_string()))?
            .map_err(|error| internal(error.to_string()))?;
        let opening = records.first().and_then(|record| record.opening.as_ref());
        let event = opening.and_then(|opening| Event::from_bytes(&opening.event).ok());
        Ok(match event {
            Some(Event::CertificateIssued(issued)) => {
                issued.serial == serial && issued.asked.environment == environment
            }
            // Erased: it was there.
            None => records
                .first()
                .is_some_and(|record| record.opening.is_none()),
            Some(_) => false,
        })
    }

    /// Every host, for people whom policy lets `read_audit`.
    ///
    /// # Errors
    ///
    /// [`Failure::Denied`]
    pub async fn hosts(self: Arc<Self>, caller: Caller) -> Result<api::Hosts, Failure> {
        let (ca, policies) = (Arc::clone(&self), self.policies.current());
        let look = move |state: &State, now: Timestamp| {
            let Ok(actor) = actor(state, caller.session, now) else {
                return Err(None);
            };
            let on_call = ca.settings.on_call.has(&actor);
            let question = Question {
                who: access::who(&actor),
                action: Action::ReadAudit,
                on: On::Authority,
                facts: access::facts(&actor, caller.source, on_call, now),
            };
            match policy::ask(&policies, &question) {
                Decision::Permit { .. } => Ok(host_list(state, &ca.seen, now)),
                Decision::Deny(denial) => Err(Some((actor.person().clone(), denial))),
            }
        };
        match self.ledger.read(look).await? {
            Ok(hosts) => Ok(hosts),
            Err(None) => Err(Failure::SessionRequired),
            Err(Some((person, denial))) => {
                let mut record = refused(Attempt::Host, "denied", &"listing hosts", caller.source);
                record.person = Some(person);
                let why = Failure::Denied {
                    reasons: denial.reasons.iter().map(reason).collect(),
                    hints: Vec::new(),
                };
                Err(self.record_refusal(record, why).await)
            }
        }
    }
}

/// What the state and the polls know of each host.
#[must_use]
pub fn host_list(state: &State, seen: &Seen, now: Timestamp) -> api::Hosts {
    let shown = |(number, host): (u64, &crate::state::Host)| api::HostStatus {
        host: number,
        environment: host.environment.clone(),
        names: host.names.clone(),
        krl_version: host.acknowledged,
        krl_version_newest: state.krl_version(&host.environment).version,
        acknowledged_after_milliseconds: host
            .acknowledged_after
            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        last_seen: seen.last(number),
        ssh_sessions: u64::try_from(host.ssh_sessions.len()).unwrap_or(u64::MAX),
        certificate_valid_before: host.certificate_valid_before,
    };
    let mut hosts: Vec<api::HostStatus> = state.hosts().map(shown).collect();
    hosts.sort_by(|a, b| (&a.environment, &a.names).cmp(&(&b.environment, &b.names)));
    api::Hosts {
        hosts,
        server_time: now,
    }
}
