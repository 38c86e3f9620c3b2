//! The only reader of the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ca_core::time::Timestamp;

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// A time set by hand: milliseconds since 1970.
    Manual(Arc<AtomicU64>),
    /// The machine's clock.
    System,
}

impl Clock {
    /// A clock that stands at `now` until it is set.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(now.unix_milliseconds())))
    }

    /// The current time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Manual(time) => Timestamp::from_unix_milliseconds(time.load(Ordering::SeqCst)),
            Self::System => {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp::default().plus(since)
            }
        }
    }

    /// Sets a manual clock; does nothing to the machine's.
    pub fn set(&self, now: Timestamp) {
        if let Self::Manual(time) = self {
            time.store(now.unix_milliseconds(), Ordering::SeqCst);
        }
    }
}
