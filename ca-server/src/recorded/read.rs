//! A whole log read from a store, in runs that are opened on all cores and folded in order.

use std::ops::Range;

use ca_core::event::Event;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::Leaf;
use rayon::prelude::*;

use super::{Decision, Fold};
use crate::ledger::check_opening;
use crate::store::{Record, Store, StoreError};

/// Records that one thread reads and opens at a time.
const RUN: u64 = 256;
/// Records between two calls of whoever takes the decisions. Two such chunks are held at once.
const CHUNK: u64 = 4096;

/// Told how many of how many records are done.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// How many records there were, of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records of the log.
    pub records: u64,
    /// Decisions that were told.
    pub decisions: u64,
    /// Records whose content was erased.
    pub erased: u64,
    /// Decisions of policy whose records do not say what was asked.
    pub untold: u64,
}

/// What a record holds for somebody who asks about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Decisions of policy: mostly one.
    Decisions(Vec<Decision>),
    /// Its content was erased.
    Erased,
    /// The log has only so many records.
    Beyond(u64),
    /// Something of this type that policy did not decide.
    Other(&'static str),
    /// A decision of policy of this type that does not say what was asked.
    Untold(&'static str),
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// There is none.
    #[error("there is no log yet")]
    Empty,
    /// The store failed, or a record is not what its leaf says.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every decision of the log, in order, by the chunk, to `each`. While it works, the next chunk is
/// read; it may use all cores (rayon), too.
///
/// # Errors
///
/// [`RecordedError`]. `each` has then seen the decisions before the bad record only.
pub fn decisions(
    store: &dyn Store,
    progress: Progress<'_>,
    each: &mut (dyn FnMut(Vec<Decision>) + Send),
) -> Result<Tally, RecordedError> {
    let size = store.head()?.ok_or(RecordedError::Empty)?.size;
    let chunk = |from: u64| from..size.min(from.saturating_add(CHUNK));
    let mut tally = Tally::default();
    let mut fold = Fold::default();
    let mut opened = open(store, chunk(0))?;
    while fold.size() < size {
        let read = chunk(chunk(fold.size()).end);
        let (next, ()) = rayon::join(
            || open(store, read),
            || each(tally.take(&mut fold, &opened)),
        );
        progress(fold.size(), size);
        // What was opened together is dropped on all cores, too.
        std::mem::replace(&mut opened, next?)
            .into_par_iter()
            .for_each(drop);
    }
    Ok(tally)
}

impl Tally {
    /// Folds the next records in and counts them.
    fn take(&mut self, fold: &mut Fold, opened: &[Opened]) -> Vec<Decision> {
        let mut found = Vec::with_capacity(opened.len());
        for (time, event) in opened {
            let taken = fold.take(*time, event.as_ref());
            self.erased = self.erased.saturating_add(event.is_none().into());
            self.untold = self.untold.saturating_add(taken.untold.into());
            found.extend(taken.decisions);
        }
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        self.decisions = self.decisions.saturating_add(count);
        self.records = fold.size();
        found
    }
}

/// What the record of that index decided. Reads the log up to there.
///
/// # Errors
///
/// [`RecordedError`]
pub fn decision_at(
    store: &dyn Store,
    index: u64,
    progress: Progress<'_>,
) -> Result<At, RecordedError> {
    let size = store.head()?.ok_or(RecordedError::Empty)?.size;
    if index >= size {
        return Ok(At::Beyond(size));
    }
    let all = index.saturating_add(1);
    let mut fold = Fold::default();
    loop {
        let end = all.min(fold.size().saturating_add(CHUNK));
        for (time, event) in open(store, fold.size()..end)? {
            let asked = fold.size() == index;
            let taken = fold.take(time, event.as_ref());
            if asked {
                return Ok(match event {
                    None => At::Erased,
                    Some(event) if taken.untold => At::Untold(event.name()),
                    Some(event) if taken.decisions.is_empty() => At::Other(event.name()),
                    Some(_) => At::Decisions(taken.decisions),
                });
            }
        }
        progress(fold.size(), all);
    }
}

/// Time and event of each record; no event where it was erased.
type Opened = (Timestamp, Option<Event>);

fn open(store: &dyn Store, range: Range<u64>) -> Result<Vec<Opened>, StoreError> {
    let runs = range.end.saturating_sub(range.start).div_ceil(RUN);
    let runs: Vec<Vec<Opened>> = (0..runs)
        .into_par_iter()
        .map(|run| {
            let start = range.start.saturating_add(run.saturating_mul(RUN));
            open_run(store, start..range.end.min(start.saturating_add(RUN)))
        })
        .collect::<Result<_, _>>()?;
    Ok(runs.into_iter().flatten().collect())
}

fn open_run(store: &dyn Store, range: Range<u64>) -> Result<Vec<Opened>, StoreError> {
    let count = range.end.saturating_sub(range.start);
    let records = store.records(range.start, usize::try_from(count).unwrap_or(usize::MAX))?;
    let found = u64::try_from(records.len()).unwrap_or(u64::MAX);
    if found != count {
        let missing = range.start.saturating_add(found);
        return Err(StoreError::Damaged(format!("record {missing} is missing")));
    }
    let opened = range.zip(&records).map(|(index, record)| {
        open_one(record).map_err(|what| StoreError::Damaged(format!("record {index}: {what}")))
    });
    opened.collect()
}

fn open_one(record: &Record) -> Result<Opened, String> {
    let leaf = Leaf::decode(&record.leaf).map_err(|error| error.to_string())?;
    check_opening(&leaf, record)?;
    let Some(opening) = &record.opening else {
        return Ok((leaf.time, None));
    };
    let event = Event::from_bytes(&opening.event).map_err(|error| error.to_string())?;
    Ok((leaf.time, Some(event)))
}
