//! Long polls: a caller sleeps until there is something new or its wait is over. Nobody holds a
//! thread or a place in the ledger's queue meanwhile, and nobody waits without end or in crowds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca_core::api::WAIT_SECONDS_MAX;
use ca_core::digest::Digest;
use tokio::sync::watch;
use tokio::time::Instant;

/// Waits that one session or one host may have at once; more are answered at once.
const WAITS_MAX: u32 = 8;

/// How long a caller wants to wait, and for what to change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    /// What the caller has seen: anything else is new.
    pub after: Option<u64>,
    /// How long, seconds; more than [`WAIT_SECONDS_MAX`] is that.
    pub seconds: u64,
}

/// Who waits now, and the word that ends it when the server stops.
#[derive(Debug)]
pub struct Waiting {
    stops: watch::Sender<bool>,
    callers: Arc<Mutex<HashMap<Digest, u32>>>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            stops: watch::Sender::new(false),
            callers: Arc::default(),
        }
    }
}

impl Waiting {
    /// From now on nobody waits.
    pub fn end(&self) {
        self.stops.send_replace(true);
    }

    /// The wait of the caller with that credential.
    pub(super) fn begin(&self, wait: Wait, caller: Digest) -> Waiter {
        let place = wait.after.and_then(|_| Place::take(&self.callers, caller));
        let seconds = match place {
            Some(_) => wait.seconds.min(WAIT_SECONDS_MAX),
            None => 0,
        };
        Waiter {
            until: Instant::now() + Duration::from_secs(seconds),
            stops: self.stops.subscribe(),
            _place: place,
        }
    }
}

/// One of the places of a caller, given back when dropped.
struct Place {
    callers: Arc<Mutex<HashMap<Digest, u32>>>,
    caller: Digest,
}

impl Place {
    fn take(callers: &Arc<Mutex<HashMap<Digest, u32>>>, caller: Digest) -> Option<Self> {
        let mut waiting = callers.lock().unwrap_or_else(PoisonError::into_inner);
        let places = waiting.entry(caller).or_default();
        if *places >= WAITS_MAX {
            return None;
        }
        *places += 1;
        let callers = Arc::clone(callers);
        Some(Self { callers, caller })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = waiting.get_mut(&self.caller) {
            *places -= 1;
            if *places == 0 {
                waiting.remove(&self.caller);
            }
        }
    }
}

/// A wait that has begun.
pub(super) struct Waiter {
    until: Instant,
    stops: watch::Receiver<bool>,
    _place: Option<Place>,
}

impl Waiter {
    /// Sleeps until `is_news` holds of what is told, `at_most` has passed or the wait is over.
    /// False when it is over, or the server stops.
    pub(super) async fn sleep<T>(
        &mut self,
        topic: &mut watch::Receiver<T>,
        is_news: impl FnMut(&T) -> bool,
        at_most: Option<Duration>,
    ) -> bool {
        let now = Instant::now();
        if now >= self.until {
            return false;
        }
        let end = at_most.map_or(self.until, |at_most| self.until.min(now + at_most));
        tokio::select! {
            told = topic.wait_for(is_news) => told.is_ok(),
            _ = self.stops.wait_for(|stops| *stops) => false,
            () = tokio::time::sleep_until(end) => Instant::now() < self.until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Wait = Wait {
        after: Some(1),
        seconds: 1,
    };

    #[tokio::test]
    async fn a_wait_ends_with_news_with_its_time_and_with_the_server() {
        let (tell, mut topic) = watch::channel(1_u64);
        let waiting = Waiting::default();
        let caller = Digest::of(b"caller");
        let mut waiter = waiting.begin(WAIT, caller);
        let began = Instant::now();
        assert!(!waiter.sleep(&mut topic, |told| *told != 1, None).await);
        assert!(began.elapsed() >= Duration::from_secs(1));
        let mut waiter = waiting.begin(WAIT, caller);
        tell.send_replace(2);
        assert!(waiter.sleep(&mut topic, |told| *told != 1, None).await);
        waiting.end();
        assert!(!waiter.sleep(&mut topic, |told| *told > 2, None).await);
    }

    #[tokio::test]
    async fn one_caller_has_eight_places_and_others_have_theirs() {
        let waiting = Waiting::default();
        let place = |caller: &[u8]| {
            let wait = Wait {
                seconds: WAIT_SECONDS_MAX,
                ..WAIT
            };
            waiting.begin(wait, Digest::of(caller))
        };
        let waits = |waiter: Waiter| waiter.until > Instant::now();
        let taken: Vec<Waiter> = (0..WAITS_MAX).map(|_| place(b"one")).collect();
        assert!(!waits(place(b"one")) && waits(place(b"two")));
        drop(taken);
        assert!(waits(place(b"one")));
    }
}
