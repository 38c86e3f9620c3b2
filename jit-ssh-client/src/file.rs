//! Files of this program: written whole or not at all, readable by their owner only.
//!
//! Deliberately no knowledge of what is in them.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::failure::Failure;

/// Largest file this program reads, bytes.
const BYTES_MAX: u64 = 1024 * 1024;

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
        .map_err(|error| Failure::local(format!("cannot make {}: {error}", directory.display())))
}

/// Refuses a folder into which somebody else could have put files, as when `$XDG_RUNTIME_DIR` is
/// `/tmp`. That it is not there is fine.
///
/// # Errors
///
/// A [`Failure`] naming the folder.
pub(crate) fn require_own(directory: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::metadata(directory) else {
        return Ok(());
    };
    let own = nix::unistd::Uid::effective();
    let owned = found.uid() == own.as_raw() || own.is_root();
    if owned && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    let what = format!("others can write to {}", directory.display());
    Err(Failure::local(what).hint("make it yours alone (chmod 700), or set $XDG_RUNTIME_DIR"))
}

/// Replaces `path` by `bytes` with mode 0600: readers see the old file or the new one, never a part.
///
/// # Errors
///
/// A [`Failure`] naming the file. The old file is then still there and no temporary file is left.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        private_directory(parent)?;
    }
    let temporary = temporary_name(path)?;
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        fs::remove_file(&temporary).ok();
        Failure::local(format!("cannot write {}: {error}", path.display()))
    })
}

fn temporary_name(path: &Path) -> Result<PathBuf, Failure> {
    let mut name = path
        .file_name()
        .ok_or_else(|| Failure::local(format!("{} is not a file name", path.display())))?
        .to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(name))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A leftover of a killed process with the same id must not be in the way.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.flush()
}

/// The text of `path`, or none when there is no such file.
///
/// # Errors
///
/// A [`Failure`] naming the file when it cannot be read, is not UTF-8 or is over 1 MiB.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let failed =
        |error: io::Error| Failure::local(format!("cannot read {}: {error}", path.display()));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
    let length = u64::try_from(read.map_err(failed)?).unwrap_or(u64::MAX);
    if length > BYTES_MAX {
        let what = format!("{} is larger than 1 MiB", path.display());
        return Err(Failure::local(what));
    }
    Ok(Some(text))
}

/// Removes `path`; that it is not there is fine.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::local(format!(
            "cannot remove {}: {error}",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Takes the advisory lock on `path` if nobody else holds it. Dropped, it is free again.
///
/// # Errors
///
/// A [`Failure`] naming the file when it cannot be made.
pub(crate) fn try_lock(path: &Path) -> Result<Option<Flock<fs::File>>, Failure> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::local(format!("cannot open {}: {error}", path.display())))?;
    Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
        for (bits, own) in [
            (0o700, true),
            (0o755, true),
            (0o775, false),
            (0o1777, false),
        ] {
            mode(bits).unwrap();
            assert_eq!(require_own(folder.path()).is_ok(), own, "{bits:o}");
        }
        assert!(require_own(&folder.path().join("absent")).is_ok());
    }

    #[test]
    fn a_replaced_file_is_private_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        replace(&path, b"one").unwrap();
        // Even a file that somebody opened up becomes private again.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"x").unwrap();
        let failure = replace(&path, b"new").unwrap_err();
        assert_eq!(failure.exit, crate::failure::Exit::Local);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(path.join("inside").exists());
    }

    #[test]
    fn a_missing_file_reads_as_none_and_removing_it_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent");
        assert_eq!(read(&path).unwrap(), None);
        remove(&path).unwrap();
    }

    #[test]
    fn a_lock_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = try_lock(&path).unwrap();
        assert!(held.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }
}
