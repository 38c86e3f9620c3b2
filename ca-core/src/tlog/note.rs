//! Signed notes (C2SP signed-note v1.0.0) with Ed25519 keys (type 0x01): a text, an empty line, and
//! one line for each signature.
//!
//! Keys live in [`key`]. Signature lines of unknown keys (witnesses, other types) are carried and
//! ignored; what they are worth is decided by whoever knows those keys.

pub mod key;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey};

pub use key::{KeyName, VerifierKey, VerifierKeyError};

/// Longest note accepted, bytes: room for sixteen post-quantum signatures.
pub const NOTE_LENGTH_MAX: usize = 128 * 1024;

/// Most signature lines accepted; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 32;

/// What every signature line begins with: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Why a note cannot be signed or is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Two of the given keys share a name and an id, so a signature would fit either.
    #[error("two different keys are called {name:?} and share an id")]
    Ambiguous {
        /// The name of both.
        name: String,
    },
    /// A control character other than a line feed.
    #[error("the note contains a control character")]
    Control,
    /// Not a text ending in a line feed, an empty line, and signature lines.
    #[error("not a signed note")]
    Malformed,
    /// A given key is named, but its signature is wrong: somebody changed the note.
    #[error("the signature of {name:?} is wrong")]
    Signature {
        /// Whose signature was claimed.
        name: String,
    },
    /// More than [`NOTE_LENGTH_MAX`] bytes.
    #[error("the note is longer than {NOTE_LENGTH_MAX} bytes")]
    TooLong,
    /// More than [`SIGNATURES_MAX`] signature lines.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// None of the given keys signed it.
    #[error("the note is not signed by a known key")]
    Unsigned,
}

/// The note over `text` with one signature, by `key` under `name`.
///
/// # Errors
///
/// [`NoteError::Malformed`] unless the text ends in a line feed, [`NoteError::Control`] and
/// [`NoteError::TooLong`] for a text that no verifier would accept.
pub fn sign(text: &str, name: &KeyName, key: &SigningKey) -> Result<String, NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed);
    }
    let line = signature_line(text, name, key);
    let note = format!("{text}\n{line}");
    check_bounds(&note)?;
    Ok(note)
}

/// The signature line, with its line feed, of `key` under `name` over `text`.
#[must_use]
pub fn signature_line(text: &str, name: &KeyName, key: &SigningKey) -> String {
    let id = VerifierKey::new(name.clone(), key.verifying_key()).id();
    let mut blob = id.to_vec();
    blob.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
    format!("{LINE_START}{name} {}\n", STANDARD.encode(blob))
}

/// The text of `note`, signed by at least one of `keys`. Signatures of other keys are ignored, but
/// every one that claims to be of a given key must be right.
///
/// # Errors
///
/// [`NoteError`]; see its variants. The text must not be used then.
pub fn open<'a>(note: &'a str, keys: &[VerifierKey]) -> Result<&'a str, NoteError> {
    let (text, lines) = split(note)?;
    let mut signed = false;
    for line in lines {
        let mut matching = keys
            .iter()
            .filter(|key| key.name().as_str() == line.name && key.id() == line.id);
        let Some(key) = matching.next() else { continue };
        if matching.any(|other| other != key) {
            return Err(NoteError::Ambiguous {
                name: line.name.to_owned(),
            });
        }
        let right = <[u8; 64]>::try_from(line.signature.as_slice())
            .map(|bytes| Signature::from_bytes(&bytes))
            .is_ok_and(|signature| key.verifies(text.as_bytes(), &signature));
        if !right {
            return Err(NoteError::Signature {
                name: line.name.to_owned(),
            });
        }
        signed = true;
    }
    if signed {
        Ok(text)
    } else {
        Err(NoteError::Unsigned)
    }
}

/// One parsed, unchecked signature line.
#[derive(Debug)]
pub(super) struct SignatureLine<'a> {
    pub(super) name: &'a str,
    pub(super) id: [u8; 4],
    pub(super) signature: Vec<u8>,
}

/// Takes a note apart at its last empty line without checking any signature.
pub(super) fn split(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), NoteError> {
    check_bounds(note)?;
    let empty_line = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    // The text keeps its line feed; the second one is the empty line.
    let (text, rest) = note
        .split_at_checked(empty_line + 1)
        .ok_or(NoteError::Malformed)?;
    let signatures = rest
        .strip_prefix('\n')
        .and_then(|lines| lines.strip_suffix('\n'))
        .ok_or(NoteError::Malformed)?;
    let mut lines = Vec::new();
    for line in signatures.split('\n') {
        if lines.len() == SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        lines.push(parse_line(line).ok_or(NoteError::Malformed)?);
    }
    Ok((text, lines))
}

fn parse_line(line: &str) -> Option<SignatureLine<'_>> {
    let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
    if !key::is_name(name) {
        return None;
    }
    let blob = STANDARD.decode(encoded).ok()?;
    let (id, signature) = blob.split_first_chunk::<4>()?;
    (!signature.is_empty()).then(|| SignatureLine {
        name,
        id: *id,
        signature: signature.to_vec(),
    })
}

fn check_bounds(note: &str) -> Result<(), NoteError> {
    if note.len() > NOTE_LENGTH_MAX {
        return Err(NoteError::TooLong);
    }
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Control);
    }
    Ok(())
}
