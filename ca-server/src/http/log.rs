//! `/log`: the transparency log as C2SP tlog-tiles, for everybody. It holds digests only.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, Uri};
use axum::response::IntoResponse;
use ca_core::tlog::bundle;
use ca_core::tlog::tile::{Content, Tile};

use super::Shared;
use super::problem::Fault;
use crate::ca::Failure;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// A tile never changes, a partial one neither: its width is in its name.
const TILE_HEADERS: [(HeaderName, &str); 2] = [
    (CONTENT_TYPE, "application/octet-stream"),
    (CACHE_CONTROL, "public, max-age=31536000, immutable"),
];

const CHECKPOINT_HEADERS: [(HeaderName, &str); 2] = [
    (CONTENT_TYPE, "text/plain; charset=utf-8"),
    (CACHE_CONTROL, "no-cache"),
];

pub(super) async fn checkpoint(State(edge): Shared) -> impl IntoResponse {
    (CHECKPOINT_HEADERS, edge.ca.ledger.checkpoint().to_string())
}

pub(super) async fn tile(State(edge): Shared, uri: Uri) -> Result<impl IntoResponse, Fault> {
    // The raw path: a percent-encoded name of a tile is not its name.
    let path = uri.path().strip_prefix("/log/").unwrap_or_default();
    let tile: Tile = path.parse().map_err(|_| Fault::UnknownRoute)?;
    let ledger = edge.ca.ledger.clone();
    let read = tokio::task::spawn_blocking(move || read(&ledger, &tile));
    let bytes = read
        .await
        .map_err(|_| Fault::Panicked)?
        .map_err(|error| Fault::Failure(Failure::Internal(error.to_string())))?;
    Ok((TILE_HEADERS, bytes.ok_or(Fault::UnknownRoute)?))
}

/// The tile's bytes, none if the durable log does not have it at this width.
fn read(ledger: &Ledger, tile: &Tile) -> Result<Option<Vec<u8>>, StoreError> {
    if !tile.is_in(ledger.size()) {
        return Ok(None);
    }
    let width = usize::from(tile.width());
    match tile.content() {
        Content::Hashes(level) => {
            let hashes = ledger.tile((level.number(), tile.index()), width)?;
            Ok(hashes.map(|hashes| hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()))
        }
        Content::Entries => {
            let records = ledger.records(tile.start(), width)?;
            let leaves: Vec<_> = records.iter().map(|record| record.leaf).collect();
            let bundle = bundle::encode(&leaves);
            bundle
                .map(|bytes| Some(bytes).filter(|_| leaves.len() == width))
                .map_err(|error| StoreError::Damaged(error.to_string()))
        }
    }
}
