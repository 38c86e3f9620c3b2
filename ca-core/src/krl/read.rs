//! Reads revocation lists and answers as sshd does.
//!
//! Accepts what OpenSSH 9.2 accepts and refuses what it refuses, with two exceptions: signatures
//! inside a list are refused even if they are right, and so is what is beyond bounds of size, where
//! sshd takes seconds for every login and no list of ours ever is. Verdicts are those of
//! `ssh-keygen -Q`. Says nothing about a text file of keys, which sshd takes too.

use std::collections::BTreeSet;

use sha2::Digest as _;

use super::section::{Budget, ByAuthority, Collected, Revoked, c_string, read_certificates};
use super::serials::Serials;
use super::{
    CERTIFICATES, EXPLICIT_KEYS, FORMAT, KrlError, MAGIC, SHA1_KEYS, SHA256_KEYS, SIGNATURE,
};
use crate::certificate::authority_key::AuthorityKey;
use crate::time::Timestamp;
use crate::wire::Fields;

/// Longest list read in bytes: half a million serials far apart.
pub const KRL_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Most ranges of serials, key ids, keys and hashes in a list, all together. A bitmap's byte can
/// hold four ranges, so the size alone would not bound the memory (some 40 MB at most).
pub const ENTRIES_MAX: usize = 512 * 1024;

/// A list as sshd understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Krl {
    version: u64,
    generated: Timestamp,
    comment: String,
    certificates: ByAuthority<Revoked>,
    keys: BTreeSet<Vec<u8>>,
    sha1: BTreeSet<[u8; 20]>,
    sha256: BTreeSet<[u8; 32]>,
}

/// What a list can revoke a certificate by.
#[derive(Clone, Copy, Debug)]
pub struct Certified<'a> {
    /// Who signed it.
    pub authority: &'a AuthorityKey,
    /// Its serial; 0 means none and is never revoked.
    pub serial: u64,
    /// Its key id.
    pub key_id: &'a str,
    /// The certified key as a plain public key blob (RFC 4253 §6.6).
    pub subject_key: &'a [u8],
}

impl Krl {
    /// Reads a whole list. Takes memory for at most [`ENTRIES_MAX`] entries and time for at most
    /// [`KRL_SIZE_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// [`KrlError`], which says what sshd makes of such a list: mostly it refuses every key.
    pub fn read(bytes: &[u8]) -> Result<Self, KrlError> {
        if bytes.is_empty() {
            return Err(KrlError::Empty);
        }
        if bytes.len() > KRL_SIZE_MAX {
            return Err(KrlError::TooLong(bytes.len()));
        }
        let mut fields = Fields::new(bytes.strip_prefix(MAGIC).ok_or(KrlError::Magic)?);
        let mut krl = Self::read_header(&mut fields)?;
        let mut certificates = ByAuthority::<Collected>::new();
        let mut budget = Budget::new();
        while !fields.is_empty() {
            let kind = fields.byte()?;
            let data = fields.string()?;
            if kind == CERTIFICATES {
                read_certificates(data, &mut certificates, &mut budget)?;
            } else {
                krl.read_keys(kind, data, &mut budget)?;
            }
        }
        krl.certificates = certificates
            .into_iter()
            .map(|(authority, collected)| (authority, collected.into()))
            .collect();
        Ok(krl)
    }

    fn read_header(fields: &mut Fields<'_>) -> Result<Self, KrlError> {
        let format = fields.uint32()?;
        if format != FORMAT {
            return Err(KrlError::Format(format));
        }
        let version = fields.uint64()?;
        let generated = Timestamp::from_unix_seconds(fields.uint64()?);
        // Flags and a reserved text: ignored, whatever they are.
        fields.uint64()?;
        fields.string()?;
        let comment = String::from_utf8_lossy(c_string(fields.string()?)?).into_owned();
        Ok(Self {
            version,
            generated,
            comment,
            certificates: ByAuthority::new(),
            keys: BTreeSet::new(),
            sha1: BTreeSet::new(),
            sha256: BTreeSet::new(),
        })
    }

    fn read_keys(&mut self, kind: u8, data: &[u8], budget: &mut Budget) -> Result<(), KrlError> {
        let mut fields = Fields::new(data);
        match kind {
            EXPLICIT_KEYS | SHA1_KEYS | SHA256_KEYS => {}
            SIGNATURE => return Err(KrlError::Signature),
            other => return Err(KrlError::Section(other)),
        }
        while !fields.is_empty() {
            budget.entry()?;
            let entry = fields.string()?;
            let wrong = |_| KrlError::HashLength(entry.len());
            // Any bytes pass as an explicit key; what is none matches nothing.
            match kind {
                SHA1_KEYS => self.sha1.insert(entry.try_into().map_err(wrong)?),
                SHA256_KEYS => self.sha256.insert(entry.try_into().map_err(wrong)?),
                _ => self.keys.insert(entry.to_vec()),
            };
        }
        Ok(())
    }

    /// The list's version, as its maker counts.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When it says it was made, in whole seconds.
    #[must_use]
    pub const fn generated(&self) -> Timestamp {
        self.generated
    }

    /// What it says about itself. Anybody's text, control characters included; what is not UTF-8
    /// is replaced.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Whether certificates of `authority` with this serial are revoked; serial 0 never is.
    ///
    /// Not all that revokes a certificate: see [`Krl::revokes`].
    #[must_use]
    pub fn revokes_serial(&self, authority: &AuthorityKey, serial: u64) -> bool {
        self.sections(authority)
            .any(|revoked| revoked.serials.contains(serial))
    }

    /// Whether certificates of `authority` with exactly this key id are revoked.
    ///
    /// Not all that revokes a certificate: see [`Krl::revokes`].
    #[must_use]
    pub fn revokes_key_id(&self, authority: &AuthorityKey, key_id: &str) -> bool {
        self.sections(authority)
            .any(|revoked| revoked.key_ids.contains(key_id.as_bytes()))
    }

    /// Whether the key with this plain public key blob is revoked, itself or by a hash: as a key,
    /// as the subject of every certificate, and as an authority.
    #[must_use]
    pub fn revokes_key(&self, blob: &[u8]) -> bool {
        let sha1: [u8; 20] = sha1::Sha1::digest(blob).into();
        let sha256: [u8; 32] = sha2::Sha256::digest(blob).into();
        self.keys.contains(blob) || self.sha1.contains(&sha1) || self.sha256.contains(&sha256)
    }

    /// Whether this certificate is revoked, by whatever means: sshd's verdict.
    #[must_use]
    pub fn revokes(&self, certificate: &Certified<'_>) -> bool {
        self.revokes_serial(certificate.authority, certificate.serial)
            || self.revokes_key_id(certificate.authority, certificate.key_id)
            || self.revokes_key(certificate.subject_key)
            || self.revokes_key(certificate.authority.blob())
    }

    /// The revoked serials of `authority`, without those revoked for every authority.
    #[must_use]
    pub fn serials(&self, authority: &AuthorityKey) -> Option<&Serials> {
        let revoked = self.certificates.get(authority.blob())?;
        Some(&revoked.serials)
    }

    /// The serials revoked for every authority. Lists of ours have none.
    #[must_use]
    pub fn serials_of_every_authority(&self) -> Option<&Serials> {
        let revoked = self.certificates.get(&[][..])?;
        Some(&revoked.serials)
    }

    fn sections(&self, authority: &AuthorityKey) -> impl Iterator<Item = &Revoked> {
        [authority.blob(), &[]]
            .into_iter()
            .filter_map(|blob| self.certificates.get(blob))
    }
}
