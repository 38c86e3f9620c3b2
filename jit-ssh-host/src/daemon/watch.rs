//! What the first thread waits for: registrations, ends of connections, news, a signal to stop.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::failure::Failure;
use crate::process::{Hold, ProcessId};

/// Something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// SIGTERM or SIGINT.
    Stop,
    /// Another thread has news.
    News,
    /// Something changed among the registrations.
    Registered,
    /// A connection's process ended.
    Ended(ProcessId),
}

/// The descriptors that stay the same.
#[derive(Debug)]
pub(crate) struct Watch {
    signals: SignalFd,
    registrations: OwnedFd,
}

impl Watch {
    /// Watches the folder `sessions`; blocks the signals that stop the program.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the kernel does not give what is needed.
    pub(crate) fn new(sessions: &Path) -> Result<Self, Failure> {
        let failed =
            |what: &str, error: &dyn std::fmt::Display| Failure::local(format!("{what}: {error}"));
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.add(Signal::SIGINT);
        mask.thread_block()
            .map_err(|error| failed("signals cannot be blocked", &error))?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(|error| failed("no signalfd", &error))?;
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let registrations = inotify::init(flags).map_err(|error| failed("no inotify", &error))?;
        let events = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&registrations, sessions, events)
            .map_err(|error| Failure::file("watched", sessions, &error))?;
        Ok(Self {
            signals,
            registrations,
        })
    }

    /// Waits at most `limit`.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the kernel refuses to wait.
    pub(crate) fn wait(
        &self,
        limit: Duration,
        news: &OwnedFd,
        connections: &[(ProcessId, &Hold)],
    ) -> Result<Vec<Event>, Failure> {
        let fixed = [
            (Event::Stop, self.signals.as_fd()),
            (Event::News, news.as_fd()),
            (Event::Registered, self.registrations.as_fd()),
        ];
        let holds = connections
            .iter()
            .map(|(id, hold)| (Event::Ended(*id), hold.fd().as_fd()));
        let watched: Vec<_> = fixed.into_iter().chain(holds).collect();
        let mut polled: Vec<PollFd<'_>> = watched
            .iter()
            .map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        match poll(&mut polled, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::local(format!("cannot wait: {error}"))),
        }
        let ready = polled.iter().zip(&watched);
        let events: Vec<Event> = ready
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(_, (event, _))| *event)
            .collect();
        if events.contains(&Event::Registered) {
            self.drain_registrations();
        }
        Ok(events)
    }

    /// The folder is read as a whole, so what the events say does not matter.
    fn drain_registrations(&self) {
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.registrations, &mut buffer).is_ok_and(|length| length > 0) {}
    }
}
