//! What hosts report, and what is known of each: which revocation list is in force there, and which
//! ssh sessions began and ended.

use std::sync::Arc;

use ca_core::api::{self, HostReport, REPORTS_MAX, SessionReport};
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::event::{Attempt, Event, HostAcknowledged, SshSessionReported};
use ca_core::name::Environment;
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::{Kind, Leaf};

use super::certificates::reason;
use super::hosts::Seen;
use super::{Ca, Caller, Failure, ignore_refusal, refused};
use crate::access;
use crate::authn::session::actor;
use crate::ledger::Refusal;
use crate::policy::{self, Action, Decision, Denial, On, Question};
use crate::state::State;

/// Ssh sessions, open or ended within a day, that are remembered of one host.
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
        self.seen
            .spend(host, body.sessions.len(), self.clock.now())
            .map_err(|retry_after_seconds| Failure::TooManyAttempts {
                retry_after_seconds,
            })?;
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
            let full = known.is_some_and(|host| host.told() >= SESSIONS_MAX);
            if again || full {
                return Err(Refusal {
                    why: (),
                    record: None,
                });
            }
            Ok(Event::SshSessionReported(Box::new(told)))
        });
        let told = told.await;
        if told.is_ok() && !recorded {
            metrics::counter!("ca_unrecorded_ssh_sessions_total").increment(1);
            tracing::error!(
                host,
                serial = report.serial,
                ca = report.ca_fingerprint,
                "ALARM: an ssh session with a certificate that this log has no record of"
            );
        }
        ignore_refusal(told)
    }

    /// Whether this log issued, or imported, exactly the certificate of an ssh session.
    async fn has_record(
        &self,
        environment: &Environment,
        report: &SessionReport,
    ) -> Result<bool, Failure> {
        let (serial, name) = (report.serial, environment.clone());
        let fingerprint = report.ca_fingerprint.clone();
        let look = move |state: &State, _: Timestamp| {
            let ours = state.authorities_of(&name).any(|key| {
                let key: Result<AuthorityKey, _> = key.parse();
                key.is_ok_and(|key| key.fingerprint() == fingerprint)
            });
            (ours, state.has_imported(serial, &fingerprint))
        };
        let (ours, imported) = self.ledger.read(look).await?;
        let number = Serial::try_from(serial).ok();
        let number = number.filter(|number| ours && number.epoch() == self.ledger.epoch());
        let Some(number) = number else {
            return Ok(imported);
        };
        let (ledger, environment) = (self.ledger.clone(), environment.clone());
        let read = tokio::task::spawn_blocking(move || ledger.records(number.index(), 1)).await;
        let internal = |error: String| Failure::Internal(error);
        let records = read
            .map_err(|error| internal(error.to_string()))?
            .map_err(|error| internal(error.to_string()))?;
        let Some(record) = records.first() else {
            return Ok(false);
        };
        let Some(opening) = &record.opening else {
            // Erased: what is left says only that a certificate was recorded there.
            let leaf = Leaf::decode(&record.leaf).ok();
            let kinds = [Kind::UserCertificate, Kind::BreakGlass];
            return Ok(leaf.is_some_and(|leaf| kinds.contains(&leaf.kind)));
        };
        Ok(match Event::from_bytes(&opening.event) {
            Ok(Event::CertificateIssued(issued)) => {
                issued.serial == serial
                    && issued.asked.environment == environment
                    && issued.key_id == report.key_id
            }
            _ => false,
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
            let asked = if actor.is_break_glass() {
                Decision::Deny(Denial::because("this session is good for break-glass only"))
            } else {
                policy::ask(&policies, &question)
            };
            match asked {
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
