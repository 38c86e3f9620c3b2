//! Tile names, widths and places, with the examples of C2SP tlog-tiles.

use proptest::prelude::*;

use super::{Tree, numbered_leaves};
use crate::tlog::hash::Hash;
use crate::tlog::tile::{Content, Level, Place, Tile};

fn hashes(level: u8) -> Content {
    Content::Hashes(Level::new(level).unwrap())
}

fn widths(level: u8, size: u64) -> Vec<u16> {
    let tiles = Tile::all(hashes(level), size);
    tiles.map(|tile| tile.width()).collect()
}

#[test]
fn a_tree_of_70_000_has_the_tiles_of_the_specification() {
    let level_0 = widths(0, 70_000);
    assert_eq!(level_0.len(), 274);
    assert!(level_0[..273].iter().all(|width| *width == 256));
    assert_eq!(level_0[273], 112);
    assert_eq!(widths(1, 70_000), [256, 17]);
    assert_eq!(widths(2, 70_000), [1]);
    assert!(widths(3, 70_000).is_empty());
    assert_eq!(widths(0, 256), [256]);
    assert_eq!(widths(1, 256), [1]);
    assert!(widths(1, 255).is_empty());
    assert!(widths(0, 0).is_empty());
    assert!((8..=63).all(|level| widths(level, u64::MAX).is_empty()));
}

#[test]
fn paths_are_those_of_the_specification() {
    let entries = Content::Entries;
    for (tile, path) in [
        (Tile::new(hashes(0), 1_234_067, 256), "tile/0/x001/x234/067"),
        (Tile::new(hashes(63), 0, 256), "tile/63/000"),
        (Tile::new(hashes(1), 1, 17), "tile/1/001.p/17"),
        (Tile::new(hashes(0), 273, 112), "tile/0/273.p/112"),
        (Tile::new(hashes(2), 999, 1), "tile/2/999.p/1"),
        (Tile::new(hashes(2), 1000, 255), "tile/2/x001/000.p/255"),
        (
            Tile::new(entries, 1_234_067, 256),
            "tile/entries/x001/x234/067",
        ),
        (Tile::new(entries, 5, 9), "tile/entries/005.p/9"),
    ] {
        let tile = tile.unwrap();
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
}

#[test]
fn other_spellings_of_a_path_are_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/00/001",
        "tile/01/001",
        "tile/64/001",
        "tile/+1/001",
        "tile/-1/001",
        "tile/0/001.p",
        "tile/0/001.p/",
        "tile/0/001.p/0",
        "tile/0/001.p/01",
        "tile/0/001.p/256",
        "tile/0/001.p/65537",
        "tile/0/001.p/5/6",
        "tile/0/001.p/5.p/6",
        "/tile/0/001",
        "tile/0/001/",
        "tile//001",
        "tile/0/../001",
        "tile/0/00\u{0661}",
        "tile/8/0/001",
        "tile/Entries/001",
        "tile/data/001",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path:?}");
    }
}

#[test]
fn a_tile_is_served_at_every_width_the_tree_has_reached() {
    let tile = |width| Tile::new(hashes(0), 273, width).unwrap();
    assert!(tile(112).is_in(70_000));
    assert!(tile(1).is_in(70_000));
    assert!(!tile(113).is_in(70_000));
    assert!(!Tile::new(hashes(0), 274, 1).unwrap().is_in(70_000));
    assert!(Tile::new(hashes(0), 272, 256).unwrap().is_in(70_000));
}

proptest! {
    #[test]
    fn any_text_is_a_path_in_one_spelling_or_refused(path in "(tile/)?[0-9a-z/.x]{0,24}") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path);
        }
    }

    #[test]
    fn every_tile_is_found_again_by_its_path(level in 0u8..64, index in 0u64..1 << 54, width in 1u16..=256) {
        let tile = Tile::new(hashes(level), index, width).unwrap();
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }
}

#[test]
fn every_complete_subtree_is_found_in_a_tile() {
    let size = 70_000;
    let tree = Tree::over(numbered_leaves(size));
    for level in 0..17u8 {
        for index in [0, 1, 2, 3, 127, 128, 255, 256, (size >> level) - 1] {
            if index >= size >> level {
                continue;
            }
            let place = Place::of(level, index).unwrap();
            let tile = Tile::within(Content::Hashes(place.level), place.index, size).unwrap();
            let bytes: Vec<u8> = (tile.start()..)
                .take(tile.width().into())
                .flat_map(|at| *tree.read(place.level.number() * 8, at).unwrap().as_bytes())
                .collect();
            assert_eq!(place.root(&bytes), Some(tree.read(level, index).unwrap()));
            let needed = (usize::from(place.start) + usize::from(place.count)) * Hash::LENGTH;
            assert_eq!(place.root(&bytes[..needed - 1]), None);
        }
    }
    assert_eq!(Place::of(64, 0), None);
    assert_eq!(Place::of(0, u64::MAX), None);
}
