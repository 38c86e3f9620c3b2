//! Random bytes from the operating system.

use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// `N` random bytes, wiped when dropped.
///
/// # Errors
///
/// A [`Failure`] when the operating system has none.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Failure> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Failure::new(Exit::Broken, format!("no random bytes: {error}")))?;
    Ok(bytes)
}
