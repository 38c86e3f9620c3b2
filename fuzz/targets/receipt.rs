//! Receipts as clients and auditors get them: one spelling, and only the right leaf is covered.
#![no_main]

use ca_core::tlog::leaf::Leaf;
use ca_core::tlog::note::VerifierKey;
use ca_core::tlog::receipt::Receipt;
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(receipt) = text.parse::<Receipt>() else {
        return;
    };
    assert_eq!(receipt.to_string(), text);
    let name = "ca.example.com/2027a".parse().expect("a name");
    let key = VerifierKey::new(name, SigningKey::from_bytes(&[7; 32]).verifying_key());
    if let Some(leaf) = receipt.extra() {
        let _ = Leaf::decode(leaf);
        let _ = receipt.verify(leaf, &key);
    }
    receipt
        .verify(b"not the entry", &key)
        .expect_err("another entry");
});
