//! `status`: what the daemon's files say. Works while it is dead.

use ca_core::time::Timestamp;
use serde::Serialize;

use super::print;
use crate::cli::Status;
use crate::daemon::shared::Contact;
use crate::failure::Failure;
use crate::file;
use crate::list_store::{self, Freshness};
use crate::place::Place;
use crate::registration::{Registration, read_all};
use crate::staleness::{Standing, standing};

#[derive(Serialize)]
struct Document {
    host: u64,
    environment: String,
    names: Vec<String>,
    krl_version: Option<u64>,
    krl_age_seconds: Option<u64>,
    krl_stale: bool,
    last_contact: Option<Timestamp>,
    problem: Option<String>,
    host_certificate_valid_before: Option<Timestamp>,
    reports_waiting: usize,
    sessions: Vec<Session>,
}

#[derive(Serialize)]
struct Session {
    pid: i32,
    account: String,
    key_id: String,
    serial: u64,
    began: Timestamp,
    valid_before: u64,
    seconds_left: u64,
    connected: bool,
}

/// Prints.
///
/// # Errors
///
/// A [`Failure`] naming a file that cannot be read.
pub(super) fn run(place: &Place, how: &Status, now: Timestamp) -> Result<(), Failure> {
    let document = document(place, now)?;
    if how.json {
        let text = serde_json::to_string(&document);
        print(&text.map_err(|error| Failure::local(error.to_string()))?);
    } else {
        print_for_people(&document);
    }
    Ok(())
}

fn document(place: &Place, now: Timestamp) -> Result<Document, Failure> {
    let settings = place.read_settings()?;
    let held = list_store::load(place)?;
    let fresh_at = held.freshness.map(Freshness::fresh_at);
    let contact: Contact = file::read_json(&place.contact())?.unwrap_or_default();
    let certificate = crate::host_certificate::held(place);
    let (sessions, _) = read_all(&place.sessions())?;
    Ok(Document {
        host: place.config.host,
        environment: place.config.environment.to_string(),
        names: place.config.names.iter().map(ToString::to_string).collect(),
        krl_version: held.list.map(|list| list.position().version),
        krl_age_seconds: fresh_at.map(|fresh| now.since(fresh).as_secs()),
        krl_stale: standing(&settings, fresh_at, now) == Standing::WithoutAuthority,
        last_contact: contact.last,
        problem: contact.problem,
        host_certificate_valid_before: certificate.map(|found| found.valid_before),
        reports_waiting: file::names(&place.outbox())?.len(),
        sessions: sessions.iter().map(|found| session(found, now)).collect(),
    })
}

fn session(found: &Registration, now: Timestamp) -> Session {
    Session {
        pid: found.connection.pid,
        account: found.account.clone(),
        key_id: found.key_id.clone(),
        serial: found.serial,
        began: found.at,
        valid_before: found.valid_before,
        seconds_left: found.valid_before.saturating_sub(now.unix_seconds()),
        connected: !found.left_behind,
    }
}

fn print_for_people(document: &Document) {
    print(&format!(
        "host {} of {}: {}",
        document.host,
        document.environment,
        document.names.join(", ")
    ));
    let list = match (document.krl_version, document.krl_age_seconds) {
        (Some(version), Some(age)) => format!("version {version}, {age} s old"),
        _ => "none yet".to_owned(),
    };
    let stale = if document.krl_stale {
        " - STALE: certificates of the environment are refused"
    } else {
        ""
    };
    print(&format!("revocation list: {list}{stale}"));
    let contact = document
        .last_contact
        .map_or("never".to_owned(), |at| at.to_string());
    print(&format!("last answer of the authority: {contact}"));
    if let Some(problem) = &document.problem {
        print(&format!("! {problem}"));
    }
    if document.reports_waiting > 0 {
        print(&format!("reports waiting: {}", document.reports_waiting));
    }
    if let Some(end) = document.host_certificate_valid_before {
        print(&format!("host certificate until {end}"));
    }
    print(&format!("ssh sessions: {}", document.sessions.len()));
    for session in &document.sessions {
        print(&format!(
            "  {} as {} (serial {}) ends in {} s{}",
            session.key_id.escape_default(),
            session.account.escape_default(),
            session.serial,
            session.seconds_left,
            if session.connected {
                ""
            } else {
                ", only background processes are left"
            }
        ));
    }
}
