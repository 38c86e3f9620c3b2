//! Recovery codes: what one looks like and which digest stands for it.
//!
//! Which digests are still unused is state and lives elsewhere. A code has 80 random bits, so a
//! plain SHA-256 cannot be searched and needs no salt or slow hash.

use ca_core::digest::Digest;
use zeroize::Zeroizing;

/// Codes handed out at enrolment.
pub const CODES: usize = 10;

/// Random bytes in one code.
pub const CODE_BYTES: usize = 10;

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters in one code without its dashes.
const CODE_CHARACTERS: usize = 16;

/// Longest text looked at, bytes; leaves room for generous spacing.
const TEXT_BYTES_MAX: usize = 64;

/// Why a text is not a recovery code. Says nothing about whether a code of this shape is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryCodeError {
    /// A character outside the alphabet, dashes and spaces.
    #[error("a recovery code has only the letters and digits that were shown")]
    Character,
    /// Not sixteen characters.
    #[error("a recovery code has 16 characters")]
    Length,
}

/// The code that shows these ten random bytes: `7f3k-92mx-…`, four groups of four.
#[must_use]
pub fn code(random: &[u8; CODE_BYTES]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(CODE_CHARACTERS + 3));
    // Each half of five bytes is 40 bits, eight characters of five bits.
    for half in random.chunks(5) {
        let bits = half
            .iter()
            .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for at in 0..8_u32 {
            if (at == 0 && !text.is_empty()) || at == 4 {
                text.push('-');
            }
            let five = usize::try_from((bits >> (35 - 5 * at)) & 31).unwrap_or(0);
            text.push(char::from(ALPHABET.get(five).copied().unwrap_or(b'0')));
        }
    }
    text
}

/// The digest that stands for a typed code in records and state: SHA-256 of its sixteen
/// characters. Case, dashes and spaces do not matter.
///
/// # Errors
///
/// [`RecoveryCodeError`] when the text cannot be a code.
pub fn digest(typed: &str) -> Result<Digest, RecoveryCodeError> {
    if typed.len() > TEXT_BYTES_MAX {
        return Err(RecoveryCodeError::Length);
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX));
    for character in typed.bytes() {
        match character.to_ascii_lowercase() {
            b'-' | b' ' => {}
            known if ALPHABET.contains(&known) => plain.push(known),
            _ => return Err(RecoveryCodeError::Character),
        }
    }
    if plain.len() != CODE_CHARACTERS {
        return Err(RecoveryCodeError::Length);
    }
    Ok(Digest::of(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_shows_every_one_of_its_eighty_bits() {
        assert_eq!(*code(&[0; 10]), "0000-0000-0000-0000");
        assert_eq!(*code(&[0xff; 10]), "zzzz-zzzz-zzzz-zzzz");
        let all: std::collections::BTreeSet<String> = (0..80)
            .map(|bit| {
                let mut random = [0; 10];
                random[bit / 8] = 1 << (bit % 8);
                code(&random).to_string()
            })
            .collect();
        assert_eq!(all.len(), 80);
    }

    #[test]
    fn case_dashes_and_spaces_do_not_change_the_digest() {
        let shown = code(&[1, 35, 69, 103, 137, 171, 205, 239, 90, 165]);
        let wanted = digest(&shown).unwrap();
        assert_eq!(digest(&shown.to_uppercase()), Ok(wanted));
        assert_eq!(digest(&shown.replace('-', "")), Ok(wanted));
        assert_eq!(
            digest(&format!("  {} ", shown.replace('-', " "))),
            Ok(wanted)
        );
        assert_eq!(wanted, Digest::of(shown.replace('-', "").as_bytes()));
    }

    #[test]
    fn other_characters_and_lengths_are_refused() {
        for (text, error) in [
            ("", RecoveryCodeError::Length),
            ("0000-0000-0000-000", RecoveryCodeError::Length),
            ("0000-0000-0000-00000", RecoveryCodeError::Length),
            ("0000-0000-0000-000u", RecoveryCodeError::Character),
            ("0000\t0000-0000-0000", RecoveryCodeError::Character),
            ("０000-0000-0000-000", RecoveryCodeError::Character),
        ] {
            assert_eq!(digest(text), Err(error), "{text:?}");
        }
        assert_eq!(digest(&"-".repeat(100_000)), Err(RecoveryCodeError::Length));
    }

    #[test]
    fn another_code_has_another_digest() {
        let one = digest(&code(&[7; 10])).unwrap();
        let other = digest(&code(&[8; 10])).unwrap();
        assert_ne!(one, other);
    }
}
