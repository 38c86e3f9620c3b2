//! What ssh-agent answers: an answer has one meaning at most, and lists are as long as they say.
#![no_main]

use ca_core::agent::answer::{
    ANSWER_MAX, IDENTITIES_MAX, answer_length, identities, signature, success,
};
use ca_core::certificate::untrusted::read_untrusted_blob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    if let Some(Ok(length)) = answer
        .first_chunk::<4>()
        .map(|header| answer_length(*header))
    {
        assert!((1..=ANSWER_MAX).contains(&length));
    }
    let (list, blob) = (identities(answer), signature(answer));
    assert!(!(list.is_ok() && blob.is_ok()));
    assert_eq!(success(answer).is_ok(), answer == [6]);
    if let Ok(list) = list {
        assert!(list.len() <= IDENTITIES_MAX);
        let bytes: usize = list.iter().map(|identity| identity.blob.len() + 8).sum();
        assert!(bytes <= answer.len());
        for identity in list {
            let _ = read_untrusted_blob(&identity.blob);
        }
    }
});
