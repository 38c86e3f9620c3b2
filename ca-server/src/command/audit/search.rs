//! `ca-server audit search`.

use std::io::Write;

use ca_core::api::{AuditQuery, AuditRecord};
use ca_core::event::Event;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::Leaf;
use clap::Args;
use comfy_table::Table;
use serde::Serialize;

use super::remote::Remote;
use super::{EXIT_OK, EXIT_USAGE};
use crate::audit::{self, Source};
use crate::store::Search;

pub(super) const EXAMPLES: &str = "Examples:\n  ca-server audit search --dir ./ca --person alice --since 2026-11-22T00:00:00Z\n  \
     ca-server audit search --dir ./ca --account prod/root --kind certificate-issued\n  \
     ca-server audit search --dir ./ca --serial 42 --json";

/// Records asked for at once.
const PAGE: u32 = 1000;

/// What to find; all that is named must hold.
#[derive(Clone, Debug, Default, Args)]
pub struct Find {
    /// User name, or `issuer#sub`.
    #[arg(long)]
    pub person: Option<String>,
    /// Login name of an environment, as `prod/root`.
    #[arg(long)]
    pub account: Option<String>,
    /// Environment.
    #[arg(long)]
    pub environment: Option<String>,
    /// Type of event, as `certificate-issued` or `refused`.
    #[arg(long)]
    pub kind: Option<String>,
    /// Not before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// A certificate's serial.
    #[arg(long)]
    pub serial: Option<u64>,
    /// First index to look at.
    #[arg(long, value_name = "INDEX")]
    pub from: Option<u64>,
    /// At most so many records.
    #[arg(long, default_value_t = 100)]
    pub limit: u64,
}

/// A record that was found.
#[derive(Debug, Serialize)]
struct Hit {
    index: u64,
    time: Timestamp,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    event: serde_json::Value,
}

/// What was found, and where to go on if there may be more.
type Hits = (Vec<Hit>, Option<u64>);

impl Find {
    pub(super) fn stored(
        &self,
        source: &Source,
        json: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        let search = match audit::search(&self.query(None)) {
            Ok(search) => search,
            Err((field, detail)) => {
                writeln!(out, "error: --{field}: {detail}")?;
                return Ok(EXIT_USAGE);
            }
        };
        let found = self.pages(|from| {
            stored_page(
                source,
                Search {
                    from,
                    ..search.clone()
                },
            )
        })?;
        show(&found, json, out)
    }

    pub(super) fn remote(
        &self,
        remote: &Remote,
        json: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        let found = self.pages(|from| {
            let page = remote.page(&self.query(Some(from)))?;
            Ok((page.records.into_iter().map(Hit::from).collect(), page.next))
        })?;
        show(&found, json, out)
    }

    fn query(&self, from: Option<u64>) -> AuditQuery {
        AuditQuery {
            person: self.person.clone(),
            account: self.account.clone(),
            environment: self.environment.clone(),
            kind: self.kind.clone(),
            since: self.since,
            until: self.until,
            serial: self.serial,
            from: from.or(self.from),
            limit: Some(PAGE),
        }
    }

    /// Pages until there are as many as asked for, or no more.
    fn pages(&self, mut page: impl FnMut(u64) -> anyhow::Result<Hits>) -> anyhow::Result<Hits> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (mut hits, mut from) = (Vec::new(), Some(self.from.unwrap_or(0)));
        while let Some(next) = from.filter(|_| hits.len() <= limit) {
            let (more, after) = page(next)?;
            hits.extend(more);
            from = after;
        }
        if let Some(first) = hits.get(limit) {
            from = Some(first.index);
            hits.truncate(limit);
        }
        Ok((hits, from))
    }
}

fn stored_page(source: &Source, search: Search) -> anyhow::Result<Hits> {
    let found = source.store.search(&search)?;
    let mut hits = Vec::new();
    for index in found.indexes {
        let record = source.store.records(index, 1)?.pop();
        let record = record.ok_or_else(|| anyhow::anyhow!("record {index} is missing"))?;
        let leaf = Leaf::decode(&record.leaf)?;
        let Some(opening) = &record.opening else {
            continue;
        };
        if !audit::matches(&search, &record)? {
            continue;
        }
        let event = Event::from_bytes(&opening.event)?;
        hits.push(Hit {
            index,
            time: leaf.time,
            kind: event.name().to_owned(),
            serial: issued_serial(&event),
            event: serde_json::from_slice(&opening.event)?,
        });
    }
    Ok((hits, found.next))
}

fn issued_serial(event: &Event) -> Option<u64> {
    match event {
        Event::BreakGlassImported(imported) => Some(imported.record.serial.get()),
        Event::CertificateIssued(issued) => Some(issued.serial),
        _ => None,
    }
}

impl From<AuditRecord> for Hit {
    fn from(record: AuditRecord) -> Self {
        Self {
            index: record.index,
            time: record.time,
            kind: record.kind,
            serial: record.serial,
            event: record.event,
        }
    }
}

fn show((hits, more): &Hits, json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    if json {
        serde_json::to_writer(&mut *out, hits).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(EXIT_OK);
    }
    if hits.is_empty() {
        writeln!(out, "no record matches")?;
        return Ok(EXIT_OK);
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "INDEX",
        "TIME (UTC)",
        "WHO",
        "WHAT",
        "ACCOUNT",
        "UNTIL (UTC)",
    ]);
    for hit in hits {
        table.add_row(row(hit));
    }
    writeln!(out, "{}", table.trim_fmt())?;
    if let Some(from) = more {
        writeln!(out, "more records match: --from {from}")?;
    }
    Ok(EXIT_OK)
}

fn row(hit: &Hit) -> [String; 6] {
    let event: Option<Event> = serde_json::from_value(hit.event.clone()).ok();
    let event = event.as_ref();
    let who = event.and_then(Event::user);
    let what = match event {
        Some(Event::Refused(refused)) => {
            format!("refused {}: {}", refused.attempt.as_str(), refused.code)
        }
        Some(Event::RefusalsSummarised(summary)) => format!("{} more refused", summary.count),
        Some(event @ (Event::CertificatesRevoked(_) | Event::SessionClosed(_))) => {
            let serials = event.serials();
            let serials = serials.iter().map(u64::to_string);
            format!("{} {}", hit.kind, serials.collect::<Vec<_>>().join(" "))
        }
        _ => hit.serial.map_or_else(
            || hit.kind.clone(),
            |serial| format!("{} serial {serial}", hit.kind),
        ),
    };
    let until = match event {
        Some(Event::BreakGlassImported(imported)) => {
            Some(Timestamp::from_unix_seconds(imported.record.valid_before))
        }
        Some(Event::CertificateIssued(issued)) => {
            Some(Timestamp::from_unix_seconds(issued.valid_before))
        }
        Some(Event::SessionOpened(opened)) => Some(opened.expires),
        Some(Event::TicketIssued(ticket)) => Some(ticket.expires),
        _ => None,
    };
    [
        hit.index.to_string(),
        seconds(hit.time),
        who.map_or_else(|| "-".to_owned(), ToString::to_string),
        what.trim_end().to_owned(),
        event.map_or_else(String::new, accounts),
        until.map_or_else(|| "-".to_owned(), seconds),
    ]
}

fn accounts(event: &Event) -> String {
    let Some(environment) = event.environment() else {
        return "-".to_owned();
    };
    let principals = event.principals().iter();
    let accounts: Vec<String> = principals
        .map(|name| format!("{environment}/{name}"))
        .collect();
    if accounts.is_empty() {
        return environment.to_string();
    }
    accounts.join(" ")
}

/// To the second, as people read times.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_unix_seconds(time.unix_seconds()).to_string()
}
