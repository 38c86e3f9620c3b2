//! Stub.
#![expect(missing_docs, reason = "stub")]
use crate::ca::Ca;
use std::path::PathBuf;
use std::sync::Arc;
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    pub trusted_proxies: Vec<ipnet::IpNet>,
    pub requests_per_second: u32,
    pub metrics: bool,
}
#[derive(Debug)]
pub enum Listener {
    Tls {
        socket: std::net::TcpListener,
        certificate: PathBuf,
        key: PathBuf,
    },
    Plain(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}
pub fn router(_: Arc<Ca>, _: HttpSettings) -> axum::Router {
    axum::Router::new()
}
pub async fn listen(
    _: axum::Router,
    _: Listener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    stop.await;
    Ok(())
}
