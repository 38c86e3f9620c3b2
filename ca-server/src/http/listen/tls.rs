//! The server's certificate and key, read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::ListenError;

/// Certificate and key in force.
pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

/// When the two files were last written, as far as known.
type Seen = [Option<SystemTime>; 2];

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// [`ListenError::Certificate`] names the file.
    pub(super) fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, ListenError> {
        // Looked at before the files are read: a change in between is then seen later.
        let seen = seen(&certificate, &key);
        let config = config(&certificate, &key)?;
        Ok(Self {
            current: ArcSwap::from_pointee(config),
            seen: Mutex::new(seen),
            certificate,
            key,
        })
    }

    /// For new connections.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again if they changed. Keeps the old ones, loudly, if the new are wrong.
    /// Blocks.
    pub(super) fn refresh(&self) {
        let now = seen(&self.certificate, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        match config(&self.certificate, &self.key) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!(path = ?self.certificate, "the TLS certificate was read again");
            }
            Err(error) => {
                tracing::error!(%error, "the changed TLS certificate is unusable; the old one stays");
            }
        }
    }
}

fn seen(certificate: &Path, key: &Path) -> Seen {
    [certificate, key].map(|path| path.metadata().and_then(|m| m.modified()).ok())
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, ListenError> {
    let wrong = |path: &Path, what: String| ListenError::Certificate {
        path: path.to_owned(),
        what,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, format!("not a PEM certificate: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "holds no PEM certificate".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| wrong(key, format!("not a PEM private key: {error}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|error| wrong(key, format!("does not fit the certificate: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
