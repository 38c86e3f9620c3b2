//! One HTTPS (or plain HTTP) connection that is kept alive, with as little work as a client can do: the load
//! generator shares the cores with the server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where the CA listens and whom to trust.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is open.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    host: String,
}

impl Target {
    /// `url` is `https://127.0.0.1:PORT`, its certificate is signed by one in `ca_file`.
    pub(crate) fn new(url: &str, ca_file: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca_file).expect("PEM") {
            roots.add(certificate.expect("PEM")).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let address = url.trim_start_matches("https://");
        Self {
            address: address.parse().expect("an address with a port"),
            tls: Some(TlsConnector::from(Arc::new(config))),
        }
    }

    /// The same address without TLS.
    pub(crate) fn plain(self) -> Self {
        Self { tls: None, ..self }
    }

    pub(crate) async fn connect(&self) -> std::io::Result<Connection> {
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::from(self.address.ip());
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.connect(name, socket).await?),
            None => Box::new(socket),
        };
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(16 << 10),
            host: self.address.to_string(),
        })
    }
}

impl Connection {
    /// Status and body of `GET path`.
    pub(crate) async fn get(&mut self, path: &str) -> std::io::Result<(u16, &[u8])> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.exchange(head.as_bytes()).await
    }

    /// Status and body of `POST path` with JSON.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: &str,
        body: &str,
    ) -> std::io::Result<(u16, &[u8])> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.exchange(request.as_bytes()).await
    }

    /// Status and body of `GET path` with a bearer token.
    pub(crate) async fn get_as(
        &mut self,
        path: &str,
        token: &str,
    ) -> std::io::Result<(u16, &[u8])> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n",
            self.host
        );
        self.exchange(head.as_bytes()).await
    }

    /// The document that is got.
    pub(crate) async fn fetch<T: DeserializeOwned>(
        &mut self,
        path: &str,
        token: &str,
    ) -> std::io::Result<T> {
        document(path, self.get_as(path, token).await?)
    }

    /// The document that answers this one.
    pub(crate) async fn send<T: DeserializeOwned>(
        &mut self,
        path: &str,
        token: &str,
        body: &impl Serialize,
    ) -> std::io::Result<T> {
        let body = serde_json::to_string(body).expect("JSON");
        document(path, self.post(path, token, &body).await?)
    }

    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let (status, body, end) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, body, length)) = head(&self.buffer)
                && self.buffer.len() >= body + length
            {
                break (status, body, body + length);
            }
        };
        Ok((status, self.buffer.get(body..end).unwrap_or_default()))
    }
}

/// A refusal is an error too: nothing that is measured is refused.
fn document<T: DeserializeOwned>(path: &str, (status, body): (u16, &[u8])) -> std::io::Result<T> {
    let parsed = serde_json::from_slice(body).ok();
    let parsed = parsed.filter(|_| (200..300).contains(&status));
    parsed.ok_or_else(|| {
        let said = String::from_utf8_lossy(body);
        std::io::Error::other(format!("{path}: {status}: {said}"))
    })
}

/// Status, where the body begins, and its length, once the head is complete.
fn head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some((status, end + 4, length.1.trim().parse().ok()?))
}
