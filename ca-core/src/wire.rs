//! The SSH data types of RFC 4251 §5 that certificates and agent messages are made of.
//!
//! Reading borrows from the input and never allocates, so a length field can promise what it
//! likes. Says nothing about what a field means.

/// A cursor over bytes from outside. Every read either moves it forward or fails.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// Why bytes are not the fields they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// A field reaches past the end.
    #[error("the data ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    pub(crate) fn uint32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn uint64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// One length-prefixed `string`, without its prefix.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], WireError> {
        let mut after = self.clone();
        let length = usize::try_from(after.uint32()?).map_err(|_| WireError::Truncated)?;
        let (text, rest) = after
            .rest
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(text)
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// That nothing is left.
    pub(crate) const fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing(self.rest.len()))
        }
    }
}

/// Appends one `string`.
///
/// Every caller's bytes are bounded far below 2^32. Were they not, the prefix would promise more
/// than follows, and no reader accepts that.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// One `string` on its own: what a certificate option's value is wrapped in.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_add(4));
    put_string(&mut out, bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_promises_more_than_follows_is_refused_and_moves_nothing() {
        let mut fields = Fields::new(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert_eq!(fields.string(), Err(WireError::Truncated));
        assert_eq!(fields.rest().len(), 5);
        assert_eq!(fields.end(), Err(WireError::Trailing(5)));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = string(b"abc");
        let mut fields = Fields::new(&bytes);
        assert_eq!(fields.string(), Ok(&b"abc"[..]));
        assert!(fields.is_empty());
        assert_eq!(fields.byte(), Err(WireError::Truncated));
    }
}
