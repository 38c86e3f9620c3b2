//! One connection, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};
use tower::ServiceExt as _;

use super::Visitor;
use super::activity::Activity;
use super::doors::Guest;
use super::tls::Certificates;

/// Largest HTTP/1 head, bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Largest HTTP/2 header list, bytes.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// HTTP/2 requests at once on one connection.
const STREAMS_MAX: u32 = 64;
/// Bytes an HTTP/2 client may send ahead on one stream and on all of them.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// Pause between two questions whether an HTTP/2 client is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Longest wait for its answer.
const PING_WITHIN: Duration = Duration::from_secs(20);
/// How long a connection that was told to end may still answer: longer than any answer takes.
const LEAVE_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at the time a connection has taken.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Serves `visitor` until either side ends it, it takes too long, or its place is needed.
pub(super) async fn serve(
    router: Router,
    visitor: Visitor,
    guest: Guest,
    stop: watch::Receiver<bool>,
) {
    match visitor {
        Visitor::Plain(stream) => converse(router, stream, guest, stop).await,
        Visitor::Unix(stream) => converse(router, stream, guest, stop).await,
        Visitor::Tls(stream, certificates) => {
            // Apart: a connection that waits must not have the size of a handshake.
            let shaken = Box::pin(shake_hands(stream, &certificates, &guest)).await;
            let conversation = shaken.map(|stream| converse(router, stream, guest, stop));
            if let Some(conversation) = conversation {
                conversation.await;
            }
        }
    }
}

async fn shake_hands(
    stream: tokio::net::TcpStream,
    certificates: &Certificates,
    guest: &Guest,
) -> Option<tokio_rustls::server::TlsStream<tokio::net::TcpStream>> {
    let shake = tokio::time::timeout(
        guest.limits().handshake,
        certificates.acceptor().accept(stream),
    );
    tokio::select! {
        shaken = shake => shaken.ok()?.ok(),
        () = guest.activity.evicted.notified() => None,
    }
}

/// Everything large is made before the future, and held by it in one box: an async function keeps
/// room for each place a value has been in.
fn converse<S>(
    router: Router,
    stream: S,
    guest: Guest,
    mut stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::clone(&guest.activity);
    let peer = guest.peer;
    let service = service_fn(move |mut request: Request<Incoming>| {
        activity.began(request.version() == Version::HTTP_2);
        let busy = Busy(Arc::clone(&activity));
        request.extensions_mut().insert(peer);
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let response = answer.await;
            drop(busy);
            response
        }
    });
    let noted = Noted {
        stream,
        activity: Arc::clone(&guest.activity),
    };
    let connection = builder()
        .serve_connection(TokioIo::new(noted), service)
        .into_owned();
    let mut connection = Box::pin(connection);
    async move {
        tokio::select! {
            // The connection first: whether a request is under way is asked after it had its turn.
            biased;
            // How it ended is the client's business; our own errors are traced where they happen.
            _ = connection.as_mut() => return,
            () = guest.activity.evicted.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
            () = overdue(&guest) => return,
        }
        if !guest.activity.is_idle() {
            connection.as_mut().graceful_shutdown();
            // It has no place any more, so a client that never reads must not stay for ever.
            drop(tokio::time::timeout(LEAVE_WITHIN, connection).await);
        }
    }
}

/// Completes when what goes on has taken too long; to be polled whenever the connection was.
///
/// Has no timer while a request is under way, however long that is: a crowd that waits for news
/// costs nothing. The end of the request polls the connection, and so this.
async fn overdue(guest: &Guest) {
    let limits = guest.limits();
    let pause = LOOK_EVERY.min(limits.head);
    let mut look = pin!(tokio::time::sleep(pause));
    poll_fn(|context| {
        while guest.activity.is_idle() && look.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if guest.activity.is_overdue(now, limits) {
                return Poll::Ready(());
            }
            look.as_mut().reset(now + pause);
        }
        Poll::Pending
    })
    .await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // No timer of its own for heads: it would count the rest between two requests, too.
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN);
    builder
}

/// A request under way; it ends when this is dropped, answered or not.
struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.ended(Instant::now());
    }
}

/// A stream that notes when bytes come in.
struct Noted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received(Instant::now());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
