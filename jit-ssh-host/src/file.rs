//! Files of this program: written whole or not at all, never a moment without one.
//!
//! sshd takes a revocation list of zero bytes for one that revokes nothing and a missing one for
//! one that revokes everybody, so nothing here truncates a file or removes it before a rename.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Largest file this program reads, bytes: a revocation list in base64.
const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Whether the bytes must survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// They must, before the call returns.
    Durably,
    /// They need not: the folder is in memory, or the content is a convenience.
    UntilReboot,
}

/// Makes `directory` and its missing parents with mode 0700.
///
/// # Errors
///
/// A [`Failure`] naming the folder.
pub(crate) fn private_directory(directory: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Failure::file("made", directory, &error))
}

/// Replaces `path` by `bytes`: a reader, and a machine that loses power, sees the old file or the
/// new one. A crash before the rename leaves a file with another name, which the next call replaces.
///
/// # Errors
///
/// A [`Failure`] naming the file. The old file is then still there.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32, keep: Keep) -> Result<(), Failure> {
    let written = write_beside(path, bytes, mode, keep);
    written.map_err(|error| Failure::file("written", path, &error))
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32, keep: Keep) -> io::Result<()> {
    let temporary = temporary_name(path)?;
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_new(&temporary, bytes, mode, keep);
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = renamed {
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    if keep == Keep::Durably {
        // Without this the rename itself could be lost, and with it what the authority was told.
        let folder = path.parent().ok_or_else(|| io::Error::other("no folder"))?;
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Two threads and a second process of this program write different files; those that write the
/// same one hold the lock.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("not a file name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32, keep: Keep) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have taken bits off.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(bytes)?;
    if keep == Keep::Durably {
        file.sync_all()?;
    }
    Ok(())
}

/// [`replace`] with a JSON document, mode 0600.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn replace_json(path: &Path, value: &impl Serialize, keep: Keep) -> Result<(), Failure> {
    let bytes =
        serde_json::to_vec(value).map_err(|error| Failure::file("written", path, &error))?;
    replace(path, &bytes, 0o600, keep)
}

/// The bytes of `path`, or none when there is no such file.
///
/// # Errors
///
/// A [`Failure`] naming the file when it cannot be read or is over 8 MiB.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |error: io::Error| Failure::file("read", path, &error);
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(BYTES_MAX + 1).read_to_end(&mut bytes);
    let length = u64::try_from(read.map_err(failed)?).unwrap_or(u64::MAX);
    if length > BYTES_MAX {
        return Err(failed(io::Error::other("larger than 8 MiB")));
    }
    Ok(Some(bytes))
}

/// The text of `path`, or none when there is no such file.
///
/// # Errors
///
/// A [`Failure`] naming the file when it cannot be read or is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| Failure::file("read", path, &error))
}

/// The JSON document in `path`, or none when there is no such file.
///
/// # Errors
///
/// A [`Failure`] naming the file when it cannot be read or is something else.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Failure::file("read", path, &error))
}

/// Removes `path`; that it is not there is fine.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::file("removed", path, &error))
        }
        _ => Ok(()),
    }
}

/// Names in `folder`, sorted, without hidden ones; none when there is no such folder.
///
/// # Errors
///
/// A [`Failure`] naming the folder.
pub(crate) fn names(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::file("read", folder, &error)),
    };
    let mut names: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// What is wrong with owner and mode of `path`, if anything: it must be root's (the running user's
/// in a test) and must have none of the bits of `forbidden`.
pub(crate) fn complaint(path: &Path, forbidden: u32) -> Option<String> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    if found.uid() != nix::unistd::geteuid().as_raw() {
        return Some(format!("{} does not belong to root", path.display()));
    }
    let bits = found.mode() & forbidden;
    (bits != 0).then(|| format!("{} has mode {:o}", path.display(), found.mode() & 0o7777))
}

/// Takes the lock on `path`, waiting for whoever holds it. Dropped, it is free again; the kernel
/// frees it when its holder is killed.
///
/// # Errors
///
/// A [`Failure`] naming the file when it cannot be made.
pub(crate) fn lock(path: &Path) -> Result<Flock<fs::File>, Failure> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::file("opened", path, &error))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| Failure::file("locked", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_has_its_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (bytes, mode) in [(b"one", 0o644), (b"two", 0o600)] {
            replace(&path, bytes, mode, Keep::Durably).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_reader_finds_the_file_whole_at_every_moment_of_many_replacements() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, &[b'a'; 5000], 0o600, Keep::UntilReboot).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for byte in (b'a'..=b'z').cycle().take(500) {
                    replace(&path, &[byte; 5000], 0o600, Keep::UntilReboot).unwrap();
                }
            });
            while !writer.is_finished() {
                let read = fs::read(&path).unwrap();
                assert_eq!(read.len(), 5000);
                assert!(read.iter().all(|byte| byte == &read[0]));
            }
        });
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_no_other_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"x").unwrap();
        assert!(replace(&path, b"new", 0o600, Keep::Durably).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_change_is_complained_about() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"x", 0o666, Keep::UntilReboot).unwrap();
        assert!(complaint(&path, 0o022).is_some());
        replace(&path, b"x", 0o644, Keep::UntilReboot).unwrap();
        assert_eq!(complaint(&path, 0o022), None);
        assert!(complaint(&folder.path().join("absent"), 0).is_some());
    }
}
