//! Facts about certificates that were signed while the authority was away.

use serde::{Deserialize, Serialize};

use crate::break_glass::{Record, SignedRecord};
use crate::digest::Digest;

/// See [`super::Event::BreakGlassImported`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassImported {
    /// What the offline key signed, whole: anybody can verify it again.
    pub record: Record,
    /// The offline key's signature over the record.
    pub signature: String,
    /// Names the record.
    pub record_digest: Digest,
    /// The operator who imported it: a user name of the authority's machine.
    pub imported_by: String,
}

impl BreakGlassImported {
    /// The file that was imported.
    #[must_use]
    pub fn signed_record(&self) -> SignedRecord {
        SignedRecord {
            record: self.record.clone(),
            signature: self.signature.clone(),
        }
    }
}
