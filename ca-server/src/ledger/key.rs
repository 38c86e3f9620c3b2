//! The log's own key: signs checkpoints, and makes the MAC of the stored head.
//!
//! The MAC key is derived from the log key, which is not in the store: rows planted there by
//! somebody else are noticed before anything about them is signed.

use std::fmt;

use ca_core::krl::{Statement, StatementError};
use ca_core::time::Timestamp;
use ca_core::tlog::checkpoint::{Checkpoint, CheckpointError};
use ca_core::tlog::hash::Hash;
use ca_core::tlog::note::{KeyName, VerifierKey};
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::store::Head;

const MAC_LABEL: &[u8] = b"jit-ssh/head-mac/v1\0";

/// Name, epoch and secret of a log.
pub struct LogKey {
    origin: KeyName,
    epoch: u32,
    signing: SigningKey,
    mac_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({}, epoch {})", self.origin, self.epoch)
    }
}

impl LogKey {
    /// The key of the log `origin`, whose serials begin with `epoch` (at most 23 bits).
    #[must_use]
    pub fn new(origin: KeyName, epoch: u32, signing: SigningKey) -> Self {
        let mac_key = mac(signing.as_bytes(), &[MAC_LABEL]);
        Self {
            origin,
            epoch,
            signing,
            mac_key: Zeroizing::new(mac_key),
        }
    }

    /// Name of the log.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Upper part of its serials.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What others verify its checkpoints with.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey::new(self.origin.clone(), self.signing.verifying_key())
    }

    /// The signed checkpoint of a tree. The caller made that tree durable.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Tree`] for a size beyond any log.
    pub(super) fn checkpoint(&self, size: u64, root: Hash) -> Result<String, CheckpointError> {
        Ok(Checkpoint::new(self.origin.clone(), size, root)?.sign(&self.signing))
    }

    /// The signed statement on a revocation list of this log.
    pub(super) fn statement(&self, statement: &Statement) -> Result<String, StatementError> {
        statement.sign(&self.signing)
    }

    /// A head whose MAC is ours.
    pub(super) fn head(&self, size: u64, root: Hash, time: Timestamp) -> Head {
        let mac = self.head_mac(self.epoch, size, root, time);
        Head {
            epoch: self.epoch,
            size,
            root,
            time,
            mac,
        }
    }

    /// Whether this key made the head.
    #[must_use]
    pub fn made(&self, head: &Head) -> bool {
        use subtle::ConstantTimeEq as _;
        self.head_mac(head.epoch, head.size, head.root, head.time)
            .ct_eq(&head.mac)
            .into()
    }

    /// The MAC of a snapshot.
    #[must_use]
    pub fn snapshot_mac(&self, snapshot: &[u8]) -> [u8; 32] {
        mac(&self.mac_key, &[b"snapshot\0", snapshot])
    }

    fn head_mac(&self, epoch: u32, size: u64, root: Hash, time: Timestamp) -> [u8; 32] {
        let fields: [&[u8]; 6] = [
            b"head\0",
            self.origin.as_str().as_bytes(),
            &epoch.to_be_bytes(),
            &size.to_be_bytes(),
            root.as_bytes(),
            &time.unix_milliseconds().to_be_bytes(),
        ];
        mac(&self.mac_key, &fields)
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // One block of 64 bytes, padded with zeros: what HMAC does with a shorter key (RFC 2104 §2).
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&(*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
