//! What waiting callers are woken by: one number for each topic, told after the batch is durable.
//!
//! Nobody is woken by records of another topic, so a crowd of idle hosts costs nothing while
//! certificates are issued.

use tokio::sync::watch;

use crate::state::State;

/// The teller's side.
#[derive(Debug)]
pub(super) struct Teller {
    size: watch::Sender<u64>,
    requests: watch::Sender<u64>,
    revocations: watch::Sender<u64>,
}

/// The waiters' side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct News {
    /// Number of durable records.
    pub size: watch::Receiver<u64>,
    /// Log index of the newest change to any access request.
    pub requests: watch::Receiver<u64>,
    /// Newest version of any revocation list.
    pub revocations: watch::Receiver<u64>,
}

/// Both sides, as of `state`.
pub(super) fn channel(state: &State) -> (Teller, News) {
    let (size, see_size) = watch::channel(state.size());
    let (requests, see_requests) = watch::channel(state.requests_changed());
    let (revocations, see_revocations) = watch::channel(newest_list(state));
    let teller = Teller {
        size,
        requests,
        revocations,
    };
    let news = News {
        size: see_size,
        requests: see_requests,
        revocations: see_revocations,
    };
    (teller, news)
}

impl Teller {
    /// Tells what is new in `state`, which is durable.
    pub(super) fn tell(&self, state: &State) {
        tell(&self.size, state.size());
        tell(&self.requests, state.requests_changed());
        tell(&self.revocations, newest_list(state));
    }
}

fn tell(topic: &watch::Sender<u64>, now: u64) {
    topic.send_if_modified(|told| {
        let changed = *told != now;
        *told = now;
        changed
    });
}

fn newest_list(state: &State) -> u64 {
    let versions = state.krl_versions().map(|(_, list)| list.version);
    versions.max().unwrap_or_default()
}
