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

use super::waiting::Wait;
use super::{Ca, Caller, Failure};
use crate::ledger::Versions;
use crate::state::State;

/// Lists made lately, so that a crowd of hosts that is woken at once costs one.
#[derive(Debug, Default)]
pub struct Lists {
    made: Mutex<HashMap<Environment, Made>>,
    /// Held while one is made: the rest of the crowd gets the same one.
    making: tokio::sync::Mutex<()>,
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
        let (environment, _) = found.ok_or(Failure::NotFound("environment"))?;
        let environment = environment.clone();
        let mut told = self.ledger.news().revocations;
        let credential = host.map_or(Digest::of(b""), |caller| caller.session);
        let mut waiter = self.waiting.begin(wait, credential);
        if wait.after.is_some() {
            let caller = host.ok_or(Failure::SessionRequired)?;
            let (_, of_host) = self.calling_host(caller).await?;
            if of_host != environment {
                return Err(Failure::NotFound("environment of this host"));
            }
        }
        // Apart: while it waits, it must not have the size of this.
        let made = Box::pin(self.newest(&environment)).await?;
        if wait.after != Some(made.version) {
            return Ok(made.list);
        }
        let is_news = |told: &Versions| {
            let version = told.get(&environment).copied();
            version.is_some_and(|version| version != made.version)
        };
        // Whether there is news or not: the answer is a list made now.
        waiter.sleep(&mut told, is_news, None).await;
        Ok(Box::pin(self.newest(&environment)).await?.list)
    }

    async fn newest(&self, environment: &Environment) -> Result<Made, Failure> {
        let version = {
            let news = self.ledger.news();
            let versions = news.revocations.borrow();
            versions.get(environment).copied()
        };
        if let Some(made) = self.lists.lately(environment, version, self.clock.now()) {
            return Ok(made);
        }
        let _making = self.lists.making.lock().await;
        if let Some(made) = self.lists.lately(environment, version, self.clock.now()) {
            return Ok(made);
        }
        let name = environment.clone();
        let look = move |state: &State, now: Timestamp| {
            let revoked: Vec<u64> = state.revoked_in(&name, now).collect();
            let keys = state.authorities_of(&name).map(str::to_owned);
            let keys: Vec<String> = keys.collect();
            (state.krl_version(&name).version, now, revoked, keys)
        };
        let (version, generated, revoked, keys) = self.ledger.read(look).await?;
        let bytes = list(environment, &keys, (version, generated), &revoked)?;
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
    /// The list made last, if it is of that version (of none: the first) and made just now.
    fn lately(
        &self,
        environment: &Environment,
        version: Option<u64>,
        now: Timestamp,
    ) -> Option<Made> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.get(environment)?;
        let fresh = now.since(made.generated).as_millis() < FRESH_MILLISECONDS;
        let same = version.is_none_or(|version| version <= made.version);
        (same && fresh).then(|| made.clone())
    }

    fn keep(&self, environment: &Environment, made: &Made) {
        let mut lists = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lists.entry(environment.clone());
        let kept = kept.or_insert_with(|| made.clone());
        // A slower maker must not take a newer list's place: hosts never go back.
        if (kept.version, kept.generated) < (made.version, made.generated) {
            *kept = made.clone();
        }
    }
}

/// The list's bytes, read again before anybody gets them: a list that sshd cannot read locks
/// everybody out, and one that says too little lets somebody in. The serials stand under every key
/// that ever signed for the environment: they are unique in the log, and certificates of a key that
/// was rotated out may still be open.
fn list(
    environment: &Environment,
    keys: &[String],
    (version, generated): (u64, Timestamp),
    revoked: &[u64],
) -> Result<Vec<u8>, Failure> {
    let internal = |error: String| Failure::Internal(format!("revocation list: {error}"));
    let comment = format!("jit-ssh {environment}");
    let keys: Result<Vec<AuthorityKey>, _> = keys.iter().map(|key| key.parse()).collect();
    let keys = keys.map_err(|error| internal(format!("{error}")))?;
    let ranges: Result<Vec<SerialRange>, _> = revoked
        .iter()
        .map(|serial| SerialRange::new(*serial, *serial))
        .collect();
    let ranges = ranges.map_err(|error| internal(error.to_string()))?;
    let serials: Serials = ranges.into_iter().collect();
    let certificates = keys.iter().map(|key| (key.clone(), serials.clone()));
    let bytes = krl::write(&Contents {
        version,
        generated,
        comment: comment.parse().map_err(|_| internal(comment.clone()))?,
        certificates: certificates.collect(),
        keys: Vec::new(),
    });
    let read = Krl::read(&bytes).map_err(|error| internal(error.to_string()))?;
    let says = |key| {
        read.serials(key)
            .map_or(serials.is_empty(), |said| *said == serials)
    };
    if keys.iter().all(says)
        && read.version() == version
        && (revoked.is_empty() || !keys.is_empty())
    {
        Ok(bytes)
    } else {
        Err(internal("it does not say what it should".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> AuthorityKey {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let public = ssh_key::public::Ed25519PublicKey(key.verifying_key().to_bytes());
        let public = ssh_key::PublicKey::from(public).to_openssh().unwrap();
        public.parse().unwrap()
    }

    #[test]
    fn what_a_rotated_key_signed_stays_revoked_under_it() {
        let (old, new, other) = (key(1), key(2), key(3));
        let keys = [old.to_string(), new.to_string()];
        let prod: Environment = "prod".parse().unwrap();
        let bytes = list(&prod, &keys, (7, Timestamp::default()), &[41, 43]).unwrap();
        let read = Krl::read(&bytes).unwrap();
        for authority in [&old, &new] {
            assert!(read.revokes_serial(authority, 41) && read.revokes_serial(authority, 43));
            assert!(!read.revokes_serial(authority, 42));
        }
        assert!(!read.revokes_serial(&other, 41));
    }

    #[test]
    fn a_list_that_could_name_no_key_is_not_made() {
        let prod: Environment = "prod".parse().unwrap();
        assert!(list(&prod, &[], (7, Timestamp::default()), &[41]).is_err());
        assert!(list(&prod, &[], (0, Timestamp::default()), &[]).is_ok());
    }
}
