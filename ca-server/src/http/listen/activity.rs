//! What a connection is doing, and whether that has taken too long.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::ListenLimits;

/// The state of one connection, shared by those who serve it and those who may close it.
pub(super) struct Activity {
    now: Mutex<Now>,
    /// Told when its place is needed.
    pub(super) evicted: Notify,
}

struct Now {
    /// Requests being answered.
    in_flight: usize,
    /// Since when nothing, or only this, has been going on.
    since: Instant,
    phase: Phase,
    /// HTTP/2: bytes between requests are not the head of one.
    multiplexed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No request yet, or part of a head.
    Arriving,
    /// Between two requests.
    Resting,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            now: Mutex::new(Now {
                in_flight: 0,
                since: now,
                phase: Phase::Arriving,
                multiplexed: false,
            }),
            evicted: Notify::new(),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Each change is a few assignments, so none is ever half done.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in.
    pub(super) fn received(&self, now: Instant) {
        let mut state = self.now();
        if state.in_flight == 0 && state.phase == Phase::Resting && !state.multiplexed {
            state.phase = Phase::Arriving;
            state.since = now;
        }
    }

    /// A request's head is complete.
    pub(super) fn began(&self, multiplexed: bool) {
        let mut state = self.now();
        state.in_flight += 1;
        state.multiplexed = multiplexed;
    }

    /// A request was answered.
    pub(super) fn ended(&self, now: Instant) {
        let mut state = self.now();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.phase = Phase::Resting;
        state.since = now;
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.now().in_flight == 0
    }

    /// Whether what goes on has taken too long.
    pub(super) fn is_overdue(&self, now: Instant, limits: &ListenLimits) -> bool {
        let state = self.now();
        let most = match state.phase {
            Phase::Arriving => limits.head,
            Phase::Resting => limits.idle,
        };
        state.in_flight == 0 && now.saturating_duration_since(state.since) >= most
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn heads_get_seconds_and_resting_connections_a_minute() {
        let limits = ListenLimits::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let activity = Activity::new(start);
        assert!(!activity.is_overdue(at(9), &limits));
        assert!(activity.is_overdue(at(10), &limits));
        activity.began(false);
        assert!(!activity.is_overdue(at(1000), &limits));
        activity.ended(at(1000));
        assert!(!activity.is_overdue(at(1074), &limits));
        assert!(activity.is_overdue(at(1075), &limits));
        activity.received(at(1020));
        activity.received(at(1029));
        assert!(activity.is_overdue(at(1030), &limits));
    }

    #[test]
    fn frames_between_requests_of_http2_are_no_head() {
        let limits = ListenLimits::default();
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.began(true);
        activity.ended(start);
        activity.received(start);
        assert!(!activity.is_overdue(start + Duration::from_secs(74), &limits));
    }
}
