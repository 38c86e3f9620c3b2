//! The facts each kind of event carries, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Asked, Judged};
use crate::api::SecondFactor;
use crate::digest::Digest;
use crate::name::{Environment, NameError, Subject, UserName};
use crate::time::Timestamp;

/// A person as identified and as shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawPerson")]
pub struct Person {
    /// Issuer and `sub`: the identity.
    #[serde(flatten)]
    pub subject: Subject,
    /// The name shown.
    pub user: UserName,
}

impl Person {
    /// Whether the two may be one human: one identity, or one name at two issuers. Where different
    /// people are wanted, this is asked, so that nobody is two of them.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        self.subject == other.subject || self.user == other.user
    }
}

/// Read field by field: what serde flattens it first copies, and every record is read often.
#[derive(Deserialize)]
struct RawPerson {
    issuer: String,
    sub: String,
    user: UserName,
}

impl TryFrom<RawPerson> for Person {
    type Error = NameError;

    fn try_from(raw: RawPerson) -> Result<Self, NameError> {
        Ok(Self {
            subject: Subject::new(&raw.issuer, &raw.sub)?,
            user: raw.user,
        })
    }
}

/// See [`super::Event::LogCreated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCreated {
    /// Name of the log, scheme-less, as in its checkpoints.
    pub origin: String,
    /// Upper 23 bits of every serial of this log.
    pub epoch: u32,
    /// Verifier key of the log (C2SP signed-note vkey).
    pub log_key: String,
}

/// See [`super::Event::CaKeyAdded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaKeyAdded {
    /// Whose certificates this key signs.
    pub environment: Environment,
    /// OpenSSH one-line public key without comment.
    pub public_key: String,
    /// Whether it signs certificates of hosts, and none of people.
    #[serde(skip_serializing_if = "is_false", default)]
    pub hosts: bool,
}

/// See [`super::Event::SessionOpened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// Who signed in.
    pub person: Person,
    /// Groups the ID token named.
    pub groups: BTreeSet<String>,
    /// SHA-256 of the session token.
    pub session: Digest,
    /// SHA-256 of the ID token, which is good for one session only.
    pub id_token: Digest,
    /// When that ID token expires by itself.
    pub id_token_expires: Timestamp,
    /// Whether the ID token's nonce committed to the session key.
    pub token_bound: bool,
    /// What was shown besides the ID token.
    pub second_factor: SecondFactor,
    /// The accepted TOTP step (RFC 6238 §4.2), or none for a recovery code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub totp_step: Option<u64>,
    /// Digest of the recovery code used up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery_code: Option<Digest>,
    /// End of the session.
    pub expires: Timestamp,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::SessionClosed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClosed {
    /// Whose session.
    pub person: Person,
    /// SHA-256 of the session token.
    pub session: Digest,
    /// Serials revoked with it.
    pub serials: Vec<u64>,
}

/// See [`super::Event::TotpOffered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpOffered {
    /// Who enrols.
    pub person: Person,
    /// Counts this person's seeds; names the sealed seed in the store.
    pub generation: u32,
    /// Digest of the ID token used, which confirms the same enrolment.
    pub id_token: Digest,
    /// Digests of the enrolment tickets used up.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tickets: Vec<Digest>,
    /// The accepted step of the old seed, when the old factor was shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub totp_step: Option<u64>,
    /// The recovery code used up, when that was shown instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery_code: Option<Digest>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::TotpConfirmed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpConfirmed {
    /// Who enrolled.
    pub person: Person,
    /// The generation that is in force from now on.
    pub generation: u32,
    /// The step of the confirming code: spent.
    pub totp_step: u64,
    /// Digests of the new recovery codes; older ones are void.
    pub recovery_codes: Vec<Digest>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::TicketIssued`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketIssued {
    /// The administrator.
    pub by: Person,
    /// Whom the ticket lets enrol.
    pub user: UserName,
    /// SHA-256 of the ticket.
    pub ticket: Digest,
    /// Last moment of use.
    pub expires: Timestamp,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::CertificateIssued`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateIssued {
    /// Who gets it.
    pub person: Person,
    /// Through which session.
    pub session: Digest,
    /// The client's name for this request; the same name gives the same certificate.
    pub request_id: String,
    /// Digest of the request body, so that a reused name with another wish is noticed.
    pub request_digest: Digest,
    /// The facts of the decision.
    pub asked: Asked,
    /// Policies that permitted it (`@id`).
    pub policies: Vec<String>,
    /// Digest of the policy set that decided.
    pub policy_digest: Digest,
    /// Serial of the certificate.
    pub serial: u64,
    /// Key id of the certificate.
    pub key_id: String,
    /// `SHA256:…` fingerprint of the subject key.
    pub subject_key: String,
    /// First second of the certificate, Unix time.
    pub valid_after: u64,
    /// First second after the certificate, Unix time.
    pub valid_before: u64,
    /// The access request that this activates, by the number of its record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<u64>,
    /// Who approved it, and still counted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approvers: Vec<Person>,
    /// Whether glass was broken for it: then it opened a review.
    #[serde(skip_serializing_if = "is_false", default)]
    pub break_glass: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde wants"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Why certificates ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationCause {
    /// The holder gave it back.
    Done,
    /// Somebody with the right took it away.
    Revoked,
}

/// See [`super::Event::CertificatesRevoked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesRevoked {
    /// Who did it.
    pub by: Person,
    /// Whose certificates.
    pub holder: Person,
    /// Serials, ascending.
    pub serials: Vec<u64>,
    /// Given back or taken away.
    pub cause: RevocationCause,
    /// Sessions at the CA that end with it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sessions: Vec<Digest>,
    /// Whether it was everything the holder has: their approvals of others' requests count no
    /// more, and their break-glass keys are gone.
    #[serde(skip_serializing_if = "is_false", default)]
    pub everything: bool,
    /// Open access requests that are closed with it, by their numbers.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requests: Vec<u64>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// How policy judged it, where it was somebody else's. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}

/// What somebody tried when they were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// Deciding an access request.
    Approval,
    /// Reading audit records.
    Audit,
    /// Emergency access, its keys and its sign-in.
    BreakGlass,
    /// A certificate.
    Certificate,
    /// TOTP enrolment or its confirmation.
    Enrolment,
    /// A freeze, or its end.
    Freeze,
    /// Joining as a host, or using a host's credential.
    Host,
    /// Closing a review.
    Review,
    /// A revocation.
    Revocation,
    /// Using a session token.
    Session,
    /// Signing in.
    SignIn,
    /// An administrator's enrolment ticket.
    Ticket,
}

impl Attempt {
    /// As written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Audit => "audit",
            Self::BreakGlass => "break-glass",
            Self::Certificate => "certificate",
            Self::Enrolment => "enrolment",
            Self::Freeze => "freeze",
            Self::Host => "host",
            Self::Review => "review",
            Self::Revocation => "revocation",
            Self::Session => "session",
            Self::SignIn => "sign-in",
            Self::Ticket => "ticket",
        }
    }
}

/// See [`super::Event::Refused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What was tried.
    pub attempt: Attempt,
    /// Stable code of the reason, kebab case: `totp-wrong`, `id-token-nonce`, `denied` …
    pub code: String,
    /// The reason in words, for auditors only.
    pub detail: String,
    /// Who, as far as established.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Person>,
    /// The facts of the decision, when policy decided about a certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked: Option<Asked>,
    /// Policies that forbade it (`@id`).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
    /// Digest of the policy set that decided, when policy decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_digest: Option<Digest>,
    /// The facts of the decision, when policy decided about something else than a certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// The access request that was to be activated or decided, by the number of its record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<u64>,
    /// Whose approvals counted when it was to be activated; empty where nobody's did. Absent in
    /// older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approvers: Option<Vec<Person>>,
    /// When the window was to begin, which is when policy was asked about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<Timestamp>,
    /// Client address.
    pub source: IpAddr,
}

/// See [`super::Event::RefusalsSummarised`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsSummarised {
    /// Start of the counted minute.
    pub since: Timestamp,
    /// How many refusals were not recorded one by one.
    pub count: u64,
    /// By attempt and code, `sign-in/totp-locked` → count; at most 32 entries.
    pub by_code: BTreeMap<String, u64>,
    /// How many different client addresses, counted up to 1024.
    pub sources: u32,
}

/// See [`super::Event::AuditRead`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRead {
    /// Who read.
    pub by: Person,
    /// The filters, as asked.
    pub query: String,
    /// How policy judged it. Absent in older records.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub judged: Option<Box<Judged>>,
    /// Client address.
    pub source: IpAddr,
}
