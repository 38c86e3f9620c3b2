//! Where a request comes from: the peer's address, or what a trusted proxy says about it.
//!
//! Only one of the two headers is read, the one the proxy is configured to write: a client could
//! send the other, and the proxy would pass it on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::{Edge, HttpSettings, Source};

/// The address of a client when the server was started without [`super::listen()`]: trusted nowhere.
pub(super) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Hops looked at, from the right.
const HOPS_MAX: usize = 32;

/// The other end of a connection; [`super::listen()`] puts it into each request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix,
}

/// The header in which trusted proxies name the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedBy {
    /// `Forwarded: for=…` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
}

impl ForwardedBy {
    const fn header(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::XForwardedFor => "x-forwarded-for",
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Source {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(UNKNOWN)))
    }
}

/// Puts the [`Source`] into the request.
pub(super) async fn find(
    State(edge): State<Arc<Edge>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let source = source(peer, request.headers(), &edge.settings);
    request.extensions_mut().insert(Source(source));
    next.run(request).await
}

/// Whether the request was passed on by somebody, trusted or not.
pub(super) fn was_forwarded(headers: &HeaderMap) -> bool {
    [ForwardedBy::Forwarded, ForwardedBy::XForwardedFor]
        .iter()
        .any(|by| headers.contains_key(by.header()))
}

/// The client's address: from the right of the header, the first that no trusted proxy has.
fn source(peer: Option<Peer>, headers: &HeaderMap, settings: &HttpSettings) -> IpAddr {
    let trusted = |address: &IpAddr| {
        let mut proxies = settings.trusted_proxies.iter();
        proxies.any(|net| net.contains(address))
    };
    let (mut nearest, believed) = match peer {
        None => (UNKNOWN, false),
        Some(Peer::Unix) => (
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            settings.unix_peers_are_proxies,
        ),
        Some(Peer::Tcp(address)) => {
            let address = address.ip().to_canonical();
            (address, trusted(&address))
        }
    };
    if !believed {
        return nearest;
    }
    for hop in hops(headers, settings.forwarded_by) {
        let Some(address) = hop else {
            return nearest;
        };
        nearest = address;
        if !trusted(&address) {
            return nearest;
        }
    }
    nearest
}

/// The addresses in the header from right to left; none for what is not an address.
fn hops(headers: &HeaderMap, by: ForwardedBy) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(by.header()).iter();
    let texts: Vec<&str> = lines
        .flat_map(|line| line.to_str().unwrap_or("?").split(','))
        .collect();
    let parse = move |text: &str| match by {
        ForwardedBy::XForwardedFor => address(text.trim()),
        ForwardedBy::Forwarded => forwarded_for(text),
    };
    texts
        .into_iter()
        .rev()
        .take(HOPS_MAX)
        .map(parse)
        .collect::<Vec<_>>()
        .into_iter()
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, node) = nodes.next()?;
    address(node.trim().trim_matches('"'))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    parsed
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(by: ForwardedBy) -> HttpSettings {
        HttpSettings {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            unix_peers_are_proxies: true,
            forwarded_by: by,
            ..HttpSettings::default()
        }
    }

    fn found(peer: &str, header: (&'static str, &str), by: ForwardedBy) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header.0, header.1.parse().unwrap());
        let peer = match peer {
            "unix" => Peer::Unix,
            address => Peer::Tcp(SocketAddr::new(address.parse().unwrap(), 9)),
        };
        source(Some(peer), &headers, &settings(by)).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let by = ForwardedBy::XForwardedFor;
        let spoofed = ("x-forwarded-for", "1.2.3.4");
        assert_eq!(found("192.0.2.9", spoofed, by), "192.0.2.9");
        assert_eq!(found("10.0.0.1", spoofed, by), "1.2.3.4");
        assert_eq!(found("unix", spoofed, by), "1.2.3.4");
        assert_eq!(found("::ffff:10.0.0.1", spoofed, by), "1.2.3.4");
    }

    #[test]
    fn what_a_client_wrote_before_the_proxy_is_not_believed() {
        let by = ForwardedBy::XForwardedFor;
        let header = ("x-forwarded-for", "1.2.3.4, 192.0.2.9, 10.0.0.2");
        assert_eq!(found("10.0.0.1", header, by), "192.0.2.9");
        let garbage = ("x-forwarded-for", "1.2.3.4, nonsense");
        assert_eq!(found("10.0.0.1", garbage, by), "10.0.0.1");
        let other = ("forwarded", "for=1.2.3.4");
        assert_eq!(found("10.0.0.1", other, by), "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_in_all_its_forms() {
        let by = ForwardedBy::Forwarded;
        for (text, address) in [
            ("for=192.0.2.9", "192.0.2.9"),
            ("proto=https;For=\"192.0.2.9:80\"", "192.0.2.9"),
            (
                "for=1.2.3.4, by=10.1.1.1;for=\"[2001:db8::1]:80\"",
                "2001:db8::1",
            ),
            ("for=_hidden", "10.0.0.1"),
        ] {
            assert_eq!(
                found("10.0.0.1", ("forwarded", text), by),
                address,
                "{text}"
            );
        }
    }
}
