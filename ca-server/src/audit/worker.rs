//! Checking a run of records by themselves: all that needs no record before them.

use ca_core::event::Event;
use ca_core::time::Timestamp;
use ca_core::tlog::hash::{Hash, leaf_hash};
use ca_core::tlog::leaf::Leaf;

use super::certificate;
use super::tree::{WIDTH, tile_root};
use super::verify::{Finding, Place};
use crate::ledger::check_opening;
use crate::store::{Record, Store, TILE_WIDTH};

/// Records in a run: whole tiles.
pub(super) const RUN: u64 = 8 * TILE_WIDTH;

/// A run of records, checked.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Index of the first.
    pub(super) start: u64,
    /// None where a record could not be read.
    pub(super) leaves: Option<Vec<Hash>>,
    /// Roots of the full tiles of level 0.
    pub(super) roots: Vec<Hash>,
    /// Time and content of each record; none where it could not be read.
    pub(super) events: Vec<Option<Folded>>,
    pub(super) findings: Vec<Finding>,
}

/// What the state is folded from, and the CA key of the certificate.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) time: Timestamp,
    pub(super) event: Event,
    pub(super) authority: Option<Vec<u8>>,
}

/// Reads and checks the records from `start` to `end`.
pub(super) fn check(store: &dyn Store, epoch: u32, start: u64, end: u64) -> Run {
    let mut run = Run {
        start,
        ..Run::default()
    };
    let records = read(store, start, end, &mut run.findings);
    let mut leaves = Some(Vec::with_capacity(records.len()));
    for (index, record) in (start..).zip(&records) {
        let Some(record) = record else {
            leaves = None;
            run.events.push(None);
            continue;
        };
        if let Some(leaves) = &mut leaves {
            leaves.push(leaf_hash(&record.leaf));
        }
        match check_record(record, (epoch, index)) {
            Ok(folded) => run.events.push(Some(folded)),
            Err(what) => {
                run.findings.push(Finding::new(Place::Record(index), what));
                run.events.push(None);
            }
        }
    }
    if let Some(leaves) = &leaves {
        for (index, hashes) in (start / TILE_WIDTH..).zip(leaves.chunks_exact(WIDTH)) {
            run.roots.extend(tile_root(hashes));
            run.findings.extend(check_tile(store, (0, index), hashes));
        }
    }
    run.leaves = leaves;
    run
}

/// The records, one by one where they cannot be had together, so that the bad one is named.
fn read(
    store: &dyn Store,
    start: u64,
    end: u64,
    findings: &mut Vec<Finding>,
) -> Vec<Option<Record>> {
    let count = usize::try_from(end - start).unwrap_or(usize::MAX);
    if let Ok(records) = store.records(start, count)
        && records.len() == count
    {
        return records.into_iter().map(Some).collect();
    }
    let mut read_one = |index| {
        let what = match store.records(index, 1) {
            Ok(mut records) if records.len() == 1 => return records.pop(),
            Ok(_) => "it is missing".to_owned(),
            Err(error) => error.to_string(),
        };
        findings.push(Finding::new(Place::Record(index), what));
        None
    };
    (start..end).map(&mut read_one).collect()
}

fn check_record(record: &Record, (epoch, index): (u32, u64)) -> Result<Folded, String> {
    let leaf = Leaf::decode(&record.leaf).map_err(|error| error.to_string())?;
    check_opening(&leaf, record)?;
    let Some(opening) = &record.opening else {
        return Err("its opening was erased".to_owned());
    };
    let event = Event::from_bytes(&opening.event).map_err(|error| error.to_string())?;
    if event.kind() != leaf.kind {
        return Err("its leaf names another kind than its event".to_owned());
    }
    if let Event::BreakGlassImported(imported) = &event {
        let record = imported.signed_record();
        let verified = record.verify(&imported.record.authority_key, leaf.time);
        verified.map_err(|error| error.to_string())?;
    }
    let authority = match (&event, opening.precertificate.as_deref()) {
        (Event::CertificateIssued(issued), Some(bytes)) => {
            Some(certificate::check(issued, bytes, (epoch, index))?)
        }
        (Event::HostCertificateIssued(issued), Some(bytes)) => {
            Some(certificate::check_host(issued, bytes, (epoch, index))?)
        }
        (Event::CertificateIssued(_) | Event::HostCertificateIssued(_), None) => {
            return Err("it issues a certificate and holds none".to_owned());
        }
        (_, Some(_)) => return Err("it holds a certificate that its event does not issue".into()),
        (_, None) => None,
    };
    Ok(Folded {
        time: leaf.time,
        event,
        authority,
    })
}

/// What is wrong with a full tile that should hold `hashes`.
pub(super) fn check_tile(
    store: &dyn Store,
    (level, index): (u8, u64),
    hashes: &[Hash],
) -> Option<Finding> {
    let what = match store.tile(level, index) {
        Ok(Some(tile)) if tile.hashes == hashes => return None,
        Ok(Some(tile)) => {
            let same = tile.hashes.iter().zip(hashes).take_while(|(a, b)| a == b);
            let at = u64::try_from(same.count()).unwrap_or(u64::MAX);
            match level {
                0 => format!("its hash of record {} is another", index * TILE_WIDTH + at),
                _ => format!("its hash {at} is not that of the tiles below"),
            }
        }
        Ok(None) => "it is missing".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Finding::new(Place::Tile(level, index), what))
}
