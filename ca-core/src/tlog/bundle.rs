//! Entry bundles (C2SP tlog-tiles): up to 256 entries, each behind its length in two bytes.
//!
//! Knows nothing about what the entries mean; see [`super::leaf`].

use super::tile::TILE_WIDTH;

/// Why entries cannot be bundled or a bundle cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Bytes beyond the last expected entry.
    #[error("the bundle has bytes after its last entry")]
    Surplus,
    /// An entry longer than 65,535 bytes.
    #[error("an entry of {length} bytes does not fit in a bundle")]
    TooLong {
        /// Bytes in the entry.
        length: usize,
    },
    /// More than 256 entries.
    #[error("a bundle has at most {TILE_WIDTH} entries, found {count}")]
    TooMany {
        /// Entries found or asked for.
        count: usize,
    },
    /// The bundle ends within an entry or before the expected number of them.
    #[error("the bundle is cut off")]
    Truncated,
}

/// The bundle of `entries` in order. A bundle of fewer entries is a prefix of one with more.
///
/// # Errors
///
/// [`BundleError::TooMany`] above 256 entries, [`BundleError::TooLong`] for one above 65,535 bytes.
pub fn encode<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, BundleError> {
    check_count(entries.len())?;
    let mut bundle = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length = entry.len();
        let prefix = u16::try_from(length).map_err(|_| BundleError::TooLong { length })?;
        bundle.extend_from_slice(&prefix.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The exactly `count` entries (at most 256) of `bundle`.
///
/// # Errors
///
/// [`BundleError::TooMany`], [`BundleError::Truncated`] or [`BundleError::Surplus`].
pub fn decode(bundle: &[u8], count: u16) -> Result<Vec<&[u8]>, BundleError> {
    check_count(count.into())?;
    let mut rest = bundle;
    let mut entries = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (length, after) = rest
            .split_first_chunk::<2>()
            .ok_or(BundleError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after
            .split_at_checked(length)
            .ok_or(BundleError::Truncated)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(BundleError::Surplus)
    }
}

fn check_count(count: usize) -> Result<(), BundleError> {
    if count > usize::from(TILE_WIDTH) {
        return Err(BundleError::TooMany { count });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_each_entry_behind_its_length() {
        let bundle = encode(&[b"ab".as_slice(), b"", b"c"]).unwrap();
        assert_eq!(bundle, b"\0\x02ab\0\0\0\x01c");
        assert_eq!(decode(&bundle, 3).unwrap(), [b"ab".as_slice(), b"", b"c"]);
    }

    #[test]
    fn a_bundle_with_more_or_fewer_bytes_than_its_entries_is_refused() {
        let bundle = encode(&[b"ab", b"cd"]).unwrap();
        for end in 0..bundle.len() {
            assert_eq!(
                decode(&bundle[..end], 2),
                Err(BundleError::Truncated),
                "{end}"
            );
        }
        assert_eq!(decode(&bundle, 1), Err(BundleError::Surplus));
        assert_eq!(decode(&bundle, 3), Err(BundleError::Truncated));
        assert_eq!(decode(&[], 0), Ok(vec![]));
    }

    #[test]
    fn bounds_of_count_and_length_are_kept() {
        assert!(encode(&vec![b""; 256]).is_ok());
        assert_eq!(
            encode(&vec![b""; 257]),
            Err(BundleError::TooMany { count: 257 })
        );
        assert_eq!(
            decode(&[0; 514], 257),
            Err(BundleError::TooMany { count: 257 })
        );
        assert!(encode(&[vec![0; 65_535]]).is_ok());
        let long = encode(&[vec![0; 65_536]]);
        assert_eq!(long, Err(BundleError::TooLong { length: 65_536 }));
    }
}
