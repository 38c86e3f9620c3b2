//! Answering a search: postings of full blocks, then the marks of the open block in memory.

use std::ops::Range;

use ::sled::Tree;
use ca_core::time::Timestamp;

use super::Current;
use super::layout::{damaged, postings_key, postings_prefix};
use super::postings::{BLOCK, Mark, positions};
use super::tree;
use crate::store::{Found, LEAF_BYTES, Search, StoreError};

const BLOCK_RECORDS: u64 = 256;

/// Records of `current` that carry every term, in the time range, by hash of term.
pub(super) fn find(tree: &Tree, current: &Current, search: &Search) -> Result<Found, StoreError> {
    let size = current.size();
    let mut range = search.from.min(size)..size;
    if let Some(since) = search.since {
        range.start = first_at(tree, range.clone(), since)?;
    }
    if let Some(until) = search.until {
        range.end = first_at(tree, range.clone(), until)?;
    }
    // One more than asked for, to know where the next page starts.
    let enough = search.limit.saturating_add(1);
    let mut terms: Vec<&String> = search.terms.iter().collect();
    terms.sort_by_key(|term| commonness(term));
    let wanted: Vec<Mark> = terms.iter().map(|term| Mark::of(term)).collect();
    let mut indexes = match wanted.split_first() {
        None => range.take(enough).collect(),
        Some((rarest, others)) => {
            let mut matching = Matching {
                range,
                enough,
                indexes: Vec::new(),
            };
            matching.full_blocks(tree, current, (*rarest, others))?;
            matching.open_block(current, &wanted);
            matching.indexes
        }
    };
    let next = indexes.get(search.limit).copied();
    indexes.truncate(search.limit);
    Ok(Found { indexes, next })
}

/// Lower for terms that few records carry: the others are looked at only where it occurs.
fn commonness(term: &str) -> u8 {
    match term.split_once('=') {
        Some(("serial", _)) => 0,
        Some(("user" | "subject", _)) => 1,
        Some(("account", _)) => 2,
        Some(("environment", _)) => 3,
        _ => 4,
    }
}

struct Matching {
    range: Range<u64>,
    enough: usize,
    indexes: Vec<u64>,
}

impl Matching {
    fn full_blocks(
        &mut self,
        tree: &Tree,
        current: &Current,
        (rarest, others): (Mark, &[Mark]),
    ) -> Result<(), StoreError> {
        let full = current.full_blocks();
        let blocks =
            self.range.start / BLOCK_RECORDS..full.min(self.range.end.div_ceil(BLOCK_RECORDS));
        if blocks.is_empty() {
            return Ok(());
        }
        let keys = postings_prefix(rarest.bucket, blocks.start)
            ..postings_prefix(rarest.bucket, blocks.end);
        let mut last = None;
        for key in tree.range(keys).keys() {
            let key = key.map_err(tree::unread)?;
            let Some((_, block)) = postings_key(&key) else {
                return Err(damaged("a key of the index is malformed"));
            };
            if last.replace(block) == Some(block) {
                continue;
            }
            self.full_block(tree, block, rarest, others)?;
            if self.indexes.len() >= self.enough {
                break;
            }
        }
        Ok(())
    }

    fn full_block(
        &mut self,
        tree: &Tree,
        block: u64,
        rarest: Mark,
        others: &[Mark],
    ) -> Result<(), StoreError> {
        let mut hits = read(tree, block, rarest)?;
        for other in others {
            if hits.is_empty() {
                return Ok(());
            }
            let more = read(tree, block, *other)?;
            hits.retain(|position| more.binary_search(position).is_ok());
        }
        let first = block.saturating_mul(BLOCK_RECORDS);
        self.add(
            hits.into_iter()
                .map(|position| first.saturating_add(position.into())),
        );
        Ok(())
    }

    fn open_block(&mut self, current: &Current, wanted: &[Mark]) {
        let first = current.full_blocks().saturating_mul(BLOCK_RECORDS);
        let hits = (first..)
            .zip(&current.open)
            .filter(|(_, marks)| wanted.iter().all(|mark| marks.contains(mark)))
            .map(|(index, _)| index);
        self.add(hits);
    }

    fn add(&mut self, hits: impl Iterator<Item = u64>) {
        let room = self.enough.saturating_sub(self.indexes.len());
        let range = self.range.clone();
        self.indexes
            .extend(hits.filter(|index| range.contains(index)).take(room));
    }
}

fn read(tree: &Tree, block: u64, mark: Mark) -> Result<Vec<u8>, StoreError> {
    let value = tree::value(tree, &postings_prefix(mark.bucket, block))?;
    Ok(positions(&value.unwrap_or_default(), mark)?.to_vec())
}

/// First index of `range` whose leaf is not before `time`; its end if there is none. Leaf times
/// never decrease: about 20 reads among a million.
fn first_at(tree: &Tree, mut range: Range<u64>, time: Timestamp) -> Result<u64, StoreError> {
    while range.start < range.end {
        let middle = range.start + (range.end - range.start) / 2;
        let found = tree::records(tree, middle..middle.saturating_add(1))?;
        let record = found
            .first()
            .ok_or_else(|| damaged("a record is missing"))?;
        if leaf_time(&record.leaf) < time {
            range.start = middle.saturating_add(1);
        } else {
            range.end = middle;
        }
    }
    Ok(range.start)
}

/// Bytes 10 to 17 of a leaf: milliseconds since 1970, big-endian.
fn leaf_time(leaf: &[u8; LEAF_BYTES]) -> Timestamp {
    let milliseconds = leaf
        .split_at_checked(10)
        .and_then(|(_, rest)| rest.first_chunk())
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Timestamp::from_unix_milliseconds(milliseconds)
}

const _: () = assert!(BLOCK == 256, "positions in a block are one byte");
