//! Receipts (C2SP `tlog-proof@v1`): everything that shows, without the network, that an entry is in
//! the log. This is what a certificate carries in its extension.
//!
//! Whether witnesses must have cosigned is policy and decided elsewhere, from
//! [`Receipt::checkpoint`].

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::decimal;
use super::hash::{Hash, leaf_hash};
use super::note::{self, NOTE_LENGTH_MAX, VerifierKey};
use super::proof::{self, HASHES_MAX, ProofError};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1\n";

/// Longest extra data, bytes.
pub const EXTRA_LENGTH_MAX: usize = 64 * 1024;

/// An entry's index, its inclusion proof, and the signed checkpoint that both refer to. Its
/// [`fmt::Display`] text is the one accepted spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    extra: Option<Vec<u8>>,
    index: u64,
    proof: Vec<Hash>,
    checkpoint: String,
}

/// Why a receipt is none, or does not show what it claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The checkpoint is not a note of the expected log, or is not signed by its key.
    #[error("the checkpoint of the receipt is not valid")]
    Checkpoint(#[from] CheckpointError),
    /// Not the lines of a `tlog-proof@v1` in their order and spelling.
    #[error("not a receipt: expected a c2sp.org/tlog-proof@v1 text")]
    Malformed,
    /// The entry is not at this place of the tree.
    #[error("the entry is not where the receipt says")]
    Proof(#[from] ProofError),
    /// More extra data, hashes or signatures than any receipt has.
    #[error("the receipt is too long")]
    TooLong,
}

impl Receipt {
    /// The receipt for the entry at `index`: `proof` leads to the root in `checkpoint` (a signed
    /// note). `extra` is not authenticated by anything but the entry that it helps to rebuild.
    ///
    /// # Errors
    ///
    /// [`ReceiptError::TooLong`] beyond [`EXTRA_LENGTH_MAX`] or [`HASHES_MAX`],
    /// [`ReceiptError::Checkpoint`] unless the checkpoint is a note with a checkpoint's text. No
    /// signature and no proof is checked.
    pub fn new(
        extra: Option<Vec<u8>>,
        index: u64,
        proof: Vec<Hash>,
        checkpoint: String,
    ) -> Result<Self, ReceiptError> {
        let extra_length = extra.as_ref().map_or(0, Vec::len);
        if extra_length > EXTRA_LENGTH_MAX || proof.len() > HASHES_MAX {
            return Err(ReceiptError::TooLong);
        }
        let (text, _) = note::split(&checkpoint).map_err(CheckpointError::Note)?;
        text.parse::<Checkpoint>()?;
        Ok(Self {
            extra,
            index,
            proof,
            checkpoint,
        })
    }

    /// Data for rebuilding the entry, as claimed.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Index of the entry in the log, as claimed.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof: sibling of the leaf first.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The signed checkpoint, verbatim with all its signatures.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The checkpoint, now known to be signed by `key` and to cover `entry` at [`Receipt::index`].
    ///
    /// # Errors
    ///
    /// [`ReceiptError::Checkpoint`] or [`ReceiptError::Proof`].
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, ReceiptError> {
        self.verify_leaf(&leaf_hash(entry), key)
    }

    /// As [`Receipt::verify`], for an entry of which only the leaf hash is known.
    ///
    /// # Errors
    ///
    /// [`ReceiptError::Checkpoint`] or [`ReceiptError::Proof`].
    pub fn verify_leaf(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, ReceiptError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        proof::verify_inclusion(
            leaf,
            self.index,
            checkpoint.size(),
            &self.proof,
            &checkpoint.root(),
        )?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FIRST_LINE)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.proof {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Receipt {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > NOTE_LENGTH_MAX + 2 * EXTRA_LENGTH_MAX {
            return Err(ReceiptError::TooLong);
        }
        let rest = text
            .strip_prefix(FIRST_LINE)
            .ok_or(ReceiptError::Malformed)?;
        let (head, checkpoint) = rest.split_once("\n\n").ok_or(ReceiptError::Malformed)?;
        let mut lines = head.split('\n').peekable();
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .and_then(|line| line.strip_prefix("extra "))
            .map(|encoded| {
                STANDARD
                    .decode(encoded)
                    .map_err(|_| ReceiptError::Malformed)
            })
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal::parse)
            .ok_or(ReceiptError::Malformed)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == HASHES_MAX {
                return Err(ReceiptError::TooLong);
            }
            proof.push(line.parse().map_err(|_| ReceiptError::Malformed)?);
        }
        Self::new(extra, index, proof, checkpoint.to_owned())
    }
}
