//! Listening: TLS, plain HTTP on loopback, a unix socket; each with the same bounds.
//!
//! No connection costs anything for long: a first request, and the head of every later one, must
//! arrive within seconds, idle connections are closed, and when all places are taken the oldest
//! idle connection makes room for a newcomer. What the requests mean is the router's.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::Backlog;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::source::Peer;
use doors::Doors;
use tls::Certificates;

mod activity;
mod connection;
mod doors;
mod tls;

/// Pause after the system refused to accept a connection, usually for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// File descriptors left for everything but connections.
const DESCRIPTORS_FOR_OTHERS: u64 = 256;

/// Where to listen. The sockets are bound by the caller, who thus knows their address.
#[derive(Debug)]
pub enum Listener {
    /// Plain HTTP: loopback, or behind a proxy.
    Plain(std::net::TcpListener),
    /// HTTPS.
    Tls {
        /// The socket.
        socket: std::net::TcpListener,
        /// PEM file with the certificate and its chain; read again when it changes.
        certificate: PathBuf,
        /// PEM file with the private key; read again when it changes.
        key: PathBuf,
    },
    /// Plain HTTP on a unix socket.
    Unix(std::os::unix::net::UnixListener),
}

/// Bounds of a listener.
#[derive(Clone, Debug)]
pub struct ListenLimits {
    /// Connections open at once. Beyond, the oldest idle one is closed for each newcomer.
    pub connections: usize,
    /// Connections open at once from one address (IPv6: one /64); further ones are closed.
    /// Loopback, unix sockets and `unlimited_from` are exempt: behind a proxy stands everybody.
    pub connections_per_address: usize,
    /// Addresses without the limit of one address: the trusted proxies.
    pub unlimited_from: Vec<IpNet>,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest wait for the first request, and for the rest of a head once it began.
    pub head: Duration,
    /// Longest wait for another request.
    pub idle: Duration,
    /// How long requests may go on after the stop.
    pub stop: Duration,
    /// Pause between two looks at the certificate files.
    pub certificate_poll: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 256,
            unlimited_from: Vec::new(),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stop: Duration::from_secs(10),
            certificate_poll: Duration::from_secs(5),
        }
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The certificate or key cannot be used.
    #[error("{path:?}: {what}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not, and what is expected.
        what: String,
    },
    /// The socket cannot be used.
    #[error("cannot listen: {0}")]
    Socket(#[from] io::Error),
}

enum Door {
    Plain(tokio::net::TcpListener),
    Tls(tokio::net::TcpListener, Arc<Certificates>),
    Unix(tokio::net::UnixListener),
}

/// An accepted connection, nothing of it read yet.
enum Visitor {
    Plain(tokio::net::TcpStream),
    Tls(tokio::net::TcpStream, Arc<Certificates>),
    Unix(tokio::net::UnixStream),
}

/// Raises this process' limit of open files as far as it may, and returns it.
///
/// # Errors
///
/// What the system says.
pub fn raise_file_limit() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Runs `router` until `stop` completes; then finishes the requests that are under way.
///
/// # Errors
///
/// [`ListenError`], only at the start. Trouble with single connections ends those alone.
pub async fn listen(
    router: Router,
    listener: Listener,
    limits: ListenLimits,
    stop: impl Future<Output = ()>,
) -> Result<(), ListenError> {
    let door = Door::open(listener)?;
    let doors = Arc::new(Doors::new(within_descriptors(limits)));
    let limits = doors.limits();
    let (tell, told) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut poll = tokio::time::interval(limits.certificate_poll.max(Duration::from_millis(1)));
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = door.accept() => match accepted {
                Ok((visitor, peer)) => if let Some(guest) = doors.admit(peer) {
                    let serve = connection::serve(router.clone(), visitor, guest, told.clone());
                    connections.spawn(serve);
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a connection did not end well");
            },
            _ = poll.tick() => door.refresh().await,
            () = &mut stop => break,
        }
    }
    drop(door);
    tell.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.stop, ended).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    Ok(())
}

impl Door {
    fn open(listener: Listener) -> Result<Self, ListenError> {
        let tcp = |socket: std::net::TcpListener| {
            socket.set_nonblocking(true)?;
            // The standard library asks for a queue of 128: in a crowd, newcomers would be dropped
            // by the system and try again after a second.
            nix::sys::socket::listen(&socket, Backlog::MAXCONN)?;
            tokio::net::TcpListener::from_std(socket)
        };
        Ok(match listener {
            Listener::Plain(socket) => Self::Plain(tcp(socket)?),
            Listener::Tls {
                socket,
                certificate,
                key,
            } => {
                let certificates = Certificates::read(certificate, key)?;
                Self::Tls(tcp(socket)?, Arc::new(certificates))
            }
            Listener::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Self::Unix(tokio::net::UnixListener::from_std(socket)?)
            }
        })
    }

    async fn accept(&self) -> io::Result<(Visitor, Peer)> {
        match self {
            Self::Plain(socket) => {
                let (stream, address) = accept_tcp(socket).await?;
                Ok((Visitor::Plain(stream), Peer::Tcp(address)))
            }
            Self::Tls(socket, certificates) => {
                let (stream, address) = accept_tcp(socket).await?;
                let visitor = Visitor::Tls(stream, Arc::clone(certificates));
                Ok((visitor, Peer::Tcp(address)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Visitor::Unix(stream), Peer::Unix))
            }
        }
    }

    async fn refresh(&self) {
        if let Self::Tls(_, certificates) = self {
            let certificates = Arc::clone(certificates);
            let look = tokio::task::spawn_blocking(move || certificates.refresh());
            if let Err(error) = look.await {
                tracing::error!(%error, "the certificate files could not be looked at");
            }
        }
    }
}

async fn accept_tcp(
    socket: &tokio::net::TcpListener,
) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    let (stream, address) = socket.accept().await?;
    // Answers are small and written at once; waiting to fill a packet would only delay them.
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

/// Never more connections than descriptors.
fn within_descriptors(mut limits: ListenLimits) -> ListenLimits {
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let room = soft.saturating_sub(DESCRIPTORS_FOR_OTHERS).max(16);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        limits.connections = limits.connections.min(room);
    }
    limits
}

/// The address that a connection counts for, none if it is exempt.
fn counted(peer: Peer, limits: &ListenLimits) -> Option<IpAddr> {
    let Peer::Tcp(address) = peer else {
        return None;
    };
    let address = address.ip().to_canonical();
    let exempt =
        address.is_loopback() || limits.unlimited_from.iter().any(|n| n.contains(&address));
    (!exempt).then(|| super::rate::block(address))
}
