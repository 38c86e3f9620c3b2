//! Hosts: who may speak for which names, what they acknowledged, and the ssh sessions they told of.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ca_core::api::SessionEvent;
use ca_core::digest::Digest;
use ca_core::event::{
    Event, HostAcknowledged, HostCertificateIssued, HostEnrolled, JoinTokenIssued,
    SshSessionReported,
};
use ca_core::name::{Environment, HostName, Principal};
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ending, State, pairs};

/// How long an ended ssh session is remembered, so that a report told twice is recorded once.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// A host that joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its environment.
    pub environment: Environment,
    /// Its names.
    pub names: Vec<HostName>,
    /// When it joined.
    pub joined: Timestamp,
    /// Its host key, OpenSSH one-line text.
    pub public_key: String,
    /// SHA-256 of its credential.
    pub credential: Digest,
    /// The version of the revocation list in force there.
    pub acknowledged: Option<u64>,
    /// How long that took after the version came into being.
    pub acknowledged_after: Option<Duration>,
    /// End of its newest host certificate.
    pub certificate_valid_before: Option<Timestamp>,
    /// Ssh sessions open there.
    #[serde(with = "pairs")]
    pub ssh_sessions: BTreeMap<Digest, SshSession>,
    /// Ssh sessions that ended within the last day.
    #[serde(with = "pairs")]
    ended: BTreeMap<Digest, Timestamp>,
}

/// An ssh session open on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSession {
    /// Serial of its certificate.
    pub serial: u64,
    /// The account.
    pub account: Principal,
    /// When it began, by the host's clock.
    pub began: Timestamp,
    /// Whether the host said that it should have ended and could not be.
    pub not_ended: bool,
}

/// Permission for one host to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// The environment the host will belong to.
    pub environment: Environment,
    /// The names it will have.
    pub names: Vec<HostName>,
    /// Last moment of use.
    pub expires: Timestamp,
}

impl Host {
    /// Whether this was reported before.
    #[must_use]
    pub fn knows(&self, ssh_session: &Digest, happened: SessionEvent) -> bool {
        match happened {
            SessionEvent::Began => {
                self.ssh_sessions.contains_key(ssh_session) || self.ended.contains_key(ssh_session)
            }
            SessionEvent::NotEnded => {
                let open = self.ssh_sessions.get(ssh_session);
                open.is_none_or(|session| session.not_ended)
            }
            _ => self.ended.contains_key(ssh_session),
        }
    }

    /// How many ssh sessions are remembered, open or ended.
    #[must_use]
    pub fn told(&self) -> usize {
        self.ssh_sessions.len() + self.ended.len()
    }
}

/// All of them, by the log index of their enrolment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hosts {
    #[serde(with = "pairs")]
    by_index: BTreeMap<u64, Host>,
    #[serde(with = "pairs")]
    by_credential: HashMap<Digest, u64>,
    #[serde(with = "pairs")]
    join_tokens: HashMap<Digest, JoinToken>,
}

impl Hosts {
    pub(super) fn get(&self, host: u64) -> Option<&Host> {
        self.by_index.get(&host)
    }

    pub(super) fn of_credential(&self, credential: &Digest) -> Option<(u64, &Host)> {
        let host = *self.by_credential.get(credential)?;
        Some((host, self.by_index.get(&host)?))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u64, &Host)> {
        self.by_index.iter().map(|(index, host)| (*index, host))
    }

    pub(super) fn join_token(&self, token: &Digest, now: Timestamp) -> Option<&JoinToken> {
        self.join_tokens
            .get(token)
            .filter(|token| now < token.expires)
    }

    pub(super) fn join_tokens(&self) -> impl Iterator<Item = (&Digest, &JoinToken)> {
        self.join_tokens.iter()
    }

    pub(super) fn token_issued(&mut self, issued: &JoinTokenIssued) {
        let token = JoinToken {
            environment: issued.environment.clone(),
            names: issued.names.clone(),
            expires: issued.expires,
        };
        self.join_tokens.insert(issued.token, token);
    }

    /// Hosts that a new one with these names replaces.
    pub(super) fn replaced_by(&self, enrolled: &HostEnrolled) -> Vec<u64> {
        self.all()
            .filter(|(_, host)| host.environment == enrolled.environment)
            .filter(|(_, host)| host.names.iter().any(|name| enrolled.names.contains(name)))
            .map(|(index, _)| index)
            .collect()
    }

    pub(super) fn enrolled(&mut self, enrolled: &HostEnrolled, joined: Timestamp) {
        self.by_credential
            .insert(enrolled.credential, enrolled.host);
        self.by_index.insert(
            enrolled.host,
            Host {
                environment: enrolled.environment.clone(),
                names: enrolled.names.clone(),
                joined,
                public_key: enrolled.public_key.clone(),
                credential: enrolled.credential,
                acknowledged: None,
                acknowledged_after: None,
                certificate_valid_before: None,
                ssh_sessions: BTreeMap::new(),
                ended: BTreeMap::new(),
            },
        );
    }

    /// What was to be forgotten about the host later is over now: those ssh sessions.
    pub(super) fn removed(&mut self, host: u64) -> Vec<(Digest, Timestamp)> {
        let Some(host) = self.by_index.remove(&host) else {
            return Vec::new();
        };
        self.by_credential.remove(&host.credential);
        host.ended.into_iter().collect()
    }

    pub(super) fn certificate_issued(&mut self, issued: &HostCertificateIssued) {
        if let Some(host) = self.by_index.get_mut(&issued.host) {
            let valid_before = Timestamp::from_unix_seconds(issued.valid_before);
            host.certificate_valid_before = Some(valid_before);
        }
    }

    /// `changed` is when that version came into being, if it is the newest.
    pub(super) fn acknowledged(
        &mut self,
        acknowledged: &HostAcknowledged,
        changed: Option<Timestamp>,
        time: Timestamp,
    ) {
        if let Some(host) = self.by_index.get_mut(&acknowledged.host) {
            host.acknowledged = Some(acknowledged.krl_version);
            // A version from before it joined says nothing about how fast it follows.
            let changed = changed.filter(|changed| *changed >= host.joined);
            host.acknowledged_after = changed.map(|changed| time.since(changed));
        }
    }

    pub(super) fn reported(&mut self, report: &SshSessionReported, time: Timestamp) {
        let Some(host) = self.by_index.get_mut(&report.host) else {
            return;
        };
        if report.happened == SessionEvent::Began {
            let session = SshSession {
                serial: report.serial,
                account: report.account.clone(),
                began: report.at,
                not_ended: false,
            };
            host.ssh_sessions.insert(report.ssh_session, session);
        } else if report.happened == SessionEvent::NotEnded {
            if let Some(session) = host.ssh_sessions.get_mut(&report.ssh_session) {
                session.not_ended = true;
            }
        } else {
            host.ssh_sessions.remove(&report.ssh_session);
            host.ended.insert(report.ssh_session, time);
        }
    }

    pub(super) fn forget_session(&mut self, host: u64, ssh_session: &Digest) {
        if let Some(host) = self.by_index.get_mut(&host) {
            host.ended.remove(ssh_session);
        }
    }

    pub(super) fn ended(&self) -> impl Iterator<Item = (u64, Digest, Timestamp)> {
        self.by_index.iter().flat_map(|(index, host)| {
            let ended = host.ended.iter();
            ended.map(|(session, at)| (*index, *session, *at))
        })
    }

    pub(super) fn forget_token(&mut self, token: &Digest) -> Option<JoinToken> {
        self.join_tokens.remove(token)
    }
}

impl State {
    fn host_removed(&mut self, host: u64) {
        for (session, ended) in self.hosts.removed(host) {
            let forgotten = ended.plus(REMEMBERED);
            self.ends
                .remove(&(forgotten, Ending::SshSession(host, session)));
        }
    }

    pub(super) fn apply_to_hosts(&mut self, time: Timestamp, event: &Event) {
        match event {
            Event::HostAcknowledged(acknowledged) => {
                let newest = self.krl.get(&acknowledged.environment);
                let newest = newest.filter(|list| list.version == acknowledged.krl_version);
                let changed = newest.map(|list| list.changed);
                self.hosts.acknowledged(acknowledged, changed, time);
            }
            Event::HostCertificateIssued(issued) => self.hosts.certificate_issued(issued),
            Event::HostEnrolled(enrolled) => {
                if let Some(token) = self.hosts.forget_token(&enrolled.token) {
                    let ending = Ending::JoinToken(enrolled.token);
                    self.ends.remove(&(token.expires, ending));
                }
                for host in self.hosts.replaced_by(enrolled) {
                    self.host_removed(host);
                }
                self.hosts.enrolled(enrolled, time);
            }
            Event::HostRemoved(removed) => self.host_removed(removed.host),
            Event::JoinTokenIssued(issued) => {
                let ending = Ending::JoinToken(issued.token);
                self.ends.insert((issued.expires, ending));
                self.hosts.token_issued(issued);
            }
            Event::SshSessionReported(report) => {
                self.hosts.reported(report, time);
                if !matches!(
                    report.happened,
                    SessionEvent::Began | SessionEvent::NotEnded
                ) {
                    let forgotten = time.plus(REMEMBERED);
                    let ending = Ending::SshSession(report.host, report.ssh_session);
                    self.ends.insert((forgotten, ending));
                }
            }
            _ => {}
        }
    }
}
