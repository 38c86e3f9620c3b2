//! The log that is audited.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use ca_core::api::SecondFactor;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::draft::Draft;
use ca_core::certificate::options::Options;
use ca_core::certificate::principals::Principals;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::event::{Asked, CaKeyAdded, CertificateIssued, Event, Person};
use ca_core::name::Subject;
use ca_core::time::{Timestamp, Validity};
use ed25519_dalek::SigningKey;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::high_water::HighWater;
use crate::ledger::{Ledger, LogKey, Turn};
use crate::recordable::Recordable;
use crate::state::State;
use crate::store::Store;
use crate::store::sled::SledStore;

pub(super) const EPOCH: u32 = 1;
pub(super) const SIZE: u64 = 600;

fn start() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

pub(super) fn log_key() -> LogKey {
    let name = "log.example/test".parse().unwrap();
    LogKey::new(name, EPOCH, SigningKey::from_bytes(&[1; 32]))
}

fn key_blob(seed: u8) -> Vec<u8> {
    let point = SigningKey::from_bytes(&[seed; 32]).verifying_key();
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend(point.as_bytes());
    blob
}

fn authority(seed: u8) -> AuthorityKey {
    AuthorityKey::from_blob(&key_blob(seed)).unwrap()
}

struct Issued {
    event: Event,
    to_be_signed: Vec<u8>,
}

impl Recordable for Issued {
    fn event(&self) -> Event {
        self.event.clone()
    }

    fn precertificate(&self) -> Option<&[u8]> {
        Some(&self.to_be_signed)
    }
}

/// A certificate of prod signed by the key of `seed`; `bend` changes what the event says of it.
fn issue(turn: Turn, seed: u8, bend: impl FnOnce(&mut CertificateIssued)) -> Issued {
    let serial = turn.serial().unwrap();
    let user = ["alice", "bob", "carol"][usize::try_from(turn.index() % 3).unwrap()];
    let validity = Validity::new(1_700_000_000, 1_700_003_600).unwrap();
    let name = ["root", "deploy"][usize::try_from(turn.index() % 2).unwrap()];
    let draft = Draft {
        nonce: [7; 32],
        subject_key: SubjectKey::from_blob(&key_blob(9)).unwrap(),
        serial,
        mark: ca_core::certificate::key_id::Mark::Ordinary,
        user: user.parse().unwrap(),
        environment: "prod".parse().unwrap(),
        principals: Principals::new(vec![name.parse().unwrap()]).unwrap(),
        validity,
        options: Options::default(),
        authority_key: authority(seed),
    };
    let digest = Digest::of(&serial.get().to_be_bytes());
    let mut issued = CertificateIssued {
        approvers: Vec::new(),
        break_glass: false,
        request: None,
        person: Person {
            subject: Subject::new("https://id.example", user).unwrap(),
            user: user.parse().unwrap(),
        },
        session: digest,
        request_id: format!("request-{serial}"),
        request_digest: digest,
        asked: Asked {
            unreviewed: None,
            environment: "prod".parse().unwrap(),
            principals: draft.principals.as_slice().to_vec(),
            duration_seconds: 3600,
            groups: ["sre".to_owned()].into(),
            mfa_age_seconds: 1,
            second_factor: SecondFactor::Totp,
            token_bound: true,
            on_call: false,
            reason: None,
            ticket: None,
            source: "::1".parse().unwrap(),
        },
        policies: vec!["p".to_owned()],
        policy_digest: digest,
        serial: serial.get(),
        key_id: draft.key_id().to_string(),
        subject_key: draft.subject_key.fingerprint(),
        valid_after: validity.valid_after(),
        valid_before: validity.valid_before(),
    };
    bend(&mut issued);
    Issued {
        event: Event::CertificateIssued(Box::new(issued)),
        to_be_signed: draft.to_be_signed(),
    }
}

pub(super) struct Running {
    pub(super) ledger: Ledger,
    pub(super) store: Arc<dyn Store>,
    sequencer: std::thread::JoinHandle<()>,
}

impl Running {
    pub(super) fn new(folder: &Path) -> Self {
        let store: Arc<dyn Store> = Arc::new(SledStore::create(&folder.join("store"), 0).unwrap());
        let high_water = HighWater::create(&folder.join("high-water")).unwrap();
        let clock = Clock::manual(start());
        let opened = Ledger::create(store.clone(), log_key(), clock, high_water).unwrap();
        Self {
            ledger: opened.ledger,
            store,
            sequencer: opened.sequencer,
        }
    }

    pub(super) async fn add(
        &self,
        seed: u8,
        bend: impl FnOnce(&mut CertificateIssued) + Send + 'static,
    ) {
        let decide = move |_: &State, turn| Ok::<_, _>(issue(turn, seed, bend));
        self.ledger.commit::<_, Infallible>(decide).await.unwrap();
    }

    pub(super) async fn add_ca_key(&self) {
        let added = Event::CaKeyAdded(CaKeyAdded {
            hosts: false,
            environment: "prod".parse().unwrap(),
            public_key: authority(5).to_string(),
        });
        let decide = move |_: &State, _| Ok(added);
        self.ledger.commit::<_, Infallible>(decide).await.unwrap();
    }

    pub(super) fn stop(self) {
        drop((self.ledger, self.store));
        self.sequencer.join().unwrap();
    }
}

/// A log of [`SIZE`] records, nearly all of them certificates.
pub(super) async fn running_log(folder: &Path) -> Running {
    let running = Running::new(folder);
    running.add_ca_key().await;
    let mut tasks = JoinSet::new();
    for _ in 2..SIZE {
        let ledger = running.ledger.clone();
        tasks.spawn(async move {
            let decide = |_: &State, turn| Ok::<_, _>(issue(turn, 5, |_| {}));
            ledger.commit::<_, Infallible>(decide).await.unwrap();
        });
    }
    tasks.join_all().await;
    running
}
