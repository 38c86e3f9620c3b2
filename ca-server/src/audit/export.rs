//! Records as lines that each prove themselves: leaf, opening, inclusion proof and signed checkpoint.
//! And the check of such lines, with nothing but the log's verifier key.

use std::collections::HashMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::AuditRecord;
use ca_core::event::Event;
use ca_core::tlog::checkpoint::Checkpoint;
use ca_core::tlog::hash::{Hash, leaf_hash, node_hash};
use ca_core::tlog::leaf::Leaf;
use ca_core::tlog::note::VerifierKey;
use ca_core::tlog::proof::{self, BuildError};
use ca_core::tlog::receipt::Receipt;

use super::certificate;
use super::tree::WIDTH;
use crate::ledger::{Shown, TreeReader, check_opening};
use crate::store::{Opening, Record, Store, StoreError, TILE_WIDTH};

/// Shows the records of `range` that `checkpoint` covers, in order, until `show` wants no more.
/// One tile of records is in memory.
///
/// # Errors
///
/// [`StoreError`] when the store cannot be read or does not fit the checkpoint.
pub fn export(
    store: &dyn Store,
    checkpoint: &str,
    range: Range<u64>,
    show: &mut dyn FnMut(AuditRecord) -> bool,
) -> Result<(), StoreError> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::Damaged(error.to_string());
    // Its signature is the reader's to check; the size is what is needed here.
    let size = note_size(checkpoint).ok_or_else(|| damaged(&"the checkpoint does not parse"))?;
    let end = range.end.min(size);
    let tree = TreeReader::load(store, size)?;
    let mut start = range.start;
    while start < end {
        let tile = start / TILE_WIDTH;
        let (first, after) = (tile * TILE_WIDTH, ((tile + 1) * TILE_WIDTH).min(size));
        let records = store.records(
            first,
            WIDTH.min(usize::try_from(after - first).unwrap_or(0)),
        )?;
        let mut known = within(first, &records);
        for (index, record) in (first..after.min(end)).zip(records) {
            if index < start {
                continue;
            }
            let read = |level, at| match known.get(&(level, at)) {
                Some(hash) => Ok(*hash),
                None => {
                    let hash = tree.subtree(store, (level, at))?;
                    known.insert((level, at), hash);
                    Ok(hash)
                }
            };
            let hashes = proof::inclusion(index, size, read).map_err(|error| match error {
                BuildError::Read(error) => error,
                BuildError::OutOfRange { .. } => damaged(&error),
            })?;
            let extra = Some(record.leaf.to_vec());
            let receipt = Receipt::new(extra, index, hashes, checkpoint.to_owned())
                .map_err(|error| damaged(&error))?;
            let shown = Shown {
                index,
                record,
                receipt,
            };
            if !show(super::record(&shown)?) {
                return Ok(());
            }
        }
        start = after;
    }
    Ok(())
}

fn note_size(checkpoint: &str) -> Option<u64> {
    let (text, _) = checkpoint.split_once("\n\n")?;
    format!("{text}\n")
        .parse::<Checkpoint>()
        .ok()
        .map(|found| found.size())
}

/// Every complete subtree of more than one tile's part, by level and index.
fn within(first: u64, records: &[Record]) -> HashMap<(u8, u64), Hash> {
    let mut known = HashMap::new();
    let mut hashes: Vec<Hash> = records.iter().map(|r| leaf_hash(&r.leaf)).collect();
    for level in 0u8..8 {
        known.extend(
            (first >> level..)
                .zip(&hashes)
                .map(|(index, hash)| ((level, index), *hash)),
        );
        let pairs = hashes.chunks_exact(2);
        hashes = pairs
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                _ => None,
            })
            .collect();
    }
    known
}

/// A line that proves what it says.
#[derive(Debug)]
pub struct Exported {
    /// Index in the log.
    pub index: u64,
    /// The checkpoint it is proven under.
    pub checkpoint: Checkpoint,
}

/// Checks one exported line by itself: proof and signature, opening, and that all that stands
/// beside them for reading says the same.
///
/// # Errors
///
/// What is wrong, in words.
pub fn verify_export(line: &str, key: &VerifierKey) -> Result<Exported, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let record: AuditRecord = serde_json::from_str(line).map_err(|error| text(&error))?;
    let receipt: Receipt = record.receipt.parse().map_err(|error| text(&error))?;
    let bytes = receipt.extra().ok_or("its receipt carries no leaf")?;
    let checkpoint = receipt.verify(bytes, key).map_err(|error| text(&error))?;
    let leaf = Leaf::decode(bytes).map_err(|error| text(&error))?;
    let stored = Record {
        leaf: bytes.try_into().map_err(|_| "its leaf is not 82 bytes")?,
        opening: Some(opening(&record)?),
    };
    check_opening(&leaf, &stored)?;
    let event = Event::from_bytes(&decode(&record.opening.event)?).map_err(|e| text(&e))?;
    let shown: serde_json::Value =
        serde_json::from_slice(&decode(&record.opening.event)?).map_err(|error| text(&error))?;
    let serial = match &event {
        Event::CertificateIssued(issued) => Some(issued.serial),
        _ => None,
    };
    let agree = [
        ("index", record.index == receipt.index()),
        ("time", record.time == leaf.time),
        (
            "kind",
            record.kind == event.name() && event.kind() == leaf.kind,
        ),
        ("event", record.event == shown),
        ("serial", record.serial == serial),
    ];
    if let Some((field, _)) = agree.into_iter().find(|(_, agrees)| !agrees) {
        return Err(format!("its {field} is not what was recorded"));
    }
    if let Event::CertificateIssued(issued) = &event {
        let bytes = record.opening.precertificate.as_deref();
        let bytes = decode(bytes.ok_or("it issues a certificate and holds none")?)?;
        let epoch = issued.serial >> 40;
        let epoch = u32::try_from(epoch).map_err(|error| text(&error))?;
        certificate::check(issued, &bytes, (epoch, record.index))?;
    }
    Ok(Exported {
        index: record.index,
        checkpoint,
    })
}

fn opening(record: &AuditRecord) -> Result<Opening, String> {
    let opening = &record.opening;
    let salt = decode(&opening.salt)?;
    Ok(Opening {
        event: decode(&opening.event)?,
        salt: salt.try_into().map_err(|_| "its salt is not 32 bytes")?,
        precertificate: opening.precertificate.as_deref().map(decode).transpose()?,
    })
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| error.to_string())
}
