//! What travels over the admin socket: JSON, and records as length-prefixed bytes.

use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;
use serde::{Deserialize, Serialize};

use crate::store::{Found, Head, Opening, Record, Search};

/// Head and checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeadText {
    head: Option<HeadFields>,
    pub(super) checkpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeadFields {
    epoch: u32,
    size: u64,
    root: Hash,
    time_milliseconds: u64,
    mac: [u8; 32],
}

impl HeadText {
    pub(super) fn new(head: Option<Head>, checkpoint: String) -> Self {
        let head = head.map(|head| HeadFields {
            epoch: head.epoch,
            size: head.size,
            root: head.root,
            time_milliseconds: head.time.unix_milliseconds(),
            mac: head.mac,
        });
        Self { head, checkpoint }
    }

    pub(super) fn head(&self) -> Option<Head> {
        self.head.as_ref().map(|head| Head {
            epoch: head.epoch,
            size: head.size,
            root: head.root,
            time: Timestamp::from_unix_milliseconds(head.time_milliseconds),
            mac: head.mac,
        })
    }
}

/// A range of records.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct RangeText {
    pub(super) start: u64,
    pub(super) limit: usize,
}

/// A search.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SearchText {
    terms: Vec<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    from: u64,
    limit: usize,
}

impl From<&Search> for SearchText {
    fn from(search: &Search) -> Self {
        Self {
            terms: search.terms.clone(),
            since: search.since,
            until: search.until,
            from: search.from,
            limit: search.limit,
        }
    }
}

impl From<SearchText> for Search {
    fn from(text: SearchText) -> Self {
        Self {
            terms: text.terms,
            since: text.since,
            until: text.until,
            from: text.from,
            limit: text.limit.min(super::RECORDS_MAX),
        }
    }
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FoundText {
    indexes: Vec<u64>,
    next: Option<u64>,
}

impl From<Found> for FoundText {
    fn from(found: Found) -> Self {
        Self {
            indexes: found.indexes,
            next: found.next,
        }
    }
}

impl From<FoundText> for Found {
    fn from(text: FoundText) -> Self {
        Self {
            indexes: text.indexes,
            next: text.next,
        }
    }
}

const ERASED: u8 = 0;
const OPEN: u8 = 1;
const WITH_PRECERTIFICATE: u8 = 2;

/// Leaf, tag, salt, then event and certificate each behind its length in four bytes.
pub(super) fn encode_records(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.len() * 2048);
    for Record { leaf, opening } in records {
        out.extend_from_slice(leaf);
        let Some(opening) = opening else {
            out.push(ERASED);
            continue;
        };
        let certificate = opening.precertificate.as_deref();
        out.push(certificate.map_or(OPEN, |_| WITH_PRECERTIFICATE));
        out.extend_from_slice(&opening.salt);
        for bytes in [Some(opening.event.as_slice()), certificate]
            .into_iter()
            .flatten()
        {
            // The store keeps neither above 16 KiB.
            out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
    out
}

/// None unless the bytes are exactly what [`encode_records`] writes.
pub(super) fn decode_records(mut rest: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !rest.is_empty() {
        let leaf = *take(&mut rest)?;
        let opening = match take::<1>(&mut rest)? {
            [ERASED] => None,
            [tag @ (OPEN | WITH_PRECERTIFICATE)] => Some(Opening {
                salt: *take(&mut rest)?,
                event: sized(&mut rest)?,
                precertificate: match *tag {
                    OPEN => None,
                    _ => Some(sized(&mut rest)?),
                },
            }),
            _ => return None,
        };
        records.push(Record { leaf, opening });
    }
    Some(records)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

fn sized(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u32::from_be_bytes(*take(rest)?)).ok()?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_travel_whole_and_cut_ones_are_refused() {
        let record = |event: &[u8], precertificate: Option<&[u8]>| Record {
            leaf: [7; 82],
            opening: Some(Opening {
                event: event.to_vec(),
                salt: [9; 32],
                precertificate: precertificate.map(<[u8]>::to_vec),
            }),
        };
        let erased = Record {
            leaf: [1; 82],
            opening: None,
        };
        let records = vec![
            record(b"{}", None),
            erased,
            record(b"", Some(b"certificate")),
        ];
        let bytes = encode_records(&records);
        assert_eq!(decode_records(&bytes), Some(records.clone()));
        let whole: Vec<usize> = (0..=3)
            .map(|n| encode_records(&records[..n]).len())
            .collect();
        for end in (0..bytes.len()).filter(|end| !whole.contains(end)) {
            assert_eq!(decode_records(&bytes[..end]), None, "{end}");
        }
    }
}
