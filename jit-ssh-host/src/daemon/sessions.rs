//! The ssh sessions of this host: taken up, warned, ended, reported.
//!
//! What a session is comes from its registration and from `/proc`; when it ends, from
//! [`crate::due`]; what belongs to it, from [`crate::belonging`]. Here is the order of doing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use ca_core::api::SessionEvent;
use ca_core::time::Timestamp;

use crate::belonging::{Known, terminals};
use crate::due::{Reason, Warned, due, warning};
use crate::file::{self, Keep};
use crate::process::{self, Hold, ProcessId};
use crate::registration::{Registration, read_all};
use crate::terminals as terminal;
use crate::{clock, journal, outbox};

use super::ending::{Ending, Progress, spared_everywhere};
use super::shared::Shared;

/// How often processes are looked at: between two looks a process without an audit session can
/// leave its tracks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest wait with a session open: a clock that was set is noticed that late.
const WAIT_WITH_SESSIONS: Duration = Duration::from_secs(1);
/// Longest wait without.
const WAIT_IDLE: Duration = Duration::from_secs(5);
/// Wait while a session is being ended.
const WAIT_ENDING: Duration = Duration::from_millis(50);

/// A session that is looked after.
struct Live {
    registration: Registration,
    hold: Option<Hold>,
    program: Option<PathBuf>,
    known: Known,
    warned: Option<u64>,
    ending: Option<Ending>,
}

/// All of them.
pub(crate) struct Sessions {
    shared: Arc<Shared>,
    boot_id: String,
    tell: SyncSender<()>,
    live: BTreeMap<ProcessId, Live>,
    refused: BTreeSet<PathBuf>,
    look_next: Option<Instant>,
}

impl Sessions {
    /// None yet.
    pub(crate) fn new(shared: Arc<Shared>, boot_id: String, tell: SyncSender<()>) -> Self {
        let sessions = Self {
            shared,
            boot_id,
            tell,
            live: BTreeMap::new(),
            refused: BTreeSet::new(),
            look_next: None,
        };
        sessions.close_those_of_an_earlier_boot(clock::now());
        sessions
    }

    /// The connections that are open, to be waited for.
    pub(crate) fn connections(&self) -> Vec<(ProcessId, &Hold)> {
        let held = self.live.iter();
        held.filter_map(|(id, live)| Some((*id, live.hold.as_ref()?)))
            .collect()
    }

    /// How long nothing has to be done, if nothing happens.
    pub(crate) fn next_wait(&self, now: Timestamp) -> Duration {
        if self.live.values().any(|live| live.ending.is_some()) {
            return WAIT_ENDING;
        }
        let ends = self.live.values().map(|live| {
            let end = Timestamp::from_unix_seconds(live.registration.valid_before);
            end.since(now)
        });
        let longest = if self.live.is_empty() {
            WAIT_IDLE
        } else {
            WAIT_WITH_SESSIONS
        };
        ends.min().unwrap_or(longest).min(longest)
    }

    /// Takes up what is registered and not yet known.
    pub(crate) fn rescan(&mut self, now: Timestamp) {
        let (found, broken) = match read_all(&self.shared.place.sessions()) {
            Ok(read) => read,
            Err(failure) => return journal::warning(&failure.what),
        };
        for path in broken {
            if self.refused.insert(path.clone()) {
                journal::warning(&format!("{} is no registration", path.display()));
            }
        }
        let before = self.live.len();
        for registration in found {
            if !self.live.contains_key(&registration.connection) {
                self.take_up(registration, now);
            }
        }
        if self.live.len() != before {
            self.note_open();
        }
    }

    fn take_up(&mut self, registration: Registration, now: Timestamp) {
        let id = registration.connection;
        if registration.boot_id != self.boot_id {
            self.forget(&registration);
            return;
        }
        let hold = Hold::on(id);
        let program = hold.as_ref().and_then(|_| process::program(id.pid));
        if hold.is_some() && !program.as_deref().is_some_and(process::is_sshd) {
            // Not sshd, or not to be told: nothing is ever done to it.
            if self
                .refused
                .insert(registration.path(&self.shared.place.sessions()))
            {
                journal::warning(&format!("process {} is registered and is not sshd", id.pid));
            }
            return;
        }
        let resumed = registration.ending.clone();
        let mut known = Known {
            connection: Some(id),
            audit: registration
                .audit
                .filter(|_| self.shared.place.config.end_detached),
            ..Known::default()
        };
        known
            .members
            .extend(resumed.iter().flat_map(|ending| ending.members.clone()));
        if !registration.left_behind {
            self.report(&registration, SessionEvent::Began, registration.at);
        }
        let open = hold.is_some();
        let decided = resumed.map(|ending| Ending::resumed(ending.reason, clock::monotonic()));
        let waits = decided.is_some() || registration.left_behind;
        let live = Live {
            registration,
            hold,
            program,
            known,
            warned: None,
            ending: decided,
        };
        self.live.insert(id, live);
        if !open && !waits {
            self.connection_ended(id, now);
        }
    }

    /// A connection's process is gone.
    pub(crate) fn connection_ended(&mut self, id: ProcessId, now: Timestamp) {
        let Some(mut live) = self.live.remove(&id) else {
            return;
        };
        live.hold = None;
        if live.ending.is_some() {
            self.live.insert(id, live);
            return;
        }
        self.report(&live.registration, SessionEvent::Closed, now);
        self.look(&mut live);
        if live.known.members.is_empty() {
            self.forget(&live.registration);
        } else {
            live.registration.left_behind = true;
            self.write(&live.registration);
            self.live.insert(id, live);
        }
        self.note_open();
    }

    /// Does what is due at `now`.
    pub(crate) fn step(&mut self, now: Timestamp) {
        let moment = clock::monotonic();
        let looking = self.look_next.is_none_or(|next| next <= moment);
        if looking {
            self.look_next = moment.checked_add(LOOK_EVERY);
            self.rescan(now);
        }
        let ids: Vec<ProcessId> = self.live.keys().copied().collect();
        for id in ids {
            let Some(mut live) = self.live.remove(&id) else {
                continue;
            };
            if self.step_one(&mut live, looking, now) {
                self.live.insert(id, live);
            } else {
                self.forget(&live.registration);
                self.note_open();
            }
        }
    }

    /// Whether the session is still to be looked after.
    fn step_one(&self, live: &mut Live, looking: bool, now: Timestamp) -> bool {
        if live.ending.is_some() {
            return self.go_on_ending(live, now);
        }
        let revoked = self.shared.revokes(&live.registration);
        if let Some(reason) = due(live.registration.valid_before, revoked, now) {
            self.begin_ending(live, reason, now);
            return true;
        }
        self.warn(live, now);
        let untraced = live.known.audit.is_none() || live.registration.left_behind;
        if looking && untraced {
            self.look(live);
        }
        !(live.registration.left_behind && live.known.members.is_empty())
    }

    fn warn(&self, live: &mut Live, now: Timestamp) {
        let registration = &live.registration;
        let before = self.shared.settings().warn_before_seconds;
        let warned = Warned {
            began: registration.at,
            last: live.warned,
        };
        let Some(moment) = warning(registration.valid_before, &before, warned, now) else {
            return;
        };
        live.warned = Some(moment);
        let left = registration.valid_before.saturating_sub(now.unix_seconds());
        let pts = terminals(&process::all(), registration.connection);
        terminal::write(&pts, &terminal::warning(left));
    }

    fn begin_ending(&self, live: &mut Live, reason: Reason, now: Timestamp) {
        let pts = terminals(&process::all(), live.registration.connection);
        terminal::write(&pts, &terminal::farewell(reason));
        self.look(live);
        // Written before the first signal: whoever goes on after a crash knows what to end and why.
        live.registration.ending = Some(crate::registration::Ending {
            reason,
            since: now,
            members: live.known.members.iter().copied().collect(),
        });
        self.write(&live.registration);
        live.ending = Some(Ending::begin(
            reason,
            live.registration.connection,
            &live.known.members,
            clock::monotonic(),
        ));
    }

    fn go_on_ending(&self, live: &mut Live, now: Timestamp) -> bool {
        let mut look = |known: &mut Known| {
            let others = self.others(live.registration.connection);
            super::ending::look(known, live.program.as_deref(), &others);
        };
        let Some(ending) = live.ending.as_mut() else {
            return true;
        };
        let reason = ending.reason();
        match ending.step(&mut live.known, &mut look, clock::monotonic()) {
            Progress::UnderWay => true,
            Progress::Stuck => {
                journal::warning(&format!(
                    "the session of {} could not be ended",
                    live.registration.key_id.escape_default()
                ));
                self.report(&live.registration, SessionEvent::NotEnded, now);
                true
            }
            Progress::Done => {
                journal::info(&format!(
                    "ended the session of {} as {} (serial {}): {}",
                    live.registration.key_id.escape_default(),
                    live.registration.account.escape_default(),
                    live.registration.serial,
                    match reason {
                        Reason::Expiry => "the grant is over",
                        Reason::Revocation => "revoked or given back",
                    }
                ));
                if !live.registration.left_behind {
                    self.report(&live.registration, reason.event(), now);
                }
                false
            }
        }
    }

    fn look(&self, live: &mut Live) {
        let others = self.others(live.registration.connection);
        super::ending::look(&mut live.known, live.program.as_deref(), &others);
    }

    /// What is never taken for a part of the session of `connection`.
    fn others(&self, connection: ProcessId) -> BTreeSet<i32> {
        let others = self.live.keys().filter(|id| **id != connection);
        let mut pids: BTreeSet<i32> = others.map(|id| id.pid).collect();
        pids.extend(spared_everywhere());
        pids
    }

    fn report(&self, registration: &Registration, happened: SessionEvent, at: Timestamp) {
        let Some(report) = registration.report(happened, at) else {
            return;
        };
        if let Err(failure) = outbox::put(&self.shared.place.outbox(), &report) {
            journal::warning(&failure.what);
        }
        // A full channel means that somebody is on the way already.
        self.tell.try_send(()).ok();
    }

    fn write(&self, registration: &Registration) {
        if let Err(failure) = registration.write(&self.shared.place.sessions()) {
            journal::warning(&failure.what);
        }
    }

    fn forget(&self, registration: &Registration) {
        let path = registration.path(&self.shared.place.sessions());
        if let Err(failure) = file::remove(&path) {
            journal::warning(&failure.what);
        }
    }

    /// For the start after a reboot, which empties the folder of registrations.
    fn note_open(&self) {
        let open: Vec<&Registration> = self
            .live
            .values()
            .map(|live| &live.registration)
            .filter(|registration| !registration.left_behind)
            .collect();
        let path = self.shared.place.open_sessions();
        if let Err(failure) = file::replace_json(&path, &open, Keep::UntilReboot) {
            journal::warning(&failure.what);
        }
    }

    fn close_those_of_an_earlier_boot(&self, now: Timestamp) {
        let path = self.shared.place.open_sessions();
        let open: Option<Vec<Registration>> = file::read_json(&path).unwrap_or_default();
        for registration in open.unwrap_or_default() {
            if registration.boot_id != self.boot_id {
                self.report(&registration, SessionEvent::Closed, now);
            }
        }
    }
}
