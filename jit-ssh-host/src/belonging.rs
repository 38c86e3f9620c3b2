//! Which processes belong to an ssh session for sure. Pure: a look at `/proc` is an argument.
//!
//! Evidence, each sound by itself: a parent that belongs; the POSIX session of one that belongs
//! and that was opened inside the ssh session; the kernel's audit session; having belonged before.
//! A user's id, a name, an environment variable are no evidence.

use std::collections::{BTreeMap, BTreeSet};

use crate::process::{Process, ProcessId};

/// What is known about an ssh session's processes before a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The connection's sshd process.
    pub(crate) connection: Option<ProcessId>,
    /// Its audit session, unless sshd itself has the same.
    pub(crate) audit: Option<u32>,
    /// Those that belonged at the last look.
    pub(crate) members: BTreeSet<ProcessId>,
    /// POSIX sessions that were opened inside, as long as a member lives in them.
    pub(crate) sessions: BTreeSet<i32>,
}

impl Known {
    /// Takes a look in which `spared` are never members nor lead to any: sshd itself, other
    /// connections, this program. Members that are gone are forgotten.
    pub(crate) fn look(&mut self, all: &[Process], spared: &BTreeSet<i32>) {
        let alive: Vec<&Process> = all
            .iter()
            .filter(|process| !process.ended && !spared.contains(&process.id.pid))
            .filter(|process| process.id.pid > 1)
            .collect();
        let mut members: BTreeMap<i32, &Process> = alive
            .iter()
            .filter(|process| self.is_seed(process))
            .map(|process| (process.id.pid, *process))
            .collect();
        self.keep_sessions(&members);
        // Each round adds a member or ends the loop, so it is bounded by the processes there are.
        loop {
            let opened = |process: &Process| {
                process.session == process.id.pid || self.sessions.contains(&process.session)
            };
            let inside: BTreeSet<i32> = members
                .values()
                .filter(|process| opened(process))
                .map(|process| process.session)
                .collect();
            let more: Vec<&Process> = alive
                .iter()
                .filter(|process| !members.contains_key(&process.id.pid))
                .filter(|process| {
                    members.contains_key(&process.parent) || inside.contains(&process.session)
                })
                .copied()
                .collect();
            self.sessions = inside;
            if more.is_empty() {
                break;
            }
            members.extend(more.into_iter().map(|process| (process.id.pid, process)));
        }
        self.members = members.values().map(|process| process.id).collect();
    }

    fn is_seed(&self, process: &Process) -> bool {
        Some(process.id) == self.connection
            || self.members.contains(&process.id)
            || (self.audit.is_some() && process.audit == self.audit)
    }

    /// A POSIX session's number is free again once nobody lives in it.
    fn keep_sessions(&mut self, members: &BTreeMap<i32, &Process>) {
        let lived_in: BTreeSet<i32> = members.values().map(|process| process.session).collect();
        self.sessions.retain(|session| lived_in.contains(session));
    }
}

/// The terminals that sshd opened for this connection: those of session leaders right below its
/// process, or below the unprivileged one that it starts for everybody but root.
pub(crate) fn terminals(all: &[Process], connection: ProcessId) -> BTreeSet<u64> {
    let children: BTreeSet<i32> = all
        .iter()
        .filter(|process| process.parent == connection.pid)
        .map(|process| process.id.pid)
        .collect();
    all.iter()
        .filter(|process| process.session == process.id.pid)
        .filter(|process| process.parent == connection.pid || children.contains(&process.parent))
        .filter_map(|process| process.terminal)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: i32 = 50;
    const CONNECTION: i32 = 100;

    fn process(pid: i32, parent: i32, session: i32) -> Process {
        Process {
            id: id(pid),
            parent,
            session,
            terminal: None,
            ended: false,
            audit: None,
        }
    }

    fn id(pid: i32) -> ProcessId {
        ProcessId { pid, started: 7 }
    }

    fn known() -> Known {
        Known {
            connection: Some(id(CONNECTION)),
            ..Known::default()
        }
    }

    /// A listener, a connection with a shell and a job, and a second one of the same user.
    fn machine() -> Vec<Process> {
        vec![
            process(1, 0, 1),
            process(LISTENER, 1, LISTENER),
            process(CONNECTION, LISTENER, CONNECTION),
            process(101, CONNECTION, CONNECTION),
            process(102, 101, 102),
            process(103, 102, 102),
            process(200, LISTENER, 200),
            process(201, 200, 201),
        ]
    }

    fn look(known: &mut Known, all: &[Process]) -> Vec<i32> {
        known.look(all, &BTreeSet::from([LISTENER]));
        known.members.iter().map(|id| id.pid).collect()
    }

    #[test]
    fn descendants_belong_and_a_second_connection_does_not() {
        assert_eq!(look(&mut known(), &machine()), [100, 101, 102, 103]);
    }

    #[test]
    fn an_orphan_belongs_by_the_session_that_its_dead_leader_opened() {
        let mut known = known();
        look(&mut known, &machine());
        let mut later = machine();
        later.retain(|process| process.id.pid != 102);
        later.retain(|process| process.id.pid != 103);
        later.push(process(103, 1, 102));
        later.push(process(104, 1, 102));
        assert_eq!(look(&mut known, &later), [100, 101, 103, 104]);
    }

    #[test]
    fn a_session_number_that_somebody_else_took_is_no_evidence() {
        let mut known = known();
        look(&mut known, &machine());
        let mut later = machine();
        later.retain(|process| ![102, 103].contains(&process.id.pid));
        assert_eq!(look(&mut known, &later), [100, 101]);
        let mut reused = process(102, 1, 102);
        reused.id.started = 999;
        later.push(reused);
        later.push(process(105, 102, 102));
        assert_eq!(look(&mut known, &later), [100, 101]);
    }

    #[test]
    fn an_audit_session_finds_what_left_every_other_trace() {
        let mut known = known();
        known.audit = Some(4);
        let mut all = machine();
        let mut daemon = process(300, 1, 300);
        daemon.audit = Some(4);
        all.push(daemon);
        all.push(process(301, 300, 300));
        assert_eq!(look(&mut known, &all), [100, 101, 102, 103, 300, 301]);
    }

    #[test]
    fn a_connection_that_shares_the_listeners_session_does_not_drag_it_in() {
        let mut all = machine();
        for process in &mut all {
            if [CONNECTION, 101].contains(&process.id.pid) {
                process.session = LISTENER;
            }
        }
        all.push(process(400, 1, LISTENER));
        assert_eq!(look(&mut known(), &all), [100, 101, 102, 103]);
    }

    #[test]
    fn a_connection_whose_number_was_used_again_has_no_members() {
        let mut known = known();
        let mut all = machine();
        for process in &mut all {
            process.id.started = 8;
        }
        known.look(&all, &BTreeSet::new());
        assert!(known.members.is_empty());
    }

    #[test]
    fn what_is_spared_and_what_hangs_on_it_never_belongs() {
        let mut known = known();
        known.look(&machine(), &BTreeSet::from([LISTENER, 102]));
        let members: Vec<i32> = known.members.iter().map(|id| id.pid).collect();
        assert_eq!(members, [100, 101]);
    }

    #[test]
    fn the_terminal_is_that_of_the_shell_which_sshd_started() {
        let mut all = machine();
        all[4].terminal = Some(3);
        // A terminal inside the session, of tmux for example, and that of the other connection.
        let mut inner = process(104, 103, 104);
        inner.terminal = Some(4);
        all.push(inner);
        all[7].terminal = Some(9);
        assert_eq!(terminals(&all, id(CONNECTION)), BTreeSet::from([3]));
    }
}
