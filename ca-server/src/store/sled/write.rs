//! What one batch writes: runs of records, postings of blocks that it fills, tiles, the head.

use super::Current;
use super::layout::{
    HEAD_KEY, encode_head, encode_records, parts, postings_prefix, record_prefix, tile_prefix,
};
use super::postings::{BLOCK, encode_block, marks};
use crate::store::Batch;

/// The writes of one batch.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) batch: ::sled::Batch,
    /// Size of the values.
    pub(super) bytes: usize,
}

impl Writes {
    /// The writes, and what readers see once they are durable.
    pub(super) fn of(batch: &Batch, current: &Current) -> (Self, Current) {
        let mut writes = Self::default();
        let mut next = current.clone();
        for (first, run) in encode_records(current.size(), &batch.records) {
            writes.put(&record_prefix(first), &run);
        }
        let mut block = current.full_blocks();
        for record in &batch.records {
            next.open.push(marks(record));
            if next.open.len() == BLOCK {
                for (bucket, value) in encode_block(&next.open) {
                    writes.put(&postings_prefix(bucket, block), &value);
                }
                next.open.clear();
                block = block.saturating_add(1);
            }
        }
        for tile in &batch.tiles {
            let hashes: Vec<u8> = tile
                .hashes
                .iter()
                .flat_map(|hash| *hash.as_bytes())
                .collect();
            writes.put(&tile_prefix(tile.level, tile.index), &hashes);
        }
        writes.batch.insert(HEAD_KEY, encode_head(&batch.head));
        next.head = Some(batch.head);
        (writes, next)
    }

    fn put(&mut self, prefix: &[u8], value: &[u8]) {
        self.bytes = self.bytes.saturating_add(value.len());
        for (key, piece) in parts(prefix, value) {
            self.batch.insert(key, piece);
        }
    }
}
