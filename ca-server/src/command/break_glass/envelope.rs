//! Encryption of shares: armored age files, to be opened by `age -d` as well as by us.

use std::io::{Read as _, Write as _};
use std::path::Path;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor};
use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::passphrase::Asked;
use crate::key_file;

/// Largest encrypted share, bytes.
pub(super) const ARMORED_BYTES_MAX: usize = 64 * 1024;

/// Largest share, bytes.
const PLAIN_BYTES_MAX: usize = 32 * 1024;

/// How an armored age file begins and ends.
pub(super) const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// See [`BEGIN`].
pub(super) const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// Keys that open shares.
pub(super) struct Identities(Vec<Box<dyn age::Identity>>);

impl Identities {
    /// Reads private keys: OpenSSH files (asked for their passphrase when they are needed) and files
    /// of `age-keygen`. Only their owner may be able to read them.
    pub(super) fn read(paths: &[std::path::PathBuf]) -> anyhow::Result<Self> {
        let mut identities = Vec::new();
        for path in paths {
            read_identity(path, &mut identities).with_context(|| format!("identity {path:?}"))?;
        }
        Ok(Self(identities))
    }

    /// This key only.
    pub(super) fn only(key: &age::x25519::Identity) -> Self {
        Self(vec![Box::new(key.clone())])
    }

    /// This key as well.
    pub(super) fn and(mut self, key: &age::x25519::Identity) -> Self {
        self.0.push(Box::new(key.clone()));
        self
    }
}

fn read_identity(path: &Path, into: &mut Vec<Box<dyn age::Identity>>) -> anyhow::Result<()> {
    let text = key_file::read_private(path)?;
    let bytes = text.expose_secret().as_bytes();
    if !text.expose_secret().trim_start().starts_with("-----BEGIN") {
        let file = age::IdentityFile::from_buffer(bytes);
        let file = file.context("neither an OpenSSH private key nor an age identity")?;
        for identity in file.into_identities()? {
            into.push(identity);
        }
        return Ok(());
    }
    let name = path.display().to_string();
    let identity = age::ssh::Identity::from_buffer(bytes, Some(name))?;
    if let age::ssh::Identity::Unsupported(_) = identity {
        anyhow::bail!("a key of this kind cannot decrypt: the share was sealed to another");
    }
    into.push(Box::new(identity.with_callbacks(Asked)));
    Ok(())
}

/// Encrypts to one key, armored.
pub(super) fn encrypt(plain: &[u8], to: &dyn age::Recipient) -> anyhow::Result<String> {
    let encryptor = Encryptor::with_recipients(std::iter::once(to))?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(plain)?;
    let armored = writer.finish()?.finish()?;
    Ok(String::from_utf8(armored)?)
}

/// Decrypts with whichever key fits.
pub(super) fn decrypt(armored: &str, with: &Identities) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    use age::DecryptError as Wrong;
    let damaged = "it is damaged, or no share: ask for the file again, every byte counts";
    let decryptor =
        Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).context(damaged)?;
    let identities = with.0.iter().map(AsRef::as_ref);
    let reader = decryptor.decrypt(identities).map_err(|error| match error {
        Wrong::NoMatchingKeys => anyhow::anyhow!(
            "none of the identities opens it: name the private key that it was sealed to"
        ),
        Wrong::KeyDecryptionFailed => anyhow::anyhow!(
            "the identity's passphrase is wrong, or there is no terminal to ask for it"
        ),
        other => anyhow::Error::new(other).context(damaged),
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN_BYTES_MAX));
    let limit = u64::try_from(PLAIN_BYTES_MAX).unwrap_or(u64::MAX);
    reader
        .take(limit)
        .read_to_end(&mut plain)
        .context(damaged)?;
    Ok(plain)
}
