//! The admin socket: reading the log of a running server, for its own user and root on the same
//! machine. Whoever may connect could read the store's files and use the log's key as well. One
//! thing can be changed: records of certificates signed offline are added (`break-glass import`).
//!
//! The socket (mode 0600) is in a folder that others cannot write to, and every peer's user id is
//! checked with `SO_PEERCRED`.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, body::Bytes};
use ca_core::api::Hosts;
use ca_core::event::BreakGlassImported;
use tokio::net::{UnixListener, UnixStream};

pub use client::{AdminError, AdminStore};
use wire::{HeadText, RangeText, SearchText};

use crate::ca::offline::{self, ImportError, Imported};
use crate::ca::{Seen, host_list};
use crate::ledger::Ledger;
use crate::store::{Store, StoreError};

mod client;
mod wire;

/// Records in one answer at most.
const RECORDS_MAX: usize = 4096;

type Log = (Ledger, Arc<dyn Store>);

/// What is served, until the guard is dropped.
#[derive(Clone, Debug)]
struct Shared {
    log: Arc<Mutex<Option<Log>>>,
    seen: Arc<Seen>,
}

/// The socket is open as long as this lives. Dropping it lets go of the ledger at once and removes
/// the socket.
#[derive(Debug)]
#[must_use]
pub struct Admin {
    shared: Shared,
    task: tokio::task::AbortHandle,
    path: PathBuf,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        drop(self.shared.take());
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the admin socket was gone already");
        }
    }
}

impl Shared {
    fn take(&self) -> Option<Log> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.take()
    }

    /// The log, until the server stops.
    fn log(&self) -> Result<Log, (StatusCode, String)> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone().ok_or_else(|| {
            let stopping = "the server is stopping".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, stopping)
        })
    }

    /// Runs `read` on the log, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ledger, &dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, (StatusCode, String)> {
        let (ledger, store) = self.log()?;
        let failed = |error: String| (StatusCode::INTERNAL_SERVER_ERROR, error);
        tokio::task::spawn_blocking(move || read(&ledger, store.as_ref()))
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
    }
}

/// Opens the socket at `path` and serves it from the current runtime.
///
/// # Errors
///
/// When another server answers there, or others may write to its folder.
pub fn listen(
    ledger: &Ledger,
    store: &Arc<dyn Store>,
    seen: &Arc<Seen>,
    path: &Path,
) -> anyhow::Result<Admin> {
    prepare(path).with_context(|| format!("admin socket {path:?}"))?;
    let listener = UnixListener::bind(path).with_context(|| format!("admin socket {path:?}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let log = (ledger.clone(), Arc::clone(store));
    let shared = Shared {
        log: Arc::new(Mutex::new(Some(log))),
        seen: Arc::clone(seen),
    };
    let router = router(shared.clone());
    let own = nix::unistd::Uid::effective().as_raw();
    let guarded = Guarded { listener, own };
    let serving = tokio::spawn(async move { axum::serve(guarded, router).await });
    Ok(Admin {
        shared,
        task: serving.abort_handle(),
        path: path.to_owned(),
    })
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/head", get(head))
        .route("/records", get(records))
        .route("/tile/{level}/{index}", get(tile))
        .route("/snapshot", get(snapshot))
        .route("/search", post(search))
        .route("/break-glass", post(import))
        .route("/hosts", get(hosts))
        .with_state(shared)
}

/// Removes a socket that nobody answers on; refuses a folder that others may write to.
fn prepare(path: &Path) -> anyhow::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        let mode = std::fs::metadata(folder)?.permissions().mode();
        anyhow::ensure!(
            mode & 0o022 == 0,
            "others may write to its folder (mode {:o}): chmod 700 {folder:?}",
            mode & 0o777
        );
    }
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    anyhow::ensure!(found.file_type().is_socket(), "something else is there");
    anyhow::ensure!(
        std::os::unix::net::UnixStream::connect(path).is_err(),
        "another server answers on it"
    );
    Ok(std::fs::remove_file(path)?)
}

/// Whether a peer with this user id may read the log of a server that runs as `own`.
const fn may_connect(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Accepts only peers that may connect; others are hung up on.
struct Guarded {
    listener: UnixListener,
    own: u32,
}

impl axum::serve::Listener for Guarded {
    type Io = UnixStream;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if may_connect(peer.uid(), self.own) => return (stream, address),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "refused on the admin socket"),
                Err(error) => tracing::warn!(%error, "a peer of the admin socket has no user"),
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

type Answer<T> = Result<T, (StatusCode, String)>;

async fn head(State(shared): State<Shared>) -> Answer<Json<HeadText>> {
    let read = |ledger: &Ledger, store: &dyn Store| {
        // In this order, so that the checkpoint is never beyond the head.
        let checkpoint = ledger.checkpoint().to_string();
        Ok(HeadText::new(store.head()?, checkpoint))
    };
    shared.read(read).await.map(Json)
}

async fn records(State(shared): State<Shared>, Query(range): Query<RangeText>) -> Answer<Vec<u8>> {
    let limit = range.limit.min(RECORDS_MAX);
    let read = move |_: &Ledger, store: &dyn Store| {
        Ok(wire::encode_records(&store.records(range.start, limit)?))
    };
    shared.read(read).await
}

async fn tile(
    State(shared): State<Shared>,
    UrlPath((level, index)): UrlPath<(u8, u64)>,
) -> Answer<Vec<u8>> {
    let read = move |_: &Ledger, store: &dyn Store| store.tile(level, index);
    let tile = shared.read(read).await?;
    let tile = tile.ok_or((StatusCode::NOT_FOUND, "no such tile".to_owned()))?;
    Ok(tile
        .hashes
        .iter()
        .flat_map(|hash| *hash.as_bytes())
        .collect())
}

async fn snapshot(State(shared): State<Shared>) -> Answer<Bytes> {
    let snapshot = shared.read(|_, store| store.snapshot()).await?;
    let snapshot = snapshot.ok_or((StatusCode::NOT_FOUND, "no snapshot".to_owned()))?;
    Ok(snapshot.into())
}

async fn search(
    State(shared): State<Shared>,
    Json(asked): Json<SearchText>,
) -> Answer<Json<wire::FoundText>> {
    let found = shared
        .read(move |_, store| store.search(&asked.into()))
        .await?;
    Ok(Json(found.into()))
}

async fn hosts(State(shared): State<Shared>) -> Answer<Json<Hosts>> {
    let (ledger, _) = shared.log()?;
    let seen = Arc::clone(&shared.seen);
    let look = move |state: &crate::state::State, now| host_list(state, &seen, now);
    let listed = ledger.read(look).await.map(Json);
    listed.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

async fn import(
    State(shared): State<Shared>,
    Json(event): Json<BreakGlassImported>,
) -> Answer<Json<Imported>> {
    let imported = offline::import(&shared.log()?.0, event).await;
    imported.map(Json).map_err(|error| {
        let status = match error {
            ImportError::Already(_) => StatusCode::CONFLICT,
            ImportError::Ledger(_) => StatusCode::SERVICE_UNAVAILABLE,
            ImportError::Operator | ImportError::Record(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::may_connect;

    #[test]
    fn only_the_servers_own_user_and_root_may_connect() {
        assert!(may_connect(1000, 1000) && may_connect(0, 1000) && may_connect(0, 0));
        for peer in [1, 999, 1001, 65534, u32::MAX] {
            assert!(!may_connect(peer, 1000), "{peer}");
            assert!(!may_connect(peer, 0), "{peer}");
        }
    }
}
