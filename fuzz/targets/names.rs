//! Short texts with one spelling each: what is accepted prints as it was written.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use ca_core::certificate::key_id::KeyId;
use ca_core::certificate::option_value::{ForceCommand, SourceAddress};
use ca_core::digest::Digest;
use ca_core::name::{Environment, Principal, Subject, UserName};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use ca_core::tlog::hash::Hash;
use libfuzzer_sys::fuzz_target;

fn prints_as_written<T: FromStr + Display>(text: &str, length_max: usize) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
        assert!(text.len() <= length_max, "{} bytes", text.len());
    }
}

fuzz_target!(|text: &str| {
    prints_as_written::<Principal>(text, 32);
    prints_as_written::<Environment>(text, 32);
    prints_as_written::<UserName>(text, 64);
    prints_as_written::<Serial>(text, 19);
    prints_as_written::<KeyId>(text, 128);
    prints_as_written::<Hash>(text, 44);
    if let Ok(name) = text.parse::<Principal>() {
        assert!(!name.as_str().is_empty());
        assert!(
            name.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',')
        );
    }
    if let Some((issuer, sub)) = text.split_once('\n') {
        let _ = Subject::new(issuer, sub);
    }
    if let Ok(digest) = Digest::try_from(text.to_owned()) {
        assert_eq!(String::from(digest), text);
    }
    let _ = text.parse::<ForceCommand>();
    let _ = text.parse::<Timestamp>();
    let networks: Vec<String> = text.split(',').take(64).map(str::to_owned).collect();
    let _ = SourceAddress::try_from(networks);
});
