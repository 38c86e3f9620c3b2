//! Private keys in OpenSSH files: made, and read only when nobody else can read them.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ca_core::certificate::authority_key::AuthorityKeyError;
use secrecy::{ExposeSecret, SecretString};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

/// Longest key file read, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a key file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The key is of a kind that does not sign here.
    #[error("{path:?}: {source}")]
    Kind {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: AuthorityKeyError,
    },
    /// Others can read or write it.
    #[error("{path:?} has mode {mode:o}: a key must be readable by its owner only (chmod 600)")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is encrypted and no passphrase was given, or a wrong one.
    #[error("{path:?} is encrypted: {what}")]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// What to do.
        what: &'static str,
    },
    /// Not an OpenSSH private key.
    #[error("{path:?} is not an OpenSSH private key: {detail}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// It cannot be read or written.
    #[error("{path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Reads a private key, with its passphrase if it is encrypted.
///
/// # Errors
///
/// [`KeyFileError`]; the message says what to do.
pub fn read(path: &Path, passphrase: Option<&SecretString>) -> Result<PrivateKey, KeyFileError> {
    let text = read_private(path)?;
    let parse = |error: ssh_key::Error| KeyFileError::Parse {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let key = PrivateKey::from_openssh(text.expose_secret()).map_err(parse)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let locked = |what| KeyFileError::Passphrase {
        path: path.to_owned(),
        what,
    };
    let passphrase = passphrase.ok_or_else(|| {
        locked("name a file with its passphrase in the configuration (passphrase_file)")
    })?;
    key.decrypt(passphrase.expose_secret())
        .map_err(|_| locked("the passphrase is wrong"))
}

/// Reads an Ed25519 key for our own signatures.
///
/// # Errors
///
/// [`KeyFileError`]; another kind of key is [`KeyFileError::Parse`].
pub fn read_ed25519(path: &Path) -> Result<ed25519_dalek::SigningKey, KeyFileError> {
    let key = read(path, None)?;
    match key.key_data() {
        KeypairData::Ed25519(pair) => Ok(ed25519_dalek::SigningKey::from_bytes(
            &pair.private.to_bytes(),
        )),
        _ => Err(KeyFileError::Parse {
            path: path.to_owned(),
            detail: "not an Ed25519 key".to_owned(),
        }),
    }
}

/// Writes a new Ed25519 key from these random bytes, mode 0600, durable, never over another.
///
/// # Errors
///
/// [`KeyFileError::Io`] when it exists already or cannot be written.
pub fn create_ed25519(
    path: &Path,
    comment: &str,
    random: &[u8; 32],
) -> Result<PrivateKey, KeyFileError> {
    let parse = |error: ssh_key::Error| KeyFileError::Parse {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(random));
    let key = PrivateKey::new(pair, comment).map_err(parse)?;
    let text = key.to_openssh(LineEnding::LF).map_err(parse)?;
    write_private(path, text.as_bytes()).map_err(|source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(key)
}

/// Writes a file that only its owner reads, durable, never over another.
///
/// # Errors
///
/// Those of the file system; `AlreadyExists` above all.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a text that only its owner may read.
///
/// # Errors
///
/// [`KeyFileError::Mode`] when others can.
pub fn read_private(path: &Path) -> Result<SecretString, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(io)?;
    Ok(text.into())
}
