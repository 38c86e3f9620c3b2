//! Access requests and their approvals, emergency access and its review, freezes, and the story of
//! one grant.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::name::{Environment, Principal, UserName};
use crate::time::Timestamp;

/// Namespace of the SSHSIG signatures of break-glass keys.
pub const BREAK_GLASS_NAMESPACE: &str = "jit-ssh-break-glass";

/// An access request. 202 of `POST /v1/certificates`, and `GET /v1/requests/{id}`, which waits with
/// `?after=REVISION&wait=SECONDS` until the revision is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Its number: the log index of its record.
    pub id: u64,
    /// Changes with everything that happens to it: the log index of what happened last.
    pub revision: u64,
    /// Where it stands.
    pub status: RequestStatus,
    /// Who asks.
    pub user: UserName,
    /// Environment.
    pub environment: Environment,
    /// Login names.
    pub principals: Vec<Principal>,
    /// Length of the window: what was asked for, or less if an approver allowed less.
    pub duration_seconds: u64,
    /// The window cannot begin earlier; it ends `duration_seconds` after this at the latest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<Timestamp>,
    /// Why, in the requester's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Ticket of another system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ticket: Option<String>,
    /// Digest of exactly what is asked for; an approval names it.
    pub digest: Digest,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Nothing can be decided or activated from then on.
    pub expires_at: Timestamp,
    /// What is still missing, in words: `1 of sre-leads and 1 of security`. Empty when nothing is.
    pub needs: String,
    /// How many more approvals that is, at least.
    pub approvals_missing: u32,
    /// Who said yes so far.
    pub approvals: Vec<ApprovalGiven>,
    /// Who said no, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub denied: Option<DenialGiven>,
    /// Serial of the certificate, once activated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
    /// Whether the caller asked for it.
    pub mine: bool,
    /// Whether policy would let the caller decide it now.
    pub may_decide: bool,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestStatus {
    /// Used: its certificate was issued.
    Activated,
    /// Everything it needs is there; the requester activates it once.
    Approved,
    /// Somebody said no.
    Denied,
    /// Too late.
    Expired,
    /// Waits for approvals.
    Waiting,
    /// Taken back by the requester.
    Withdrawn,
}

/// One yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalGiven {
    /// Who.
    pub user: UserName,
    /// When.
    pub at: Timestamp,
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialGiven {
    /// Who.
    pub user: UserName,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// `GET /v1/requests?show=…`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestsQuery {
    /// Which.
    #[serde(default)]
    pub show: RequestsShown,
}

/// Which requests to list. Always only those that are not over for longer than a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestsShown {
    /// The caller's own, and those the caller may decide.
    #[default]
    All,
    /// The caller's own.
    Mine,
    /// Waiting ones that policy would let the caller decide.
    ToApprove,
}

/// Answer to [`RequestsQuery`]: newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// At most 200.
    pub requests: Vec<AccessRequest>,
}

/// `POST /v1/requests/{id}/approve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// [`AccessRequest::digest`] as the approver saw it.
    pub digest: Digest,
    /// A shorter window than asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_seconds: Option<u64>,
}

/// `POST /v1/requests/{id}/deny`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// Why; not empty.
    pub reason: String,
}

/// `POST /v1/break-glass/keys`: enrols a key for the day when the identity provider is down. Needs
/// a session whose second factor is recent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddBreakGlassKey {
    /// Any SSH key, FIDO2 ones included; OpenSSH one-line text.
    pub public_key: String,
    /// From `POST /v1/break-glass/challenges`.
    pub challenge: String,
    /// Armored SSHSIG over the challenge's bytes, namespace [`BREAK_GLASS_NAMESPACE`].
    pub signature: String,
}

/// A break-glass key of the caller. `GET /v1/break-glass/keys` lists, `DELETE
/// /v1/break-glass/keys/{fingerprint, percent-encoded}` removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassKey {
    /// `SHA256:…`
    pub fingerprint: String,
    /// OpenSSH one-line text.
    pub public_key: String,
    /// When it was enrolled.
    pub added_at: Timestamp,
}

/// Answer to `GET /v1/break-glass/keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassKeys {
    /// By time of enrolment.
    pub keys: Vec<BreakGlassKey>,
}

/// Answer to `POST /v1/break-glass/challenges` (no body, nobody need be signed in): good once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Text to be signed.
    pub challenge: String,
    /// Last moment of use, two minutes from now.
    pub expires_at: Timestamp,
}

/// `POST /v1/break-glass/sessions`: signs in without the identity provider. The session is good
/// for break-glass and for giving back, for nothing else. The answer is a
/// [`super::SessionOpened`].
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBreakGlassSession {
    /// The enrolled key.
    pub public_key: String,
    /// See [`Challenge`].
    pub challenge: String,
    /// Armored SSHSIG over the challenge's bytes, namespace [`BREAK_GLASS_NAMESPACE`].
    pub signature: String,
    /// Six ASCII digits.
    pub totp: String,
}

/// `POST /v1/break-glass`. The answer is a [`super::IssuedCertificate`] or a problem, never 202.
/// Body and idempotence as of [`super::RequestCertificate`]; `reason` is required.
pub type BreakGlass = super::RequestCertificate;

/// Emergency access that somebody else has to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Its number: the log index of the emergency's record.
    pub id: u64,
    /// Who broke glass.
    pub user: UserName,
    /// Environment.
    pub environment: Environment,
    /// Login names.
    pub principals: Vec<Principal>,
    /// Why.
    pub reason: String,
    /// Serial of the certificate.
    pub serial: u64,
    /// Whether the authority was down and the certificate was signed with the offline key.
    pub offline: bool,
    /// When.
    pub opened_at: Timestamp,
    /// End of the certificate.
    pub valid_before: Timestamp,
    /// Whether the caller may close it.
    pub may_close: bool,
}

/// Answer to `GET /v1/reviews`: the open ones, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviews {
    /// Reviews the caller may see: own ones, and those policy lets them close.
    pub reviews: Vec<Review>,
}

/// `POST /v1/reviews/{id}`: closes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseReview {
    /// What was found; not empty.
    pub finding: String,
}

/// `POST /v1/freezes` and `POST /v1/freezes/lift`: nothing new is issued until lifted. Exactly one
/// of `user` and `environment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// A person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// An environment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<String>,
    /// Why; not empty.
    pub reason: String,
}

/// Answer to [`Freeze`] and to `GET /v1/freezes`: what is frozen now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freezes {
    /// In the order of freezing.
    pub freezes: Vec<Frozen>,
}

/// One freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<UserName>,
    /// The environment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<Environment>,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: UserName,
    /// When.
    pub since: Timestamp,
}

/// `GET /v1/history/{number}`: everything about one grant, by the number of its request, the
/// serial of its certificate, or the index of any of its records. For the people it is about, for
/// those who may decide it, and for those whom policy lets `read_audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// By log index.
    pub lines: Vec<HistoryLine>,
}

/// One record of a [`History`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// Log index.
    pub index: u64,
    /// When.
    pub time: Timestamp,
    /// Type of event (`request-approved`).
    pub kind: String,
    /// Who did it, where somebody did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<UserName>,
    /// What happened, in words.
    pub sentence: String,
    /// Serial of the certificate, where the record is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
}
