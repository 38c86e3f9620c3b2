//! Words that people write: one line, bounded, so that they cannot forge lines where they are shown.

use super::Failure;

/// Longest reason or finding, bytes.
pub(super) const REASON_BYTES_MAX: usize = 512;

/// A line, or nothing where nothing but blanks was written.
///
/// # Errors
///
/// [`Failure::Invalid`] for a line that is too long or holds control characters.
pub(super) fn line(
    field: &'static str,
    given: Option<&str>,
    bytes_max: usize,
) -> Result<Option<String>, Failure> {
    let Some(given) = given.map(str::trim).filter(|given| !given.is_empty()) else {
        return Ok(None);
    };
    let detail = if given.len() > bytes_max {
        let length = given.len();
        format!("{length} bytes long, at most {bytes_max} are allowed")
    } else if given.chars().any(char::is_control) {
        "control characters are not allowed".to_owned()
    } else {
        return Ok(Some(given.to_owned()));
    };
    Err(Failure::Invalid { field, detail })
}

/// A line that must not be missing.
///
/// # Errors
///
/// [`Failure::Invalid`]
pub(super) fn written(field: &'static str, given: &str) -> Result<String, Failure> {
    line(field, Some(given), REASON_BYTES_MAX)?.ok_or_else(|| Failure::Invalid {
        field,
        detail: "say why: it must not be empty".to_owned(),
    })
}
