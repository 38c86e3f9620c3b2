//! Revocation lists from the network and from disk: bounded, and what one revokes can be said again.
#![no_main]

use std::sync::LazyLock;

use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::krl::{Comment, Contents, ENTRIES_MAX, KRL_SIZE_MAX, Krl, write};
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;

static AUTHORITY: LazyLock<AuthorityKey> = LazyLock::new(|| {
    SubjectKey::from(&SigningKey::from_bytes(&[7; 32]).verifying_key())
        .try_into()
        .expect("Ed25519")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(krl) = Krl::read(bytes) else {
        return;
    };
    assert!(bytes.len() <= KRL_SIZE_MAX);
    assert!(!krl.revokes_serial(&AUTHORITY, 0));
    let _ = krl.revokes_key(bytes) | krl.revokes_key_id(&AUTHORITY, "alice@prod#42");
    let _ = krl.serials_of_every_authority();
    let Some(serials) = krl.serials(&AUTHORITY) else {
        return;
    };
    assert!(serials.ranges().len() <= ENTRIES_MAX);
    for pair in serials.ranges().windows(2) {
        assert!(
            pair[0].last() < pair[1].first() - 1,
            "neither overlap nor touch"
        );
    }
    for range in serials.ranges() {
        assert!(krl.revokes_serial(&AUTHORITY, range.first()));
        assert!(krl.revokes_serial(&AUTHORITY, range.last()));
    }
    let again = write(&Contents {
        version: krl.version(),
        generated: krl.generated(),
        comment: krl.comment().parse().unwrap_or(Comment::default()),
        certificates: vec![(AUTHORITY.clone(), serials.clone())],
        keys: vec![],
    });
    let read = Krl::read(&again).expect("what was written can be read");
    assert_eq!(read.version(), krl.version());
    let empty = serials.is_empty();
    assert_eq!(read.serials(&AUTHORITY), Some(serials).filter(|_| !empty));
});
