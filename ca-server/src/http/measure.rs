//! Figures for Prometheus. Every label has few values: routes, not paths; configured environments,
//! not what was asked for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::observe::RequestIds;
use crate::ca::Failure;

/// Upper bounds of the latency histogram, seconds.
const LATENCY_SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// Requests between two tidyings of the raw samples, which otherwise wait for a scrape in memory.
const UPKEEP_EVERY: u64 = 4096;

/// One recorder for the process: routers come and go in tests.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Where the edge counts.
pub(super) struct Meters {
    recorder: Option<PrometheusHandle>,
    requests: AtomicU64,
    ids: RequestIds,
}

impl Meters {
    /// Installs the recorder, unless the process has one. Without one nothing is counted.
    pub(super) fn start() -> Self {
        let recorder = RECORDER.get_or_init(|| {
            let builder = PrometheusBuilder::new().set_buckets(&LATENCY_SECONDS);
            let installed = builder.and_then(PrometheusBuilder::install_recorder);
            installed
                .inspect_err(|error| tracing::error!(%error, "no metrics"))
                .ok()
        });
        Self {
            recorder: recorder.clone(),
            requests: AtomicU64::new(0),
            ids: RequestIds::new(),
        }
    }

    pub(super) fn next_request_id(&self) -> String {
        self.ids.next()
    }

    /// Counts an answer.
    pub(super) fn answered(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        took: Duration,
    ) {
        let labels = [
            ("method", known(method)),
            ("route", route.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        metrics::counter!("ca_http_requests_total", &labels).increment(1);
        let route = [("route", route.to_owned())];
        metrics::histogram!("ca_http_request_seconds", &route).record(took.as_secs_f64());
        if self.requests.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1
            && let Some(recorder) = &self.recorder
        {
            recorder.run_upkeep();
        }
    }

    /// The figures in Prometheus' text format.
    pub(super) fn render(&self, log_size: u64) -> String {
        metrics::gauge!("ca_log_records").set(float(log_size));
        self.recorder
            .as_ref()
            .map(PrometheusHandle::render)
            .unwrap_or_default()
    }
}

/// Counts the end of a wish for a certificate in `environment`, a configured one.
pub(super) fn certificate<T>(environment: &str, outcome: &Result<T, Failure>) {
    let labels = [
        ("environment", environment.to_owned()),
        ("outcome", outcome_label(outcome).to_owned()),
    ];
    metrics::counter!("ca_certificates_total", &labels).increment(1);
}

/// Counts the end of a sign-in.
pub(super) fn sign_in<T>(outcome: &Result<T, Failure>) {
    let labels = [("outcome", outcome_label(outcome))];
    metrics::counter!("ca_sign_ins_total", &labels).increment(1);
}

const fn outcome_label<T>(outcome: &Result<T, Failure>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Failure::Busy(_)) => "busy",
        Err(Failure::Denied { .. } | Failure::Frozen(_)) => "denied",
        Err(
            Failure::Invalid { .. }
            | Failure::NotFound(_)
            | Failure::NotYet(_)
            | Failure::RequestChanged(_)
            | Failure::RequestClosed(_)
            | Failure::RequestIdReused,
        ) => "invalid",
        Err(Failure::LoginRefused | Failure::TotpNotEnrolled | Failure::TotpRequired) => "refused",
        Err(Failure::SessionRequired) => "no-session",
        Err(Failure::TooManyAttempts { .. }) => "locked",
        Err(
            Failure::CaKeyUnavailable
            | Failure::Internal(_)
            | Failure::ProviderUnavailable
            | Failure::Stopped,
        ) => "failed",
    }
}

/// Exact up to 2^53.
fn float(number: u64) -> f64 {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).map_or(0.0, f64::from);
    half(number >> 32) * 4_294_967_296.0 + half(number)
}

fn known(method: &Method) -> String {
    let known = [Method::GET, Method::POST, Method::DELETE, Method::HEAD];
    let label = if known.contains(method) {
        method.as_str()
    } else {
        "other"
    };
    label.to_owned()
}
