//! The revocation list of an environment: what its hosts' sshd reads, and the log key's word on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::SignedKrl;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::digest::Digest;
use ca_core::krl::{self, Contents, Krl, SerialRange, Serials, Statement};
use ca_core::name::Environment;
use ca_core::time::Timestamp;

use super::waiting::{Wait, Waiter};
use super::{Ca, Caller, Failure};
use crate::state::State;

/// Lists made lately, so that a crowd of hosts that is woken at once costs one.
#[derive(Debug, Default)]
pub struct Lists {
    made: Mutex<HashMap<Environment, Made>>,
}

#[derive(Clone, Debug)]
struct Made {
    version: u64,
    generated: Timestamp,
    list: Arc<SignedKrl>,
}

/// How long a list is handed out again, milliseconds: its `generated` must be fresh.
const FRESH_MILLISECONDS: u128 = 1000;

impl Ca {
    /// The list of `environment`. With a wait, and for one of its hosts only: as soon as its
    /// version is another than the one in force there, or when the wait is over.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] for a wait without a credential of a host there.
    pub async fn revocation_list(
        self: Arc<Self>,
        name: &str,
        (host, wait): (Option<Caller>, Wait),
    ) -> Result<Arc<SignedKrl>, Failure> {
        let found = self.environments.get_key_value(name);
        let (environment, signing) = found.ok_or(Failure::NotFound("environment"))?;
        let (environment, key) = (environment.clone(), signing.rules.authority_key.clone());
        let mut waiter = Waiter::new(wait, self.ledger.news().revocations, &self.stopping);
        if wait.after.is_some() {
            let caller = host.ok_or(Failure::SessionRequired)?;
            let (_, of_host) = self.calling_host(caller).await?;
            if of_host != environment {
                return Err(Failure::NotFound("environment of this host"));
            }
        }
        loop {
            let made = self.newest(&environment, &key).await?;
            if wait.after != Some(made.version) || !waiter.sleep(None).await {
                return Ok(self.newest(&environment, &key).await?.list);
            }
        }
    }

    async fn newest(&self, environment: &Environment, key: &AuthorityKey) -> Result<Made, Failure> {
        let name = environment.clone();
        let look = move |state: &State, now: Timestamp| (state.krl_version(&name).version, now);
        let (version, now) = self.ledger.read(look).await?;
        if let Some(made) = self.lists.lately(environment, version, now) {
            return Ok(made);
        }
        let name = environment.clone();
        let look = move |state: &State, now: Timestamp| {
            let revoked: Vec<u64> = state.revoked_in(&name, now).collect();
            (state.krl_version(&name).version, now, revoked)
        };
        let (version, generated, revoked) = self.ledger.read(look).await?;
        let bytes = list(environment, key, (version, generated), &revoked)?;
        let statement = Statement {
            origin: self.ledger.verifier().name().clone(),
            environment: environment.clone(),
            version,
            generated,
            krl: Digest::of(&bytes),
        };
        let signed = self.ledger.sign_statement(&statement);
        let signed = signed.map_err(|error| Failure::Internal(error.to_string()))?;
        let made = Made {
            version,
            generated,
            list: Arc::new(SignedKrl {
                krl: STANDARD.encode(&bytes),
                statement: signed,
            }),
        };
        self.lists.keep(environment, &made);
        Ok(made)
    }
}

impl Lists {
    fn lately(&self, environment: &Environment, version: u64, now: Timestamp) -> Option<Made> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.get(environment)?;
        let fresh = now.since(made.generated).as_millis() < FRESH_MILLISECONDS;
        (made.version == version && fresh).then(|| made.clone())
    }

    fn keep(&self, environment: &Environment, made: &Made) {
        let mut lists = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        lists.insert(environment.clone(), made.clone());
    }
}

/// The list's bytes, read again before anybody gets them: a list that sshd cannot read locks
/// everybody out, and one that says too little lets somebody in.
fn list(
    environment: &Environment,
    key: &AuthorityKey,
    (version, generated): (u64, Timestamp),
    revoked: &[u64],
) -> Result<Vec<u8>, Failure> {
    let internal = |error: String| Failure::Internal(format!("revocation list: {error}"));
    let comment = format!("jit-ssh {environment}");
    let ranges: Result<Vec<SerialRange>, _> = revoked
        .iter()
        .map(|serial| SerialRange::new(*serial, *serial))
        .collect();
    let ranges = ranges.map_err(|error| internal(error.to_string()))?;
    let serials: Serials = ranges.into_iter().collect();
    let contents = Contents {
        version,
        generated,
        comment: comment.parse().map_err(|_| internal(comment.clone()))?,
        certificates: vec![(key.clone(), serials)],
        keys: Vec::new(),
    };
    let bytes = krl::write(&contents);
    let read = Krl::read(&bytes).map_err(|error| internal(error.to_string()))?;
    let all = revoked
        .iter()
        .all(|serial| read.revokes_serial(key, *serial));
    let count = read.serials(key).map_or(0, Serials::count);
    let exactly = u64::try_from(revoked.len()).is_ok_and(|expected| expected == count);
    if all && exactly && read.version() == version {
        Ok(bytes)
    } else {
        Err(internal("it does not say what it should".to_owned()))
    }
}
