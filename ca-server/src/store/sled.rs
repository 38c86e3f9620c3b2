//! The store on sled 0.34, the embedded default: one folder, one process, one tree.
//!
//! A batch is one `apply_batch` on one tree, which sled recovers whole or not at all, then a
//! durability barrier of our own (see `disk.rs`). Readers see only what is durable: the head in
//! memory moves after the barrier. The second barrier against a shortened store, the high-water
//! file, is not here.

mod disk;
mod find;
mod layout;
mod postings;
mod tree;
mod write;

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use self::disk::Disk;
use self::layout::{
    Cursor, FORMAT, FORMAT_KEY, HEAD_KEY, POINTER_KEY, Pointer, damaged, decode_head, parts,
    secret_prefix, snapshot_prefix, tile_prefix,
};
use self::postings::{Mark, marks};
use self::write::Writes;
use super::{Batch, Found, FullTile, Head, Record, Search, Store, StoreError, TILE_WIDTH};
use ca_core::tlog::hash::Hash;

/// Free space below which nothing is written, unless configured: 64 MiB.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// sled keeps somewhat more than this in memory; see `tree.rs`.
const CACHE_BYTES: u64 = 16 << 20;

/// Parts of a snapshot written at once: about 1 MB.
const SNAPSHOT_PARTS: usize = 200;

/// Records in a sled folder.
pub struct SledStore {
    tree: ::sled::Db,
    disk: Disk,
    current: ArcSwap<Current>,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No store was created there.
    #[error("no store in {0:?}: create one first")]
    Absent(std::path::PathBuf),
    /// The folder is there already; it is never reused.
    #[error("{0:?} exists already; a store is created in a new folder only")]
    Exists(std::path::PathBuf),
    /// The system refused.
    #[error("{path:?}: {error}")]
    Io {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
    /// sled refused: the folder is in use by another process, or damaged.
    #[error("{path:?} does not open (in use by another process, or damaged): {error}")]
    Sled {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        error: ::sled::Error,
    },
    /// It opened, but its content is not what this program wrote.
    #[error("{path:?}: {error}")]
    Store {
        /// The folder.
        path: std::path::PathBuf,
        /// What is wrong.
        error: StoreError,
    },
}

/// What readers see: the durable head, and the marks of its open block.
#[derive(Clone, Debug, Default)]
struct Current {
    head: Option<Head>,
    /// One for each of the newest `size % 256` records.
    open: Vec<Arc<[Mark]>>,
}

impl Current {
    fn size(&self) -> u64 {
        self.head.map_or(0, |head| head.size)
    }

    fn full_blocks(&self) -> u64 {
        self.size() / 256
    }
}

impl std::fmt::Debug for SledStore {
    // sled's own would print every record.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore")
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

impl SledStore {
    /// Makes an empty store in a new `folder`, whose parent exists. `reserve_bytes` of its disk are
    /// left free.
    ///
    /// # Errors
    ///
    /// [`OpenError::Exists`] rather than touching what is there; others when the system refuses.
    pub fn create(folder: &Path, reserve_bytes: u64) -> Result<Self, OpenError> {
        disk::create_folder(folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenError::Exists(folder.to_owned()),
            _ => refused(folder, error),
        })?;
        let store = Self::start(folder, reserve_bytes)?;
        let mut format = ::sled::Batch::default();
        format.insert(FORMAT_KEY, FORMAT);
        store
            .write(format, FORMAT.len())
            .map_err(|error| content(folder, error))?;
        Ok(store)
    }

    /// Opens the store in `folder`. What sled recovered is made durable before anything is read,
    /// so a head read here cannot be lost later.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; an absent store is never made here.
    pub fn open(folder: &Path, reserve_bytes: u64) -> Result<Self, OpenError> {
        if !folder.join(disk::LOG).exists() {
            return Err(OpenError::Absent(folder.to_owned()));
        }
        let store = Self::start(folder, reserve_bytes)?;
        store
            .disk
            .barrier(&store.tree)
            .and_then(|()| store.recover())
            .map_err(|error| content(folder, error))?;
        Ok(store)
    }

    fn start(folder: &Path, reserve_bytes: u64) -> Result<Self, OpenError> {
        let config = ::sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES);
        let tree = disk::open_unlocked(&config).map_err(|error| OpenError::Sled {
            path: folder.to_owned(),
            error,
        })?;
        let disk = Disk::new(folder, reserve_bytes).map_err(|error| refused(folder, error))?;
        // sled made its log and configuration, and after recovery renamed its own snapshot.
        disk.sync_folder().map_err(|error| refused(folder, error))?;
        Ok(Self {
            tree,
            disk,
            current: ArcSwap::default(),
        })
    }

    fn recover(&self) -> Result<(), StoreError> {
        let format = self.tree.get(FORMAT_KEY).map_err(tree::unread)?;
        if format.as_deref() != Some(FORMAT) {
            return Err(damaged(
                "not a store of this program, or never completely created",
            ));
        }
        let head = self.tree.get(HEAD_KEY).map_err(tree::unread)?;
        let head = head.map(|bytes| decode_head(&bytes)).transpose()?;
        let mut current = Current {
            head,
            open: Vec::new(),
        };
        let indexed = current.full_blocks().saturating_mul(256);
        let open = tree::records(&self.tree, indexed..current.size())?;
        current.open = open.iter().map(marks).collect();
        self.current.store(Arc::new(current));
        Ok(())
    }

    /// Writes `batch`, whole or not at all, and returns when it is durable. `bytes` is the size of
    /// its values.
    fn write(&self, batch: ::sled::Batch, bytes: usize) -> Result<(), StoreError> {
        self.disk.require_room(bytes)?;
        self.apply(batch)?;
        self.disk.barrier(&self.tree)
    }

    fn apply(&self, batch: ::sled::Batch) -> Result<(), StoreError> {
        self.tree
            .apply_batch(batch)
            .map_err(|error| self.disk.fail(&format!("write: {error}")))
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        let bytes = self.tree.get(POINTER_KEY).map_err(tree::unread)?;
        bytes.map(|bytes| Pointer::decode(&bytes)).transpose()
    }
}

fn refused(folder: &Path, error: io::Error) -> OpenError {
    OpenError::Io {
        path: folder.to_owned(),
        error,
    }
}

fn content(folder: &Path, error: StoreError) -> OpenError {
    OpenError::Store {
        path: folder.to_owned(),
        error,
    }
}

impl Store for SledStore {
    fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let _writing = self.disk.writing()?;
        let current = self.current.load_full();
        let size = current.size();
        let added = u64::try_from(batch.records.len()).unwrap_or(u64::MAX);
        let expected = batch.head.size.checked_sub(added);
        if expected != Some(size) {
            let expected = expected.unwrap_or(u64::MAX);
            return Err(StoreError::Conflict { size, expected });
        }
        let (writes, next) = Writes::of(batch, &current);
        self.write(writes.batch, writes.bytes)?;
        self.current.store(Arc::new(next));
        Ok(())
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.disk.sound()?;
        Ok(self.current.load().head)
    }

    fn records(&self, start: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.disk.sound()?;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let end = start.saturating_add(limit).min(self.current.load().size());
        tree::records(&self.tree, start..end)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<FullTile>, StoreError> {
        self.disk.sound()?;
        let Some(bytes) = tree::value(&self.tree, &tile_prefix(level, index))? else {
            return Ok(None);
        };
        let mut cursor = Cursor(&bytes);
        let mut hashes = Vec::with_capacity(256);
        for _ in 0..TILE_WIDTH {
            hashes.push(Hash::from_bytes(cursor.array()?));
        }
        cursor.end()?;
        Ok(Some(FullTile {
            level,
            index,
            hashes,
        }))
    }

    fn search(&self, search: &Search) -> Result<Found, StoreError> {
        self.disk.sound()?;
        find::find(&self.tree, &self.current.load_full(), search)
    }

    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.sound()?;
        match secret_prefix(name) {
            Some(prefix) => tree::value(&self.tree, &prefix),
            None => Ok(None),
        }
    }

    fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
        let prefix = secret_prefix(name).ok_or_else(|| damaged("the secret's name is too long"))?;
        let _writing = self.disk.writing()?;
        let mut batch = ::sled::Batch::default();
        // A longer one may have been there.
        for key in tree::keys(&self.tree, &prefix)? {
            batch.remove(key);
        }
        for (key, piece) in parts(&prefix, sealed) {
            batch.insert(key, piece);
        }
        self.write(batch, sealed.len())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.sound()?;
        let Some(pointer) = self.pointer()? else {
            return Ok(None);
        };
        let bytes = tree::value(&self.tree, &snapshot_prefix(pointer.generation))?;
        // Replaced while it was read, or damaged: a cache that is missing.
        Ok(bytes.filter(|bytes| crc32fast::hash(bytes) == pointer.crc))
    }

    fn put_snapshot(&self, snapshot: &[u8]) -> Result<(), StoreError> {
        let _writing = self.disk.writing()?;
        self.disk.require_room(snapshot.len())?;
        let old = self.pointer()?;
        let generation = old.map_or(0, |old| old.generation ^ 1);
        let prefix = snapshot_prefix(generation);
        // What a snapshot that was cut short left behind.
        self.remove(&prefix)?;
        for some in parts(&prefix, snapshot).chunks(SNAPSHOT_PARTS) {
            let mut batch = ::sled::Batch::default();
            for (key, piece) in some {
                batch.insert(key.as_slice(), piece.as_slice());
            }
            self.apply(batch)?;
        }
        let pointer = Pointer {
            generation,
            crc: crc32fast::hash(snapshot),
        };
        let mut batch = ::sled::Batch::default();
        batch.insert(POINTER_KEY, pointer.encode());
        self.apply(batch)?;
        old.map_or(Ok(()), |old| self.remove(&snapshot_prefix(old.generation)))
    }
}

impl SledStore {
    fn remove(&self, prefix: &[u8]) -> Result<(), StoreError> {
        let mut batch = ::sled::Batch::default();
        for key in tree::keys(&self.tree, prefix)? {
            batch.remove(key);
        }
        self.apply(batch)
    }
}

#[cfg(test)]
pub(in crate::store) mod tests;
