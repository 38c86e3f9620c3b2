//! The HTTP edge: routes of DESIGN §8, each a few lines around one use case.
//!
//! Decides who is calling from where, what a body may be, how fast anybody may ask, and what an
//! error looks like. Knows nothing of policy, records or keys: that is [`crate::ca`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use ipnet::IpNet;
use tower_http::catch_panic::CatchPanicLayer;

use crate::ca::Ca;

pub use listen::{ListenError, ListenLimits, Listener, listen, raise_file_limit};
pub use rate::Rate;
pub use source::{ForwardedBy, Peer};

mod apart;
mod audit;
mod bearer;
mod certificates;
mod discovery;
mod document;
mod emergency;
mod hosts;
mod listen;
mod log;
mod measure;
mod observe;
mod operation;
mod problem;
mod rate;
mod requests;
mod revocations;
mod sessions;
mod source;
mod totp;

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricsFor {
    /// Whoever reaches the server.
    Everyone,
    /// Clients on this machine that no proxy speaks for.
    #[default]
    Loopback,
}

/// What is configured about the edge.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Peers whose word on the client's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether peers on a unix socket are such proxies. If not, they are 127.0.0.1.
    pub unix_peers_are_proxies: bool,
    /// The header that trusted proxies write.
    pub forwarded_by: ForwardedBy,
    /// See [`MetricsFor`].
    pub metrics_for: MetricsFor,
    /// Limit of each client address on signing in and enrolling; none switches it off.
    pub sign_in_rate: Option<Rate>,
    /// Limit of each client address on everything else; none switches it off.
    pub rate: Option<Rate>,
    /// Longest wait for a request's body; then 408.
    pub body_timeout: Duration,
    /// Longest wait for an answer; then 503. What was begun is still finished.
    pub answer_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            unix_peers_are_proxies: false,
            forwarded_by: ForwardedBy::default(),
            metrics_for: MetricsFor::default(),
            sign_in_rate: Some(Rate {
                per_second: 20,
                burst: 60,
            }),
            rate: Some(Rate {
                per_second: 200,
                burst: 1000,
            }),
            body_timeout: Duration::from_secs(15),
            answer_timeout: Duration::from_secs(30),
        }
    }
}

/// What every handler can reach.
struct Edge {
    ca: Arc<Ca>,
    settings: HttpSettings,
    limits: rate::Limits,
    meters: measure::Meters,
}

type Shared = axum::extract::State<Arc<Edge>>;

/// All routes. To be run by [`listen()`], which says who the peer is.
pub fn router(ca: Arc<Ca>, settings: HttpSettings) -> Router {
    let edge = Arc::new(Edge {
        limits: rate::Limits::new(&settings),
        meters: measure::Meters::start(),
        ca,
        settings,
    });
    let shared = || Arc::clone(&edge);
    routes()
        .fallback(problem::unknown_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .with_state(shared())
        .layer(from_fn_with_state(shared(), rate::limit))
        .layer(from_fn_with_state(shared(), problem::answer_in_time))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(shared(), observe::observe))
        .layer(from_fn_with_state(shared(), source::find))
        .layer(from_fn(observe::headers))
}

fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/v1/discovery", get(discovery::show))
        .route("/v1/sessions", post(sessions::open))
        .route(
            "/v1/sessions/current",
            get(sessions::status).delete(sessions::close),
        )
        .route("/v1/totp", post(totp::begin))
        .route("/v1/totp/confirm", post(totp::confirm))
        .route("/v1/totp/tickets", post(totp::ticket))
        .route("/v1/certificates", post(certificates::request))
        .route("/v1/requests", get(requests::list))
        .route("/v1/requests/{id}", get(requests::show))
        .route("/v1/requests/{id}/approve", post(requests::approve))
        .route("/v1/requests/{id}/deny", post(requests::deny))
        .route("/v1/requests/{id}/withdraw", post(requests::withdraw))
        .route(
            "/v1/freezes",
            get(revocations::freezes).post(revocations::freeze),
        )
        .route("/v1/freezes/lift", post(revocations::lift))
        .route("/v1/revocations", post(revocations::revoke))
        .route("/v1/break-glass", post(emergency::break_glass))
        .route("/v1/break-glass/challenges", post(emergency::challenge))
        .route(
            "/v1/break-glass/keys",
            get(emergency::keys).post(emergency::add_key),
        )
        .route(
            "/v1/break-glass/keys/{fingerprint}",
            delete(emergency::remove_key),
        )
        .route("/v1/break-glass/sessions", post(emergency::open_session))
        .route("/v1/history/{id}", get(requests::history))
        .route("/v1/decisions/{id}", get(requests::why))
        .route("/v1/hosts", get(hosts::list).post(hosts::enrol))
        .route("/v1/hosts/tokens", post(hosts::token))
        .route("/v1/hosts/{id}/remove", post(hosts::remove))
        .route("/v1/hosts/current", get(hosts::settings))
        .route("/v1/hosts/current/certificate", post(hosts::renew))
        .route("/v1/hosts/current/reports", post(hosts::report))
        .route(
            "/v1/environments/{environment}/krl",
            get(hosts::revocation_list),
        )
        .route("/v1/reviews", get(emergency::reviews))
        .route("/v1/reviews/{id}", post(emergency::close_review))
        .route("/v1/audit", get(audit::read))
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/tile/{*path}", get(log::tile))
        .route("/healthz", get(operation::alive))
        .route("/readyz", get(operation::ready))
        .route("/metrics", get(operation::metrics))
}

/// The client's address, found once for each request.
#[derive(Clone, Copy, Debug)]
struct Source(IpAddr);

#[cfg(test)]
mod tests;
