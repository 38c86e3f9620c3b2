//! How the program fails: what happened, what to do about it, and the exit code.

use std::path::Path;

/// Exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something that must not happen, or `check` found something broken.
    Broken,
    /// The command line or a value in it is wrong.
    Usage,
    /// The authority does not accept the token or the credential.
    NotAuthenticated,
    /// The authority cannot be reached.
    Unreachable,
    /// A file on this machine is in the way.
    Local,
}

impl Exit {
    /// The number given to the shell.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Broken => 1,
            Self::Usage => 2,
            Self::NotAuthenticated => 4,
            Self::Unreachable => 6,
            Self::Local => 7,
        }
    }
}

/// A failure as shown to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) exit: Exit,
    /// What happened.
    pub(crate) what: String,
    /// What to do, most useful first.
    pub(crate) hints: Vec<String>,
}

impl Failure {
    /// A failure without a hint yet.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            hints: Vec::new(),
        }
    }

    /// The same with one more thing to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A file is in the way.
    pub(crate) fn local(what: impl Into<String>) -> Self {
        Self::new(Exit::Local, what)
    }

    /// `path` could not be `verb` (read, written, made).
    pub(crate) fn file(verb: &str, path: &Path, error: &dyn std::fmt::Display) -> Self {
        Self::local(format!("{} cannot be {verb}: {error}", path.display()))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}
