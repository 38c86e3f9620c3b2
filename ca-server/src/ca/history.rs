//! The story of one grant, from request to last ssh session, told from the records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ca_core::api::{History, HistoryLine, SessionEvent};
use ca_core::event::{Attempt, AuditRead, Event, Person, RevocationCause, SshSessionReported};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::Leaf;

use super::{Ca, Caller, Failure, refused};
use crate::access;
use crate::access::vote;
use crate::authn::session::{Actor, actor};
use crate::ledger::{Ledger, Refusal};
use crate::policy::{self, Action, On, Question};
use crate::state::State;
use crate::store::{Search, StoreError};

/// Most numbers that a story is looked for by.
const NUMBERS_MAX: usize = 64;
/// Most records of one story.
const LINES_MAX: usize = 1000;

/// Who asks, and what they may see besides their own.
struct Reader {
    person: Person,
    sees_all: bool,
}

impl Ca {
    /// Everything recorded about one grant: `number` is that of its request, the serial of its
    /// certificate, or the index of any of its records.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] also for stories that do not concern the caller.
    pub async fn history(self: Arc<Self>, caller: Caller, number: u64) -> Result<History, Failure> {
        let reader = Arc::clone(&self).reader(caller, number).await?;
        let ledger = self.ledger.clone();
        let told = tokio::task::spawn_blocking(move || story(&ledger, number)).await;
        let internal = |error: String| Failure::Internal(error);
        let told = told
            .map_err(|error| internal(error.to_string()))?
            .map_err(|error| internal(error.to_string()))?;
        let concerns = |event: &Event| {
            let people = event.person().into_iter().chain(event.by());
            let mut subjects = people.map(|person| &person.subject);
            subjects.any(|subject| *subject == reader.person.subject)
        };
        let may_see = reader.sees_all || told.values().any(|(_, event)| concerns(event));
        if told.is_empty() || !may_see {
            let mut record = refused(Attempt::Audit, "not-found", &"history", caller.source);
            record.person = Some(reader.person);
            let none = Failure::NotFound("grant that concerns you");
            return Err(self.record_refusal(record, none).await);
        }
        if !told.values().any(|(_, event)| concerns(event)) {
            self.record_reading(reader.person.clone(), number, caller)
                .await?;
        }
        let lines = told.into_iter().map(|(index, (time, event))| HistoryLine {
            index,
            time,
            kind: event.name().to_owned(),
            by: who(&event),
            sentence: sentence(&event),
            serial: event.serials().first().copied(),
        });
        Ok(History {
            lines: lines.collect(),
        })
    }

    /// Reading about others is a record, as it is in `GET /v1/audit`.
    async fn record_reading(&self, by: Person, number: u64, caller: Caller) -> Result<(), Failure> {
        let read = self.ledger.commit(move |_, _| {
            Ok::<_, Refusal<Failure>>(Event::AuditRead(AuditRead {
                by,
                query: format!("history {number}"),
                // Who decides on the request reads it, too, whatever policy says of reading.
                judged: None,
                source: caller.source,
            }))
        });
        read.await?;
        Ok(())
    }

    async fn reader(self: Arc<Self>, caller: Caller, number: u64) -> Result<Reader, Failure> {
        let (ca, policies) = (Arc::clone(&self), self.policies.current());
        let look = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            let on_call = ca.settings.on_call.has(&actor);
            let question = Question {
                who: access::who(&actor),
                action: Action::ReadAudit,
                on: On::Authority,
                facts: access::facts(&actor, caller.source, on_call, now),
            };
            let reads = policy::ask(&policies, &question).is_permit() && !actor.is_break_glass();
            let decides = decides(&ca, state, &actor, &policies, (number, caller, now));
            Some(Reader {
                person: actor.person().clone(),
                sees_all: reads || decides,
            })
        };
        let reader = self.ledger.read(look).await?;
        reader.ok_or(Failure::SessionRequired)
    }
}

fn decides(
    ca: &Ca,
    state: &State,
    actor: &Actor,
    policies: &policy::PolicySet,
    (number, caller, now): (u64, Caller, Timestamp),
) -> bool {
    let index = Serial::try_from(number).map_or(number, Serial::index);
    let Some(request) = state.access_request(index) else {
        return false;
    };
    let book = ca.book(&request.asked.environment, policies);
    let at = (caller.source, now);
    book.is_some_and(|book| vote::may_decide(actor, request, book, at).is_ok())
}

/// The records of a grant, by index. Blocks.
fn story(ledger: &Ledger, number: u64) -> Result<BTreeMap<u64, (Timestamp, Event)>, StoreError> {
    let mut told = BTreeMap::new();
    let mut asked = BTreeSet::new();
    let as_serial = Serial::new(ledger.epoch(), number).map_or(number, Serial::get);
    let mut open: Vec<u64> = vec![number, as_serial];
    // The record itself leads to the numbers that its story goes by.
    let index = Serial::try_from(number).map_or(number, Serial::index);
    open.extend(numbers(ledger, index)?.into_iter().take(2));
    while let Some(number) = open.pop() {
        if asked.len() >= NUMBERS_MAX || told.len() >= LINES_MAX {
            break;
        }
        if !asked.insert(number) {
            continue;
        }
        let found = ledger.search(&Search {
            terms: vec![format!("serial={number}")],
            limit: LINES_MAX,
            ..Search::default()
        })?;
        for index in found.indexes {
            let Some((time, event)) = read(ledger, index)? else {
                continue;
            };
            let numbers = event.serials();
            // The index keeps hashes of terms only.
            if numbers.contains(&number) {
                // Only a certificate leads from its serial to its request and back: what ended
                // several grants belongs to each of their stories and joins none.
                if matches!(event, Event::CertificateIssued(_)) {
                    open.extend(numbers);
                }
                told.insert(index, (time, event));
            }
        }
    }
    Ok(told)
}

fn numbers(ledger: &Ledger, index: u64) -> Result<Vec<u64>, StoreError> {
    let found = read(ledger, index)?;
    Ok(found.map_or_else(Vec::new, |(_, event)| event.serials()))
}

pub(super) fn read(ledger: &Ledger, index: u64) -> Result<Option<(Timestamp, Event)>, StoreError> {
    let records = ledger.records(index, 1)?;
    let Some(record) = records.first() else {
        return Ok(None);
    };
    let damaged = |error: String| StoreError::Damaged(format!("record {index}: {error}"));
    let leaf = Leaf::decode(&record.leaf).map_err(|error| damaged(error.to_string()))?;
    let Some(opening) = &record.opening else {
        return Ok(None);
    };
    let event = Event::from_bytes(&opening.event).map_err(|error| damaged(error.to_string()))?;
    Ok(Some((leaf.time, event)))
}

fn who(event: &Event) -> Option<ca_core::name::UserName> {
    let by = event.by().map(|person| person.user.clone());
    by.or_else(|| event.user().cloned())
}

/// One record in words.
fn sentence(event: &Event) -> String {
    match event {
        Event::RequestOpened(e) if e.needs.is_empty() => {
            format!("asked for {} ahead of time", accounts(event))
        }
        Event::RequestOpened(e) => format!("asked for {}; needs {}", accounts(event), e.needs),
        Event::RequestApproved(e) if e.needs.is_empty() => {
            format!("approved {} s: nothing is missing", e.duration_seconds)
        }
        Event::RequestApproved(e) => {
            format!("approved {} s; still needs {}", e.duration_seconds, e.needs)
        }
        Event::RequestDenied(e) => format!("denied: {}", e.reason),
        Event::RequestWithdrawn(_) => "withdrawn".to_owned(),
        Event::RequestExpired(_) => "expired without being used".to_owned(),
        Event::CertificateIssued(e) => {
            let until = Timestamp::from_unix_seconds(e.valid_before);
            let how = match (e.break_glass, e.request) {
                (true, _) => " by breaking glass",
                (false, Some(_)) => ", activating the request",
                (false, None) => "",
            };
            format!("certificate {} issued{how}, until {until}", e.serial)
        }
        Event::CertificatesRevoked(e) => match e.cause {
            RevocationCause::Done => "given back".to_owned(),
            RevocationCause::Revoked => {
                let why = e.reason.as_deref().unwrap_or("no reason given");
                format!("revoked: {why}")
            }
        },
        Event::SessionClosed(_) => "logged out, which gave it back".to_owned(),
        Event::BreakGlassImported(e) => format!(
            "signed offline at {} with the shares of {}, imported by {}",
            e.record.signed_at,
            list(&e.record.holders),
            e.imported_by
        ),
        Event::ReviewClosed(e) => format!("reviewed: {}", e.finding),
        Event::SshSessionReported(e) => ssh_session(e),
        other => other.name().to_owned(),
    }
}

fn accounts(event: &Event) -> String {
    let environment = event.environment().map(ToString::to_string);
    format!(
        "{} as {}",
        environment.unwrap_or_default(),
        list(event.principals())
    )
}

fn list(names: &[impl ToString]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn ssh_session(event: &SshSessionReported) -> String {
    let what = match event.happened {
        SessionEvent::Began => "ssh session began",
        SessionEvent::Closed => "ssh session closed",
        SessionEvent::EndedAtExpiry => "ssh session ended at the end of the grant",
        SessionEvent::EndedByRevocation => "ssh session ended by the revocation",
        SessionEvent::NotEnded => "ssh session could NOT be ended",
    };
    let from = event.from.as_deref().map(|from| format!(" from {from}"));
    let (host, account) = (event.host, &event.account);
    let at = event.at;
    format!(
        "{what} on host {host} as {account}{} at {at}",
        from.unwrap_or_default()
    )
}
