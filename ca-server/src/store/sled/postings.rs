//! The search index: which terms occur in which records. Derived from event bytes alone, so it can
//! always be made again; full blocks keep the terms as [`terms`] spelled them at that time.
//!
//! 256 records make a block. When a block is full, its terms are spread over 32 buckets by hash,
//! one value for each bucket: an eighth of a write for each record, and a search reads one bucket
//! of each block, about 1 MB for a million records. A term is stored as 4 bytes of its hash; a
//! record found may therefore be a stranger, which is why callers look at what they find.

use std::collections::BTreeMap;
use std::sync::Arc;

use ca_core::event::Event;
use sha2::{Digest as _, Sha256};

use super::layout::{Cursor, damaged};
use crate::store::{Record, StoreError, terms};

/// Records in a block.
pub(super) const BLOCK: usize = 256;

/// Buckets of a block.
const BUCKETS: u8 = 32;

/// What is stored of a term: the bucket and four more bytes of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) bucket: u8,
    print: [u8; 4],
}

impl Mark {
    pub(super) fn of(term: &str) -> Self {
        let [bucket, a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(term));
        Self {
            bucket: bucket % BUCKETS,
            print: [a, b, c, d],
        }
    }
}

/// The marks of one record. None for an erased one and for an event of a newer program.
pub(super) fn marks(record: &Record) -> Arc<[Mark]> {
    let event = record.opening.as_ref();
    let Some(event) = event.and_then(|opening| Event::from_bytes(&opening.event).ok()) else {
        return Arc::default();
    };
    terms(&event).iter().map(|term| Mark::of(term)).collect()
}

/// The values of a full block, by bucket. A value is a sequence of: print (4 bytes), number of
/// positions less one (1), positions ascending (1 each).
pub(super) fn encode_block(block: &[Arc<[Mark]>]) -> BTreeMap<u8, Vec<u8>> {
    let mut positions: BTreeMap<Mark, Vec<u8>> = BTreeMap::new();
    for (position, marks) in (0..=u8::MAX).zip(block) {
        for mark in marks.iter() {
            let list = positions.entry(*mark).or_default();
            if list.last() != Some(&position) {
                list.push(position);
            }
        }
    }
    let mut buckets: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (mark, list) in positions {
        let value = buckets.entry(mark.bucket).or_default();
        value.extend(mark.print);
        // A list has 1 to 256 positions, each once.
        value.push(u8::try_from(list.len().saturating_sub(1)).unwrap_or(u8::MAX));
        value.extend(list);
    }
    buckets
}

/// Positions of `mark` in the value of its bucket, ascending.
pub(super) fn positions(value: &[u8], mark: Mark) -> Result<&[u8], StoreError> {
    let mut cursor = Cursor(value);
    while !cursor.0.is_empty() {
        let print: [u8; 4] = cursor.array()?;
        let [more] = cursor.array()?;
        let list = cursor.take(usize::from(more) + 1)?;
        if !list.is_sorted() {
            return Err(damaged("positions in the index are out of order"));
        }
        if print == mark.print {
            return Ok(list);
        }
    }
    Ok(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_block_gives_back_every_position_of_every_term() {
        let marks = |n: usize| -> Arc<[Mark]> {
            [
                Mark::of("all"),
                Mark::of(&format!("only={n}")),
                Mark::of(&format!("some={}", n % 5)),
            ]
            .into()
        };
        let block: Vec<_> = (0..BLOCK).map(marks).collect();
        let buckets = encode_block(&block);
        assert!(buckets.len() <= 32);
        let found = |term: &str| {
            let mark = Mark::of(term);
            positions(&buckets[&mark.bucket], mark).unwrap().to_vec()
        };
        assert_eq!(found("all"), (0..=255).collect::<Vec<u8>>());
        assert_eq!(
            found("some=3"),
            (0..=255).filter(|n| n % 5 == 3).collect::<Vec<u8>>()
        );
        for n in 0..=255u8 {
            assert_eq!(found(&format!("only={n}")), [n]);
        }
    }

    #[test]
    fn a_cut_value_is_damaged_and_never_read_as_fewer_positions() {
        let block = [Arc::from([Mark::of("a")]), Arc::from([Mark::of("a")])];
        let buckets = encode_block(&block);
        let value = &buckets[&Mark::of("a").bucket];
        for length in 1..value.len() {
            assert!(positions(&value[..length], Mark::of("a")).is_err());
        }
    }
}
