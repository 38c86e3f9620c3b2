//! Leaves and events as an auditor reads them from a log that somebody else may have written, and
//! the record of an emergency as an operator gets it from a laptop.
#![no_main]

use ca_core::break_glass::SignedRecord;
use ca_core::event::Event;
use ca_core::tlog::leaf::{Kind, Leaf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert_eq!(leaf.encode(), bytes);
        assert_eq!(Kind::from_code(leaf.kind.code()), Some(leaf.kind));
    }
    if let Ok(signed) = SignedRecord::from_bytes(bytes) {
        let written = signed.to_bytes().expect("what was read can be written");
        let again = SignedRecord::from_bytes(&written).expect("and read again");
        assert_eq!(again, signed);
        let _ = signed.verify(&signed.record.authority_key, signed.record.signed_at);
    }
    let Ok(event) = Event::from_bytes(bytes) else {
        return;
    };
    let written = event.to_bytes().expect("what was read can be written");
    assert_eq!(Event::from_bytes(&written).expect("and read again"), event);
    let _ = (
        event.kind(),
        event.name(),
        event.person(),
        event.environment(),
    );
    let _ = (event.principals(), event.serials());
});
