//! What the ledger releases: proof that a value was recorded before anybody could see it.

use std::fmt;
use std::sync::Arc;

use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;
use ca_core::tlog::leaf::Leaf;
use ca_core::tlog::receipt::{Receipt, ReceiptError};
use ca_core::tlog::tree::Batch as Tree;

use crate::recordable::Either;

/// Proof that a value was recorded, durably, before anybody could see this. Made only here.
pub struct Recorded<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Where a record stands, and what shows it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) time: Timestamp,
    pub(super) leaf: [u8; Leaf::LENGTH],
    pub(super) proof: Proof,
}

#[derive(Clone)]
pub(super) enum Proof {
    /// From the batch just committed: computed when asked for.
    Fresh(Arc<Committed>),
    /// Read from the store.
    Stored {
        hashes: Vec<Hash>,
        checkpoint: Arc<str>,
    },
}

/// A durable batch and its checkpoint.
pub(super) struct Committed {
    pub(super) tree: Tree,
    pub(super) checkpoint: Arc<str>,
}

impl<T: fmt::Debug> fmt::Debug for Recorded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorded({:?} at {})", self.value, self.place.index)
    }
}

impl<T> Recorded<T> {
    /// What was recorded.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// What was recorded, without its proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Index of the record.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.place.index
    }

    /// Time of the record.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.place.time
    }

    /// The inclusion proof under the checkpoint of this record's batch. `extra` is the leaf.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`] never happens for records of this log; it is passed on, not hidden.
    pub fn receipt(&self) -> Result<Receipt, ReceiptError> {
        self.place.receipt()
    }
}

impl<A, B> Recorded<Either<A, B>> {
    /// The one of the two that was recorded.
    #[must_use]
    pub fn either(self) -> Either<Recorded<A>, Recorded<B>> {
        let place = self.place;
        match self.value {
            Either::This(value) => Either::This(Recorded { value, place }),
            Either::That(value) => Either::That(Recorded { value, place }),
        }
    }
}

impl Place {
    pub(super) fn receipt(&self) -> Result<Receipt, ReceiptError> {
        let (hashes, checkpoint) = match &self.proof {
            Proof::Fresh(committed) => {
                let hashes = committed
                    .tree
                    .proof(self.index)
                    .ok_or(ReceiptError::Malformed)?;
                (hashes, &committed.checkpoint)
            }
            Proof::Stored { hashes, checkpoint } => (hashes.clone(), checkpoint),
        };
        Receipt::new(
            Some(self.leaf.to_vec()),
            self.index,
            hashes,
            checkpoint.to_string(),
        )
    }
}
