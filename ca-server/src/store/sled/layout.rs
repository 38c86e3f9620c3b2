//! Keys and values of the one sled tree, byte for byte. Reads and writes nothing.
//!
//! All numbers are big-endian, so that keys sort as numbers do. Keys:
//!
//! | key | value |
//! |---|---|
//! | `f` | the format's name |
//! | `h` | head, 84 bytes |
//! | `i` bucket(1) block(8) part(2) | postings of 256 records, see `postings.rs` |
//! | `n` | pointer to the newest snapshot |
//! | `p` generation(1) part(2) | the snapshot |
//! | `r` first(8) part(2) | records from index `first` on |
//! | `s` length(2) name part(2) | a sealed secret |
//! | `t` level(1) index(8) part(2) | a full tile |

use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;

use crate::store::{Head, LEAF_BYTES, Opening, Record, StoreError};

/// Most bytes of one value. sled keeps up to 16 values (24 for a moment, after a merge) in a page
/// and moves a page above 131,020 bytes to a file of its own (segment size 512 KiB / 4), which
/// `fdatasync` on its log would not cover. 24 values of this size and their keys stay below it.
pub(super) const PART_BYTES: usize = 5 * 1024;

/// Value of [`FORMAT_KEY`].
pub(super) const FORMAT: &[u8] = b"jit-ssh records 1";

pub(super) const FORMAT_KEY: &[u8] = b"f";
pub(super) const HEAD_KEY: &[u8] = b"h";
pub(super) const POINTER_KEY: &[u8] = b"n";

/// Bytes of the part number that ends the keys of all values stored in parts.
const PART_NUMBER: usize = 2;

pub(super) fn postings_prefix(bucket: u8, block: u64) -> Vec<u8> {
    numbered(&[b'i', bucket], block)
}

/// Bucket, block and part of a key of postings.
pub(super) fn postings_key(key: &[u8]) -> Option<(u8, u64)> {
    let (&[b'i', bucket], rest) = key.split_first_chunk()? else {
        return None;
    };
    Some((bucket, read_number(rest)?))
}

pub(super) fn record_prefix(first: u64) -> Vec<u8> {
    numbered(b"r", first)
}

/// First index named by a key of records.
pub(super) fn record_key(key: &[u8]) -> Option<u64> {
    read_number(key.strip_prefix(b"r")?)
}

pub(super) fn tile_prefix(level: u8, index: u64) -> Vec<u8> {
    numbered(&[b't', level], index)
}

pub(super) fn snapshot_prefix(generation: u8) -> Vec<u8> {
    vec![b'p', generation]
}

/// Nothing for a name longer than 65,535 bytes.
pub(super) fn secret_prefix(name: &str) -> Option<Vec<u8>> {
    let mut key = vec![b's'];
    key.extend(u16::try_from(name.len()).ok()?.to_be_bytes());
    key.extend(name.as_bytes());
    Some(key)
}

/// `value` cut into pieces, each with its key. An empty value has one empty piece.
pub(super) fn parts(prefix: &[u8], value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let empty: &[u8] = &[];
    let pieces = value.chunks(PART_BYTES);
    let first = value.is_empty().then_some(empty);
    (0u16..)
        .zip(first.into_iter().chain(pieces))
        .map(|(part, piece)| (part_key(prefix, part), piece.to_vec()))
        .collect()
}

pub(super) fn part_key(prefix: &[u8], part: u16) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.extend(part.to_be_bytes());
    key
}

/// Part number at the end of a key.
pub(super) fn part_number(key: &[u8]) -> Option<u16> {
    let (_, part) = key.split_last_chunk::<PART_NUMBER>()?;
    Some(u16::from_be_bytes(*part))
}

fn numbered(start: &[u8], number: u64) -> Vec<u8> {
    let mut key = start.to_vec();
    key.extend(number.to_be_bytes());
    key
}

fn read_number(rest: &[u8]) -> Option<u64> {
    let (number, part) = rest.split_first_chunk()?;
    (part.len() == PART_NUMBER).then(|| u64::from_be_bytes(*number))
}

pub(super) fn encode_head(head: &Head) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(84);
    bytes.extend(head.epoch.to_be_bytes());
    bytes.extend(head.size.to_be_bytes());
    bytes.extend(head.root.as_bytes());
    bytes.extend(head.time.unix_milliseconds().to_be_bytes());
    bytes.extend(head.mac);
    bytes
}

pub(super) fn decode_head(bytes: &[u8]) -> Result<Head, StoreError> {
    let mut cursor = Cursor(bytes);
    let head = Head {
        epoch: u32::from_be_bytes(cursor.array()?),
        size: u64::from_be_bytes(cursor.array()?),
        root: Hash::from_bytes(cursor.array()?),
        time: Timestamp::from_unix_milliseconds(u64::from_be_bytes(cursor.array()?)),
        mac: cursor.array()?,
    };
    cursor.end()?;
    Ok(head)
}

/// Where the newest snapshot is. Two generations take turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointer {
    pub(super) generation: u8,
    pub(super) crc: u32,
}

impl Pointer {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![self.generation];
        bytes.extend(self.crc.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut cursor = Cursor(bytes);
        let [generation] = cursor.array()?;
        let crc = u32::from_be_bytes(cursor.array()?);
        cursor.end()?;
        Ok(Self { generation, crc })
    }
}

/// Records cut into runs of about one part each, with the index of each run's first record. Few
/// large values cost sled a third less time than one value for each record.
pub(super) fn encode_records(first: u64, records: &[Record]) -> Vec<(u64, Vec<u8>)> {
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    for (index, record) in (first..).zip(records) {
        let bytes = encode_record(record);
        match runs.last_mut() {
            Some((_, run)) if run.len() + bytes.len() <= PART_BYTES => run.extend(bytes),
            _ => runs.push((index, bytes)),
        }
    }
    runs
}

fn encode_record(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2048);
    bytes.extend(record.leaf);
    let Some(opening) = &record.opening else {
        bytes.push(ERASED);
        return bytes;
    };
    bytes.push(if opening.precertificate.is_some() {
        WITH_PRECERTIFICATE
    } else {
        OPEN
    });
    bytes.extend(opening.salt);
    push_sized(&mut bytes, &opening.event);
    if let Some(precertificate) = &opening.precertificate {
        push_sized(&mut bytes, precertificate);
    }
    bytes
}

const ERASED: u8 = 0;
const OPEN: u8 = 1;
const WITH_PRECERTIFICATE: u8 = 2;

fn push_sized(to: &mut Vec<u8>, bytes: &[u8]) {
    // Longer than 4 GiB cannot be: it would not be in memory as one event.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(bytes);
}

/// The records of one run.
pub(super) fn decode_records(run: &[u8]) -> Result<Vec<Record>, StoreError> {
    let mut cursor = Cursor(run);
    let mut records = Vec::new();
    while !cursor.0.is_empty() {
        let leaf: [u8; LEAF_BYTES] = cursor.array()?;
        let [tag] = cursor.array()?;
        let opening = match tag {
            ERASED => None,
            OPEN | WITH_PRECERTIFICATE => {
                let salt = cursor.array()?;
                let event = cursor.sized()?.to_vec();
                let precertificate = match tag {
                    WITH_PRECERTIFICATE => Some(cursor.sized()?.to_vec()),
                    _ => None,
                };
                Some(Opening {
                    event,
                    salt,
                    precertificate,
                })
            }
            other => return Err(damaged(&format!("a record has tag {other}"))),
        };
        records.push(Record { leaf, opening });
    }
    Ok(records)
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// Reads a value from its start.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| damaged("a value ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).map_err(|_| damaged("a value ends too early"))
    }

    fn sized(&mut self) -> Result<&'a [u8], StoreError> {
        let length = u32::from_be_bytes(self.array()?);
        let length = usize::try_from(length).map_err(|_| damaged("a length is too large"))?;
        self.take(length)
    }

    pub(super) fn end(&self) -> Result<(), StoreError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(damaged("a value has bytes after its end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(event: usize, precertificate: Option<usize>) -> Record {
        Record {
            leaf: [7; LEAF_BYTES],
            opening: Some(Opening {
                event: vec![1; event],
                salt: [2; 32],
                precertificate: precertificate.map(|length| vec![3; length]),
            }),
        }
    }

    #[test]
    fn runs_of_records_read_back_as_written_and_only_a_single_record_exceeds_a_part() {
        let mut records: Vec<Record> = (0..40).map(|n| record(n * 100, None)).collect();
        records.push(record(16 << 10, Some(8 << 10)));
        records.push(Record {
            leaf: [9; LEAF_BYTES],
            opening: None,
        });
        let runs = encode_records(5, &records);
        assert!(runs.len() < 30);
        let mut back = Vec::new();
        for (first, run) in &runs {
            assert_eq!(*first, 5 + u64::try_from(back.len()).unwrap());
            let decoded = decode_records(run).unwrap();
            assert!(run.len() <= PART_BYTES || decoded.len() == 1);
            back.extend(decoded);
        }
        assert_eq!(back, records);
    }

    #[test]
    fn a_cut_or_altered_run_is_damaged() {
        let run = encode_records(0, &[record(300, Some(50))]).remove(0).1;
        for length in 1..run.len() {
            assert!(decode_records(&run[..length]).is_err(), "{length}");
        }
        let mut other = run;
        other[LEAF_BYTES] = 9;
        assert!(decode_records(&other).is_err());
    }

    #[test]
    fn no_page_of_the_tree_can_grow_beyond_sleds_limit_for_inline_pages() {
        let longest_key = 1 + 2 + 255 + PART_NUMBER;
        assert!(24 * (PART_BYTES + longest_key + 16) < 512 * 1024 / 4 - 20 - 32);
    }
}
