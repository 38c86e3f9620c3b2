//! Waiting for something to become true, with a deadline; never a fixed sleep.

use std::time::{Duration, Instant};

/// How long a part may take to start or to answer, generous because the machine may be busy.
pub const START_MAX: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(5);

/// Asks `probe` every 5 ms until it gives a value; panics with `what` after `limit`.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "after {limit:?} still waiting for {what}"
        );
        std::thread::sleep(PAUSE);
    }
}
