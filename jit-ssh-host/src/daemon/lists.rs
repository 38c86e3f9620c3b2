//! The thread that keeps the revocation list: asks, checks, puts in place, asks again.

use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use crate::authority::Authority;
use crate::list_store::install;
use crate::{backoff, clock, journal, staleness};

use super::shared::Shared;

/// Shortest time between two questions that brought no news: an authority that does not wait must
/// not be asked without end.
const PAUSE: Duration = Duration::from_secs(1);

/// Never returns.
pub(crate) fn keep(shared: &Shared, authority: &Authority, tell: &SyncSender<()>) {
    let mut failures = 0_u32;
    // Without waiting the first time and after each failure, so that the age is right at once.
    let mut after = None;
    loop {
        let asked = clock::monotonic();
        match ask(shared, authority, after) {
            Ok(version) => {
                failures = 0;
                if version != after {
                    // The acknowledgement. A full channel means one is under way already.
                    tell.try_send(()).ok();
                }
                if version == after && asked.elapsed() < PAUSE {
                    thread::sleep(PAUSE);
                }
                after = version;
            }
            Err(problem) => {
                failures = failures.saturating_add(1);
                if shared.trouble(&problem) {
                    journal::warning(&problem);
                }
                after = None;
                thread::sleep(backoff::wait(failures, random()));
            }
        }
    }
}

fn ask(shared: &Shared, authority: &Authority, after: Option<u64>) -> Result<Option<u64>, String> {
    let environment = &shared.place.config.environment;
    let settings = shared.settings();
    let signed = authority
        .list(environment, after, staleness::wait(&settings))
        .map_err(|error| error.to_string())?;
    let now = clock::now();
    let held =
        install(&shared.place, &settings, &signed, now).map_err(|error| error.to_string())?;
    shared.set_held(held);
    shared.heard(now);
    Ok(shared.version())
}

/// Some bits that other hosts do not have.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness a fleet comes back in step; it still comes back.
    getrandom::fill(&mut bytes).ok();
    u64::from_ne_bytes(bytes)
}
