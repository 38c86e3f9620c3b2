//! Tile paths from URLs and entry bundles from a mirror.
#![no_main]

use ca_core::tlog::bundle;
use ca_core::tlog::tile::{Place, TILE_WIDTH, Tile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = std::str::from_utf8(bytes) {
        if let Ok(tile) = path.parse::<Tile>() {
            assert_eq!(tile.to_string(), path);
            assert!((1..=TILE_WIDTH).contains(&tile.width()));
            let _ = tile.is_in(tile.start());
        }
    }
    let Some((number, rest)) = bytes.split_first_chunk::<10>() else {
        return;
    };
    let [level, count, number @ ..] = *number;
    let _ = Place::of(level, u64::from_be_bytes(number)).and_then(|place| place.root(rest));
    let count = u16::from(count) + 1;
    if let Ok(entries) = bundle::decode(rest, count) {
        assert_eq!(entries.len(), usize::from(count));
        assert_eq!(bundle::encode(&entries).as_deref(), Ok(rest));
    }
});
