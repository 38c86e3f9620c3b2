//! JSON of the HTTP API. Times are RFC 3339 UTC, durations whole seconds, keys OpenSSH one-liners.
//! Requests refuse unknown fields: a misspelt wish must not be ignored.

use serde::{Deserialize, Serialize};

use crate::name::{Environment, Principal, UserName};
use crate::time::Timestamp;

pub use access::{
    AccessRequest, AddBreakGlassKey, ApprovalGiven, Approve, BREAK_GLASS_NAMESPACE, BreakGlass,
    BreakGlassKey, BreakGlassKeys, Challenge, CloseReview, DenialGiven, DenyRequest, Freeze,
    Freezes, Frozen, History, HistoryLine, OpenBreakGlassSession, RequestStatus, Requests,
    RequestsQuery, RequestsShown, Review, Reviews,
};
pub use audit::{AuditOpening, AuditPage, AuditQuery, AuditRecord};
pub use decision::{Answer, WhyDecided};
pub use host::{
    EnrolHost, HOST_ENROLMENT_NAMESPACE, HostCertificate, HostEnrolled, HostReport, HostSettings,
    HostStatus, Hosts, IssueJoinToken, JoinToken, REPORTS_MAX, RemoveHost, ReportTaken,
    SessionEvent, SessionReport, SignedKrl, Staleness, WAIT_SECONDS_MAX,
};
pub use problem::{Hint, HintChange, PolicyReason, Problem, ProblemType};

mod access;
mod audit;
mod decision;
mod host;
mod problem;

/// Label of the nonce: `base64url(SHA-256(label, session public key text))`.
pub const NONCE_LABEL: &[u8] = b"jit-ssh/nonce/v1\0";

/// Largest request body the server reads, bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// What was shown besides the ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// A one-use recovery code.
    RecoveryCode,
    /// A time-based code (RFC 6238).
    Totp,
}

/// `Debug` of bodies that carry a secret: their name and nothing else.
macro_rules! secret {
    ($($body:ident),+) => {$(
        impl std::fmt::Debug for $body {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($body), "(secret)"))
            }
        }
    )+};
}

secret!(BeginEnrolment, ConfirmEnrolment, OpenSession);
secret!(EnrolHost, HostEnrolled, JoinToken, OpenBreakGlassSession);
secret!(
    EnrolmentBegun,
    EnrolmentConfirmed,
    SessionOpened,
    TicketIssued
);

/// `GET /v1/discovery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// OpenID providers that may be used, the default first.
    pub issuers: Vec<DiscoveredIssuer>,
    /// Environments, by name.
    pub environments: Vec<DiscoveredEnvironment>,
    /// The transparency log.
    pub log: DiscoveredLog,
    /// The server's clock, to notice a skew.
    pub server_time: Timestamp,
    /// Version of the server program.
    pub version: String,
}

/// One OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredIssuer {
    /// Issuer URL, exactly as in its tokens.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredEnvironment {
    /// Its name.
    pub name: Environment,
    /// Its CA key.
    pub ca_public_key: String,
    /// CA key of its host certificates, OpenSSH one-line text; none where hosts have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host_ca_public_key: Option<String>,
    /// Host patterns for ssh_config (`*.prod.example.com`).
    pub host_patterns: Vec<String>,
    /// Login names asked for when none is named.
    pub default_principals: Vec<Principal>,
    /// Length of the window asked for when none is named.
    pub default_duration_seconds: u64,
    /// Longest window anybody may get.
    pub duration_seconds_max: u64,
}

/// The transparency log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredLog {
    /// Its name.
    pub origin: String,
    /// Verifier key (C2SP vkey text).
    pub verifier_key: String,
    /// Upper part of every serial.
    pub epoch: u32,
}

/// `POST /v1/sessions`. Exactly one of `totp` and `recovery_code`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The ID token (JWT).
    pub id_token: String,
    /// The key whose digest is the token's nonce; Ed25519, OpenSSH one-line text.
    pub session_public_key: String,
    /// Six ASCII digits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub totp: Option<String>,
    /// One of the codes shown at enrolment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery_code: Option<String>,
}

/// Answer to [`OpenSession`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Bearer token, base64url of 256 random bits.
    pub token: String,
    /// Who signed in.
    pub user: UserName,
    /// End of the session.
    pub expires_at: Timestamp,
}

/// `GET /v1/sessions/current`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Who is signed in.
    pub user: UserName,
    /// End of the session.
    pub expires_at: Timestamp,
    /// When the second factor was shown.
    pub second_factor_at: Timestamp,
    /// Certificates of this person that are live and not revoked.
    pub certificates: Vec<LiveCertificate>,
    /// Requests of this person that wait or can be activated.
    #[serde(default)]
    pub requests: Vec<AccessRequest>,
    /// How many requests wait for this person's decision.
    #[serde(default)]
    pub to_approve: u32,
    /// Open reviews of this person's emergency access, and those this person may close.
    #[serde(default)]
    pub reviews: Vec<Review>,
    /// Whether the session was opened with a break-glass key.
    #[serde(default)]
    pub break_glass: bool,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// A certificate that still opens doors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCertificate {
    /// Serial.
    pub serial: u64,
    /// Environment.
    pub environment: Environment,
    /// Login names.
    pub principals: Vec<Principal>,
    /// First moment outside.
    pub valid_before: Timestamp,
}

/// `DELETE /v1/sessions/current`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClosed {
    /// Serials revoked with it.
    pub revoked: Vec<u64>,
}

/// `POST /v1/totp`: begins an enrolment. A person who has a factor shows it, or two tickets.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BeginEnrolment {
    /// The ID token (JWT).
    pub id_token: String,
    /// See [`OpenSession::session_public_key`].
    pub session_public_key: String,
    /// Tickets from administrators.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tickets: Vec<String>,
    /// A code of the factor to be replaced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub totp: Option<String>,
    /// A recovery code instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery_code: Option<String>,
}

/// Answer to [`BeginEnrolment`].
#[derive(Clone, Deserialize, Serialize)]
pub struct EnrolmentBegun {
    /// `otpauth://totp/…` for the QR code. A secret: shown once, never logged.
    pub otpauth_uri: String,
}

/// `POST /v1/totp/confirm`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmEnrolment {
    /// The same ID token as in [`BeginEnrolment`].
    pub id_token: String,
    /// The same session key.
    pub session_public_key: String,
    /// First code of the new seed.
    pub totp: String,
}

/// Answer to [`ConfirmEnrolment`].
#[derive(Clone, Deserialize, Serialize)]
pub struct EnrolmentConfirmed {
    /// Ten one-use codes. Secrets: shown once, never logged.
    pub recovery_codes: Vec<String>,
}

/// `POST /v1/totp/tickets`: an administrator lets `user` enrol.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssueTicket {
    /// Whom it is for.
    pub user: UserName,
}

/// Answer to [`IssueTicket`].
#[derive(Clone, Deserialize, Serialize)]
pub struct TicketIssued {
    /// To be handed to the person. A secret.
    pub ticket: String,
    /// Last moment of use.
    pub expires_at: Timestamp,
}

/// `POST /v1/certificates`. Texts, not parsed names: a bad one is answered with its field.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RequestCertificate {
    /// Environment.
    pub environment: String,
    /// Login names; empty means the environment's defaults.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Length of the window; none means the environment's default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<u64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Ticket of another system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ticket: Option<String>,
    /// The window must not begin earlier: a later time always opens a request, to be activated
    /// when it has come.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<Timestamp>,
    /// The access request that this activates. All other fields but key and `request_id` must be
    /// those it was opened with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access_request: Option<u64>,
    /// Subject key, OpenSSH one-line text.
    pub public_key: String,
    /// The client's name for this request: 16 to 64 characters of `[A-Za-z0-9_-]`.
    pub request_id: String,
}

/// Answer to [`RequestCertificate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// OpenSSH one-line certificate.
    pub certificate: String,
    /// Serial: upper part of the log's epoch, lower part the index of the record.
    pub serial: u64,
    /// Environment.
    pub environment: Environment,
    /// Login names.
    pub principals: Vec<Principal>,
    /// Key id.
    pub key_id: String,
    /// First moment inside.
    pub valid_after: Timestamp,
    /// First moment outside.
    pub valid_before: Timestamp,
    /// Policies that permitted it.
    pub policies: Vec<String>,
    /// Inclusion proof of its record: `c2sp.org/tlog-proof@v1` text, `extra` is the leaf.
    pub receipt: String,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// `POST /v1/revocations`: exactly one of the fields besides `reason`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// One certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
    /// All live certificates of the caller in this environment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mine: Option<String>,
    /// What was issued for this access request; an open one is withdrawn by its requester instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<u64>,
    /// Everything this person has: certificates and sessions at the CA. User name or `issuer#sub`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<String>,
    /// The session at the CA that this serial was issued through, with all that came through it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session_of: Option<u64>,
    /// Every live certificate of this subject key: `SHA256:…`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Answer to [`Revoke`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Serials revoked now; empty when all were already.
    pub serials: Vec<u64>,
    /// Index of the record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_carry_a_secret_do_not_show_it() {
        let open = r#"{"id_token":"s3cret","session_public_key":"k","totp":"s3cret"}"#;
        let open: OpenSession = serde_json::from_str(open).unwrap();
        let confirm = r#"{"id_token":"s3cret","session_public_key":"k","totp":"s3cret"}"#;
        let confirm: ConfirmEnrolment = serde_json::from_str(confirm).unwrap();
        let begin = r#"{"id_token":"s3cret","session_public_key":"k","tickets":["s3cret"]}"#;
        let begin: BeginEnrolment = serde_json::from_str(begin).unwrap();
        let opened = r#"{"token":"s3cret","user":"a","expires_at":"2026-11-22T09:30:00Z"}"#;
        let opened: SessionOpened = serde_json::from_str(opened).unwrap();
        let shown = format!("{open:?} {confirm:?} {begin:?} {opened:?}");
        assert!(shown.starts_with("OpenSession(secret)") && !shown.contains("s3cret"));
    }
}
