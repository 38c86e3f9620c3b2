//! Which revoked serials go into a list, a range or a bitmap, so that they take few bytes.
//!
//! Every mix is valid; this decides size only. Writes no byte itself.

use super::BITMAP_BITS_MAX;
use super::serials::SerialRange;

/// Bits that a serial takes in the list. There is one list at most, so its header is no one's.
const LISTED: u64 = 64;
/// Bits of a range: type, length, two serials.
const RANGE: u64 = 8 * (1 + 4 + 8 + 8);
/// Bits of a bitmap without its content: type, length, offset, length, and the bits that the
/// content is rounded up by.
const BITMAP: u64 = 8 * (1 + 4 + 8 + 4 + 1);

/// The same serials, sorted by how they are written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packing<'a> {
    /// Written one by one, in one list.
    pub(super) listed: Vec<SerialRange>,
    /// Written as ranges.
    pub(super) ranges: Vec<SerialRange>,
    /// Written as one bitmap each: never empty, never over more than [`BITMAP_BITS_MAX`] serials.
    pub(super) bitmaps: Vec<&'a [SerialRange]>,
}

/// The cheapest ways, in bits, to write all up to some range.
#[derive(Clone, Copy)]
struct Costs {
    /// The last range stands alone.
    alone: u64,
    /// The last range is in a bitmap …
    bitmap: u64,
    /// … which begins at this serial.
    bitmap_first: u64,
    /// The last serial of that bitmap.
    bitmap_last: u64,
}

/// How [`Costs`] came about at one range.
#[derive(Clone, Copy)]
struct Step {
    /// If the range does not extend a bitmap, whether the one before it is in one.
    after_bitmap: bool,
    /// If the range is in a bitmap, whether it is the bitmap of the one before it.
    extends: bool,
}

/// Packs ascending, disjoint `ranges`: one pass over them and one back, so the time is linear.
///
/// Each range stands alone or shares a bitmap with its neighbours. Costs are compared in bits, the
/// one header of the list is not counted, and a bitmap is only continued from the best beginning
/// seen so far: the last few bytes that rounding and headers might save are not searched for.
pub(super) fn pack(ranges: &[SerialRange]) -> Packing<'_> {
    let mut costs = Costs {
        alone: 0,
        bitmap: u64::MAX,
        bitmap_first: 0,
        bitmap_last: 0,
    };
    let mut steps = Vec::with_capacity(ranges.len());
    for range in ranges {
        let (next, step) = costs.with(*range);
        costs = next;
        steps.push(step);
    }
    trace_back(ranges, &steps, costs.bitmap < costs.alone)
}

impl Costs {
    fn with(self, range: SerialRange) -> (Self, Step) {
        let after_bitmap = self.bitmap < self.alone;
        let before = self.alone.min(self.bitmap);
        let opened = bits(range.first(), range.last()).map_or(u64::MAX, |own| {
            before.saturating_add(BITMAP.saturating_add(own))
        });
        let extended = bits(self.bitmap_first, range.last()).map_or(u64::MAX, |_| {
            let more = range.last().saturating_sub(self.bitmap_last);
            self.bitmap.saturating_add(more)
        });
        let extends = extended < opened;
        let first = if extends {
            self.bitmap_first
        } else {
            range.first()
        };
        let next = Self {
            alone: before.saturating_add(alone(range)),
            bitmap: opened.min(extended),
            bitmap_first: first,
            bitmap_last: range.last(),
        };
        let step = Step {
            after_bitmap,
            extends,
        };
        (next, step)
    }
}

/// How many bits a bitmap from `first` to `last` has, unless they are too many.
const fn bits(first: u64, last: u64) -> Option<u64> {
    let apart = last.saturating_sub(first);
    if apart < BITMAP_BITS_MAX {
        Some(apart.saturating_add(1))
    } else {
        None
    }
}

const fn alone(range: SerialRange) -> u64 {
    let listed = range.count().saturating_mul(LISTED);
    if listed < RANGE { listed } else { RANGE }
}

fn trace_back<'a>(ranges: &'a [SerialRange], steps: &[Step], in_bitmap: bool) -> Packing<'a> {
    let mut packing = Packing::default();
    let mut in_bitmap = in_bitmap;
    let mut end = None;
    for (index, (range, step)) in ranges.iter().zip(steps).enumerate().rev() {
        if in_bitmap {
            let bitmap_end = *end.get_or_insert(index.saturating_add(1));
            if step.extends {
                continue;
            }
            packing.bitmaps.extend(ranges.get(index..bitmap_end));
            end = None;
        } else if alone(*range) < RANGE {
            packing.listed.push(*range);
        } else {
            packing.ranges.push(*range);
        }
        in_bitmap = step.after_bitmap;
    }
    // Found from the end; written from the beginning, for whoever reads a dump.
    packing.listed.reverse();
    packing.ranges.reverse();
    packing.bitmaps.reverse();
    packing
}

#[cfg(test)]
mod tests {
    use super::super::serials::Serials;
    use super::*;

    fn range(first: u64, last: u64) -> SerialRange {
        SerialRange::new(first, last).unwrap()
    }

    fn serials(serials: impl IntoIterator<Item = u64>) -> Serials {
        serials
            .into_iter()
            .map(|serial| range(serial, serial))
            .collect()
    }

    #[test]
    fn far_apart_serials_are_listed_and_long_runs_are_ranges() {
        let set: Serials = [
            range(1, 1),
            range(1 << 20, 1 << 30),
            range(1 << 40, (1 << 40) + 1),
        ]
        .into_iter()
        .collect();
        let packing = pack(set.ranges());
        assert_eq!(packing.listed, [range(1, 1), range(1 << 40, (1 << 40) + 1)]);
        assert_eq!(packing.ranges, [range(1 << 20, 1 << 30)]);
        assert!(packing.bitmaps.is_empty());
    }

    #[test]
    fn every_other_serial_is_a_bitmap_of_at_most_the_permitted_bits() {
        let set = serials((0..20_000).map(|n| 1 + 2 * n));
        let packing = pack(set.ranges());
        assert!(packing.listed.is_empty() && packing.ranges.is_empty());
        assert_eq!(packing.bitmaps.len(), 3);
        for bitmap in &packing.bitmaps {
            let span = bitmap.last().unwrap().last() - bitmap.first().unwrap().first() + 1;
            assert!(span <= BITMAP_BITS_MAX);
        }
    }

    #[test]
    fn a_bitmap_begins_and_ends_where_serials_are_dense() {
        let dense = (0..50).map(|n| (1 << 30) + 3 * n);
        let set = serials([7].into_iter().chain(dense).chain([1 << 50]));
        let packing = pack(set.ranges());
        assert_eq!(packing.listed, [range(7, 7), range(1 << 50, 1 << 50)]);
        assert_eq!(packing.bitmaps.len(), 1);
        assert_eq!(packing.bitmaps[0].len(), 50);
    }

    #[test]
    fn serials_at_the_upper_end_pack_without_overflow() {
        let set = serials((0..100).map(|n| u64::MAX - 2 * n));
        assert_eq!(pack(set.ranges()).bitmaps.len(), 1);
        let all = [range(1, u64::MAX)];
        assert_eq!(pack(&all).ranges, all);
    }
}
