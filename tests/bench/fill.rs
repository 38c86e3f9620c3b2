//! A long log, quickly: certificates that are over, recorded through the ledger itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ca_core::api::SecondFactor;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::draft::Draft;
use ca_core::certificate::options::Options;
use ca_core::certificate::profile::Restrictions;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::event::{Asked, CertificateIssued, Event, Person};
use ca_core::name::{Environment, Subject};
use ca_core::time::Validity;
use ca_server::assembly::log_key;
use ca_server::clock::Clock;
use ca_server::config::EnvironmentConfig;
use ca_server::high_water::HighWater;
use ca_server::ledger::{BATCH_MAX, Ledger, Refusal, Turn};
use ca_server::recordable::Recordable;
use ca_server::store::Store;
use ca_server::store::sled::SledStore;

use crate::ca::{Ca, PUBLIC_KEY};

/// Callers that wait for the ledger at once: as many as two batches, so that one gathers while
/// the other is written.
const CALLERS: usize = 2 * BATCH_MAX;
/// How long ago the certificates ended: the state forgets them at the next record.
const OVER: Duration = Duration::from_secs(3600);

/// What a record is made of.
pub(crate) struct Template {
    person: Person,
    environment: Environment,
    config: EnvironmentConfig,
    subject_key: SubjectKey,
    options: Options,
    authority_key: AuthorityKey,
}

/// A record, mostly of a certificate that was never signed.
pub(crate) struct Over {
    pub(crate) event: Event,
    pub(crate) to_be_signed: Option<Vec<u8>>,
}

impl Recordable for Over {
    fn event(&self) -> Event {
        self.event.clone()
    }

    fn precertificate(&self) -> Option<&[u8]> {
        self.to_be_signed.as_deref()
    }
}

/// Makes the record of a place in the log.
pub(crate) type Make = fn(&Template, Turn) -> Over;

/// Appends certificates until the stopped CA's log holds `size`. How long it took.
pub(crate) fn fill(ca: &Ca, size: u64) -> Duration {
    fill_with(
        ca,
        size,
        (Clock::System, Duration::ZERO),
        Template::certificate,
    )
}

/// The same with records of one's own, and a clock that goes so far for each.
pub(crate) fn fill_with(
    ca: &Ca,
    size: u64,
    (clock, step): (Clock, Duration),
    make: Make,
) -> Duration {
    let begun = Instant::now();
    let config = ca.config();
    let store: Arc<dyn Store> =
        Arc::new(SledStore::open(&config.store, config.reserve_bytes).expect("the store"));
    let high_water = HighWater::open(&config.high_water).expect("the high-water file");
    let key = log_key(&config).expect("the log's key");
    let opened = Ledger::open(store, key, clock.clone(), high_water).expect("the log");
    let missing = size.saturating_sub(opened.ledger.size());
    let template = Arc::new(template(ca));
    let time = (clock, step);
    ca.runtime()
        .block_on(append(&opened.ledger, (&template, make), missing, time));
    drop(opened.ledger);
    opened.sequencer.join().expect("the ledger's thread");
    begun.elapsed()
}

async fn append(
    ledger: &Ledger,
    (template, make): (&Arc<Template>, Make),
    missing: u64,
    (clock, step): (Clock, Duration),
) {
    let taken = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (ledger, template, taken) = (ledger.clone(), Arc::clone(template), Arc::clone(&taken));
        let clock = clock.clone();
        callers.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < missing {
                let template = Arc::clone(&template);
                let committed =
                    ledger.commit(move |_, turn| Ok::<_, Refusal<()>>(make(&template, turn)));
                committed.await.expect("recorded");
                if step > Duration::ZERO {
                    clock.set(clock.now().plus(step));
                }
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("a caller");
    }
}

fn template(ca: &Ca) -> Template {
    let config = ca.config();
    let environment: Environment = "staging".parse().expect("a name");
    let public = std::fs::read_to_string(ca.text("/environments/staging/ca_public_key_file"));
    let public = public.expect("the CA key");
    let words: Vec<&str> = public.split(' ').take(2).collect();
    let of_environment = config.environments[&environment].clone();
    Template {
        person: Person {
            subject: Subject::new(ca.text("/issuer"), "dev-somebody").expect("a subject"),
            user: "somebody".parse().expect("a name"),
        },
        subject_key: PUBLIC_KEY.parse().expect("a key"),
        options: of_environment
            .profile
            .narrowed(&Restrictions::default())
            .expect("the profile"),
        authority_key: words.join(" ").parse().expect("a CA key"),
        config: of_environment,
        environment,
    }
}

impl Template {
    pub(crate) fn certificate(&self, turn: Turn) -> Over {
        let serial = turn.serial().expect("a serial");
        let (end, length) = (turn.now().minus(OVER).unix_seconds(), 600);
        let validity = Validity::new(end - length, end).expect("a window");
        let draft = Draft {
            nonce: *Digest::of(&turn.index().to_be_bytes()).as_bytes(),
            subject_key: self.subject_key.clone(),
            serial,
            mark: ca_core::certificate::key_id::Mark::Ordinary,
            user: self.person.user.clone(),
            environment: self.environment.clone(),
            principals: self.config.default_principals.clone(),
            validity,
            options: self.options.clone(),
            authority_key: self.authority_key.clone(),
        };
        let issued = CertificateIssued {
            request: None,
            approvers: Vec::new(),
            break_glass: false,
            person: self.person.clone(),
            session: Digest::of(b"a session"),
            request_id: format!("bench-fill-{:010}", turn.index()),
            request_digest: Digest::of(&turn.index().to_le_bytes()),
            asked: Asked {
                unreviewed: None,
                environment: self.environment.clone(),
                principals: self.config.default_principals.as_slice().to_vec(),
                duration_seconds: length,
                groups: ["engineering".to_owned()].into(),
                mfa_age_seconds: 60,
                second_factor: SecondFactor::Totp,
                token_bound: true,
                on_call: false,
                reason: None,
                ticket: None,
                source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            },
            policies: vec!["staging-for-builders".to_owned()],
            policy_digest: Digest::of(b"policies"),
            serial: serial.get(),
            key_id: draft.key_id().to_string(),
            subject_key: self.subject_key.fingerprint(),
            valid_after: validity.valid_after(),
            valid_before: validity.valid_before(),
        };
        Over {
            event: Event::CertificateIssued(Box::new(issued)),
            to_be_signed: Some(draft.to_be_signed()),
        }
    }
}
