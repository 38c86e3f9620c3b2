//! How often an address may ask (GCRA: one time stamp for each address), in bounded memory.
//!
//! In front of everything that costs. Lockout of people after wrong codes is not here: it is keyed
//! on the identity and lives in the state.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ca_core::api::BODY_BYTES_MAX;
use tokio::time::Instant;

use super::problem::Fault;
use super::source::UNKNOWN;
use super::{Edge, HttpSettings, Source};

/// Addresses remembered at once. Beyond, the ones that have been quiet are forgotten, and if all
/// are busy everybody is: a limit that eats memory would be worse than one that can be lifted by
/// a hundred thousand addresses.
const ADDRESSES_MAX: usize = 100_000;
/// How long the body of a refused request is still read, so that its client reads the answer.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// A steady rate and what may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests a second, at least 1.
    pub per_second: u32,
    /// Requests at once, at least 1.
    pub burst: u32,
}

impl Rate {
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    /// The new stamp after a request at `now`, or how long to wait. `stamp` is when the address
    /// will have paid for all it asked.
    fn admit(self, stamp: Duration, now: Duration) -> Result<Duration, Duration> {
        let stamp = stamp.max(now);
        let ahead = self.interval() * self.burst.max(1).saturating_sub(1);
        let earliest = stamp.saturating_sub(ahead);
        if now < earliest {
            return Err(earliest.saturating_sub(now));
        }
        Ok(stamp + self.interval())
    }
}

/// The limiters of the edge.
pub(super) struct Limits {
    sign_in: Option<Limiter>,
    other: Option<Limiter>,
    epoch: Instant,
}

struct Limiter {
    rate: Rate,
    stamps: Mutex<HashMap<IpAddr, Duration>>,
}

impl Limits {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let limiter = |rate| Limiter {
            rate,
            stamps: Mutex::default(),
        };
        Self {
            sign_in: settings.sign_in_rate.map(limiter),
            other: settings.rate.map(limiter),
            epoch: Instant::now(),
        }
    }
}

impl Limiter {
    fn admit(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps.len() >= ADDRESSES_MAX {
            stamps.retain(|_, stamp| *stamp > now);
            if stamps.len() >= ADDRESSES_MAX {
                stamps.clear();
            }
        }
        let stamp = stamps.entry(block(address)).or_default();
        *stamp = self.rate.admit(*stamp, now)?;
        Ok(())
    }
}

/// What one client can be expected to own: an IPv4 address, an IPv6 /64.
pub(super) fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

/// Where secrets can be guessed, or memory taken, by whoever reaches the server.
const SIGN_IN: [&str; 4] = [
    "/v1/break-glass/challenges",
    "/v1/break-glass/sessions",
    "/v1/sessions",
    "/v1/totp",
];

/// Where hosts join; what they do afterwards has a credential.
const JOIN: &str = "/v1/hosts";

/// Lets a request through or answers 429.
pub(super) async fn limit(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let signs_in = request.method() == Method::POST
        && (path == JOIN || SIGN_IN.iter().any(|prefix| path.starts_with(prefix)));
    let limiter = if signs_in {
        &edge.limits.sign_in
    } else {
        &edge.limits.other
    };
    let source = request.extensions().get().map_or(UNKNOWN, |s: &Source| s.0);
    let now = edge.limits.epoch.elapsed();
    let wait = limiter
        .as_ref()
        .and_then(|limiter| limiter.admit(source, now).err());
    match wait {
        None => next.run(request).await,
        Some(wait) => {
            let body = to_bytes(request.into_body(), BODY_BYTES_MAX);
            // Whether it arrived does not matter: it is not looked at.
            drop(tokio::time::timeout(DRAIN_TIME_MAX, body).await);
            let retry_after_seconds = wait.as_secs().saturating_add(1);
            Fault::RateLimited {
                retry_after_seconds,
            }
            .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 2,
        burst: 3,
    };

    fn limiter() -> Limiter {
        Limiter {
            rate: RATE,
            stamps: Mutex::default(),
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let limiter = limiter();
        let address = "192.0.2.1".parse().unwrap();
        let at = |milliseconds: u64| Duration::from_millis(1000 + milliseconds);
        for _ in 0..3 {
            assert_eq!(limiter.admit(address, at(0)), Ok(()));
        }
        assert_eq!(
            limiter.admit(address, at(0)),
            Err(Duration::from_millis(500))
        );
        assert_eq!(
            limiter.admit(address, at(499)),
            Err(Duration::from_millis(1))
        );
        assert_eq!(limiter.admit(address, at(500)), Ok(()));
        assert!(limiter.admit(address, at(500)).is_err());
    }

    #[test]
    fn addresses_do_not_share_a_limit_and_an_ipv6_network_does() {
        let limiter = limiter();
        let now = Duration::from_secs(1);
        let admit = |address: &str| limiter.admit(address.parse().unwrap(), now).is_ok();
        for last in 1..=3 {
            assert!(admit(&format!("2001:db8::{last}")));
        }
        assert!(!admit("2001:db8::ffff"));
        assert!(admit("2001:db8:0:1::1"));
        assert!(admit("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded_whoever_asks() {
        let limiter = limiter();
        for number in 0..250_000_u32 {
            let address = IpAddr::V4(number.into());
            assert_eq!(limiter.admit(address, Duration::ZERO), Ok(()));
        }
        assert!(limiter.stamps.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
