//! The public halves of an environment's offline break-glass keys: one OpenSSH line each, the newest
//! first. Hosts trust the first; the later ones were replaced and only verify old records.
//!
//! The private halves are nowhere: their shares are with their holders (docs/break-glass.md).

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ca_core::certificate::authority_key::{AuthorityKey, AuthorityKeyError};

/// Most keys in a file.
const KEYS_MAX: usize = 64;

/// Why the keys are not known.
#[derive(Debug, thiserror::Error)]
pub enum BreakGlassKeysError {
    /// A line is no key.
    #[error("{path:?}, line {line}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: AuthorityKeyError,
    },
    /// More keys than anybody seals.
    #[error("{path:?} has more than {KEYS_MAX} keys")]
    TooMany {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// All keys, the newest first; none where none was ever sealed.
///
/// # Errors
///
/// [`BreakGlassKeysError`]
pub fn read(path: &Path) -> Result<Vec<AuthorityKey>, BreakGlassKeysError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            let path = path.to_owned();
            return Err(BreakGlassKeysError::Io { path, source });
        }
    };
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line_text = line.trim();
        if line_text.is_empty() || line_text.starts_with('#') {
            continue;
        }
        if keys.len() == KEYS_MAX {
            let path = path.to_owned();
            return Err(BreakGlassKeysError::TooMany { path });
        }
        let key = line_text.parse();
        keys.push(key.map_err(|source| BreakGlassKeysError::Key {
            path: path.to_owned(),
            line: number,
            source,
        })?);
    }
    Ok(keys)
}

/// The key that hosts are to trust besides the environment's own.
///
/// # Errors
///
/// [`BreakGlassKeysError`]
pub fn current(path: &Path) -> Result<Option<AuthorityKey>, BreakGlassKeysError> {
    Ok(read(path)?.into_iter().next())
}

/// Puts `key` first, durably, by rename: a crash leaves the old file or the new one.
///
/// # Errors
///
/// [`BreakGlassKeysError`]; the file is as it was.
pub fn put_first(
    path: &Path,
    key: &AuthorityKey,
    comment: &str,
) -> Result<(), BreakGlassKeysError> {
    read(path)?;
    let io = |source| BreakGlassKeysError::Io {
        path: path.to_owned(),
        source,
    };
    let before = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(io)?,
    };
    let fresh = path.with_extension("pub.new");
    let write = || {
        let mut file = std::fs::File::create(&fresh)?;
        writeln!(file, "{key} {comment}")?;
        file.write_all(before.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        let folder = path.parent().filter(|parent| *parent != Path::new(""));
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxwGDKHPDlVPr9UiYQyU47HsSTyYowW55+GBRGgUfIq";
    const SECOND: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

    #[test]
    fn the_newest_key_is_current_and_the_replaced_ones_stay_for_old_records() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prod.break-glass.pub");
        assert_eq!(current(&path).unwrap(), None);
        for key in [FIRST, SECOND] {
            put_first(&path, &key.parse().unwrap(), "jit-ssh break-glass CA prod").unwrap();
        }
        let keys: Vec<String> = read(&path)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(keys, [SECOND, FIRST]);
        assert_eq!(current(&path).unwrap().unwrap().to_string(), SECOND);
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prod.break-glass.pub");
        std::fs::write(&path, format!("{FIRST}\nssh-ed25519 nonsense\n")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(put_first(&path, &SECOND.parse().unwrap(), "c").is_err());
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(FIRST));
    }
}
