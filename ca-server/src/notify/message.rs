//! What is told about an event: one message for people and programs, or none. Pure.
//!
//! No secret, no digest, no address. Texts that people wrote go through [`Line::value`].

use std::time::Duration;

use ca_core::api::SessionEvent;
use ca_core::event::{
    BreakGlassImported, CertificateIssued, CertificatesRevoked, Event, RequestOpened,
};
use ca_core::name::{Environment, Principal, UserName};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::Line;
use crate::policy::words;

mod others;

/// What a message is about: what `events` of a `[[webhooks]]` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Somebody approved a request that needs more approvals.
    ApprovalGiven,
    /// Glass was broken: an emergency certificate.
    BreakGlass,
    /// A certificate that was signed while the authority was away is in the log now.
    BreakGlassImported,
    /// Somebody signed in without the identity provider.
    BreakGlassSessionOpened,
    /// Certificates were taken away by somebody else than their holder.
    CertificatesRevoked,
    /// A freeze ended.
    FreezeLifted,
    /// A person or an environment was frozen.
    Frozen,
    /// A request has all its approvals.
    RequestApproved,
    /// A request was denied.
    RequestDenied,
    /// A request was not decided or not used in time.
    RequestExpired,
    /// Somebody asks for access.
    RequestOpened,
    /// A request was taken back.
    RequestWithdrawn,
    /// An emergency was judged.
    ReviewClosed,
    /// A review has been open for another day.
    ReviewReminder,
    /// An ssh session could not be ended on a host.
    SshSessionNotEnded,
    /// A host saw a certificate that this log has no record of.
    SshSessionNotRecorded,
    /// Sent by `ca-server webhook test`.
    Test,
}

impl Topic {
    /// Whether it is sent where `events` is not given.
    #[must_use]
    pub const fn by_default(self) -> bool {
        !matches!(self, Self::ApprovalGiven | Self::RequestWithdrawn)
    }
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What about.
    pub topic: Topic,
    /// For people.
    pub lines: Vec<Line>,
    /// For programs.
    pub data: Data,
}

/// The facts, for programs. What people wrote stands here as they wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Data {
    /// Log index of the record it is about.
    pub index: u64,
    /// Who asked, or whose certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Login names in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Principal>,
    /// Number of the access request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// Serials of certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<u64>,
    /// Number of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<u64>,
    /// Length of the window, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    /// The window cannot begin earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// End of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_before: Option<Timestamp>,
    /// Nothing can be decided from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What policy still wants, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// How many more approvals that is, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals_missing: Option<u32>,
    /// Why, or what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Ticket of another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What to type next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Data {
    /// About this record, and nothing more yet.
    #[must_use]
    pub fn at(index: u64) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }
}

impl Message {
    /// Its lines for Slack, Mattermost and their kin.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(Line::marked).collect();
        lines.join("\n")
    }
}

/// What to tell about the event recorded at `index`, if anything.
#[must_use]
pub fn message(index: u64, event: &Event) -> Option<Message> {
    match event {
        Event::RequestOpened(opened) => Some(request_opened(index, opened)),
        Event::CertificateIssued(issued) if issued.break_glass => Some(break_glass(index, issued)),
        Event::BreakGlassImported(imported) => Some(break_glass_imported(index, imported)),
        Event::CertificatesRevoked(revoked) if revoked.by.subject != revoked.holder.subject => {
            Some(revoked_by_others(index, revoked))
        }
        Event::SshSessionReported(report) => {
            let topic = match report.happened {
                _ if !report.recorded => Topic::SshSessionNotRecorded,
                SessionEvent::NotEnded => Topic::SshSessionNotEnded,
                _ => return None,
            };
            Some(others::session_alarm(index, topic, report))
        }
        _ => others::message(index, event),
    }
}

fn request_opened(index: u64, opened: &RequestOpened) -> Message {
    let asked = &opened.asked;
    let number = number_of(opened.request);
    let window = words(Duration::from_secs(asked.duration_seconds));
    let headline = Line::new("")
        .value(&opened.person.user)
        .words(" asks for ")
        .value(&asked.environment)
        .words(" as ")
        .value(join(&asked.principals))
        .words(format!(" for {window}"));
    let headline = match opened.not_before {
        Some(time) => headline.words(format!(", not before {time}")),
        None => headline,
    };
    let mut lines = vec![headline];
    lines.extend(why(asked.reason.as_deref(), asked.ticket.as_deref()));
    let decide = (opened.approvals_missing > 0).then(|| format!("jit-ssh approve {number}"));
    if let Some(command) = &decide {
        lines.push(Line::new("needs ").value(&opened.needs));
        let line = Line::new("decide: ").value(command).words(" or ");
        let deny = format!("jit-ssh deny {number}");
        lines.push(
            line.value(deny)
                .words(format!(", until {}", opened.expires)),
        );
    }
    Message {
        topic: Topic::RequestOpened,
        lines,
        data: Data {
            requester: Some(opened.person.user.to_string()),
            environment: Some(asked.environment.clone()),
            accounts: asked.principals.clone(),
            request: Some(number),
            duration_seconds: Some(asked.duration_seconds),
            not_before: opened.not_before,
            expires_at: Some(opened.expires),
            needs: Some(opened.needs.clone()),
            approvals_missing: Some(opened.approvals_missing),
            reason: asked.reason.clone(),
            ticket: asked.ticket.clone(),
            command: decide,
            ..Data::at(index)
        },
    }
}

fn break_glass(index: u64, issued: &CertificateIssued) -> Message {
    let asked = &issued.asked;
    let end = Timestamp::from_unix_seconds(issued.valid_before);
    let command = format!("jit-ssh review {index}");
    let mut lines = vec![
        Line::new("BREAK-GLASS: ")
            .value(&issued.person.user)
            .words(" took ")
            .value(&asked.environment)
            .words(" as ")
            .value(join(&asked.principals))
            .words(format!(" until {end}, without prior approval")),
    ];
    lines.extend(why(asked.reason.as_deref(), asked.ticket.as_deref()));
    let stop = format!("jit-ssh revoke {}", issued.serial);
    let line = Line::new("review afterwards: ").value(&command);
    lines.push(line.words("; stop it now: ").value(stop));
    Message {
        topic: Topic::BreakGlass,
        lines,
        data: Data {
            requester: Some(issued.person.user.to_string()),
            environment: Some(asked.environment.clone()),
            accounts: asked.principals.clone(),
            serials: vec![issued.serial],
            duration_seconds: Some(asked.duration_seconds),
            valid_before: Some(end),
            reason: asked.reason.clone(),
            ticket: asked.ticket.clone(),
            command: Some(command),
            ..Data::at(index)
        },
    }
}

fn break_glass_imported(index: u64, imported: &BreakGlassImported) -> Message {
    let record = &imported.record;
    let end = Timestamp::from_unix_seconds(record.valid_before);
    let command = format!("jit-ssh review {index}");
    let accounts = record.principals.as_slice();
    let holders: Vec<&str> = record.holders.iter().map(UserName::as_str).collect();
    let headline = Line::new("BREAK-GLASS: while the authority was away ")
        .value(&record.user)
        .words(" got ")
        .value(&record.environment)
        .words(" as ")
        .value(join(accounts))
        .words(format!(" until {end}, signed at {}", record.signed_at));
    let signed = Line::new("with the shares of ").value(holders.join(", "));
    let mut lines = vec![
        headline,
        signed.words("; imported by ").value(&imported.imported_by),
    ];
    lines.extend(why(Some(&record.reason), None));
    lines.push(Line::new("review it: ").value(&command));
    Message {
        topic: Topic::BreakGlassImported,
        lines,
        data: Data {
            requester: Some(record.user.to_string()),
            by: Some(imported.imported_by.clone()),
            environment: Some(record.environment.clone()),
            accounts: accounts.to_vec(),
            serials: vec![record.serial.get()],
            valid_before: Some(end),
            reason: Some(record.reason.clone()),
            command: Some(command),
            ..Data::at(index)
        },
    }
}

fn revoked_by_others(index: u64, revoked: &CertificatesRevoked) -> Message {
    let count = match revoked.serials.len() {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    let mut lines = vec![
        Line::new("")
            .value(&revoked.by.user)
            .words(format!(" revoked {count} of "))
            .value(&revoked.holder.user),
    ];
    lines.extend(why(revoked.reason.as_deref(), None));
    Message {
        topic: Topic::CertificatesRevoked,
        lines,
        data: Data {
            requester: Some(revoked.holder.user.to_string()),
            by: Some(revoked.by.user.to_string()),
            serials: revoked.serials.clone(),
            reason: revoked.reason.clone(),
            ..Data::at(index)
        },
    }
}

fn why(reason: Option<&str>, ticket: Option<&str>) -> Vec<Line> {
    let reason = reason.map(|reason| Line::new("reason: ").value(reason));
    let ticket = ticket.map(|ticket| Line::new("ticket: ").value(ticket));
    reason.into_iter().chain(ticket).collect()
}

/// The number that people type: the log index in a request's serial.
fn number_of(request: u64) -> u64 {
    Serial::try_from(request).map_or(request, Serial::index)
}

/// Names in one text.
pub(super) fn join(names: &[Principal]) -> String {
    let names: Vec<&str> = names.iter().map(Principal::as_str).collect();
    names.join(", ")
}
