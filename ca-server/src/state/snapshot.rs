//! A state as bytes: a cache that keeps start-up flat, always checkable against a replay.

use serde::{Deserialize, Serialize};

use ca_core::digest::Digest;
use ca_core::name::{Environment, Subject};
use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;

use super::{Certificate, Ending, Factor, Request, Session, State, Ticket};

/// A state and the tree it was folded from. Pairs instead of maps: JSON keys are texts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    root: Hash,
    size: u64,
    time: Timestamp,
    factors: Vec<(Subject, Factor)>,
    sessions: Vec<(Digest, Session)>,
    certificates: Vec<(u64, Certificate)>,
    revoked: Vec<u64>,
    request_ids: Vec<(Subject, String, Request)>,
    spent_id_tokens: Vec<(Digest, Timestamp)>,
    tickets: Vec<(Digest, Ticket)>,
    ca_keys: Vec<(Environment, String)>,
    policy: Option<Digest>,
}

/// Why bytes are not a snapshot this program wrote. The answer is always a replay.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not the expected shape.
    #[error("snapshot does not parse: {0}")]
    Shape(#[from] serde_json::Error),
    /// Written by another version of this program.
    #[error("snapshot has version {0}")]
    Version(u32),
}

/// 2: a ticket is spent by the confirmation of the seed, no more by its offer.
const VERSION: u32 = 2;

impl Snapshot {
    /// The state as bytes, with the root hash of the tree it was folded from.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Shape`] never happens for states; it is passed on, not hidden.
    pub fn to_bytes(state: &State, root: Hash) -> Result<Vec<u8>, SnapshotError> {
        let requests = state.request_ids.iter();
        let snapshot = Self {
            version: VERSION,
            root,
            size: state.size,
            time: state.time,
            factors: pairs(&state.factors),
            sessions: pairs(&state.sessions),
            certificates: state
                .certificates
                .iter()
                .map(|(k, v)| (*k, v.clone()))
                .collect(),
            revoked: state.revoked.keys().copied().collect(),
            request_ids: requests
                .map(|((s, n), r)| (s.clone(), n.clone(), r.clone()))
                .collect(),
            spent_id_tokens: pairs(&state.spent_id_tokens),
            tickets: pairs(&state.tickets),
            ca_keys: state.ca_keys.iter().cloned().collect(),
            policy: state.policy,
        };
        Ok(serde_json::to_vec(&snapshot)?)
    }

    /// Reads bytes made by [`Snapshot::to_bytes`]: the state and its root hash.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] when they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<(State, Hash), SnapshotError> {
        let snapshot: Self = serde_json::from_slice(bytes)?;
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        let root = snapshot.root;
        Ok((snapshot.into_state(), root))
    }

    fn into_state(self) -> State {
        let mut state = State {
            size: self.size,
            time: self.time,
            factors: self.factors.into_iter().collect(),
            sessions: self.sessions.into_iter().collect(),
            certificates: self.certificates.into_iter().collect(),
            spent_id_tokens: self.spent_id_tokens.into_iter().collect(),
            tickets: self.tickets.into_iter().collect(),
            ca_keys: self.ca_keys.into_iter().collect(),
            policy: self.policy,
            ..State::default()
        };
        let requests = self.request_ids.into_iter();
        state.request_ids = requests
            .map(|(s, name, request)| ((s, name), request))
            .collect();
        state.revoke(&self.revoked);
        state.ends = ends(&state).collect();
        state
    }
}

fn ends(state: &State) -> impl Iterator<Item = (Timestamp, Ending)> + '_ {
    let certificates = state
        .certificates
        .iter()
        .map(|(s, c)| (c.valid_before, Ending::Certificate(*s)));
    let tokens = state
        .spent_id_tokens
        .iter()
        .map(|(d, end)| (*end, Ending::IdToken(*d)));
    let sessions = state
        .sessions
        .iter()
        .map(|(d, s)| (s.expires, Ending::Session(*d)));
    let tickets = state
        .tickets
        .iter()
        .map(|(d, t)| (t.expires, Ending::Ticket(*d)));
    certificates.chain(tokens).chain(sessions).chain(tickets)
}

fn pairs<K: Clone, V: Clone>(map: &std::collections::HashMap<K, V>) -> Vec<(K, V)> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
