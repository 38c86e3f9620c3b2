//! The log of a running server as a [`Store`] that can only be read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ca_core::api::Hosts;
use ca_core::event::BreakGlassImported;
use ca_core::tlog::hash::Hash;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::wire::{self, FoundText, HeadText, RangeText, SearchText};
use crate::ca::offline::Imported;
use crate::store::{Batch, Found, FullTile, Head, Record, Search, Store, StoreError, TILE_WIDTH};

/// Why a server's socket is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It answers, but not with what was asked for.
    #[error("the server on {path:?} does not answer: {error}")]
    Failed {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// Somebody else's.
    #[error("{0:?} is another user's: run this as the user the server runs as, or as root")]
    Forbidden(PathBuf),
}

/// A running server's log. Every call blocks; not to be used inside an async runtime.
#[derive(Clone, Debug)]
pub struct AdminStore {
    path: PathBuf,
    client: reqwest::Client,
    runtime: Arc<tokio::runtime::Runtime>,
}

impl AdminStore {
    /// The server on the socket at `path`, none if nobody listens there.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when somebody listens and cannot be asked.
    pub fn connect(path: &Path) -> Result<Option<Self>, AdminError> {
        use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        let failed = |error: &dyn std::fmt::Display| AdminError::Failed {
            path: path.to_owned(),
            error: error.to_string(),
        };
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => return Ok(None),
            Err(error) if error.kind() == PermissionDenied => {
                return Err(AdminError::Forbidden(path.to_owned()));
            }
            Err(error) => return Err(failed(&error)),
        }
        let client = reqwest::Client::builder()
            .unix_socket(path)
            .no_proxy()
            .build()
            .map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Some(Self {
            path: path.to_owned(),
            client,
            runtime: Arc::new(runtime),
        }))
    }

    /// The newest checkpoint that the server signed.
    ///
    /// # Errors
    ///
    /// [`AdminError::Failed`].
    pub fn checkpoint(&self) -> Result<String, AdminError> {
        let failed = |error: StoreError| AdminError::Failed {
            path: self.path.clone(),
            error: error.to_string(),
        };
        let head: HeadText = self.json(Method::GET, "/head", None).map_err(failed)?;
        Ok(head.checkpoint)
    }

    /// Every host, as the running server knows it.
    ///
    /// # Errors
    ///
    /// [`AdminError::Failed`].
    pub fn hosts(&self) -> Result<Hosts, AdminError> {
        let failed = |error: StoreError| AdminError::Failed {
            path: self.path.clone(),
            error: error.to_string(),
        };
        self.json(Method::GET, "/hosts", None).map_err(failed)
    }

    /// Adds the record of a certificate that was signed offline.
    ///
    /// # Errors
    ///
    /// [`AdminError::Refused`] with the server's reason, or [`AdminError::Failed`].
    pub fn import(&self, event: &BreakGlassImported) -> Result<Imported, AdminError> {
        let request = self.client.post("http://admin/break-glass").json(event);
        let answer = self.runtime.block_on(async {
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.bytes().await?))
        });
        let failed = |error: String| AdminError::Failed {
            path: self.path.clone(),
            error,
        };
        match answer.map_err(|error| failed(error.to_string()))? {
            (StatusCode::OK, bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
            }
            (_, bytes) => Err(AdminError::Refused(
                String::from_utf8_lossy(&bytes).into_owned(),
            )),
        }
    }

    /// The answer's bytes, none if there is no such thing.
    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&SearchText>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut request = self.client.request(method, format!("http://admin{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = async {
            let answer = request.send().await?;
            let status = answer.status();
            Ok((status, answer.bytes().await?))
        };
        let (status, bytes) = self
            .runtime
            .block_on(answer)
            .map_err(|error: reqwest::Error| StoreError::Unknown(error.to_string()))?;
        match status {
            StatusCode::OK => Ok(Some(bytes.into())),
            StatusCode::NOT_FOUND => Ok(None),
            // What the server found wrong with its store, in its words.
            _ => Err(StoreError::Unknown(
                String::from_utf8_lossy(&bytes).into_owned(),
            )),
        }
    }

    fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&SearchText>,
    ) -> Result<T, StoreError> {
        let bytes = self.ask(method, path, body)?.ok_or_else(malformed)?;
        serde_json::from_slice(&bytes).map_err(|_| malformed())
    }
}

fn malformed() -> StoreError {
    StoreError::Unknown("the server's answer is malformed".to_owned())
}

fn read_only<T>() -> Result<T, StoreError> {
    let what = "the admin socket is for reading only";
    Err(StoreError::Unknown(what.to_owned()))
}

impl Store for AdminStore {
    fn append(&self, _: &Batch) -> Result<(), StoreError> {
        read_only()
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        let head: HeadText = self.json(Method::GET, "/head", None)?;
        Ok(head.head())
    }

    fn records(&self, start: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        let mut range = RangeText { start, limit };
        while range.limit > 0 {
            let path = format!("/records?start={}&limit={}", range.start, range.limit);
            let bytes = self.ask(Method::GET, &path, None)?.ok_or_else(malformed)?;
            let more = wire::decode_records(&bytes).ok_or_else(malformed)?;
            if more.is_empty() {
                break;
            }
            range.limit = range.limit.saturating_sub(more.len());
            range.start += u64::try_from(more.len()).unwrap_or(u64::MAX);
            records.extend(more);
        }
        Ok(records)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<FullTile>, StoreError> {
        let path = format!("/tile/{level}/{index}");
        let Some(bytes) = self.ask(Method::GET, &path, None)? else {
            return Ok(None);
        };
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LENGTH }>();
        let hashes: Vec<Hash> = hashes.iter().copied().map(Hash::from_bytes).collect();
        if !rest.is_empty() || u64::try_from(hashes.len()) != Ok(TILE_WIDTH) {
            return Err(malformed());
        }
        Ok(Some(FullTile {
            level,
            index,
            hashes,
        }))
    }

    fn search(&self, search: &Search) -> Result<Found, StoreError> {
        let asked = SearchText::from(search);
        let found: FoundText = self.json(Method::POST, "/search", Some(&asked))?;
        Ok(found.into())
    }

    fn secret(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_only()
    }

    fn put_secret(&self, _: &str, _: &[u8]) -> Result<(), StoreError> {
        read_only()
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(Method::GET, "/snapshot", None)
    }

    fn put_snapshot(&self, _: &[u8]) -> Result<(), StoreError> {
        read_only()
    }
}
