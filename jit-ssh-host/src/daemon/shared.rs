//! What the daemon's threads share, and how they wake the first one.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ca_core::api::HostSettings;
use ca_core::time::Timestamp;
use rustix::event::{EventfdFlags, eventfd};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::file::{self, Keep};
use crate::list_store::{Freshness, Held};
use crate::place::Place;
use crate::registration::Registration;
use crate::staleness::{Standing, standing};

/// What was last heard from the authority, for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// When it last answered.
    pub(crate) last: Option<Timestamp>,
    /// What is wrong since, in words.
    pub(crate) problem: Option<String>,
    /// How far its clock is ahead of this host's, milliseconds; negative when behind.
    pub(crate) clock_ahead_milliseconds: Option<i64>,
}

/// Identity of a file's content, as far as the file system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState(Option<(u64, u64, i64, i64)>);

impl FileState {
    /// Of the file at `path`.
    pub(crate) fn of(path: &Path) -> Self {
        let found = std::fs::metadata(path).ok();
        Self(found.map(|found| (found.ino(), found.size(), found.mtime(), found.mtime_nsec())))
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where things are.
    pub(crate) place: Place,
    settings: Mutex<HostSettings>,
    held: Mutex<Held>,
    contact: Mutex<Contact>,
    news: OwnedFd,
}

impl Shared {
    /// At the start.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the kernel gives no eventfd.
    pub(crate) fn new(place: Place, settings: HostSettings, held: Held) -> Result<Self, Failure> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let news =
            eventfd(0, flags).map_err(|error| Failure::local(format!("no eventfd: {error}")))?;
        let contact = file::read_json(&place.contact()).unwrap_or_default();
        Ok(Self {
            place,
            settings: Mutex::new(settings),
            held: Mutex::new(held),
            contact: Mutex::new(contact.unwrap_or_default()),
            news,
        })
    }

    /// The environment's settings.
    pub(crate) fn settings(&self) -> HostSettings {
        lock(&self.settings).clone()
    }

    /// New settings.
    pub(crate) fn set_settings(&self, settings: HostSettings) {
        *lock(&self.settings) = settings;
        self.tell();
    }

    /// A new list is in place.
    pub(crate) fn set_held(&self, held: Held) {
        *lock(&self.held) = held;
        self.tell();
    }

    /// Version of the list that sshd reads.
    pub(crate) fn version(&self) -> Option<u64> {
        let held = lock(&self.held);
        held.list.as_ref().map(|list| list.position().version)
    }

    /// Whether the list revokes what opened this session.
    pub(crate) fn revokes(&self, session: &Registration) -> bool {
        let held = lock(&self.held);
        held.list.as_ref().is_some_and(|list| list.revokes(session))
    }

    /// What sshd should read at `now`.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let fresh_at = lock(&self.held).freshness.map(Freshness::fresh_at);
        standing(&lock(&self.settings), fresh_at, now)
    }

    /// The authority answered.
    pub(crate) fn heard(&self, now: Timestamp) {
        let mut contact = lock(&self.contact);
        contact.last = Some(now);
        contact.problem = None;
        self.write_contact(&contact);
    }

    /// The authority said what time it is.
    pub(crate) fn heard_time(&self, server: Timestamp, now: Timestamp) {
        let ahead = i128::from(server.unix_milliseconds()) - i128::from(now.unix_milliseconds());
        let mut contact = lock(&self.contact);
        contact.clock_ahead_milliseconds = i64::try_from(ahead).ok();
        self.write_contact(&contact);
    }

    /// Something is wrong with the authority. True the first time in a row.
    pub(crate) fn trouble(&self, problem: &str) -> bool {
        let mut contact = lock(&self.contact);
        let news = contact.problem.as_deref() != Some(problem);
        if news {
            contact.problem = Some(problem.to_owned());
            self.write_contact(&contact);
        }
        news
    }

    fn write_contact(&self, contact: &Contact) {
        // Only for `status`; the daemon does not rest on it.
        file::replace_json(&self.place.contact(), contact, Keep::UntilReboot).ok();
    }

    /// Readable when there is news for the first thread.
    pub(crate) const fn news(&self) -> &OwnedFd {
        &self.news
    }

    /// Makes it unreadable again.
    pub(crate) fn drain_news(&self) {
        rustix::io::read(&self.news, &mut [0; 8]).ok();
    }

    fn tell(&self) {
        rustix::io::write(&self.news, &1_u64.to_ne_bytes()).ok();
    }
}

/// A thread that panicked ends the program, so what it held is never seen half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
