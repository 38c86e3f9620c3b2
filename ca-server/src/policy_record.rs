//! Policy sets in the log: written there in parts before they come into force, built again from them.
//!
//! What is built is compared with the digest that decisions name, so nothing here has to be trusted:
//! neither the search index that the parts are found by, nor their order.

use std::collections::BTreeMap;

use ca_core::digest::Digest;
use ca_core::event::{Event, PolicyLoaded, PolicyText};
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::Leaf;

use crate::policy::{PolicySet, Source};
use crate::store::{Search, Store, StoreError};

/// Longest text in one record, bytes: even if every byte is escaped, the event stays below 16 KiB.
const PART_BYTES_MAX: usize = 2_400;

/// Largest set that is written into the log, bytes of all its texts.
const SET_BYTES_MAX: usize = 1 << 20;

/// Records looked at together.
const PAGE: usize = 256;

/// The texts of `set` in parts, in the order that its digest takes them. None for a set larger than
/// a mebibyte: the digest alone says which it was then.
#[must_use]
pub fn parts(set: &PolicySet) -> Option<Vec<PolicyText>> {
    let bytes: usize = set.sources().iter().map(|source| source.text.len()).sum();
    if bytes > SET_BYTES_MAX {
        return None;
    }
    let texts: Vec<(&str, &str)> = set
        .sources()
        .iter()
        .flat_map(|source| pieces(&source.text).map(|piece| (source.name.as_str(), piece)))
        .collect();
    let parts = u32::try_from(texts.len()).ok()?;
    let part = |(part, (file, text)): (u32, (&str, &str))| PolicyText {
        policy_digest: Digest::from_bytes(set.digest()),
        file: file.to_owned(),
        part,
        parts,
        text: text.to_owned(),
    };
    Some((0..parts).zip(texts).map(part).collect())
}

/// `text` in pieces that end between characters; one empty piece for an empty text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let left = rest.take()?;
        let (piece, more) = left.split_at(left.floor_char_boundary(PART_BYTES_MAX));
        rest = (!more.is_empty()).then_some(more);
        Some(piece)
    })
}

/// Why a set cannot be built from the log.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The texts in the log are no policies for this version of the program.
    #[error("the set in the log does not load")]
    Policy(#[source] crate::policy::PolicyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One set that came into force.
#[derive(Clone, Debug)]
pub struct Load {
    /// Index of its record.
    pub index: u64,
    /// When.
    pub time: Timestamp,
    /// What was recorded.
    pub loaded: PolicyLoaded,
}

/// Every set that came into force, oldest first.
///
/// # Errors
///
/// [`StoreError`] when the log cannot be read.
pub fn loads(store: &dyn Store) -> Result<Vec<Load>, StoreError> {
    let mut loads = Vec::new();
    each(store, "policy-loaded", &mut |index, time, event| {
        if let Event::PolicyLoaded(loaded) = event {
            loads.push(Load {
                index,
                time,
                loaded,
            });
        }
    })?;
    Ok(loads)
}

/// Every event of a type, oldest first. The search index keeps hashes of terms: now and then another
/// one comes along.
fn each(
    store: &dyn Store,
    kind: &str,
    take: &mut dyn FnMut(u64, Timestamp, Event),
) -> Result<(), StoreError> {
    let mut from = 0;
    loop {
        let page = store.search(&Search {
            terms: vec![format!("kind={kind}")],
            from,
            limit: PAGE,
            ..Search::default()
        })?;
        for index in page.indexes {
            for record in store.records(index, 1)? {
                let Some(opening) = &record.opening else {
                    continue;
                };
                let leaf = Leaf::decode(&record.leaf);
                let event = Event::from_bytes(&opening.event);
                if let (Ok(leaf), Ok(event)) = (leaf, event) {
                    take(index, leaf.time, event);
                }
            }
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// The texts of the set that `digest` names, in the order that the digest takes them. None if the log
/// does not hold them whole.
///
/// # Errors
///
/// [`StoreError`] when the log cannot be read.
pub fn texts(store: &dyn Store, digest: Digest) -> Result<Option<Vec<Source>>, StoreError> {
    // By the number of parts first: another version of this program may cut differently.
    let mut found: BTreeMap<(u32, u32), PolicyText> = BTreeMap::new();
    each(store, "policy-text", &mut |_, _, event| {
        if let Event::PolicyText(text) = event
            && text.policy_digest == digest
        {
            found.insert((text.parts, text.part), text);
        }
    })?;
    let parts: Vec<PolicyText> = found.into_values().collect();
    let cuts = parts.chunk_by(|one, next| one.parts == next.parts);
    let mut built = cuts.map(joined);
    Ok(built.find(|sources| PolicySet::digest_of(sources) == *digest.as_bytes()))
}

/// Parts of one file follow each other.
fn joined(parts: &[PolicyText]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for PolicyText { file, text, .. } in parts {
        match sources.last_mut() {
            Some(last) if last.name == *file => last.text.push_str(text),
            _ => sources.push(Source::new(file, text)),
        }
    }
    sources
}

/// The set that `digest` names, from the log. None if the log does not hold it whole.
///
/// # Errors
///
/// [`RebuildError`]
pub fn rebuild(store: &dyn Store, digest: Digest) -> Result<Option<PolicySet>, RebuildError> {
    let Some(sources) = texts(store, digest)? else {
        return Ok(None);
    };
    PolicySet::from_sources(&sources)
        .map(Some)
        .map_err(RebuildError::Policy)
}

#[cfg(test)]
mod tests;
