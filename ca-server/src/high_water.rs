//! The high-water file: the newest head ever released, kept outside the store so that a store put
//! back to an older copy is noticed.
//!
//! Two slots are written in turn, each in a block of its own, so a torn write costs at most the
//! newest mark and never both. Decides nothing about starting up: the ledger compares.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ca_core::tlog::hash::{EMPTY_ROOT, Hash};

/// A head that was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Counts writes of this file.
    pub sequence: u64,
    /// Epoch of the log.
    pub epoch: u32,
    /// Records in the log.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HighWaterError {
    /// The file is not there. It is never made silently: with it the memory of the log would go.
    #[error("no high-water file at {0:?}: without it an older copy of the store cannot be told")]
    Absent(PathBuf),
    /// A log at this epoch and size, or beyond, was released already.
    #[error(
        "the high-water mark is at epoch {} with {} records and root {}; \
         epoch {epoch} with {size} records and root {root} does not follow it",
        mark.epoch, mark.size, mark.root
    )]
    Backwards {
        /// What the file says.
        mark: Mark,
        /// The epoch offered.
        epoch: u32,
        /// The size offered.
        size: u64,
        /// The root offered.
        root: Hash,
    },
    /// Neither slot holds what this program wrote.
    #[error("the high-water file {0:?} is damaged: neither of its two marks is whole")]
    Damaged(PathBuf),
    /// It exists already.
    #[error("{0:?} exists already: a high-water file is made once, with a new log")]
    Exists(PathBuf),
    /// A write failed before; what the disk holds is unknown until the file is opened again.
    #[error("the high-water file {0:?} failed before and must be opened again")]
    Failed(PathBuf),
    /// The system failed.
    #[error("high-water file {path:?}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// An open high-water file.
#[derive(Debug)]
pub struct HighWater {
    path: PathBuf,
    file: File,
    mark: Mark,
    failed: bool,
    #[cfg(test)]
    fault: Option<(u64, bool)>,
}

const MAGIC: &[u8; 8] = b"jitsshH1";
/// Magic, sequence, epoch, size, root, CRC-32 of all before it.
const SLOT_BYTES: usize = 8 + 8 + 4 + 8 + 32 + 4;
/// Distance of the slots: no disk tears two blocks of this size in one write of one slot.
const BLOCK_BYTES: u64 = 4096;

impl HighWater {
    /// Makes the file, readable by this user alone, with the mark of no records in epoch 0, and
    /// returns when it and its name are durable.
    ///
    /// # Errors
    ///
    /// [`HighWaterError::Exists`] rather than touching what is there, or [`HighWaterError::Io`].
    pub fn create(path: &Path) -> Result<Self, HighWaterError> {
        let failed = |error| io_error(path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => HighWaterError::Exists(path.to_owned()),
                _ => failed(error),
            })?;
        let mut mark = Mark {
            sequence: 0,
            epoch: 0,
            size: 0,
            root: EMPTY_ROOT,
        };
        write(&file, &mark).map_err(failed)?;
        mark.sequence = 1;
        write(&file, &mark).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            mark,
            failed: false,
            #[cfg(test)]
            fault: None,
        })
    }

    /// Opens the file and reads its newest whole mark.
    ///
    /// # Errors
    ///
    /// [`HighWaterError::Absent`], [`HighWaterError::Damaged`] when neither mark is whole, or
    /// [`HighWaterError::Io`].
    pub fn open(path: &Path) -> Result<Self, HighWaterError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => HighWaterError::Absent(path.to_owned()),
                _ => io_error(path, error),
            })?;
        // A mark that a killed process wrote may be in the kernel's memory only; it counts from now.
        file.sync_data().map_err(|error| io_error(path, error))?;
        let failed = |error| io_error(path, error);
        let slots = [
            read(&file, 0).map_err(failed)?,
            read(&file, 1).map_err(failed)?,
        ];
        let newest = slots.into_iter().flatten().max_by_key(|mark| mark.sequence);
        let mark = newest.ok_or_else(|| HighWaterError::Damaged(path.to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            mark,
            failed: false,
            #[cfg(test)]
            fault: None,
        })
    }

    /// The newest mark.
    #[must_use]
    pub const fn read(&self) -> Mark {
        self.mark
    }

    /// Writes a mark over the older slot and returns when it is durable. The mark that stands
    /// already is not written again. A higher epoch is another log and may have any size.
    ///
    /// # Errors
    ///
    /// [`HighWaterError::Backwards`] for a lower epoch, a smaller size, or the same size with
    /// another root: nothing was written. After [`HighWaterError::Io`] only [`HighWater::open`]
    /// helps; a failed sync is never repeated.
    pub fn record(&mut self, epoch: u32, size: u64, root: Hash) -> Result<(), HighWaterError> {
        if self.failed {
            return Err(HighWaterError::Failed(self.path.clone()));
        }
        let mark = self.mark;
        if (epoch, size, root) == (mark.epoch, mark.size, mark.root) {
            return Ok(());
        }
        if epoch < mark.epoch || (epoch == mark.epoch && size <= mark.size) {
            return Err(HighWaterError::Backwards {
                mark,
                epoch,
                size,
                root,
            });
        }
        let mark = Mark {
            sequence: mark.sequence.saturating_add(1),
            epoch,
            size,
            root,
        };
        #[cfg(test)]
        self.fail_if_arranged(&mark)?;
        if let Err(error) = write(&self.file, &mark).and_then(|()| self.file.sync_data()) {
            self.failed = true;
            return Err(io_error(&self.path, error));
        }
        self.mark = mark;
        Ok(())
    }
}

#[cfg(test)]
impl HighWater {
    /// Lets the `nth` write from now on fail, counted from 1, before or after it took effect.
    pub(crate) fn arrange_fault(&mut self, nth: u64, effect: bool) {
        self.fault = Some((nth, effect));
    }

    fn fail_if_arranged(&mut self, mark: &Mark) -> Result<(), HighWaterError> {
        let Some((left, effect)) = &mut self.fault else {
            return Ok(());
        };
        *left -= 1;
        if *left > 0 {
            return Ok(());
        }
        if *effect {
            write(&self.file, mark).unwrap();
        }
        self.failed = true;
        Err(io_error(&self.path, io::Error::other("arranged failure")))
    }
}

fn io_error(path: &Path, error: io::Error) -> HighWaterError {
    HighWaterError::Io {
        path: path.to_owned(),
        error,
    }
}

fn write(file: &File, mark: &Mark) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(mark.sequence.to_be_bytes());
    bytes.extend(mark.epoch.to_be_bytes());
    bytes.extend(mark.size.to_be_bytes());
    bytes.extend(mark.root.as_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    file.write_all_at(&bytes, mark.sequence % 2 * BLOCK_BYTES)
}

/// The mark in a slot, none if it is not whole.
fn read(file: &File, slot: u64) -> io::Result<Option<Mark>> {
    let mut bytes = [0; SLOT_BYTES];
    match file.read_exact_at(&mut bytes, slot * BLOCK_BYTES) {
        Ok(()) => Ok(decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Mark> {
    let (checked, crc) = bytes.split_last_chunk()?;
    if u32::from_be_bytes(*crc) != crc32fast::hash(checked) {
        return None;
    }
    let rest = checked.strip_prefix(MAGIC)?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    Some(Mark {
        sequence: u64::from_be_bytes(*sequence),
        epoch: u32::from_be_bytes(*epoch),
        size: u64::from_be_bytes(*size),
        root: Hash::from_bytes(rest.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use ca_core::tlog::hash::leaf_hash;

    use super::*;

    fn root(size: u64) -> Hash {
        leaf_hash(&size.to_be_bytes())
    }

    /// A file with marks at `sizes`, in a folder that lives as long as the first part.
    fn file_with(sizes: &[u64]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("high-water");
        let mut file = HighWater::create(&path).unwrap();
        for size in sizes {
            file.record(1, *size, root(*size)).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn the_newest_mark_is_there_after_opening_again() {
        for count in 0..6 {
            let sizes: Vec<u64> = (1..=count).map(|n| n * 10).collect();
            let (_folder, path) = file_with(&sizes);
            let mark = HighWater::open(&path).unwrap().read();
            let size = count * 10;
            let expected = if count == 0 {
                (0, 0, EMPTY_ROOT)
            } else {
                (1, size, root(size))
            };
            assert_eq!((mark.epoch, mark.size, mark.root), expected);
        }
    }

    #[test]
    fn any_byte_lost_from_the_newest_mark_leaves_the_one_before() {
        for sizes in [&[10, 20][..], &[10, 20, 30]] {
            let (_folder, path) = file_with(sizes);
            let whole = std::fs::read(&path).unwrap();
            let newest = HighWater::open(&path).unwrap().read();
            let start = usize::try_from(newest.sequence % 2 * BLOCK_BYTES).unwrap();
            for at in start..start + SLOT_BYTES {
                let mut torn = whole.clone();
                torn[at] ^= 0x40;
                std::fs::write(&path, &torn).unwrap();
                let mut file = HighWater::open(&path).unwrap();
                assert_eq!(file.read().size, newest.size - 10, "byte {at}");
                // The damaged slot is the next to be written.
                file.record(1, 50, root(50)).unwrap();
                assert_eq!(HighWater::open(&path).unwrap().read().size, 50);
            }
        }
    }

    #[test]
    fn two_bad_marks_a_cut_file_and_no_file_are_errors_and_never_an_empty_log() {
        let (_folder, path) = file_with(&[10, 20]);
        let whole = std::fs::read(&path).unwrap();
        let mut bad = whole.clone();
        bad[20] ^= 1;
        bad[4096 + 20] ^= 1;
        for bytes in [&bad[..], &[], &whole[..SLOT_BYTES - 1], &[0; 8192]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(
                HighWater::open(&path),
                Err(HighWaterError::Damaged(_))
            ));
            assert!(matches!(
                HighWater::create(&path),
                Err(HighWaterError::Exists(_))
            ));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            HighWater::open(&path),
            Err(HighWaterError::Absent(_))
        ));
        assert!(!path.exists());
    }

    #[test]
    fn a_mark_never_goes_back_and_never_changes_its_root() {
        let (_folder, path) = file_with(&[10, 20]);
        let mut file = HighWater::open(&path).unwrap();
        let before = std::fs::read(&path).unwrap();
        for (epoch, size, root) in [(1, 19, root(19)), (1, 20, root(21)), (0, 30, root(30))] {
            let refused = file.record(epoch, size, root);
            assert!(matches!(refused, Err(HighWaterError::Backwards { .. })));
        }
        file.record(1, 20, root(20)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        file.record(2, 1, root(1)).unwrap();
        let mark = HighWater::open(&path).unwrap().read();
        assert_eq!((mark.epoch, mark.size), (2, 1));
    }

    #[test]
    fn after_a_failed_write_only_opening_again_helps() {
        let (_folder, path) = file_with(&[10]);
        let mut file = HighWater::open(&path).unwrap();
        file.file = File::open(&path).unwrap();
        assert!(matches!(
            file.record(1, 11, root(11)),
            Err(HighWaterError::Io { .. })
        ));
        file.file = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(matches!(
            file.record(1, 12, root(12)),
            Err(HighWaterError::Failed(_))
        ));
        assert_eq!(HighWater::open(&path).unwrap().read().size, 10);
    }
}
