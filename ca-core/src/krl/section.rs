//! Reads one certificates section of a revocation list: what is revoked of one authority.

use std::collections::{BTreeMap, BTreeSet};

use super::foreign_key::is_read_by_openssh;
use super::read::ENTRIES_MAX;
use super::serials::{SerialRange, Serials};
use super::{BITMAP_BITS_MAX, KEY_IDS, KrlError, SERIAL_BITMAP, SERIAL_LIST, SERIAL_RANGE};
use crate::wire::Fields;

/// Most certificates sections read: checking the point of each one's key takes time.
pub(super) const AUTHORITIES_MAX: usize = 1024;

/// How much more a list may hold.
#[derive(Debug)]
pub(super) struct Budget {
    entries: usize,
    authorities: usize,
}

/// What is revoked of one authority.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revoked {
    pub(super) serials: Serials,
    pub(super) key_ids: BTreeSet<Vec<u8>>,
}

/// The same while it is read: several sections may be about one authority.
#[derive(Debug, Default)]
pub(super) struct Collected {
    ranges: Vec<SerialRange>,
    key_ids: BTreeSet<Vec<u8>>,
}

/// By the authority's key blob; the empty blob stands for every authority.
pub(super) type ByAuthority<T> = BTreeMap<Vec<u8>, T>;

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            entries: ENTRIES_MAX,
            authorities: AUTHORITIES_MAX,
        }
    }

    pub(super) fn entry(&mut self) -> Result<(), KrlError> {
        let left = self.entries.checked_sub(1);
        self.entries = left.ok_or(KrlError::TooManyEntries)?;
        Ok(())
    }

    fn authority(&mut self) -> Result<(), KrlError> {
        let left = self.authorities.checked_sub(1);
        self.authorities = left.ok_or(KrlError::TooManyAuthorities)?;
        Ok(())
    }
}

/// Adds what the section `data` revokes.
pub(super) fn read_certificates(
    data: &[u8],
    all: &mut ByAuthority<Collected>,
    budget: &mut Budget,
) -> Result<(), KrlError> {
    budget.authority()?;
    let mut fields = Fields::new(data);
    let authority = fields.string()?;
    // Reserved, ignored.
    fields.string()?;
    if !authority.is_empty() && !is_read_by_openssh(authority) {
        return Err(KrlError::Authority);
    }
    let collected = all.entry(authority.to_vec()).or_default();
    while !fields.is_empty() {
        let kind = fields.byte()?;
        let mut inner = Fields::new(fields.string()?);
        match kind {
            SERIAL_LIST => collected.read_list(&mut inner, budget)?,
            SERIAL_RANGE => {
                let range = SerialRange::new(inner.uint64()?, inner.uint64()?)?;
                collected.add(range, budget)?;
            }
            SERIAL_BITMAP => collected.read_bitmap(&mut inner, budget)?,
            KEY_IDS => collected.read_key_ids(&mut inner, budget)?,
            other => return Err(KrlError::CertificatesSection(other)),
        }
        inner.end()?;
    }
    Ok(())
}

impl Collected {
    fn read_list(&mut self, fields: &mut Fields<'_>, budget: &mut Budget) -> Result<(), KrlError> {
        while !fields.is_empty() {
            let serial = fields.uint64()?;
            self.add(SerialRange::new(serial, serial)?, budget)?;
        }
        Ok(())
    }

    fn read_bitmap(
        &mut self,
        fields: &mut Fields<'_>,
        budget: &mut Budget,
    ) -> Result<(), KrlError> {
        let offset = fields.uint64()?;
        let bytes = magnitude(fields.string()?)?;
        let bits = bit_length(bytes);
        if bits > BITMAP_BITS_MAX {
            return Err(KrlError::BitmapTooLarge);
        }
        // The topmost bit is set, and the serial it stands for must exist.
        if offset.checked_add(bits.saturating_sub(1)).is_none() {
            return Err(KrlError::BitmapWraps);
        }
        for (base, byte) in (0_u64..).step_by(8).zip(bytes.iter().rev()) {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let serial = offset.saturating_add(base).saturating_add(bit);
                self.add(SerialRange::new(serial, serial)?, budget)?;
            }
        }
        Ok(())
    }

    fn read_key_ids(
        &mut self,
        fields: &mut Fields<'_>,
        budget: &mut Budget,
    ) -> Result<(), KrlError> {
        while !fields.is_empty() {
            budget.entry()?;
            self.key_ids.insert(c_string(fields.string()?)?.to_vec());
        }
        Ok(())
    }

    /// Serials mostly come in order, so neighbours are joined before they take space.
    fn add(&mut self, range: SerialRange, budget: &mut Budget) -> Result<(), KrlError> {
        if !self
            .ranges
            .last_mut()
            .is_some_and(|last| last.absorb(range))
        {
            budget.entry()?;
            self.ranges.push(range);
        }
        Ok(())
    }
}

impl From<Collected> for Revoked {
    fn from(collected: Collected) -> Self {
        Self {
            serials: collected.ranges.into_iter().collect(),
            key_ids: collected.key_ids,
        }
    }
}

/// A text as OpenSSH takes it: one NUL at the end is forgiven and is not part of it.
pub(super) fn c_string(bytes: &[u8]) -> Result<&[u8], KrlError> {
    let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if text.contains(&0) {
        Err(KrlError::Nul)
    } else {
        Ok(text)
    }
}

/// The significant bytes of an `mpint` as OpenSSH reads it: not negative, not longer than
/// [`BITMAP_BITS_MAX`] and one byte for the sign, leading zeros permitted.
pub(super) fn magnitude(mpint: &[u8]) -> Result<&[u8], KrlError> {
    if mpint.first().is_some_and(|first| first & 0x80 != 0) {
        return Err(KrlError::BitmapNegative);
    }
    // OpenSSH counts bytes before it drops zeros: at most one may go beyond the largest number.
    let bits = u64::try_from(mpint.len()).map_or(u64::MAX, |bytes| bytes.saturating_mul(8));
    let longest = BITMAP_BITS_MAX.saturating_add(8);
    if bits > longest || (bits == longest && mpint.first() != Some(&0)) {
        return Err(KrlError::BitmapTooLarge);
    }
    let zeros = mpint.iter().take_while(|byte| **byte == 0).count();
    Ok(mpint.get(zeros..).unwrap_or_default())
}

/// Of a number without leading zero bytes.
fn bit_length(magnitude: &[u8]) -> u64 {
    let unused = magnitude.first().map_or(0, |first| first.leading_zeros());
    let bits = u64::try_from(magnitude.len()).map_or(u64::MAX, |bytes| bytes.saturating_mul(8));
    bits.saturating_sub(u64::from(unused))
}
