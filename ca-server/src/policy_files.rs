//! Policies from a folder: read, swapped in as a whole, read again when the folder changes.
//!
//! Decides nothing about access. A set that does not load never replaces one that did, and readers
//! see the old set or the new one, never a mixture.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arc_swap::ArcSwap;
use ca_core::name::Environment;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::policy::{
    ALWAYS_SUFFIX, Cases, Claim, INVARIANTS_NAME, Invariants, NEVER_SUFFIX, PolicyError, PolicySet,
    REQUIREMENTS_NAME, SCHEMA_NAME, Source,
};

/// Longest file read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files read from one folder.
const FILES_MAX: usize = 1000;
/// The folder must be left alone for this long before it is read again, so that an editor or a
/// deployment that writes several files is done.
const QUIET: Duration = Duration::from_millis(300);
/// A set that was refused is looked at again after this long, also if nothing changes.
const AGAIN: Duration = Duration::from_secs(60);

/// Why a policy folder is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFilesError {
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
    /// An invariant among the policies, which would be in force as a policy.
    #[error(
        "{path:?} is an invariant and no policy\n\
         hint: move it to the folder {INVARIANTS_NAME}, or give it another name"
    )]
    Misplaced {
        /// The file.
        path: PathBuf,
    },
    /// A policy where none is looked for.
    #[error(
        "{path:?} would be ignored: policies lie in the folder itself, not in sub-folders, and \
         invariants, called NAME{NEVER_SUFFIX} or NAME{ALWAYS_SUFFIX}, in {INVARIANTS_NAME}"
    )]
    Nested {
        /// The file.
        path: PathBuf,
    },
    /// The texts are no set of policies, or no cases.
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
    Kept(anyhow::Error),
    /// The texts are those in force again, after some that could not be loaded. Only
    /// [`PolicyFiles::watch`] says so, and once.
    Repaired,
    /// Another set is in force now.
    Swapped(Arc<PolicySet>),
    /// The texts are the same as before.
    Unchanged,
}

/// The set of policies in force, and the folder that it comes from.
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    dir: PathBuf,
    environments: Arc<BTreeSet<Environment>>,
    current: Arc<ArcSwap<PolicySet>>,
    /// Digest of the cases and invariants as of the newest look that came to a good end.
    checks: Arc<ArcSwap<[u8; 32]>>,
}

/// Keeps a folder watched until dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// The set in `dir`: `schema.cedarschema`, every `*.cedar` file in the order of their names, and
/// `requirements.toml` if it is there.
/// Hidden files and folders are left out; a policy in another sub-folder than `cases` is an error,
/// and so is an invariant anywhere but in `invariants`, where [`load_invariants`] reads them.
/// With `environments`, all that exist, so is one that names another.
///
/// # Errors
///
/// [`PolicyFilesError`]; nothing is loaded then.
pub fn load(
    dir: &Path,
    environments: Option<&BTreeSet<Environment>>,
) -> Result<PolicySet, PolicyFilesError> {
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
    if let Some(source) = sources.iter().find(|s| Claim::of_file(&s.name).is_some()) {
        return Err(PolicyFilesError::Misplaced {
            path: dir.join(&source.name),
        });
    }
    refuse_nested(dir)?;
    let requirements = requirements(dir)?;
    Ok(PolicySet::parse(
        &schema,
        &sources,
        requirements.as_ref(),
        environments,
    )?)
}

/// The table of requirements; a folder without one has none.
fn requirements(dir: &Path) -> Result<Option<Source>, PolicyFilesError> {
    match read(&dir.join(REQUIREMENTS_NAME)) {
        Ok(text) => Ok(Some(Source::new(REQUIREMENTS_NAME, &text))),
        Err(PolicyFilesError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The cases in every `*.toml` file of `dir`, in the order of their names, about `policies`.
///
/// # Errors
///
/// [`PolicyFilesError`] if one can not be read, is wrong, or names a policy that `policies` lacks.
pub fn load_cases(dir: &Path, policies: &PolicySet) -> Result<Vec<Cases>, PolicyFilesError> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for source in sources(dir, "toml")? {
        let path = dir.join(&source.name);
        match Cases::parse(&path.to_string_lossy(), &source.text) {
            Ok(cases) => {
                problems.extend(cases.unknown_policies(policies));
                files.push(cases);
            }
            Err(error) => problems.extend(error.problems),
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(PolicyError { problems }.into())
    }
}

/// The invariants in the folder `invariants` of `dir`, about `policies`; none without that folder.
/// With `environments`, all that exist, one that names another is an error.
///
/// # Errors
///
/// [`PolicyFilesError`]; nothing is loaded then.
pub fn load_invariants(
    dir: &Path,
    policies: &PolicySet,
    environments: Option<&BTreeSet<Environment>>,
) -> Result<Invariants, PolicyFilesError> {
    let folder = dir.join(INVARIANTS_NAME);
    if !folder.exists() {
        return Ok(Invariants::default());
    }
    let mut sources = sources(&folder, "cedar")?;
    for source in &mut sources {
        source.name = format!("{INVARIANTS_NAME}/{}", source.name);
    }
    Ok(Invariants::parse(policies, &sources, environments)?)
}

/// Digest of the cases and invariants of `dir`, names and texts: what a set was held against.
///
/// # Errors
///
/// [`PolicyFilesError`] if one can not be read.
pub fn checks_digest(dir: &Path) -> Result<[u8; 32], PolicyFilesError> {
    let mut all = Vec::new();
    for (folder, extension) in [("cases", "toml"), (INVARIANTS_NAME, "cedar")] {
        let path = dir.join(folder);
        if path.is_dir() {
            for mut source in sources(&path, extension)? {
                source.name = format!("{folder}/{}", source.name);
                all.push(source);
            }
        }
    }
    Ok(PolicySet::digest_of(&all))
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

/// Refuses a policy below a sub-folder, where nobody would miss it until it matters. Reads names
/// only, at most `FILES_MAX` of them.
fn refuse_nested(dir: &Path) -> Result<(), PolicyFilesError> {
    let invariants = dir.join(INVARIANTS_NAME);
    let mut folders = vec![dir.to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let failed = |source| PolicyFilesError::Read {
            path: folder.clone(),
            source,
        };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, path) = (entry.file_name(), entry.path());
            seen += 1;
            if seen > FILES_MAX {
                return Err(PolicyFilesError::TooLarge {
                    path: dir.to_owned(),
                });
            }
            if name.to_string_lossy().starts_with('.') || (folder == dir && name == "cases") {
                continue;
            }
            // Symbolic links count as what they lead to: a mounted set is often one.
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let policy = path.extension().is_some_and(|found| found == "cedar");
            let invariant =
                folder == invariants && Claim::of_file(&name.to_string_lossy()).is_some();
            if policy && folder != dir && !invariant {
                return Err(PolicyFilesError::Nested { path });
            }
        }
    }
    Ok(())
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
    /// Loads `dir` for the first time. `environments` are all that exist: a set that names
    /// another is refused, now and at each reload.
    ///
    /// # Errors
    ///
    /// [`PolicyFilesError`]: without policies there is nothing to start with.
    pub fn open(dir: &Path, environments: BTreeSet<Environment>) -> Result<Self, PolicyFilesError> {
        let policies = load(dir, Some(&environments))?;
        Ok(Self {
            dir: dir.to_owned(),
            environments: Arc::new(environments),
            current: Arc::new(ArcSwap::from_pointee(policies)),
            checks: Arc::new(ArcSwap::from_pointee(checks_digest(dir)?)),
        })
    }

    /// The set in force. Take it once for each decision.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the folder again and puts its set in force if it loads and `admit` lets it in. No
    /// decision is made by it before `admit` has returned. `admit` is asked about the set in force
    /// again when its cases or invariants have changed.
    #[must_use = "a set that was refused must be reported"]
    pub fn reload(&self, admit: impl Fn(&PolicySet) -> anyhow::Result<()>) -> Reload {
        let read = load(&self.dir, Some(&self.environments));
        let read = read.and_then(|policies| Ok((policies, checks_digest(&self.dir)?)));
        let (policies, checks) = match read {
            Err(error) => return Reload::Kept(error.into()),
            Ok(read) => read,
        };
        let same = policies.digest() == self.current().digest();
        if same && checks == **self.checks.load() {
            return Reload::Unchanged;
        }
        if let Err(error) = admit(&policies) {
            return Reload::Kept(error);
        }
        self.checks.store(Arc::new(checks));
        if same {
            return Reload::Unchanged;
        }
        let policies = Arc::new(policies);
        self.current.store(Arc::clone(&policies));
        Reload::Swapped(policies)
    }

    /// Reloads after every change in the folder or below it, once it is quiet, and tells `report`
    /// what became of it; see [`PolicyFiles::reload`] for `admit`. Both run in a thread of their own,
    /// which ends when the [`Watch`] is dropped.
    ///
    /// # Errors
    ///
    /// [`WatchError`] if the operating system will not watch the folder.
    pub fn watch<A, F>(&self, admit: A, report: F) -> Result<Watch, WatchError>
    where
        A: Fn(&PolicySet) -> anyhow::Result<()> + Send + 'static,
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
            .watch(&self.dir, RecursiveMode::Recursive)
            .map_err(failed)?;
        let files = self.clone();
        std::thread::spawn(move || {
            let mut refused = false;
            loop {
                // What was refused may have been refused for a passing reason: a busy machine.
                let waited = if refused {
                    changes.recv_timeout(AGAIN)
                } else {
                    changes
                        .recv()
                        .map_err(|_| mpsc::RecvTimeoutError::Disconnected)
                };
                if waited == Err(mpsc::RecvTimeoutError::Disconnected) {
                    return;
                }
                while changes.recv_timeout(QUIET).is_ok() {}
                let outcome = files.reload(&admit);
                let was_refused =
                    std::mem::replace(&mut refused, matches!(outcome, Reload::Kept(_)));
                match outcome {
                    Reload::Unchanged if was_refused => report(Reload::Repaired),
                    Reload::Unchanged => {}
                    outcome => report(outcome),
                }
            }
        });
        Ok(Watch { _watcher: watcher })
    }
}

#[cfg(test)]
mod tests;
