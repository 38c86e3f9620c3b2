//! Signed notes, checkpoints and verifier keys: one spelling, and no head without its signature.
#![no_main]

use std::sync::LazyLock;

use ca_core::tlog::checkpoint::Checkpoint;
use ca_core::tlog::note::{self, KeyName, VerifierKey};
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));
static VERIFIER: LazyLock<VerifierKey> = LazyLock::new(|| {
    let name = "ca.example.com/2027a".parse().expect("a name");
    VerifierKey::new(name, KEY.verifying_key())
});

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<KeyName>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    let _ = note::open(text, std::slice::from_ref(&VERIFIER));
    let _ = Checkpoint::open(text, &VERIFIER);
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
        let signed = checkpoint.sign(&KEY);
        let key = VerifierKey::new(checkpoint.origin().clone(), KEY.verifying_key());
        assert_eq!(Checkpoint::open(&signed, &key), Ok(checkpoint));
    }
    if let Ok(signed) = note::sign(text, VERIFIER.name(), &KEY) {
        assert_eq!(
            note::open(&signed, std::slice::from_ref(&VERIFIER)),
            Ok(text)
        );
    }
});
