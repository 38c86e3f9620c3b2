//! Facts about hosts, and what hosts report.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Judged, Person};
use crate::api::SessionEvent;
use crate::digest::Digest;
use crate::name::{Environment, HostName, Principal};
use crate::time::Timestamp;

/// See [`super::Event::JoinTokenIssued`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTokenIssued {
    /// The administrator; none when it was made on the CA's own machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<Person>,
    /// The environment the host will belong to.
    pub environment: Environment,
    /// The names it will have.
    pub names: Vec<HostName>,
    /// SHA-256 of the token.
    pub token: Digest,
    /// Last moment of use.
    pub expires: Timestamp,
    /// How policy judged it; none for the operator of the machine. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::HostEnrolled`]. The number of the host is the index of this record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEnrolled {
    /// Its number.
    pub host: u64,
    /// Its environment.
    pub environment: Environment,
    /// Its names: hosts that had one of them before are gone.
    pub names: Vec<HostName>,
    /// Its host key, OpenSSH one-line text without comment.
    pub public_key: String,
    /// The join token that is spent.
    pub token: Digest,
    /// SHA-256 of its credential.
    pub credential: Digest,
    /// Host address.
    pub source: IpAddr,
}

/// See [`super::Event::HostRemoved`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRemoved {
    /// Its number.
    pub host: u64,
    /// Who did it.
    pub by: Person,
    /// Its environment.
    pub environment: Environment,
    /// Why.
    pub reason: String,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::HostCertificateIssued`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCertificateIssued {
    /// Number of the host.
    pub host: u64,
    /// Its environment.
    pub environment: Environment,
    /// The names in it: exactly those of the host.
    pub names: Vec<HostName>,
    /// Serial of the certificate.
    pub serial: u64,
    /// Key id of the certificate.
    pub key_id: String,
    /// `SHA256:…` fingerprint of the host key.
    pub subject_key: String,
    /// First second of the certificate, Unix time.
    pub valid_after: u64,
    /// First second after the certificate, Unix time.
    pub valid_before: u64,
}

/// See [`super::Event::HostAcknowledged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAcknowledged {
    /// Number of the host.
    pub host: u64,
    /// Its environment.
    pub environment: Environment,
    /// Version of the revocation list in force there.
    pub krl_version: u64,
}

/// See [`super::Event::SshSessionReported`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSessionReported {
    /// Number of the host.
    pub host: u64,
    /// Its environment.
    pub environment: Environment,
    /// The host's name for the ssh session.
    pub ssh_session: Digest,
    /// What happened.
    pub happened: SessionEvent,
    /// When, by the host's clock.
    pub at: Timestamp,
    /// Serial of the certificate it was opened with.
    pub serial: u64,
    /// `SHA256:…` fingerprint of the CA key.
    pub ca_fingerprint: String,
    /// Key id of that certificate.
    pub key_id: String,
    /// The account.
    pub account: Principal,
    /// Where from, as sshd says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// Whether this log has the record of that certificate. If not, somebody signed past it: an
    /// alarm, unless an offline emergency is imported later.
    pub recorded: bool,
}
