//! Files of a ceremony: new ones only, durable before anything else happens, and bounded when read.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Writes a new file, durable with its name on return. What cannot be written whole is removed.
pub(super) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let mut file = opened.with_context(|| format!("{path:?}"))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.and_then(|()| sync_folder(path));
    written
        .map_err(|error| match std::fs::remove_file(path) {
            Ok(()) => anyhow::Error::new(error),
            Err(why) => anyhow::Error::new(error).context(format!("and it stays there ({why})")),
        })
        .with_context(|| format!("{path:?} could not be written"))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|parent| *parent != Path::new(""));
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads a text of at most `bytes_max` bytes.
pub(super) fn read_text(path: &Path, bytes_max: usize) -> anyhow::Result<String> {
    let file = std::fs::File::open(path).with_context(|| format!("{path:?}"))?;
    let mut text = String::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .with_context(|| format!("{path:?}"))?;
    anyhow::ensure!(
        text.len() <= bytes_max,
        "{path:?} is larger than {bytes_max} bytes: not the file that was meant"
    );
    Ok(text)
}

/// A folder for this alone: made, or there and empty.
pub(super) fn make_empty(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.mode(0o700).recursive(true).create(folder);
    made.with_context(|| format!("{folder:?}"))?;
    let mut entries = std::fs::read_dir(folder).with_context(|| format!("{folder:?}"))?;
    anyhow::ensure!(
        entries.next().is_none(),
        "{folder:?} is not empty: name a new folder, nothing is written over another set of shares"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_written_over_and_a_long_one_never_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_new(&path, 0o600, b"first").unwrap();
        assert!(write_new(&path, 0o600, b"second").is_err());
        assert_eq!(read_text(&path, 5).unwrap(), "first");
        assert!(read_text(&path, 4).is_err());
        assert!(make_empty(dir.path()).is_err());
    }

    #[test]
    fn what_cannot_be_written_whole_leaves_nothing() {
        let gone = Path::new("/nowhere/file");
        assert!(write_new(gone, 0o600, b"x").is_err());
        assert!(!gone.exists());
    }
}
