//! Reading what was recorded: checkpoint, tiles, receipts. Everything here blocks on the store.

use std::sync::Arc;

use ca_core::tlog::hash::Hash;
use ca_core::tlog::leaf::{self, Leaf};
use ca_core::tlog::proof::{self, BuildError};
use ca_core::tlog::receipt::Receipt;

use super::{Ledger, Place, Proof, Published, Recorded};
use crate::issuance::Prepared;
use crate::store::{Found, Record, Search, StoreError};

/// A record and what shows that it is in the log.
#[derive(Debug)]
pub struct Shown {
    /// Index in the log.
    pub index: u64,
    /// The record.
    pub record: Record,
    /// Its inclusion proof under the newest checkpoint.
    pub receipt: Receipt,
}

impl Ledger {
    /// The newest signed checkpoint, a C2SP note.
    #[must_use]
    pub fn checkpoint(&self) -> Arc<str> {
        Arc::clone(&self.published.load().checkpoint)
    }

    /// Number of durable records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.published.load().edge.size()
    }

    /// The first `width` hashes of a tile, none if the log is not that large.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be read.
    pub fn tile(&self, place: (u8, u64), width: usize) -> Result<Option<Vec<Hash>>, StoreError> {
        let published = self.published.load_full();
        let tile = published.edge.tile(self.store.as_ref(), place)?;
        Ok(tile.and_then(|hashes| hashes.get(..width).map(<[Hash]>::to_vec)))
    }

    /// Indexes of records that match.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be read.
    pub fn search(&self, search: &Search) -> Result<Found, StoreError> {
        self.store.search(search)
    }

    /// Records with their receipts, all under one checkpoint. `indexes` ascend; those beyond the
    /// durable log are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be read or does not fit its own hashes.
    pub fn show(&self, indexes: &[u64]) -> Result<Vec<Shown>, StoreError> {
        let published = self.published.load_full();
        let mut shown = Vec::with_capacity(indexes.len());
        for &index in indexes
            .iter()
            .filter(|index| **index < published.edge.size())
        {
            let (record, place) = self.placed(&published, index)?;
            let receipt = place.receipt().map_err(|error| damaged(index, &error))?;
            shown.push(Shown {
                index,
                record,
                receipt,
            });
        }
        Ok(shown)
    }

    /// A certificate recorded earlier, ready to be signed once more: the same bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the record is none of a certificate or does not fit its leaf.
    pub fn recall(&self, index: u64) -> Result<Recorded<Prepared>, StoreError> {
        let published = self.published.load_full();
        let (record, place) = self.placed(&published, index)?;
        let opening = record
            .opening
            .ok_or_else(|| damaged(index, &"its opening was erased"))?;
        let value = Prepared::recalled(&opening.event, opening.precertificate.as_deref())
            .map_err(|error| damaged(index, &error))?;
        Ok(Recorded { value, place })
    }

    fn placed(&self, published: &Published, index: u64) -> Result<(Record, Place), StoreError> {
        let record = self
            .store
            .records(index, 1)?
            .pop()
            .ok_or_else(|| damaged(index, &"it is missing"))?;
        let leaf = Leaf::decode(&record.leaf).map_err(|error| damaged(index, &error))?;
        check_opening(&leaf, &record).map_err(|what| damaged(index, &what))?;
        let read = |level, at| published.edge.subtree(self.store.as_ref(), (level, at));
        let hashes =
            proof::inclusion(index, published.edge.size(), read).map_err(|error| match error {
                BuildError::Read(error) => error,
                BuildError::OutOfRange { .. } => damaged(index, &"it is not in the log"),
            })?;
        let checkpoint = Arc::clone(&published.checkpoint);
        let proof = Proof::Stored { hashes, checkpoint };
        let place = Place {
            index,
            time: leaf.time,
            leaf: record.leaf,
            proof,
        };
        Ok((record, place))
    }
}

fn damaged(index: u64, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("record {index}: {what}"))
}

/// Whether the opening is what the leaf commits to. An erased one is.
pub(crate) fn check_opening(leaf: &Leaf, record: &Record) -> Result<(), &'static str> {
    let Some(opening) = &record.opening else {
        return Ok(());
    };
    let subject = opening
        .precertificate
        .as_deref()
        .map_or(leaf::NO_SUBJECT, leaf::subject_digest);
    if subject != leaf.subject_digest {
        return Err("its certificate is not the one its leaf commits to");
    }
    if leaf::context_digest(&opening.salt, &opening.event) != leaf.context_digest {
        return Err("its event is not the one its leaf commits to");
    }
    Ok(())
}
