//! What ssh-agent answers, read with bounds: at most 256 KiB, as the OpenSSH client allows.
//!
//! An answer without its length prefix goes in; nothing is believed beyond its shape.

use crate::wire::{Fields, WireError};

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION_FAILURE: u8 = 28;

/// Longest answer in bytes, without the length prefix.
pub const ANSWER_MAX: usize = 256 * 1024;
/// Most entries in a list; OpenSSH's own limit.
pub const IDENTITIES_MAX: usize = 2048;

/// One entry of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A key or a certificate.
    pub blob: Vec<u8>,
    /// Its comment; what is not UTF-8 is replaced.
    pub comment: String,
}

/// Why an answer is not the one wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The agent said no, as it does for everything while it is locked.
    #[error("the agent refused")]
    Refused,
    /// An answer to something else.
    #[error("the agent answered with message {0}")]
    Unexpected(u8),
    /// Not the fields of that answer.
    #[error("the agent's answer is malformed")]
    Malformed,
    /// A length of 0 or over [`ANSWER_MAX`].
    #[error("the agent announced an answer of {0} bytes (allowed: 1 to {ANSWER_MAX})")]
    Length(u32),
    /// More than [`IDENTITIES_MAX`].
    #[error("the agent lists {0} identities, at most {IDENTITIES_MAX} are read")]
    TooMany(u32),
}

impl From<WireError> for AnswerError {
    fn from(_: WireError) -> Self {
        Self::Malformed
    }
}

/// How many bytes follow the length prefix `header`.
///
/// # Errors
///
/// [`AnswerError::Length`] when it is 0 or more than [`ANSWER_MAX`]: read nothing then.
pub fn answer_length(header: [u8; 4]) -> Result<usize, AnswerError> {
    let announced = u32::from_be_bytes(header);
    usize::try_from(announced)
        .ok()
        .filter(|length| (1..=ANSWER_MAX).contains(length))
        .ok_or(AnswerError::Length(announced))
}

/// That the agent did what it was told (add, remove, lock, unlock).
///
/// # Errors
///
/// [`AnswerError::Refused`] when it did not, others when the answer is none.
pub fn success(answer: &[u8]) -> Result<(), AnswerError> {
    let fields = expect(answer, SUCCESS)?;
    Ok(fields.end()?)
}

/// The entries of an agent, in its order.
///
/// # Errors
///
/// [`AnswerError`] when it refused or the list is not exactly as long as it says.
pub fn identities(answer: &[u8]) -> Result<Vec<Identity>, AnswerError> {
    let mut fields = expect(answer, IDENTITIES_ANSWER)?;
    let count = fields.uint32()?;
    if usize::try_from(count).map_or(true, |count| count > IDENTITIES_MAX) {
        return Err(AnswerError::TooMany(count));
    }
    let mut list = Vec::new();
    for _ in 0..count {
        let blob = fields.string()?.to_vec();
        let comment = String::from_utf8_lossy(fields.string()?).into_owned();
        list.push(Identity { blob, comment });
    }
    fields.end()?;
    Ok(list)
}

/// The signature blob (algorithm, signature), not checked.
///
/// # Errors
///
/// [`AnswerError`] when the agent refused or the answer is not one signature.
pub fn signature(answer: &[u8]) -> Result<Vec<u8>, AnswerError> {
    let mut fields = expect(answer, SIGN_RESPONSE)?;
    let blob = fields.string()?.to_vec();
    fields.end()?;
    Ok(blob)
}

fn expect(answer: &[u8], number: u8) -> Result<Fields<'_>, AnswerError> {
    let mut fields = Fields::new(answer);
    match fields.byte()? {
        found if found == number => Ok(fields),
        FAILURE | EXTENSION_FAILURE => Err(AnswerError::Refused),
        other => Err(AnswerError::Unexpected(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_of_nothing_or_over_256_kib_is_refused_before_reading() {
        assert!(answer_length([0; 4]).is_err());
        assert!(answer_length([0, 4, 0, 1]).is_err());
        assert!(answer_length([0xff; 4]).is_err());
        assert_eq!(answer_length([0, 4, 0, 0]), Ok(ANSWER_MAX));
    }

    #[test]
    fn a_list_that_says_more_or_less_than_it_holds_is_refused() {
        assert_eq!(identities(&[12, 0, 0, 0, 0]), Ok(vec![]));
        assert_eq!(identities(&[12, 0, 0, 0, 1]), Err(AnswerError::Malformed));
        assert_eq!(
            identities(&[12, 0, 0, 0, 0, 9]),
            Err(AnswerError::Malformed)
        );
        let many = [12, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(identities(&many), Err(AnswerError::TooMany(u32::MAX)));
    }

    #[test]
    fn refusal_and_answers_to_something_else_are_told_apart() {
        assert_eq!(success(&[6]), Ok(()));
        assert_eq!(success(&[5]), Err(AnswerError::Refused));
        assert_eq!(success(&[12]), Err(AnswerError::Unexpected(12)));
        assert_eq!(success(&[6, 0]), Err(AnswerError::Malformed));
        assert_eq!(success(&[]), Err(AnswerError::Malformed));
        assert_eq!(signature(&[6]), Err(AnswerError::Unexpected(6)));
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer_without_a_panic(
            number in 0_u8..16, body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let answer = [vec![number], body].concat();
            let listed = identities(&answer).is_ok();
            let signed = signature(&answer).is_ok();
            prop_assert!(!(listed && signed));
            prop_assert!(success(&answer).is_err() || answer == [SUCCESS]);
        }
    }
}
