//! Records of certificates that were signed with an offline break-glass key: into the log, once.

use ca_core::break_glass::RecordError;
use ca_core::event::{BreakGlassImported, Event};
use serde::{Deserialize, Serialize};

use crate::ledger::{CommitError, Ledger, Refusal};

/// Longest name of an operator, bytes.
const OPERATOR_BYTES_MAX: usize = 64;

/// Where the record is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Its index in the log.
    pub index: u64,
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The log has it. Nothing was decided, so nothing is recorded.
    #[error("the record of serial {0} is in the log already")]
    Already(u64),
    /// The ledger cannot take anything now.
    #[error("the log cannot be written: {0}")]
    Ledger(String),
    /// Its operator's name is none.
    #[error("the operator's name is not 1 to 64 printable characters without blanks")]
    Operator,
    /// It is not what the offline key signed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Whether a text can stand as an operator's name.
#[must_use]
pub fn is_operator(name: &str) -> bool {
    (1..=OPERATOR_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
}

/// Records an import whose key the caller knows to be the environment's.
///
/// # Errors
///
/// [`ImportError`]; nothing was recorded.
pub async fn import(ledger: &Ledger, event: BreakGlassImported) -> Result<Imported, ImportError> {
    if !is_operator(&event.imported_by) {
        return Err(ImportError::Operator);
    }
    let record = &event.record;
    let signed = event.signed_record();
    signed.verify(&record.authority_key, record.signed_at)?;
    if record.digest().map_err(RecordError::Shape)? != event.record_digest {
        return Err(RecordError::Altered.into());
    }
    let (serial, digest) = (record.serial.get(), event.record_digest);
    let recorded = ledger.commit(move |state, _| {
        if state.is_imported(serial, &digest) {
            let why = ImportError::Already(serial);
            return Err(Refusal { why, record: None });
        }
        Ok(Event::BreakGlassImported(Box::new(event)))
    });
    match recorded.await {
        Ok(recorded) => Ok(Imported {
            index: recorded.index(),
        }),
        Err(CommitError::Refused(why)) => Err(why),
        Err(other) => Err(ImportError::Ledger(other.to_string())),
    }
}
