//! What waiting callers are woken by, told after the batch is durable.
//!
//! Everybody looks at what is told before asking the ledger anything: a crowd of idle hosts costs
//! nothing while certificates are issued or other environments revoke.

use std::collections::BTreeMap;
use std::sync::Arc;

use ca_core::name::Environment;
use tokio::sync::watch;

use crate::state::State;

/// Log index of the newest change to each access request that is remembered.
pub type Revisions = Arc<BTreeMap<u64, u64>>;

/// Version of the revocation list of each environment that ever had one.
pub type Versions = Arc<BTreeMap<Environment, u64>>;

/// The teller's side.
#[derive(Debug)]
pub(super) struct Teller {
    size: watch::Sender<u64>,
    requests: watch::Sender<Revisions>,
    requests_changed: u64,
    revocations: watch::Sender<Versions>,
}

/// The waiters' side. Cheap to clone.
#[derive(Clone, Debug)]
pub struct News {
    /// Number of durable records.
    pub size: watch::Receiver<u64>,
    /// See [`Revisions`].
    pub requests: watch::Receiver<Revisions>,
    /// See [`Versions`].
    pub revocations: watch::Receiver<Versions>,
}

/// Both sides, as of `state`.
pub(super) fn channel(state: &State) -> (Teller, News) {
    let (size, see_size) = watch::channel(state.size());
    let (requests, see_requests) = watch::channel(revisions(state));
    let (revocations, see_revocations) = watch::channel(versions(state));
    let teller = Teller {
        size,
        requests,
        requests_changed: state.requests_changed(),
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
    pub(super) fn tell(&mut self, state: &State) {
        self.size.send_replace(state.size());
        if self.requests_changed != state.requests_changed() {
            self.requests_changed = state.requests_changed();
            self.requests.send_replace(revisions(state));
        }
        let versions = versions(state);
        self.revocations.send_if_modified(|told| {
            let changed = *told != versions;
            *told = versions;
            changed
        });
    }
}

fn revisions(state: &State) -> Revisions {
    let requests = state.access_requests();
    Arc::new(requests.map(|r| (r.index, r.revision)).collect())
}

fn versions(state: &State) -> Versions {
    let versions = state.krl_versions();
    Arc::new(
        versions
            .map(|(name, list)| (name.clone(), list.version))
            .collect(),
    )
}
