//! Searching against looking at every record.

use std::path::Path;

use ca_core::event::Event;

use super::Make;
use super::log::{Log, serial, time};
use crate::store::{Record, Search, Store, terms};

/// Indexes that match, found by looking at the terms of every record.
fn look(carried: &[Vec<String>], search: &Search) -> Vec<u64> {
    let matches = |index: u64, carried: &[String]| {
        index >= search.from
            && search.terms.iter().all(|term| carried.contains(term))
            && search.since.is_none_or(|since| time(index) >= since)
            && search.until.is_none_or(|until| time(index) < until)
    };
    let all = (0..).zip(carried);
    all.filter(|(index, carried)| matches(*index, carried))
        .map(|(index, _)| index)
        .collect()
}

fn carried(record: &Record) -> Vec<String> {
    let opening = record.opening.as_ref().unwrap();
    terms(&Event::from_bytes(&opening.event).unwrap())
}

/// Sets of terms to ask for.
fn sets<'a>(subject: &'a str, serials: &'a [String; 5]) -> Vec<Vec<&'a str>> {
    vec![
        vec![],
        vec!["kind=certificate-issued"],
        vec!["kind=certificates-revoked"],
        vec!["user=user3"],
        vec![subject],
        vec!["environment=staging"],
        vec!["account=prod/account2"],
        vec![&serials[0]],
        vec![&serials[1]],
        vec![&serials[2]],
        vec![&serials[3]],
        vec![&serials[4]],
        vec!["user=user1", "environment=prod", "kind=certificate-issued"],
        vec!["kind=certificates-revoked", &serials[0]],
        vec!["user=user3", "user=user4"],
        vec!["user=nobody"],
    ]
}

pub(super) fn search_equals_looking(make: Make<'_>, path: &Path) {
    let mut store = make(path);
    let mut log = Log::default();
    // Ends of batches lie before, on and after those of blocks of 256.
    for count in [1, 200, 54, 1, 1, 255, 100, 30] {
        store.append(&log.next(count)).unwrap();
    }
    let carried: Vec<Vec<String>> = log.records.iter().map(carried).collect();
    let subject = carried[3]
        .iter()
        .find(|term| term.starts_with("subject="))
        .unwrap();
    let serials = [8, 9, 255, 256, 640].map(|index| format!("serial={}", serial(index)));
    let sets = sets(subject, &serials);
    let mut hits = 0;
    // Asked again of a store that was opened again.
    for _ in 0..2 {
        for set in &sets {
            for (since, until, from) in [
                (None, None, 0),
                (Some(time(100)), None, 0),
                (None, Some(time(300)), 0),
                (Some(time(257)), Some(time(601)), 0),
                (Some(time(10)), Some(time(5)), 0),
                (None, None, 256),
                (Some(time(20)), Some(time(630)), 333),
                (None, None, 5000),
            ] {
                let search = Search {
                    terms: set.iter().map(ToString::to_string).collect(),
                    since,
                    until,
                    from,
                    limit: 1000,
                };
                let expected = look(&carried, &search);
                let found = store.search(&search).unwrap();
                assert_eq!(
                    (found.indexes, found.next),
                    (expected.clone(), None),
                    "{search:?}"
                );
                hits += expected.len();
                pages(store.as_ref(), &search, &expected);
            }
        }
        drop(store);
        store = make(path);
    }
    assert!(hits > 10_000, "the sets above find nearly nothing: {hits}");
}

/// Reads a search page by page.
fn pages(store: &dyn Store, search: &Search, expected: &[u64]) {
    for limit in [33, 250] {
        let mut found = Vec::new();
        let mut from = Some(search.from);
        while let Some(start) = from {
            let search = Search {
                from: start,
                limit,
                ..search.clone()
            };
            let page = store.search(&search).unwrap();
            assert!(page.indexes.len() <= limit);
            found.extend(page.indexes);
            assert!(
                page.next.is_none_or(|next| next > start),
                "{search:?} stands still"
            );
            from = page.next;
        }
        assert_eq!(found, expected);
    }
}
