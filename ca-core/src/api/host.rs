//! What hosts and the authority say to each other. A host's credential can do its own job only:
//! fetch its revocation list, renew its own name, report its own ssh sessions.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::name::{Environment, HostName, Principal};
use crate::time::Timestamp;

/// Namespace of the SSHSIG signature in [`EnrolHost::signature`].
pub const HOST_ENROLMENT_NAMESPACE: &str = "jit-ssh-host-enrolment";

/// Longest wait of a long poll, seconds. The server answers earlier when there is news.
pub const WAIT_SECONDS_MAX: u64 = 25;

/// Most session reports in one [`HostReport`].
pub const REPORTS_MAX: usize = 256;

/// `POST /v1/hosts/tokens`: an administrator lets one host join.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssueJoinToken {
    /// The environment it will belong to.
    pub environment: String,
    /// Every name that people type for it; its host certificate names exactly these.
    pub names: Vec<String>,
}

/// Answer to [`IssueJoinToken`].
#[derive(Clone, Deserialize, Serialize)]
pub struct JoinToken {
    /// For `jit-ssh-host enroll`, good once. A secret.
    pub token: String,
    /// Last moment of use.
    pub expires_at: Timestamp,
}

/// `POST /v1/hosts`: a host joins. No other credential than the token.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolHost {
    /// The join token.
    pub token: String,
    /// The host key that sshd shows, OpenSSH one-line text without comment.
    pub host_public_key: String,
    /// Armored SSHSIG by that key, namespace [`HOST_ENROLMENT_NAMESPACE`], over the bytes of
    /// `token`: nobody gets a certificate for a key they do not hold.
    pub signature: String,
}

/// Answer to [`EnrolHost`].
#[derive(Clone, Deserialize, Serialize)]
pub struct HostEnrolled {
    /// The host's number: the log index of its record.
    pub host: u64,
    /// Its environment.
    pub environment: Environment,
    /// Its names.
    pub names: Vec<HostName>,
    /// Bearer token of this host, base64url of 256 random bits. A secret.
    pub credential: String,
    /// Its first host certificate; none where the environment has no host CA key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate: Option<HostCertificate>,
    /// What the environment's hosts trust and do.
    pub settings: HostSettings,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// What hosts of an environment trust and do. Also `GET /v1/hosts/current`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSettings {
    /// CA keys whose user certificates open doors here, OpenSSH one-line texts: the environment's,
    /// and the offline break-glass key where there is one.
    pub user_ca_keys: Vec<String>,
    /// The environment's own among them: the one the revocation list is about.
    pub environment_ca_key: String,
    /// CA key of host certificates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host_ca_key: Option<String>,
    /// Verifier key of the log (C2SP vkey text): it signs the revocation list.
    pub log_verifier_key: String,
    /// What to do when no fresh list can be had.
    pub staleness: Staleness,
    /// Age of the list, seconds, from which on it is stale.
    pub stale_after_seconds: u64,
    /// How long before the end of a grant a warning appears on its terminals, seconds, longest
    /// first. A last one appears 60 s before.
    pub warn_before_seconds: Vec<u64>,
}

/// What a host does with new logins while its revocation list is stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// Goes on with the last list.
    #[default]
    BestEffort,
    /// Refuses certificates of the environment until a fresh list is there. Running ssh sessions
    /// go on; the break-glass key stays trusted.
    Strict,
}

/// A host certificate. `POST /v1/hosts/current/certificate` renews it: no body, same key, same
/// names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCertificate {
    /// OpenSSH one-line certificate.
    pub certificate: String,
    /// Serial.
    pub serial: u64,
    /// First moment inside.
    pub valid_after: Timestamp,
    /// First moment outside. To be renewed when two thirds of the window are over.
    pub valid_before: Timestamp,
}

/// `GET /v1/environments/{env}/krl`, for everybody; with a host's credential also
/// `?after=VERSION&wait=SECONDS` (at most [`WAIT_SECONDS_MAX`]), which answers as soon as a newer
/// version is there, or at the end of the wait with the same version and a newer `generated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedKrl {
    /// The OpenSSH key revocation list, base64.
    pub krl: String,
    /// A C2SP signed note of the log key whose text is a `ca_core::krl::Statement`.
    pub statement: String,
}

/// `POST /v1/hosts/current/reports`. May be repeated: what was reported before is not recorded
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostReport {
    /// Version of the revocation list that sshd reads now, once it is in place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub krl_version: Option<u64>,
    /// What happened to ssh sessions since the last report, at most [`REPORTS_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sessions: Vec<SessionReport>,
    /// Version of the program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
}

/// Answer to [`HostReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTaken {
    /// The server's clock.
    pub server_time: Timestamp,
}

/// Something that happened to one ssh session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReport {
    /// Names the ssh session on this host for ever: SHA-256 over boot id, process id and start
    /// time of its sshd process.
    pub ssh_session: Digest,
    /// What.
    pub happened: SessionEvent,
    /// When, by the host's clock.
    pub at: Timestamp,
    /// Serial of the certificate it was opened with.
    pub serial: u64,
    /// `SHA256:…` fingerprint of the CA key that signed that certificate.
    pub ca_fingerprint: String,
    /// Key id of that certificate.
    pub key_id: String,
    /// The account.
    pub account: Principal,
    /// Where from, as sshd says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
}

/// See [`SessionReport::happened`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionEvent {
    /// It was opened.
    Began,
    /// The person closed it, or the connection broke.
    Closed,
    /// It was ended because the grant's window was over.
    EndedAtExpiry,
    /// It was ended because the certificate was revoked or given back.
    EndedByRevocation,
    /// It should have been ended and could not be.
    NotEnded,
}

/// `POST /v1/hosts/{host}/remove`: an administrator takes a host's credential away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveHost {
    /// Why; not empty.
    pub reason: String,
}

/// `GET /v1/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    /// By environment and first name.
    pub hosts: Vec<HostStatus>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// One host as the authority knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its number.
    pub host: u64,
    /// Its environment.
    pub environment: Environment,
    /// Its names.
    pub names: Vec<HostName>,
    /// Version of the revocation list in force there, none before the first acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub krl_version: Option<u64>,
    /// Newest version there is.
    pub krl_version_newest: u64,
    /// Milliseconds from the record of the last revocation to this host's acknowledgement of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acknowledged_after_milliseconds: Option<u64>,
    /// When it last asked for anything, none since the server's start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Timestamp>,
    /// Ssh sessions open there.
    pub ssh_sessions: u64,
    /// End of its newest host certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub certificate_valid_before: Option<Timestamp>,
}
