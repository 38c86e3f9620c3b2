//! Durability: when a write counts, and when the store must never be used again.
//!
//! `flush()` of sled 0.34 hands its log to the kernel and waits for `sync_file_range`, which
//! neither flushes the drive's cache nor the metadata of a grown file. So every barrier here is
//! `flush()` and then `fdatasync` on our own descriptor of sled's log. A failed barrier is never
//! repeated: after a failed fsync the kernel may call lost pages clean.

use std::fs::File;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use crate::store::StoreError;

/// Name of sled's log in its folder.
pub(super) const LOG: &str = "db";

/// The barrier, the room left, and the memory of failure.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    log: File,
    reserve_bytes: u64,
    failed: OnceLock<String>,
    writing: Mutex<()>,
}

impl Disk {
    /// The log must exist: sled made it when it opened the folder.
    pub(super) fn new(folder: &Path, reserve_bytes: u64) -> std::io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            log: File::open(folder.join(LOG))?,
            reserve_bytes,
            failed: OnceLock::new(),
            writing: Mutex::new(()),
        })
    }

    /// Refuses once anything failed.
    pub(super) fn sound(&self) -> Result<(), StoreError> {
        match self.failed.get() {
            None => Ok(()),
            Some(why) => Err(StoreError::Unknown(format!(
                "it failed before and must be opened again: {why}"
            ))),
        }
    }

    /// The right to write, one at a time.
    pub(super) fn writing(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        // Poisoned: a writer panicked half-way, inside sled.
        let guard = self
            .writing
            .lock()
            .map_err(|_| self.fail("a write ended in a panic"))?;
        self.sound()?;
        Ok(guard)
    }

    /// Marks the store as failed for good.
    pub(super) fn fail(&self, why: &str) -> StoreError {
        let why = self.failed.get_or_init(|| why.to_owned());
        StoreError::Unknown(why.clone())
    }

    /// Whether `bytes` of values fit and leave the reserve. sled writes each value up to five
    /// times: alone, and whenever its page is rewritten.
    pub(super) fn require_room(&self, bytes: usize) -> Result<(), StoreError> {
        let free = nix::sys::statvfs::statvfs(&self.folder)
            .map(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()))
            .map_err(|error| StoreError::Unknown(format!("free space: {error}")))?;
        let written = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(5);
        let needed = self.reserve_bytes.saturating_add(written);
        if free < needed {
            return Err(StoreError::Full { free, needed });
        }
        Ok(())
    }

    /// Returns when everything written to `tree` would survive a power cut.
    pub(super) fn barrier(&self, tree: &::sled::Tree) -> Result<(), StoreError> {
        tree.flush()
            .map_err(|error| self.fail(&format!("flush: {error}")))?;
        self.log
            .sync_data()
            .map_err(|error| self.fail(&format!("fdatasync of {LOG:?}: {error}")))
    }

    /// Lets every barrier end at `file` instead.
    #[cfg(test)]
    pub(super) fn break_barrier(&mut self, file: File) {
        self.log = file;
    }

    /// Makes the names of new files in the folder durable.
    pub(super) fn sync_folder(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// Opens sled, waiting up to half a second for its lock: a process that just ended, or sled's own
/// threads after the last handle was dropped, let go of it a moment later.
pub(super) fn open_unlocked(config: &::sled::Config) -> ::sled::Result<::sled::Db> {
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(::sled::Error::Io(error)) if error.to_string().contains(LOCKED) => {
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
    config.open()
}

const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);
/// How sled words it; it has no kind of error for it.
const LOCKED: &str = "could not acquire lock";

/// Makes `folder` for this user alone, and its name durable. It must not exist yet.
pub(super) fn create_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    let parent = folder.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
