//! Where an audit reads from: the store itself while no server has it, else the server's admin
//! socket. Both are a [`Store`], so what is found cannot depend on which it was.

use std::path::PathBuf;
use std::sync::Arc;

use ca_core::tlog::note::VerifierKey;

use crate::admin::{AdminError, AdminStore};
use crate::high_water::{HighWater, HighWaterError, Mark};
use crate::ledger::{self, LogKey};
use crate::store::sled::{OpenError, SledStore};
use crate::store::{Store, StoreError};

/// Where a CA keeps its log.
#[derive(Debug)]
pub struct LogPlace {
    /// Folder of the store.
    pub store: PathBuf,
    /// The high-water file.
    pub high_water: PathBuf,
    /// The admin socket of a running server.
    pub socket: PathBuf,
    /// What checkpoints are verified with.
    pub verifier: VerifierKey,
    /// The log's key, where its file can be read.
    pub key: Option<LogKey>,
}

/// A log to audit.
#[derive(Debug)]
pub struct Source {
    /// Its records.
    pub store: Arc<dyn Store>,
    /// The newest checkpoint that a running server signed.
    pub checkpoint: Option<String>,
    /// The high-water mark, read before anything else.
    pub mark: Option<Mark>,
    /// What checkpoints are verified with.
    pub verifier: VerifierKey,
    /// The log's key, where its file can be read.
    pub key: Option<LogKey>,
    high_water: Option<HighWater>,
}

/// Why there is nothing to audit.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The server does not answer on its socket.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The high-water file cannot be read.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// Signing a checkpoint needs the log's key.
    #[error(
        "the server is not running and its log key cannot be read, so no checkpoint can be signed: \
         start the server, or run this as the user it runs as"
    )]
    NoKey,
    /// The log is not one to show records of.
    #[error(transparent)]
    Refused(#[from] ledger::OpenError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
}

impl Source {
    /// The running server if one answers, else the store.
    ///
    /// # Errors
    ///
    /// [`SourceError`]. Must not be called inside an async runtime.
    pub fn open(place: LogPlace) -> Result<Self, SourceError> {
        let high_water = HighWater::open(&place.high_water)?;
        let mark = Some(high_water.read());
        let (store, checkpoint): (Arc<dyn Store>, _) = match AdminStore::connect(&place.socket)? {
            Some(admin) => {
                let checkpoint = admin.checkpoint()?;
                (Arc::new(admin), Some(checkpoint))
            }
            None => (Arc::new(SledStore::open(&place.store, 0)?), None),
        };
        Ok(Self {
            store,
            checkpoint,
            mark,
            verifier: place.verifier,
            key: place.key,
            high_water: Some(high_water),
        })
    }

    /// A checkpoint to prove records under: the running server's newest, or one signed now.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoKey`], or [`SourceError::Refused`] for a log that may not be continued.
    pub fn signed_checkpoint(&mut self) -> Result<String, SourceError> {
        if let Some(checkpoint) = &self.checkpoint {
            return Ok(checkpoint.clone());
        }
        let (Some(key), Some(high_water)) = (&self.key, &mut self.high_water) else {
            return Err(SourceError::NoKey);
        };
        Ok(ledger::sign_checkpoint(
            self.store.as_ref(),
            key,
            high_water,
        )?)
    }
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}
