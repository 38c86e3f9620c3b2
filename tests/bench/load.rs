//! Clients that ask for certificates, each on one connection that is kept alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ca_core::api::{IssuedCertificate, RequestCertificate};
use serde_json::{Value, json};

use crate::ca::{Ca, PUBLIC_KEY};
use crate::connection::Connection;
use crate::measure::{own_cpu, process_cpu, quantile};
use crate::report::round;

/// What a load did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pub(crate) issued: u32,
    pub(crate) seconds: f64,
    pub(crate) server_cpu: f64,
    pub(crate) generator_cpu: f64,
    /// Seconds of each request.
    pub(crate) latencies: Vec<f64>,
}

/// When clients stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// So many requests were begun by all together.
    Count(u32),
    /// So much time went by.
    Elapsed(Duration),
}

impl Load {
    /// CPU seconds of the server for one certificate.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.server_cpu / f64::from(self.issued.max(1))
    }

    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.issued) / self.seconds
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.issued += other.issued;
        self.seconds += other.seconds;
        self.server_cpu += other.server_cpu;
        self.generator_cpu += other.generator_cpu;
        self.latencies.extend(other.latencies);
    }

    pub(crate) fn json(&self) -> Value {
        let millis = |share| round(quantile(&self.latencies, share) * 1e3);
        json!({
            "issued": self.issued,
            "seconds": round(self.seconds),
            "per_second": round(self.per_second()),
            "server_cpu_microseconds_each": round(self.cpu_each() * 1e6),
            "generator_cpu_microseconds_each":
                round(self.generator_cpu / f64::from(self.issued.max(1)) * 1e6),
            "latency_p50_milliseconds": millis(0.5),
            "latency_p99_milliseconds": millis(0.99),
        })
    }
}

/// `clients` connections ask the running CA until told; each request has a name of its own.
/// Connecting is not counted. `tag` tells the names of several loads apart.
pub(crate) fn load(ca: &Ca, clients: u32, until: Until, tag: &str) -> Load {
    ca.runtime().block_on(async {
        let mut open = Vec::new();
        for number in 0..clients {
            let connection = ca.target().connect().await.expect("a connection");
            open.push((number, connection));
        }
        let begun_requests = Arc::new(AtomicU32::new(0));
        let (begun, server, own) = (Instant::now(), process_cpu(ca.id()), own_cpu());
        let mut tasks = tokio::task::JoinSet::new();
        for (number, connection) in open {
            let at = usize::try_from(number).expect("small");
            let client = Client {
                connection,
                token: ca.tokens[at % ca.tokens.len()].clone(),
                name: format!("bench-{tag}-{number}"),
                environment: if number % 2 == 0 { "staging" } else { "prod" },
            };
            let requests = Arc::clone(&begun_requests);
            tasks.spawn(client.ask(begun, until, requests));
        }
        let mut latencies = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            latencies.extend(ended.expect("a client"));
        }
        Load {
            issued: u32::try_from(latencies.len()).expect("fewer than 2^32"),
            seconds: begun.elapsed().as_secs_f64(),
            server_cpu: process_cpu(ca.id()) - server,
            generator_cpu: own_cpu() - own,
            latencies,
        }
    })
}

struct Client {
    connection: Connection,
    token: String,
    name: String,
    environment: &'static str,
}

impl Client {
    async fn ask(mut self, begun: Instant, until: Until, requests: Arc<AtomicU32>) -> Vec<f64> {
        let mut latencies = Vec::new();
        for number in 0_u32.. {
            let before = requests.fetch_add(1, Ordering::Relaxed);
            let over = match until {
                Until::Count(count) => before >= count,
                Until::Elapsed(span) => begun.elapsed() >= span,
            };
            if over {
                break;
            }
            latencies.push(self.request(number).await);
        }
        latencies
    }

    /// One certificate; how many seconds it took.
    async fn request(&mut self, number: u32) -> f64 {
        let body = RequestCertificate {
            not_before: None,
            access_request: None,
            environment: self.environment.to_owned(),
            principals: Vec::new(),
            duration_seconds: Some(3600),
            reason: None,
            ticket: None,
            public_key: PUBLIC_KEY.to_owned(),
            request_id: format!("{}-{number:08}", self.name),
        };
        let body = serde_json::to_string(&body).expect("JSON");
        let begun = Instant::now();
        let answer = self
            .connection
            .post("/v1/certificates", &self.token, &body)
            .await;
        let seconds = begun.elapsed().as_secs_f64();
        let (status, body) = answer.expect("an answer");
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
        if number == 0 {
            let issued: IssuedCertificate = serde_json::from_slice(body).expect("a certificate");
            assert_eq!(issued.environment.as_str(), self.environment);
        }
        seconds
    }
}
