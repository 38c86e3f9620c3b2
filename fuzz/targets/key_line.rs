//! Keys from clients and configuration: one spelling, and never a certificate.
#![no_main]

use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::subject_key::SubjectKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = SubjectKey::from_blob(bytes) {
        assert_eq!(key.blob(), bytes);
        assert_eq!(key.to_string().parse::<SubjectKey>().as_ref(), Ok(&key));
        assert!(!key.kind().name().contains("-cert-"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = text.parse::<SubjectKey>() {
        assert_eq!(SubjectKey::from_blob(key.blob()).as_ref(), Ok(&key));
        assert!(key.fingerprint().starts_with("SHA256:"));
    }
    if let Ok(key) = text.parse::<AuthorityKey>() {
        key.verify(b"message", bytes)
            .expect_err("a line is no signature");
    }
});
