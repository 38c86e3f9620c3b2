//! Deliveries from a real log to a real receiver.

mod delivery;
mod messages;
mod settings;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::post;
use ca_core::event::{Event, FreezeTarget, Frozen, Person};
use ca_core::name::Subject;
use ca_core::time::Timestamp;
use ed25519_dalek::SigningKey;
use tokio::sync::mpsc;

use super::{Notifier, Pace, SecretUrl, Targets, WebhookConfig};
use crate::clock::Clock;
use crate::high_water::HighWater;
use crate::ledger::{Ledger, LogKey, Opened, Turn};
use crate::recordable::Recordable;
use crate::state::State;
use crate::store::Store;
use crate::store::sled::SledStore;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Longest wait for something that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a receiver does with a message.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Hang,
    Status(u16, Option<u64>),
}

/// What a receiver got.
#[derive(Clone, Debug)]
struct Got {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn reason(&self) -> String {
        self.json()["data"]["reason"].as_str().unwrap().to_owned()
    }
}

/// A receiver on a port of its own. What it answers is taken from a list; then it is 204.
struct Receiver {
    url: String,
    got: mpsc::UnboundedReceiver<Got>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

type Desk = (mpsc::UnboundedSender<Got>, Arc<Mutex<VecDeque<Answer>>>);

async fn receive(
    Shared((tell, answers)): Shared<Desk>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> axum::response::Response {
    tell.send(Got {
        headers,
        body: body.to_vec(),
    })
    .unwrap();
    let answer = answers.lock().unwrap().pop_front();
    match answer {
        Some(Answer::Hang) => std::future::pending().await,
        Some(Answer::Status(status, retry)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = retry.map(|seconds| [("retry-after", seconds.to_string())]);
            (status, headers.unwrap_or([("x-none", String::new())])).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

impl Receiver {
    async fn start(answers: &[Answer]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (tell, got) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let desk: Desk = (tell, Arc::clone(&answers));
        let routes = axum::Router::new()
            .route("/hook", post(receive))
            .with_state(desk);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, got, answers }
    }

    async fn next(&mut self) -> Got {
        let next = tokio::time::timeout(PATIENCE, self.got.recv()).await;
        next.expect("nothing came").unwrap()
    }

    fn config(&self, secret_file: Option<PathBuf>) -> WebhookConfig {
        WebhookConfig {
            url: SecretUrl(self.url.clone()),
            name: Some("desk".to_owned()),
            secret_file,
            format: None,
            events: None,
            ca_file: None,
        }
    }
}

/// A log in a folder, with the secret of its webhook.
struct Place {
    folder: tempfile::TempDir,
    clock: Clock,
}

struct Log {
    ledger: Ledger,
    sequencer: std::thread::JoinHandle<()>,
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn key() -> LogKey {
    let name = "ca.example.com/2027a".parse().unwrap();
    LogKey::new(name, 1, SigningKey::from_bytes(&[7; 32]))
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        crate::key_file::write_private(&folder.path().join("secret"), SECRET.as_bytes()).unwrap();
        let clock = Clock::manual(now());
        Self { folder, clock }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self) -> Option<PathBuf> {
        Some(self.path("secret"))
    }

    fn create(&self) -> Log {
        let store: Arc<dyn Store> = Arc::new(SledStore::create(&self.path("store"), 0).unwrap());
        let high_water = HighWater::create(&self.path("high-water")).unwrap();
        Log::of(Ledger::create(store, key(), self.clock.clone(), high_water).unwrap())
    }

    fn open(&self) -> Log {
        let store: Arc<dyn Store> = Arc::new(SledStore::open(&self.path("store"), 0).unwrap());
        let high_water = HighWater::open(&self.path("high-water")).unwrap();
        Log::of(Ledger::open(store, key(), self.clock.clone(), high_water).unwrap())
    }

    fn start(&self, log: &Log, config: WebhookConfig) -> Notifier {
        self.start_with(log, config, quick())
    }

    fn start_with(&self, log: &Log, config: WebhookConfig, pace: Pace) -> Notifier {
        let targets = Targets::new(&[config], pace).unwrap();
        targets
            .start(&log.ledger, &self.clock, &self.cursors())
            .unwrap()
    }

    fn cursors(&self) -> PathBuf {
        self.path("webhooks")
    }
}

impl Log {
    fn of(opened: Opened) -> Self {
        Self {
            ledger: opened.ledger,
            sequencer: opened.sequencer,
        }
    }

    /// Records a freeze, which is told. Its index.
    async fn freeze(&self, reason: &str) -> u64 {
        record(&self.ledger, frozen(reason)).await
    }

    /// Ends it, with everything written and the store closed.
    async fn stop(self) {
        drop(self.ledger);
        let joined = tokio::task::spawn_blocking(move || self.sequencer.join());
        let joined = tokio::time::timeout(PATIENCE, joined).await;
        joined.expect("somebody holds the ledger").unwrap().unwrap();
    }
}

/// Patience of milliseconds.
fn quick() -> Pace {
    Pace {
        timeout: Duration::from_secs(5),
        pause: Duration::from_millis(5),
        pause_max: Duration::from_millis(20),
        refusals_max: 3,
        look: Duration::from_millis(20),
    }
}

fn person(name: &str) -> Person {
    Person {
        subject: Subject::new("https://id.example.com", &format!("sub-{name}")).unwrap(),
        user: name.parse().unwrap(),
    }
}

fn frozen(reason: &str) -> Event {
    Event::Frozen(Frozen {
        judged: None,
        target: FreezeTarget::Environment("prod".parse().unwrap()),
        by: person("carol"),
        reason: reason.to_owned(),
        source: "192.0.2.7".parse().unwrap(),
    })
}

struct Fact(Event);

impl Recordable for Fact {
    fn event(&self) -> Event {
        self.0.clone()
    }
}

async fn record(ledger: &Ledger, event: Event) -> u64 {
    let decide = move |_: &State, _: Turn| Ok::<_, crate::ledger::Refusal<()>>(Fact(event));
    ledger.commit(decide).await.unwrap().index()
}

/// Waits until the cursor of the webhook says so.
async fn cursor_at(folder: &Path, next: u64) {
    let file = super::cursor::CursorFile::new(folder, "desk").unwrap();
    let found = async {
        while file
            .read()
            .unwrap()
            .is_none_or(|cursor| cursor.next != next)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .expect("the cursor did not move");
}
