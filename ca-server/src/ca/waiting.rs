//! Long polls: a caller sleeps until there is something new or its wait is over. Nobody holds a
//! thread or a place in the ledger's queue meanwhile.

use std::time::Duration;

use ca_core::api::WAIT_SECONDS_MAX;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a caller wants to wait, and for what to change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    /// What the caller has seen: anything else is new.
    pub after: Option<u64>,
    /// How long, seconds; more than [`WAIT_SECONDS_MAX`] is that.
    pub seconds: u64,
}

/// Tells everybody who waits that the server stops.
#[derive(Debug)]
pub struct Stopping(watch::Sender<bool>);

impl Default for Stopping {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stopping {
    /// From now on nobody waits.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

/// The end of a wait, and a topic that wakes it up.
pub(super) struct Waiter {
    until: Instant,
    topic: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

impl Waiter {
    pub(super) fn new(wait: Wait, mut topic: watch::Receiver<u64>, stopping: &Stopping) -> Self {
        topic.mark_unchanged();
        let seconds = match wait.after {
            Some(_) => wait.seconds.min(WAIT_SECONDS_MAX),
            None => 0,
        };
        Self {
            until: Instant::now() + Duration::from_secs(seconds),
            topic,
            stopping: stopping.0.subscribe(),
        }
    }

    /// Sleeps until the topic changes, `at_most` has passed or the wait is over. False when it is
    /// over, or the server stops.
    pub(super) async fn sleep(&mut self, at_most: Option<Duration>) -> bool {
        let now = Instant::now();
        if now >= self.until {
            return false;
        }
        let end = at_most.map_or(self.until, |at_most| self.until.min(now + at_most));
        tokio::select! {
            changed = self.topic.changed() => changed.is_ok(),
            _ = self.stopping.wait_for(|stops| *stops) => false,
            () = tokio::time::sleep_until(end) => Instant::now() < self.until,
        }
    }
}
