//! One target: reads the log behind its cursor, tells, moves the cursor.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use ca_core::event::Event;
use ca_core::time::Timestamp;
use ca_core::tlog::leaf::{Kind, Leaf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Pace;
use super::body::{Format, body};
use super::cursor::{Cursor, CursorFile};
use super::delivery::{Outcome, Receiver, backoff};
use super::message::{Message, Topic, message};
use super::reminder;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::state::Review;
use crate::store::Record;

/// Records read at a time.
const RECORDS_MAX: usize = 256;

/// Records without anything to tell before the cursor is written all the same: a start reads at
/// most so many again.
const QUIET_RECORDS_MAX: u64 = 4096;

/// A receiver, and what it wants to know.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) events: Option<BTreeSet<Topic>>,
    pub(super) receiver: Receiver,
}

impl Target {
    fn wants(&self, topic: Topic) -> bool {
        match &self.events {
            Some(events) => events.contains(&topic),
            None => topic.by_default(),
        }
    }

    /// One try. `time` is that of the record, `now` that of the try.
    pub(super) async fn send(
        &self,
        id: &str,
        message: &Message,
        (time, now): (Timestamp, Timestamp),
    ) -> Outcome {
        match body(self.format, message, time) {
            Ok(body) => self.receiver.send(id, body, now).await,
            Err(error) => Outcome::Later {
                what: error.to_string(),
                wait: None,
            },
        }
    }
}

/// A target with its place in the log.
pub(super) struct Teller {
    target: Target,
    ledger: Ledger,
    grown: watch::Receiver<u64>,
    clock: Clock,
    pace: Pace,
    file: CursorFile,
    cursor: Cursor,
    /// What the file says.
    written: u64,
    /// First part of message ids.
    prefix: String,
}

impl Teller {
    /// Finds the place of `target`, or begins at the end of the log and writes that down. Blocks.
    pub(super) fn new(
        target: Target,
        (ledger, clock): (Ledger, Clock),
        folder: &Path,
        pace: Pace,
    ) -> io::Result<Self> {
        let file = CursorFile::new(folder, &target.name)?;
        let (grown, origin) = (ledger.news().size, ledger.verifier().name().to_string());
        let size = ledger.size();
        let found = file.read()?;
        let known = found
            .as_ref()
            .is_some_and(|cursor| cursor.origin == origin && cursor.next <= size);
        let cursor = match found {
            Some(cursor) if known => cursor,
            _ => {
                tracing::warn!(
                    webhook = target.name,
                    next = size,
                    "no place in this log is known for this webhook; it is told what happens from now on"
                );
                let cursor = Cursor {
                    origin: origin.clone(),
                    next: size,
                    reminded: clock.now(),
                };
                file.write(&cursor)?;
                cursor
            }
        };
        // Ids must not hold the full stop that the signature joins them with.
        let dashed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let prefix = origin.chars().map(dashed).collect();
        Ok(Self {
            target,
            ledger,
            grown,
            clock,
            pace,
            file,
            written: cursor.next,
            cursor,
            prefix,
        })
    }

    /// Tells until the ledger has ended and everything was told.
    pub(super) async fn run(mut self) {
        let mut looked: Option<Instant> = None;
        loop {
            while self.step().await {}
            if looked.is_none_or(|looked| looked.elapsed() >= self.pace.look) {
                self.remind().await;
                looked = Some(Instant::now());
            }
            self.write_if_far().await;
            match tokio::time::timeout(self.pace.look, self.grown.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => return,
            }
        }
    }

    /// Deals with the next records. False when there are none.
    async fn step(&mut self) -> bool {
        let (ledger, next) = (self.ledger.clone(), self.cursor.next);
        let read = tokio::task::spawn_blocking(move || ledger.records(next, RECORDS_MAX)).await;
        let records = match read {
            Ok(Ok(records)) => records,
            Ok(Err(error)) => {
                tracing::error!(webhook = self.target.name, %error, "the log cannot be read");
                tokio::time::sleep(self.pace.pause_max).await;
                return true;
            }
            Err(_) => return false,
        };
        let found = !records.is_empty();
        for record in records {
            let index = self.cursor.next;
            let told = self.told(index, &record);
            if let Some((time, message)) = &told {
                let id = format!("{}-{index}", self.prefix);
                self.deliver(&id, message, *time).await;
            }
            self.cursor.next = index.saturating_add(1);
            if told.is_some() {
                // A crash before this line repeats the message, under the same id.
                self.write().await;
            }
        }
        found
    }

    /// The message of a record and its time, if this target wants it. An erased record and one
    /// that cannot be read tell nothing.
    fn told(&self, index: u64, record: &Record) -> Option<(Timestamp, Message)> {
        let leaf = Leaf::decode(&record.leaf).ok()?;
        if is_routine(leaf.kind) {
            return None;
        }
        let opening = record.opening.as_ref()?;
        let event = Event::from_bytes(&opening.event).inspect_err(
            |error| tracing::error!(webhook = self.target.name, index, %error, "not told"),
        );
        let message = message(index, &event.ok()?)?;
        self.target
            .wants(message.topic)
            .then_some((leaf.time, message))
    }

    async fn remind(&mut self) {
        if !self.target.wants(Topic::ReviewReminder) {
            return;
        }
        let reviews = self.ledger.read(|state, _| {
            let reviews = state.reviews();
            reviews
                .map(|(_, review)| review.clone())
                .collect::<Vec<Review>>()
        });
        // A ledger that is busy or has ended is asked again later.
        let Ok(reviews) = reviews.await else { return };
        let now = self.clock.now();
        let due = reminder::due(reviews.iter(), self.cursor.reminded, now);
        for due in &due {
            let id = format!("{}-{}-reminder-{}", self.prefix, due.index, due.days);
            self.deliver(&id, &due.message, due.due).await;
        }
        self.cursor.reminded = self.cursor.reminded.max(now);
        if !due.is_empty() {
            // A crash before this line repeats all of them, under the same ids.
            self.write().await;
        }
    }

    /// Tries until the receiver has it, or has refused it often enough.
    async fn deliver(&self, id: &str, message: &Message, time: Timestamp) {
        let name = self.target.name.as_str();
        let (mut failures, mut refusals) = (0_u32, 0_u32);
        loop {
            let now = self.clock.now();
            let outcome = self.target.send(id, message, (time, now)).await;
            count(name, &outcome);
            let wait = match outcome {
                Outcome::Delivered => {
                    lag(name, Duration::ZERO);
                    return;
                }
                Outcome::Refused(status) => {
                    refusals = refusals.saturating_add(1);
                    if refusals >= self.pace.refusals_max {
                        tracing::error!(
                            webhook = name,
                            id,
                            status,
                            "MESSAGE SKIPPED, refused too often"
                        );
                        metrics::counter!("ca_webhook_skipped_total", "webhook" => name.to_owned())
                            .increment(1);
                        return;
                    }
                    tracing::warn!(webhook = name, id, status, "refused, is tried again");
                    None
                }
                Outcome::Later { what, wait } => {
                    tracing::warn!(webhook = name, id, what, "not delivered, is tried again");
                    wait
                }
            };
            lag(name, self.clock.now().since(time));
            failures = failures.saturating_add(1);
            let pause = backoff(self.pace.pause, self.pace.pause_max, failures, random());
            tokio::time::sleep(wait.unwrap_or_default().max(pause)).await;
        }
    }

    async fn write_if_far(&mut self) {
        if self.cursor.next.saturating_sub(self.written) >= QUIET_RECORDS_MAX {
            self.write().await;
        }
    }

    /// A cursor that cannot be written costs repeated messages after the next start, no more.
    async fn write(&mut self) {
        let (file, cursor) = (self.file.clone(), self.cursor.clone());
        let written = tokio::task::spawn_blocking(move || file.write(&cursor)).await;
        match written {
            Ok(Ok(())) => self.written = self.cursor.next,
            Ok(Err(error)) => {
                tracing::error!(webhook = self.target.name, %error, "the cursor was not written");
            }
            Err(_) => {}
        }
    }
}

/// The commonest kinds, of which nothing is ever told: their events need not be read.
const fn is_routine(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::GrantGivenBack | Kind::Refusal | Kind::SessionClosed | Kind::UserCertificate
    )
}

fn count(name: &str, outcome: &Outcome) {
    let label = match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Later { .. } => "failed",
        Outcome::Refused(_) => "refused",
    };
    let labels = [("webhook", name.to_owned()), ("outcome", label.to_owned())];
    metrics::counter!("ca_webhook_tries_total", &labels).increment(1);
}

/// Age of the oldest record that waits to be told.
fn lag(name: &str, lag: Duration) {
    metrics::gauge!("ca_webhook_lag_seconds", "webhook" => name.to_owned()).set(lag.as_secs_f64());
}

/// Without randomness pauses are merely in step.
fn random() -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => u32::MAX,
    }
}
