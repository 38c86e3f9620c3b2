//! A state as bytes: a cache that keeps start-up flat, always checkable against a replay.

use serde::{Deserialize, Serialize};

use ca_core::digest::Digest;
use ca_core::name::{Environment, Subject};
use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;

use super::{
    Certificate, Emergency, Ending, Factor, Hosts, KrlVersion, Request, Requests, Session, State,
    Ticket,
};

/// A state and the tree it was folded from. Pairs instead of maps: JSON keys are texts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    root: Hash,
    epoch: u32,
    size: u64,
    time: Timestamp,
    factors: Vec<(Subject, Factor)>,
    sessions: Vec<(Digest, Session)>,
    certificates: Vec<(u64, Certificate)>,
    revoked: Vec<(u64, Timestamp)>,
    request_ids: Vec<(Subject, String, Request)>,
    spent_id_tokens: Vec<(Digest, Timestamp)>,
    tickets: Vec<(Digest, Ticket)>,
    ca_keys: Vec<(Environment, String)>,
    host_ca_keys: Vec<(Environment, String)>,
    policy: Option<Digest>,
    krl: Vec<(Environment, KrlVersion)>,
    requests: Requests,
    hosts: Hosts,
    emergency: Emergency,
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

/// 3: access requests, hosts, emergencies, freezes.
const VERSION: u32 = 3;

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
            epoch: state.epoch,
            size: state.size,
            time: state.time,
            factors: pairs(&state.factors),
            sessions: pairs(&state.sessions),
            certificates: state
                .certificates
                .iter()
                .map(|(k, v)| (*k, v.clone()))
                .collect(),
            revoked: state.revoked.iter().map(|(k, v)| (*k, *v)).collect(),
            request_ids: requests
                .map(|((s, n), r)| (s.clone(), n.clone(), r.clone()))
                .collect(),
            spent_id_tokens: pairs(&state.spent_id_tokens),
            tickets: pairs(&state.tickets),
            ca_keys: state.ca_keys.iter().cloned().collect(),
            host_ca_keys: state.host_ca_keys.iter().cloned().collect(),
            policy: state.policy,
            krl: state.krl.iter().map(|(k, v)| (k.clone(), *v)).collect(),
            requests: state.requests.clone(),
            hosts: state.hosts.clone(),
            emergency: state.emergency.clone(),
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
            epoch: self.epoch,
            size: self.size,
            time: self.time,
            factors: self.factors.into_iter().collect(),
            sessions: self.sessions.into_iter().collect(),
            certificates: self.certificates.into_iter().collect(),
            spent_id_tokens: self.spent_id_tokens.into_iter().collect(),
            tickets: self.tickets.into_iter().collect(),
            ca_keys: self.ca_keys.into_iter().collect(),
            host_ca_keys: self.host_ca_keys.into_iter().collect(),
            policy: self.policy,
            revoked: self.revoked.into_iter().collect(),
            krl: self.krl.into_iter().collect(),
            requests: self.requests,
            hosts: self.hosts,
            emergency: self.emergency,
            ..State::default()
        };
        let requests = self.request_ids.into_iter();
        state.request_ids = requests
            .map(|(s, name, request)| ((s, name), request))
            .collect();
        state.ends = ends(&state).collect();
        state
    }
}

fn ends(state: &State) -> impl Iterator<Item = (Timestamp, Ending)> + '_ {
    let certificates = state
        .certificates
        .iter()
        .map(|(s, c)| (c.valid_before.plus(super::LATE), Ending::Certificate(*s)));
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
    let requests = state.requests.all().map(|request| {
        let shown = request.expires.plus(super::requests::SHOWN);
        (shown, Ending::AccessRequest(request.index))
    });
    let join_tokens = state
        .hosts
        .join_tokens()
        .map(|(digest, token)| (token.expires, Ending::JoinToken(*digest)));
    let ssh_sessions = state.hosts.ended().map(|(host, session, at)| {
        let forgotten = at.plus(super::hosts::REMEMBERED);
        (forgotten, Ending::SshSession(host, session))
    });
    certificates
        .chain(tokens)
        .chain(sessions)
        .chain(tickets)
        .chain(requests)
        .chain(join_tokens)
        .chain(ssh_sessions)
}

fn pairs<K: Clone, V: Clone>(map: &std::collections::HashMap<K, V>) -> Vec<(K, V)> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
