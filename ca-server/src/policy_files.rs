//! Policies from a folder: read, swapped in as a whole, read again when the folder changes.
//!
//! Decides nothing about access. A set that does not load never replaces one that did, and readers
//! see the old set or the new one, never a mixture.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::policy::{CaseError, Cases, PolicyError, PolicySet, SCHEMA_NAME, Source};

/// Longest file read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files read from one folder.
const FILES_MAX: usize = 1000;
/// The folder must be left alone for this long before it is read again, so that an editor or a
/// deployment that writes several files is done.
const QUIET: Duration = Duration::from_millis(300);

/// Why a policy folder is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFilesError {
    /// A file of cases is wrong.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// No file ends in `.cedar`.
    #[error("{dir:?} holds no file that ends in .cedar")]
    Empty {
        /// The folder.
        dir: PathBuf,
    },
    /// A file or the folder can not be read.
    #[error("can not read {path:?}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The texts are no set of policies.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// More files than are read from one folder, or a file longer than is read.
    #[error("{path:?} is too large: at most {FILES_MAX} files of {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The folder or file.
        path: PathBuf,
    },
}

/// Why a folder is not watched.
#[derive(Debug, thiserror::Error)]
#[error("can not watch {dir:?} for changes")]
pub struct WatchError {
    /// The folder.
    pub dir: PathBuf,
    /// Why.
    #[source]
    pub source: notify::Error,
}

/// What a reload did.
#[derive(Debug)]
pub enum Reload {
    /// The texts could not be loaded; the set from before stays in force.
    Kept(PolicyFilesError),
    /// Another set is in force now.
    Swapped(Arc<PolicySet>),
    /// The texts are the same as before.
    Unchanged,
}

/// The set of policies in force, and the folder that it comes from.
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    dir: PathBuf,
    current: Arc<ArcSwap<PolicySet>>,
}

/// Keeps a folder watched until dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// The set in `dir`: `schema.cedarschema` and every `*.cedar` file, in the order of their names.
/// Hidden files and sub-folders are left out.
///
/// # Errors
///
/// [`PolicyFilesError`]; nothing is loaded then.
pub fn load(dir: &Path) -> Result<PolicySet, PolicyFilesError> {
    let schema = Source {
        name: SCHEMA_NAME.to_owned(),
        text: read(&dir.join(SCHEMA_NAME))?,
    };
    let sources = sources(dir, "cedar")?;
    if sources.is_empty() {
        return Err(PolicyFilesError::Empty {
            dir: dir.to_owned(),
        });
    }
    Ok(PolicySet::parse(&schema, &sources)?)
}

/// The cases in every `*.toml` file of `dir`, in the order of their names.
///
/// # Errors
///
/// [`PolicyFilesError`] if one can not be read or is wrong.
pub fn load_cases(dir: &Path) -> Result<Vec<Cases>, PolicyFilesError> {
    let parse = |source: Source| {
        let path = dir.join(&source.name);
        Ok(Cases::parse(&path.to_string_lossy(), &source.text)?)
    };
    sources(dir, "toml")?.into_iter().map(parse).collect()
}

fn sources(dir: &Path, extension: &str) -> Result<Vec<Source>, PolicyFilesError> {
    let failed = |source| PolicyFilesError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if !hidden
            && Path::new(&name)
                .extension()
                .is_some_and(|found| found == extension)
        {
            names.push(name);
        }
        if names.len() > FILES_MAX {
            return Err(PolicyFilesError::TooLarge {
                path: dir.to_owned(),
            });
        }
    }
    names.sort();
    let source = |name: std::ffi::OsString| {
        Ok(Source {
            text: read(&dir.join(&name))?,
            name: name.to_string_lossy().into_owned(),
        })
    };
    names.into_iter().map(source).collect()
}

fn read(path: &Path) -> Result<String, PolicyFilesError> {
    let failed = |source| PolicyFilesError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let bounded = file
        .take(FILE_BYTES_MAX.saturating_add(1))
        .read_to_string(&mut text);
    let length = bounded.map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        Ok(text)
    } else {
        Err(PolicyFilesError::TooLarge {
            path: path.to_owned(),
        })
    }
}

impl PolicyFiles {
    /// Loads `dir` for the first time.
    ///
    /// # Errors
    ///
    /// [`PolicyFilesError`]: without policies there is nothing to start with.
    pub fn open(dir: &Path) -> Result<Self, PolicyFilesError> {
        let policies = load(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            current: Arc::new(ArcSwap::from_pointee(policies)),
        })
    }

    /// The set in force. Take it once for each decision.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    /// Reads the folder again and puts its set in force if it loads.
    #[must_use = "a set that was refused must be reported"]
    pub fn reload(&self) -> Reload {
        match load(&self.dir) {
            Err(error) => Reload::Kept(error),
            Ok(policies) if policies.digest() == self.current().digest() => Reload::Unchanged,
            Ok(policies) => {
                let policies = Arc::new(policies);
                self.current.store(Arc::clone(&policies));
                Reload::Swapped(policies)
            }
        }
    }

    /// Reloads after every change in the folder, once it is quiet, and tells `report` what became
    /// of it. `report` runs in a thread of its own, which ends when the [`Watch`] is dropped.
    ///
    /// # Errors
    ///
    /// [`WatchError`] if the operating system will not watch the folder.
    pub fn watch<F>(&self, report: F) -> Result<Watch, WatchError>
    where
        F: Fn(Reload) + Send + 'static,
    {
        let failed = |source| WatchError {
            dir: self.dir.clone(),
            source,
        };
        let (changed, changes) = mpsc::channel::<()>();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading the files is an access event: reacting to it would never end. An error may
                // mean that events were lost, so it counts as a change.
                let matters = event.map_or(true, |event| !event.kind.is_access());
                if matters {
                    // Fails only when the thread below has ended, and then nobody waits for it.
                    changed.send(()).unwrap_or_default();
                }
            })
            .map_err(failed)?;
        watcher
            .watch(&self.dir, RecursiveMode::NonRecursive)
            .map_err(failed)?;
        let files = self.clone();
        std::thread::spawn(move || {
            while changes.recv().is_ok() {
                while changes.recv_timeout(QUIET).is_ok() {}
                match files.reload() {
                    Reload::Unchanged => {}
                    outcome => report(outcome),
                }
            }
        });
        Ok(Watch { _watcher: watcher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::EXAMPLES;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("cases")).unwrap();
        for (name, text) in EXAMPLES {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn the_examples_written_to_a_folder_load_with_their_cases() {
        let dir = folder();
        assert!(load(dir.path()).is_ok());
        assert_eq!(load_cases(&dir.path().join("cases")).unwrap().len(), 3);
    }

    #[test]
    fn a_reload_that_fails_keeps_the_old_set_and_says_where() {
        let dir = folder();
        let files = PolicyFiles::open(dir.path()).unwrap();
        let before = files.current().digest();
        std::fs::write(dir.path().join("baseline.cedar"), "permit (principal,").unwrap();
        let Reload::Kept(error) = files.reload() else {
            panic!("a broken file was put in force");
        };
        assert!(error.to_string().contains("baseline.cedar:1:"), "{error}");
        assert_eq!(files.current().digest(), before);
    }

    #[test]
    fn a_file_emptied_by_a_half_done_write_does_not_lift_its_policies() {
        let dir = folder();
        let files = PolicyFiles::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("production.cedar"), "").unwrap();
        assert!(matches!(files.reload(), Reload::Kept(_)));
    }

    #[test]
    fn a_folder_without_policies_or_without_schema_is_refused() {
        let dir = folder();
        for name in ["baseline.cedar", "production.cedar", "break_glass.cedar"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        assert!(matches!(
            load(dir.path()),
            Err(PolicyFilesError::Empty { .. })
        ));
        std::fs::remove_file(dir.path().join(SCHEMA_NAME)).unwrap();
        assert!(matches!(
            load(dir.path()),
            Err(PolicyFilesError::Read { .. })
        ));
    }

    #[test]
    fn a_file_over_the_limit_is_refused_unread() {
        let dir = folder();
        let length = usize::try_from(FILE_BYTES_MAX).unwrap() + 1;
        std::fs::write(dir.path().join("z.cedar"), " ".repeat(length)).unwrap();
        assert!(matches!(
            load(dir.path()),
            Err(PolicyFilesError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_change_in_the_folder_is_put_in_force_without_being_asked() {
        let dir = folder();
        let files = PolicyFiles::open(dir.path()).unwrap();
        let before = files.current().digest();
        let (told, reports) = mpsc::channel();
        let _watch = files
            .watch(move |reload| told.send(reload).unwrap_or_default())
            .unwrap();
        std::fs::remove_file(dir.path().join("break_glass.cedar")).unwrap();
        let report = reports.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(report, Reload::Swapped(_)), "{report:?}");
        assert_ne!(files.current().digest(), before);
        std::fs::write(dir.path().join("baseline.cedar"), "nonsense").unwrap();
        let report = reports.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(report, Reload::Kept(_)), "{report:?}");
    }
}
