//! Ending an ssh session: its connection at once, what belongs to it with a moment to tidy up.
//!
//! Each process is held and checked before it gets a signal; processes that are made meanwhile are
//! found by looking again until there are none.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::belonging::Known;
use crate::due::Reason;
use crate::process::{self, Hold, Process, ProcessId};

/// Time between the polite signals and SIGKILL.
const GRACE: Duration = Duration::from_millis(700);
/// Most looks in one step: what makes processes faster than that is met again in the next step.
const ROUNDS_MAX: usize = 20;
/// After this long without success it is reported.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// A session that is being ended.
#[derive(Debug)]
pub(crate) struct Ending {
    reason: Reason,
    since: Instant,
    stuck: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something is alive still.
    UnderWay,
    /// Something does not end; said once.
    Stuck,
    /// Nothing is left.
    Done,
}

impl Ending {
    /// Sends the first signals.
    pub(crate) fn begin(
        reason: Reason,
        connection: ProcessId,
        members: &BTreeSet<ProcessId>,
        moment: Instant,
    ) -> Self {
        ask_to_end(connection, members);
        Self {
            reason,
            since: moment,
            stuck: false,
        }
    }

    /// One that another run of this program began.
    pub(crate) const fn resumed(reason: Reason, moment: Instant) -> Self {
        Self {
            reason,
            since: moment,
            stuck: false,
        }
    }

    /// Why.
    pub(crate) const fn reason(&self) -> Reason {
        self.reason
    }

    /// Looks what is left, and after the grace kills it.
    pub(crate) fn step(
        &mut self,
        known: &mut Known,
        look: &mut dyn FnMut(&mut Known),
        moment: Instant,
    ) -> Progress {
        let passed = moment.saturating_duration_since(self.since);
        for _ in 0..ROUNDS_MAX {
            look(known);
            if known.members.is_empty() {
                return Progress::Done;
            }
            if passed < GRACE {
                return Progress::UnderWay;
            }
            for id in &known.members {
                signal(*id, &[Signal::KILL]);
            }
        }
        if passed >= STUCK_AFTER && !self.stuck {
            self.stuck = true;
            return Progress::Stuck;
        }
        Progress::UnderWay
    }
}

/// The connection first: from then on nobody types. Shells heed SIGHUP and not SIGTERM; a stopped
/// process heeds nothing until it is continued.
fn ask_to_end(connection: ProcessId, members: &BTreeSet<ProcessId>) {
    if members.contains(&connection) {
        signal(connection, &[Signal::TERM]);
    }
    for id in members.iter().filter(|id| **id != connection) {
        signal(*id, &[Signal::HUP, Signal::TERM, Signal::CONT]);
    }
}

fn signal(id: ProcessId, signals: &[Signal]) {
    if let Some(hold) = Hold::on(id) {
        for signal in signals {
            hold.signal(*signal);
        }
    }
}

/// Looks at `/proc`. `program` is what the connection runs, `spared` what is never touched; sshd
/// itself, started anew as root from inside a session, is found and spared here.
pub(crate) fn look(known: &mut Known, program: Option<&Path>, spared: &BTreeSet<i32>) {
    let all = process::all();
    let mut spared = spared.clone();
    if let Some(connection) = known.connection {
        let own = all.iter().find(|process| process.id == connection);
        spared.extend(own.map(|process| process.parent));
        spared.remove(&connection.pid);
    }
    // Each round spares one more, so it is bounded by the processes there are.
    loop {
        let mut attempt = known.clone();
        attempt.look(&all, &spared);
        let listener = all.iter().find(|process| {
            attempt.members.contains(&process.id) && is_a_listener(process, known, program)
        });
        match listener {
            Some(listener) => spared.insert(listener.id.pid),
            None => {
                *known = attempt;
                return;
            }
        };
    }
}

fn is_a_listener(process: &Process, known: &Known, program: Option<&Path>) -> bool {
    let connection = known.connection.map(|connection| connection.pid);
    let of_the_connection =
        Some(process.id.pid) == connection || Some(process.parent) == connection;
    !of_the_connection
        && program.is_some()
        && process::program(process.id.pid).as_deref() == program
        && process::is_root(process.id.pid)
}

/// This program and whoever started it.
pub(crate) fn spared_everywhere() -> BTreeSet<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let parent = process::look(own).map(|process| process.parent);
    [Some(own), parent].into_iter().flatten().collect()
}
