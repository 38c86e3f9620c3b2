//! The daemon: one thread ends sessions, one keeps the revocation list, one talks to the authority.
//!
//! The first never waits for the network, so that an authority that is away delays no end. All
//! that matters is in files before it is acted on: the program may be killed at any line.

pub(crate) mod shared;

mod ending;
mod lists;
mod reports;
mod sessions;
mod watch;

pub(crate) use reports::write_user_ca_keys;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use ca_core::time::Timestamp;

use crate::authority::Authority;
use crate::failure::Failure;
use crate::place::Place;
use crate::process::boot_id;
use crate::staleness::Standing;
use crate::supervisor::Supervisor;
use crate::{clock, file, journal, list_store};

use self::sessions::Sessions;
use self::shared::Shared;
use self::watch::{Event, Watch};

/// Stack of a thread, bytes: TLS and JSON take a fraction of it.
const STACK: usize = 512 * 1024;

/// How often what sshd reads is compared with what it should read.
const ENFORCE_EVERY: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// A [`Failure`] when the host is not enrolled or something that is needed cannot be set up.
pub(crate) fn run(place: Place) -> Result<(), Failure> {
    // A dead thread would leave a daemon that looks alive; dead as a whole it is started again.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    file::private_directory(&place.sessions())?;
    file::private_directory(&place.outbox())?;
    let authority = Authority::new(&place.config.ca, place.config.ca_file.as_deref())?
        .with_credential(place.read_credential()?);
    let settings = place.read_settings()?;
    list_store::enforce(&place, &settings, clock::now())?;
    // Signals are blocked before there is another thread that could get them.
    let watch = Watch::new(&place.sessions())?;
    let held = list_store::load(&place)?;
    let shared = Arc::new(Shared::new(place, settings, held)?);
    let (tell, told) = sync_channel(1);
    let mut sessions = Sessions::new(Arc::clone(&shared), boot_id(), tell.clone());
    sessions.rescan(clock::now());
    let started = (Arc::clone(&shared), authority.clone());
    spawn("lists", move || lists::keep(&started.0, &started.1, &tell))?;
    let started = (Arc::clone(&shared), authority);
    spawn("reports", move || {
        reports::keep(&started.0, &started.1, &told);
    })?;
    let supervisor = Supervisor::from_environment();
    supervisor.ready();
    journal::info("ready");
    turn(&shared, &mut sessions, &watch, &supervisor)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK);
    thread
        .spawn(work)
        .map(drop)
        .map_err(|error| Failure::local(format!("no thread can be started: {error}")))
}

fn turn(
    shared: &Shared,
    sessions: &mut Sessions,
    watch: &Watch,
    supervisor: &Supervisor,
) -> Result<(), Failure> {
    let mut enforced = Enforced::default();
    loop {
        let now = clock::now();
        sessions.step(now);
        enforced.step(shared, now);
        supervisor.alive();
        let wait = sessions.next_wait(clock::now());
        for event in watch.wait(wait, shared.news(), &sessions.connections())? {
            match event {
                Event::Stop => return Ok(()),
                Event::News => shared.drain_news(),
                Event::Registered => sessions.rescan(clock::now()),
                Event::Ended(connection) => sessions.connection_ended(connection, clock::now()),
            }
        }
    }
}

/// What is known about the file that sshd reads, so that it is read again only when it changed.
#[derive(Default)]
struct Enforced {
    last: Option<(Standing, shared::FileState)>,
    next: Option<std::time::Instant>,
}

impl Enforced {
    fn step(&mut self, shared: &Shared, now: Timestamp) {
        let moment = clock::monotonic();
        if self.next.is_some_and(|next| moment < next) {
            return;
        }
        self.next = moment.checked_add(ENFORCE_EVERY);
        let standing = shared.standing(now);
        let path = shared.place.revoked_keys();
        if self.last == Some((standing, shared::FileState::of(&path))) {
            return;
        }
        match list_store::enforce(&shared.place, &shared.settings(), now) {
            Ok(now_in_force) => {
                let before = self.last.map(|(standing, _)| standing);
                if before.is_some_and(|before| before != now_in_force) || standing != now_in_force {
                    journal::warning(match now_in_force {
                        Standing::AsSigned => "the revocation list is fresh: certificates work",
                        Standing::WithoutAuthority => {
                            "the revocation list is stale: sshd refuses the environment's CA"
                        }
                    });
                }
                self.last = Some((now_in_force, shared::FileState::of(&path)));
            }
            Err(failure) => journal::warning(&failure.what),
        }
    }
}
