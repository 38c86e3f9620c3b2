//! How far each target has been told: one small file a target, replaced by renaming. Written after
//! a delivery, so a crash repeats a message and never loses one. Blocks.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Largest file read, bytes.
const FILE_BYTES_MAX: u64 = 4096;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// Name of the log: a cursor of another one means nothing.
    pub(super) origin: String,
    /// Index of the first record that was not dealt with.
    pub(super) next: u64,
    /// Reminders that fell due until then were sent.
    pub(super) reminded: Timestamp,
}

/// Where the cursor of one target is kept.
#[derive(Clone, Debug)]
pub(super) struct CursorFile {
    path: PathBuf,
}

impl CursorFile {
    /// The file of the target `name` in `folder`, which is made if need be.
    pub(super) fn new(folder: &Path, name: &str) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).recursive(true).create(folder)?;
        Ok(Self {
            path: folder.join(format!("{name}.json")),
        })
    }

    /// What it says, none if it is not there or not a cursor.
    pub(super) fn read(&self) -> io::Result<Option<Cursor>> {
        use io::Read as _;
        let file = match std::fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// Replaces it; durable on return. A crash leaves the old one or the new one.
    pub(super) fn write(&self, cursor: &Cursor) -> io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(cursor)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(next: u64) -> Cursor {
        Cursor {
            origin: "ca.example.com/2027a".to_owned(),
            next,
            reminded: Timestamp::from_unix_seconds(1_800_000_000),
        }
    }

    #[test]
    fn what_was_written_last_is_read_and_a_half_written_file_beside_it_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let file = CursorFile::new(&folder.path().join("webhooks"), "chat").unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.write(&cursor(7)).unwrap();
        std::fs::write(folder.path().join("webhooks/chat.json.new"), "{\"or").unwrap();
        assert_eq!(file.read().unwrap(), Some(cursor(7)));
        file.write(&cursor(8)).unwrap();
        assert_eq!(file.read().unwrap(), Some(cursor(8)));
    }

    #[test]
    fn a_file_that_is_no_cursor_counts_as_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = CursorFile::new(folder.path(), "chat").unwrap();
        for text in ["", "{}", "null", &"x".repeat(10_000)] {
            std::fs::write(folder.path().join("chat.json"), text).unwrap();
            assert_eq!(file.read().unwrap(), None, "{text:.10}");
        }
    }
}
