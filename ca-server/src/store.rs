//! Where records are kept. The contract is small, each adapter is native, and none is trusted:
//! the ledger checks every answer against hashes it can recompute.

use ca_core::event::Event;
use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;

#[cfg(test)]
pub(crate) mod conformance;
#[doc(hidden)]
pub mod faulty;
pub mod sled;

/// Bytes of a leaf.
pub const LEAF_BYTES: usize = 82;

/// Hashes in a full tile (C2SP tlog-tiles).
pub const TILE_WIDTH: u64 = 256;

/// One record: its leaf, and what the leaf commits to unless that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The leaf as hashed into the tree.
    pub leaf: [u8; LEAF_BYTES],
    /// Event, salt and pre-certificate.
    pub opening: Option<Opening>,
}

/// What a leaf commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Event bytes, at most 16 KiB.
    pub event: Vec<u8>,
    /// Salt of the context digest.
    pub salt: [u8; 32],
    /// To-be-signed certificate bytes, where one is issued, at most 8 KiB.
    pub precertificate: Option<Vec<u8>>,
}

/// The newest state of the log. Its MAC is made with a key that is not in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Upper part of serials; changes when a log is started anew.
    pub epoch: u32,
    /// Number of records.
    pub size: u64,
    /// Root hash of the tree of that size.
    pub root: Hash,
    /// Time of the newest leaf.
    pub time: Timestamp,
    /// HMAC-SHA256 over the fields above.
    pub mac: [u8; 32],
}

/// A tile of 256 hashes, written once when it is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Level 0 holds leaf hashes, level n + 1 the roots of full tiles of level n.
    pub level: u8,
    /// Position among the tiles of its level.
    pub index: u64,
    /// 256 hashes.
    pub hashes: Vec<Hash>,
}

/// What one commit writes, all or nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Records number `head.size - records.len()` and on.
    pub records: Vec<Record>,
    /// Tiles that these records complete.
    pub tiles: Vec<FullTile>,
    /// The head after these records.
    pub head: Head,
}

/// Which records to find. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Terms that the record must carry, as [`terms`] spells them.
    pub terms: Vec<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// First index to look at.
    pub from: u64,
    /// At most so many.
    pub limit: usize,
}

/// Indexes found, ascending, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Indexes of records.
    pub indexes: Vec<u64>,
    /// `from` of the next page, when there may be more.
    pub next: Option<u64>,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The log does not hold exactly the records the batch follows. Nothing was written.
    #[error("the log holds {size} records, the batch follows {expected}")]
    Conflict {
        /// Size found.
        size: u64,
        /// Size expected.
        expected: u64,
    },
    /// Stored bytes that this store cannot have written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// No room. Nothing was written.
    #[error("no room left on the store's disk: {free} bytes free, {needed} are kept in reserve")]
    Full {
        /// Bytes free.
        free: u64,
        /// Bytes wanted.
        needed: u64,
    },
    /// The store failed and the outcome is unknown: read before deciding anything.
    #[error("the store failed: {0}")]
    Unknown(String),
}

/// The port to a store of records. Calls block; the ledger makes them from its own thread.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Compare-and-append: writes `batch` if the log holds exactly the records before it, and
    /// returns only when all of it would survive a power cut.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] and [`StoreError::Full`] wrote nothing; after
    /// [`StoreError::Unknown`] the batch is there whole or not at all.
    fn append(&self, batch: &Batch) -> Result<(), StoreError>;

    /// The newest head, none in an empty store.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// Records `start` and on, at most `limit`, fewer only at the end of the log.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when they cannot be read; [`StoreError::Damaged`] on a gap.
    fn records(&self, start: u64, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// A full tile, none while it is not full.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    fn tile(&self, level: u8, index: u64) -> Result<Option<FullTile>, StoreError>;

    /// Indexes of records that match. Sound only after the caller looked at the records.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the index cannot be read.
    fn search(&self, search: &Search) -> Result<Found, StoreError>;

    /// A sealed secret by name, at most 4 KiB.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces a sealed secret, durable on return.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be written.
    fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StoreError>;

    /// The newest snapshot of the state: a cache that may be missing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    fn snapshot(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the snapshot. Need not be durable.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be written.
    fn put_snapshot(&self, snapshot: &[u8]) -> Result<(), StoreError>;
}

/// The terms under which an event is found: `kind=…`, `user=…`, `subject=…`, `environment=…`,
/// `account=ENV/NAME`, `serial=…`.
#[must_use]
pub fn terms(event: &Event) -> Vec<String> {
    let mut terms = vec![format!("kind={}", event.name())];
    if let Some(user) = event.user() {
        terms.push(format!("user={user}"));
    }
    if let Some(person) = event.person() {
        terms.push(format!("subject={}", person.subject));
    }
    if let Some(environment) = event.environment() {
        terms.push(format!("environment={environment}"));
        for principal in event.principals() {
            terms.push(format!("account={environment}/{principal}"));
        }
    }
    for serial in event.serials() {
        terms.push(format!("serial={serial}"));
    }
    terms
}
