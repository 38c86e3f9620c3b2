//! Reading the log through the API.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `GET /v1/audit` query. All filters must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// User name, or `issuer#sub`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<String>,
    /// `prod/deploy`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// Environment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<String>,
    /// Type of event (`certificate-issued`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// A certificate's serial.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
    /// Records of index `from` and later.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<u64>,
    /// At most so many, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u32>,
}

/// Answer to [`AuditQuery`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// Records by ascending index.
    pub records: Vec<AuditRecord>,
    /// `from` of the next page, when there may be more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<u64>,
}

/// One record that can be verified alone: leaf, opening and inclusion proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Index in the log.
    pub index: u64,
    /// Time of the leaf.
    pub time: Timestamp,
    /// Type of event.
    pub kind: String,
    /// Serial of the certificate it issued.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<u64>,
    /// The event for reading; what was hashed is in `opening`.
    pub event: serde_json::Value,
    /// What the leaf commits to.
    pub opening: AuditOpening,
    /// `c2sp.org/tlog-proof@v1` text whose `extra` is the leaf.
    pub receipt: String,
}

/// What a leaf commits to; all base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOpening {
    /// Event bytes as hashed.
    pub event: String,
    /// 32 bytes.
    pub salt: String,
    /// To-be-signed certificate, where one was issued.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub precertificate: Option<String>,
}
