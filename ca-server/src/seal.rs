//! Sealing of TOTP seeds: XChaCha20-Poly1305 under a key that is not in the store.
//!
//! A sealed seed opens only for the person and generation it was sealed for, so rows of the store
//! cannot be exchanged. Where sealed bytes are kept is not decided here, and neither is where the
//! random bytes come from.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_core::name::Subject;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::authn::totp::{SEED_BYTES, Seed};

/// Random bytes in a [`SealKey`].
pub const KEY_BYTES: usize = 32;

/// Random bytes each sealing needs; long enough to be drawn blindly.
pub const NONCE_BYTES: usize = 24;

/// First byte of what [`SealKey::seal`] writes.
const VERSION: u8 = 1;

/// Separates this use of the key from any later one.
const LABEL: &[u8] = b"jit-ssh/seal/v1\0";

/// Largest key file read, bytes.
const KEY_FILE_BYTES_MAX: u64 = 256;

/// The key that seals seeds. Wiped when dropped; `Debug` does not show it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; KEY_BYTES]);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(secret)")
    }
}

/// Why sealing or opening failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another key, another person, another generation, or altered bytes: which one cannot be told.
    #[error("sealed seed does not open: wrong seal key, wrong person or generation, or altered")]
    Mismatch,
    /// Too short, or not a seed inside.
    #[error("sealed seed has the wrong length")]
    Shape,
    /// Written by a newer program.
    #[error("sealed seed has version {found}, this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
}

/// Why a key file cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// Not readable, or not writable, or there already.
    #[error("seal key file")]
    Io(#[from] std::io::Error),
    /// Others than the owner may read it.
    #[error("seal key file has mode {found:04o}, must be 0600 or stricter")]
    Mode {
        /// The permission bits found.
        found: u32,
    },
    /// Not one line of base64 of 32 bytes.
    #[error("seal key file does not hold the base64 of 32 bytes")]
    Shape,
}

impl SealKey {
    /// Writes a new key made of `random` to `path` (mode 0600, durable) and returns it.
    ///
    /// # Errors
    ///
    /// [`SealKeyError::Io`], also when the file exists: a key is never replaced.
    pub fn create(path: &Path, random: [u8; KEY_BYTES]) -> Result<Self, SealKeyError> {
        let key = Self(random);
        let mut text = Zeroizing::new(STANDARD.encode(key.0));
        text.push('\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(key)
    }

    /// Reads a key written by [`SealKey::create`].
    ///
    /// # Errors
    ///
    /// [`SealKeyError`]; a file that group or others may touch is refused.
    pub fn read(path: &Path) -> Result<Self, SealKeyError> {
        let file = File::open(path)?;
        // Asked of the open file, so that it cannot be exchanged in between.
        let mode = file.metadata()?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealKeyError::Mode { found: mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(KEY_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => SealKeyError::Shape,
                _ => SealKeyError::Io(error),
            })?;
        let bytes = Zeroizing::new(
            STANDARD
                .decode(text.trim_end())
                .map_err(|_| SealKeyError::Shape)?,
        );
        let key = bytes
            .as_slice()
            .try_into()
            .map_err(|_| SealKeyError::Shape)?;
        Ok(Self(key))
    }

    /// Seals `seed` for `subject` and `generation`. `nonce` must be fresh random bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::Shape`] never happens for a seed; it is passed on, not hidden.
    pub fn seal(
        &self,
        seed: &Seed,
        subject: &Subject,
        generation: u32,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Vec<u8>, SealError> {
        let ciphertext = XChaCha20Poly1305::new((&self.0).into())
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: seed.expose(),
                    aad: &context(subject, generation),
                },
            )
            .map_err(|_| SealError::Shape)?;
        Ok([&[VERSION], nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what [`SealKey::seal`] wrote for the same person and generation.
    ///
    /// # Errors
    ///
    /// [`SealError`].
    pub fn open(
        &self,
        sealed: &[u8],
        subject: &Subject,
        generation: u32,
    ) -> Result<Seed, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Shape)?;
        if *version != VERSION {
            return Err(SealError::Version { found: *version });
        }
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Shape)?;
        let plain = XChaCha20Poly1305::new((&self.0).into())
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: ciphertext,
                    aad: &context(subject, generation),
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::Mismatch)?;
        let seed: [u8; SEED_BYTES] = plain.as_slice().try_into().map_err(|_| SealError::Shape)?;
        Ok(Seed::new(seed))
    }
}

/// What the sealed bytes are bound to. Every text is preceded by its length, so no two subjects
/// give the same bytes.
fn context(subject: &Subject, generation: u32) -> Vec<u8> {
    let mut bytes = LABEL.to_vec();
    for text in [subject.issuer(), subject.sub()] {
        // Subject bounds both texts to far less than 2^32.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(generation.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(sub: &str) -> Subject {
        Subject::new("https://id.example.com", sub).unwrap()
    }

    fn sealed() -> Vec<u8> {
        SealKey([1; 32])
            .seal(&Seed::new([7; 20]), &subject("alice"), 3, [9; 24])
            .unwrap()
    }

    #[test]
    fn a_sealed_seed_opens_for_its_person_and_generation() {
        let seed = SealKey([1; 32]).open(&sealed(), &subject("alice"), 3);
        assert_eq!(seed.ok().unwrap().expose(), &[7; 20]);
        assert_eq!(sealed().len(), 1 + 24 + 20 + 16);
    }

    #[test]
    fn another_key_person_or_generation_does_not_open_it() {
        let bytes = sealed();
        let shifted = Subject::new("https://id.example.coma", "lice").unwrap();
        for (key, who, generation) in [
            ([2; 32], subject("alice"), 3),
            ([1; 32], subject("bob"), 3),
            ([1; 32], shifted, 3),
            ([1; 32], subject("alice"), 4),
        ] {
            let error = SealKey(key).open(&bytes, &who, generation).err();
            assert_eq!(error, Some(SealError::Mismatch));
        }
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_refused() {
        let key = SealKey([1; 32]);
        let bytes = sealed();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(key.open(&altered, &subject("alice"), 3).is_err());
            assert!(key.open(&bytes[..at], &subject("alice"), 3).is_err());
        }
        let newer = key.open(&[2, 0, 0], &subject("alice"), 3).err();
        assert_eq!(newer, Some(SealError::Version { found: 2 }));
    }

    #[test]
    fn a_key_file_is_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        SealKey::create(&path, [5; 32]).ok().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(SealKey::read(&path).ok().unwrap().0, [5; 32]);
        assert!(matches!(
            SealKey::create(&path, [6; 32]),
            Err(SealKeyError::Io(_))
        ));
        for mode in [0o640, 0o604, 0o666, 0o620] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let refused = SealKey::read(&path).err();
            assert!(matches!(refused, Some(SealKeyError::Mode { found }) if found == mode));
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let long = vec![b'A'; 100_000];
        for content in [&b""[..], b"short", b"\xff\xfe", &long] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            assert!(matches!(SealKey::read(&path), Err(SealKeyError::Shape)));
        }
    }
}
