//! Makes the bytes of a revocation list (PROTOCOL.krl).
//!
//! Only what OpenSSH 9.2 and all later versions read alike: no signature, and no extension, which
//! 9.2 refuses together with every login. Packs serials; [`super::packing`] says how.

use std::collections::BTreeSet;

use super::contents::Contents;
use super::packing::pack;
use super::serials::{SerialRange, Serials};
use super::{CERTIFICATES, EXPLICIT_KEYS, FORMAT, MAGIC, SERIAL_BITMAP, SERIAL_LIST, SERIAL_RANGE};
use crate::wire::{put_string, string};

/// The list as sshd reads it: at least the 44 bytes of a header, as an empty file would revoke
/// nothing while looking like a list; equal contents give equal bytes.
///
/// Costs at most 8 bytes for each revoked serial and 200 for each authority, less where serials
/// are dense. Takes time in proportion to the number of ranges and of bitmap bits.
#[must_use]
pub fn write(contents: &Contents) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT.to_be_bytes());
    out.extend_from_slice(&contents.version.to_be_bytes());
    out.extend_from_slice(&contents.generated.unix_seconds().to_be_bytes());
    // Flags: none are defined.
    out.extend_from_slice(&0_u64.to_be_bytes());
    // Reserved.
    put_string(&mut out, b"");
    put_string(&mut out, contents.comment.as_str().as_bytes());
    for (authority, serials) in &contents.certificates {
        if !serials.is_empty() {
            put_section(
                &mut out,
                CERTIFICATES,
                &certificates(authority.blob(), serials),
            );
        }
    }
    let keys: BTreeSet<&[u8]> = contents.keys.iter().map(|key| key.blob()).collect();
    if !keys.is_empty() {
        let keys: Vec<u8> = keys.into_iter().flat_map(string).collect();
        put_section(&mut out, EXPLICIT_KEYS, &keys);
    }
    out
}

fn put_section(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    out.push(kind);
    put_string(out, data);
}

fn certificates(authority: &[u8], serials: &Serials) -> Vec<u8> {
    let mut out = string(authority);
    // Reserved.
    put_string(&mut out, b"");
    let packing = pack(serials.ranges());
    if !packing.listed.is_empty() {
        let mut list = Vec::new();
        for range in &packing.listed {
            for serial in range.first()..=range.last() {
                list.extend_from_slice(&serial.to_be_bytes());
            }
        }
        put_section(&mut out, SERIAL_LIST, &list);
    }
    for range in &packing.ranges {
        let [first, last] = [range.first(), range.last()].map(u64::to_be_bytes);
        put_section(&mut out, SERIAL_RANGE, &[first, last].concat());
    }
    for ranges in packing.bitmaps {
        put_section(&mut out, SERIAL_BITMAP, &bitmap(ranges));
    }
    out
}

/// Offset and mpint (RFC 4251 §5): bit N, counted from the least significant, is serial offset + N.
fn bitmap(ranges: &[SerialRange]) -> Vec<u8> {
    let offset = ranges.first().map_or(1, SerialRange::first);
    let last = ranges.last().map_or(offset, SerialRange::last);
    let bits = last.saturating_sub(offset).saturating_add(1);
    // One bit more than are used: the sign, which OpenSSH insists on being 0.
    let length = usize::try_from(bits / 8).unwrap_or(0).saturating_add(1);
    let mut magnitude = vec![0_u8; length];
    for range in ranges {
        for serial in range.first()..=range.last() {
            let bit = serial.saturating_sub(offset);
            let byte = usize::try_from(bit / 8).ok();
            if let Some(byte) = byte.and_then(|at| magnitude.get_mut(at)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    magnitude.reverse();
    let mut out = offset.to_be_bytes().to_vec();
    put_string(&mut out, &magnitude);
    out
}
