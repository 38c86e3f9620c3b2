//! How the program fails: what happened, what to do about it, and the exit code.
//!
//! Deliberately no detail of where errors come from: each operation has its own enum and says here
//! how it is shown.

use ca_core::api::Problem;

/// Exit codes of every command. 1 is kept for what must never happen: an answer of the CA that
/// does not verify, and `doctor` finding something broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something that must not happen, or a failed check.
    Broken,
    /// The command line or a value in it is wrong.
    Usage,
    /// Policy said no.
    Denied,
    /// Not signed in, or the sign-in was refused.
    NotAuthenticated,
    /// Other people have to decide, or the time has to come.
    Waiting,
    /// The CA or the identity provider cannot be reached.
    Unreachable,
    /// The agent or a file on this machine is in the way.
    Local,
    /// The person pressed Ctrl-C (128 + SIGINT, as shells do).
    Interrupted,
}

impl Exit {
    /// The number given to the shell.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Broken => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::NotAuthenticated => 4,
            Self::Waiting => 5,
            Self::Unreachable => 6,
            Self::Local => 7,
            Self::Interrupted => 130,
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
    /// Further lines, such as why policy said no.
    pub(crate) lines: Vec<String>,
    /// What to do, most useful first.
    pub(crate) hints: Vec<String>,
    /// The CA's own words, for `--json`.
    pub(crate) problem: Option<Box<Problem>>,
}

impl Failure {
    /// A failure without a hint yet.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            lines: Vec::new(),
            hints: Vec::new(),
            problem: None,
        }
    }

    /// The same with one more thing to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with one more line of explanation.
    #[must_use]
    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// A value on the command line is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// A file or the agent is in the way.
    pub(crate) fn local(what: impl Into<String>) -> Self {
        Self::new(Exit::Local, what)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}
