//! Checkpoints (C2SP tlog-checkpoint v1.0.0): origin, size and root of a log in three lines, signed
//! as a note.
//!
//! Extension lines are refused: nobody could audit them. Whether a checkpoint may be signed (it must
//! continue every one signed before) is decided elsewhere.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::SigningKey;

use super::decimal;
use super::hash::{EMPTY_ROOT, Hash};
use super::note::{self, KeyName, NoteError, VerifierKey};
use super::proof::{Head, SIZE_MAX};

/// The state of a log. Its [`fmt::Display`] text is the note text, ending in a line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: KeyName,
    head: Head,
}

/// Why a text is not a checkpoint of the expected log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not exactly three lines: origin, size, root.
    #[error("not a checkpoint: expected the three lines origin, size and root")]
    Malformed,
    /// The note around it is not to be believed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed by the right key, but for a log of another name.
    #[error("the checkpoint is of the log {found:?}, expected {expected:?}")]
    Origin {
        /// Origin in the checkpoint.
        found: KeyName,
        /// Name of the key.
        expected: KeyName,
    },
    /// A size above [`SIZE_MAX`], or no leaves and yet another root than the empty one.
    #[error("no tree has this size and root")]
    Tree,
}

impl Checkpoint {
    /// The checkpoint of the log `origin` with `size` leaves and `root`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Tree`] for a size above [`SIZE_MAX`] or an empty tree with another root
    /// than [`EMPTY_ROOT`].
    pub fn new(origin: KeyName, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if size > SIZE_MAX || (size == 0 && root != EMPTY_ROOT) {
            return Err(CheckpointError::Tree);
        }
        let head = Head { size, root };
        Ok(Self { origin, head })
    }

    /// Name of the log, equal to the name of its key.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.head.size
    }

    /// Root over all leaves.
    #[must_use]
    pub const fn root(&self) -> Hash {
        self.head.root
    }

    /// Size and root, as consistency proofs take them.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// This checkpoint as a note signed by `key` under the name of the log.
    ///
    /// The caller must have made the tree durable and must never sign one that does not continue
    /// the tree it signed last.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = self.to_string();
        let line = note::signature_line(&text, &self.origin, key);
        format!("{text}\n{line}")
    }

    /// The checkpoint in `note`, signed by `key` and of the log with the key's name.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; see its variants.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let text = note::open(note, std::slice::from_ref(key))?;
        let checkpoint: Self = text.parse()?;
        if checkpoint.origin != *key.name() {
            return Err(CheckpointError::Origin {
                found: checkpoint.origin,
                expected: key.name().clone(),
            });
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { size, root } = &self.head;
        write!(f, "{}\n{size}\n{root}\n", self.origin)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads a note text. Says nothing about signatures: use [`Checkpoint::open`] for what comes
    /// from outside.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) = (
            lines.next(),
            lines.next(),
            lines.next(),
            lines.next(),
            lines.next(),
        ) else {
            return Err(CheckpointError::Malformed);
        };
        let origin = origin.parse().map_err(|_| CheckpointError::Malformed)?;
        let size = decimal::parse(size).ok_or(CheckpointError::Malformed)?;
        let root = root.parse().map_err(|_| CheckpointError::Malformed)?;
        Self::new(origin, size, root)
    }
}
