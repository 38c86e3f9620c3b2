//! Tiles (C2SP tlog-tiles, height 8): which exist in a tree, what they are called, and where in them
//! a hash is. Entry bundles are named like tiles of level 0.
//!
//! Storage is elsewhere. A store may keep one growing blob for each tile: a partial tile is a prefix
//! of every wider one.

use std::fmt;
use std::str::FromStr;

use super::decimal;
use super::hash::{Hash, node_hash};
use super::proof::SIZE_MAX;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Longest tile path that can name anything, bytes.
const PATH_LENGTH_MAX: usize = 64;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// The entries themselves, see [`super::bundle`].
    Entries,
    /// Hashes of one level.
    Hashes(Level),
}

/// Level of a tile, 0 (leaf hashes) to 63. A hash of level `l` is over 256^`l` leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// Highest level that the specification has a path for; no tree has tiles above level 7.
    pub const MAX: u8 = 63;

    /// The level `number`, nothing above 63.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number > Self::MAX {
            return None;
        }
        Some(Self(number))
    }

    /// 0 to 63.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Number of hashes on this level in a tree of `size` leaves.
    fn count(self, size: u64) -> u64 {
        size.checked_shr(u32::from(self.0) * 8).unwrap_or(0)
    }
}

/// A full or partial tile. Its [`fmt::Display`] text is its path, `tile/<L>/<N>[.p/<W>]` or
/// `tile/entries/<N>[.p/<W>]`, without a leading slash; parsing accepts exactly that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    content: Content,
    index: u64,
    width: u16,
}

/// The text is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tile path: expected tile/<level or entries>/<number>[.p/<width>]")]
pub struct TilePathError;

impl Tile {
    /// The `index`-th tile of `content` with `width` hashes or entries. Nothing unless the width is
    /// 1 to 256 and some tree has such a tile or could on a level of its own.
    #[must_use]
    pub fn new(content: Content, index: u64, width: u16) -> Option<Self> {
        let in_range = (1..=TILE_WIDTH).contains(&width) && index < SIZE_MAX >> 8;
        in_range.then_some(Self {
            content,
            index,
            width,
        })
    }

    /// The `index`-th tile of `content` as wide as it is in a tree of `size` leaves; nothing if it
    /// would be empty.
    #[must_use]
    pub fn within(content: Content, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(TILE_WIDTH.into())?;
        let count = content
            .level()
            .count(size.min(SIZE_MAX))
            .checked_sub(before)?;
        let width = u16::try_from(count).map_or(TILE_WIDTH, |count| count.min(TILE_WIDTH));
        Self::new(content, index, width)
    }

    /// Every tile of `content` in a tree of `size` leaves in order, at most the last one partial.
    pub fn all(content: Content, size: u64) -> impl Iterator<Item = Self> {
        (0..).map_while(move |index| Self::within(content, index, size))
    }

    /// What the tile holds.
    #[must_use]
    pub const fn content(&self) -> Content {
        self.content
    }

    /// Number of the tile on its level.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries in it, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile is full and so never changes.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Whether a tree of `size` leaves has the tile at this width or wider, so that it can be
    /// served as a prefix.
    #[must_use]
    pub fn is_in(&self, size: u64) -> bool {
        Self::within(self.content, self.index, size).is_some_and(|now| now.width >= self.width)
    }

    /// Position of the tile's first hash on its level; of its first entry in the log.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.index.saturating_mul(256)
    }
}

impl Content {
    const fn level(self) -> Level {
        match self {
            Self::Entries => Level(0),
            Self::Hashes(level) => level,
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Entries => f.write_str("tile/entries")?,
            Content::Hashes(level) => write!(f, "tile/{}", level.0)?,
        }
        // Groups of three digits; all but the last are marked, so none can be mistaken for it.
        let mut power: u64 = 1;
        while self.index / power >= 1000 {
            power *= 1000;
        }
        while power > 1 {
            write!(f, "/x{:03}", self.index / power % 1000)?;
            power /= 1000;
        }
        write!(f, "/{:03}", self.index % 1000)?;
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let tile = parse(path).ok_or(TilePathError)?;
        // Refuses superfluous groups such as x000.
        if tile.to_string() == path {
            Ok(tile)
        } else {
            Err(TilePathError)
        }
    }
}

fn parse(path: &str) -> Option<Tile> {
    if path.len() > PATH_LENGTH_MAX {
        return None;
    }
    let (content, number) = path.strip_prefix("tile/")?.split_once('/')?;
    let content = match content {
        "entries" => Content::Entries,
        level => Content::Hashes(Level::new(u8::try_from(decimal::parse(level)?).ok()?)?),
    };
    let (number, width) = match number.split_once(".p/") {
        Some((number, width)) => (number, u16::try_from(decimal::parse(width)?).ok()?),
        None => (number, TILE_WIDTH),
    };
    let mut index: u64 = 0;
    for group in number.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: u64 = digits.parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(digits)?;
    }
    Tile::new(content, index, width)
}

/// Where in the tiles the root of a complete subtree is found: the fold of `count` neighbouring
/// hashes (a power of two up to 128) of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Level of the tile.
    pub level: Level,
    /// Number of the tile on its level.
    pub index: u64,
    /// First hash in the tile, 0 to 255.
    pub start: u8,
    /// Number of hashes, 1 to 128.
    pub count: u8,
}

impl Place {
    /// The place of the `index`-th complete subtree of 2^`level` leaves. Nothing if no tree has it.
    #[must_use]
    pub fn of(level: u8, index: u64) -> Option<Self> {
        let below = level % 8;
        if level > 63 || index > SIZE_MAX >> level {
            return None;
        }
        let first = index.checked_mul(1 << below)?;
        Some(Self {
            level: Level::new(level / 8)?,
            index: first / 256,
            start: u8::try_from(first % 256).ok()?,
            count: 1 << below,
        })
    }

    /// The subtree's root, from the bytes of a tile that is wide enough; nothing if it is not.
    #[must_use]
    pub fn root(&self, tile: &[u8]) -> Option<Hash> {
        let start = usize::from(self.start).checked_mul(Hash::LENGTH)?;
        let length = usize::from(self.count).checked_mul(Hash::LENGTH)?;
        let bytes = tile.get(start..start.checked_add(length)?)?;
        let (hashes, _) = bytes.as_chunks::<{ Hash::LENGTH }>();
        let mut hashes: Vec<Hash> = hashes.iter().copied().map(Hash::from_bytes).collect();
        while hashes.len() > 1 {
            let pairs = hashes.chunks_exact(2);
            hashes = pairs
                .filter_map(|pair| match pair {
                    [left, right] => Some(node_hash(left, right)),
                    _ => None,
                })
                .collect();
        }
        hashes.pop()
    }
}
