//! Records as auditors see them: found, opened, and each provable alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::{AuditOpening, AuditPage, AuditQuery, AuditRecord};
use ca_core::event::Event;
use ca_core::name::{Environment, Subject, UserName};
use ca_core::tlog::leaf::Leaf;

use crate::ledger::{Ledger, Shown};
use crate::store::{self, Record, Search, StoreError};

pub use export::{Exported, export, verify_export};
pub use people::people;
pub use source::{LogPlace, Source, SourceError};
pub use verify::{Check, Finding, Progress, Report, verify};

mod certificate;
mod export;
mod people;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod verify;
mod worker;

/// Records in a page when nothing is said.
const LIMIT_DEFAULT: u32 = 100;
/// Records in a page at most.
const LIMIT_MAX: u32 = 1000;

/// The search a query means.
///
/// # Errors
///
/// The field at fault, and what is allowed in it.
pub fn search(query: &AuditQuery) -> Result<Search, (&'static str, String)> {
    let mut terms = Vec::new();
    if let Some(person) = &query.person {
        terms.push(match person.rsplit_once('#') {
            Some((issuer, sub)) => {
                let subject = Subject::new(issuer, sub);
                format!(
                    "subject={}",
                    subject.map_err(|error| ("person", error.to_string()))?
                )
            }
            None => {
                let user: UserName = person.parse().map_err(|e| ("person", wrong(&e)))?;
                format!("user={user}")
            }
        });
    }
    if let Some(environment) = &query.environment {
        let name: Environment = environment
            .parse()
            .map_err(|e| ("environment", wrong(&e)))?;
        terms.push(format!("environment={name}"));
    }
    if let Some(account) = &query.account {
        if account.split('/').count() != 2 || account.len() > 70 {
            return Err((
                "account",
                "expected environment/login-name, as prod/root".to_owned(),
            ));
        }
        terms.push(format!("account={account}"));
    }
    if let Some(kind) = &query.kind {
        if !Event::NAMES.contains(&kind.as_str()) {
            return Err((
                "kind",
                format!("expected one of: {}", Event::NAMES.join(", ")),
            ));
        }
        terms.push(format!("kind={kind}"));
    }
    if let Some(serial) = query.serial {
        terms.push(format!("serial={serial}"));
    }
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(("limit", format!("expected 1 to {LIMIT_MAX}")));
    }
    Ok(Search {
        terms,
        since: query.since,
        until: query.until,
        from: query.from.unwrap_or(0),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}

fn wrong(error: &dyn std::fmt::Display) -> String {
    error.to_string()
}

/// One page of records, each with its proof under the newest checkpoint. Blocks.
///
/// # Errors
///
/// [`StoreError`] when the store cannot be read or does not fit its own hashes.
pub fn page(ledger: &Ledger, search: &Search) -> Result<AuditPage, StoreError> {
    let found = ledger.search(search)?;
    let mut records = Vec::with_capacity(found.indexes.len());
    for shown in ledger.show(&found.indexes)? {
        if matches(search, &shown.record)? {
            records.push(record(&shown)?);
        }
    }
    Ok(AuditPage {
        records,
        next: found.next,
    })
}

/// Whether a record that the index named carries the terms: the index keeps hashes of terms only.
///
/// # Errors
///
/// [`StoreError::Damaged`] when its event does not parse.
pub fn matches(search: &Search, record: &Record) -> Result<bool, StoreError> {
    let Some(opening) = &record.opening else {
        return Ok(true);
    };
    let event = Event::from_bytes(&opening.event)
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    let terms = store::terms(&event);
    Ok(search.terms.iter().all(|term| terms.contains(term)))
}

/// A record for reading and for proving.
///
/// # Errors
///
/// [`StoreError::Damaged`] when its leaf or event does not parse.
pub fn record(shown: &Shown) -> Result<AuditRecord, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("record {}: {what}", shown.index));
    let leaf = Leaf::decode(&shown.record.leaf).map_err(|error| damaged(error.to_string()))?;
    let Some(opening) = &shown.record.opening else {
        return Err(damaged("its opening was erased".to_owned()));
    };
    let event = Event::from_bytes(&opening.event).map_err(|error| damaged(error.to_string()))?;
    let value =
        serde_json::from_slice(&opening.event).map_err(|error| damaged(error.to_string()))?;
    let serial = match &event {
        Event::CertificateIssued(issued) => Some(issued.serial),
        _ => None,
    };
    Ok(AuditRecord {
        index: shown.index,
        time: leaf.time,
        kind: event.name().to_owned(),
        serial,
        event: value,
        opening: AuditOpening {
            event: STANDARD.encode(&opening.event),
            salt: STANDARD.encode(opening.salt),
            precertificate: opening
                .precertificate
                .as_deref()
                .map(|bytes| STANDARD.encode(bytes)),
        },
        receipt: shown.receipt.to_string(),
    })
}
