//! Sets of serials, kept as ranges: a list from outside may revoke all 2^64-1 of them.

use std::collections::BTreeSet;

use crate::serial::Serial;

/// The serials from `first` to `last`, both included; never empty, never with serial 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialRange {
    first: u64,
    last: u64,
}

/// Why two numbers are no range of serials. OpenSSH refuses a whole list for either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SerialRangeError {
    /// OpenSSH takes 0 for "no serial" and cannot revoke it.
    #[error("serial 0 cannot be revoked")]
    Zero,
    /// The last is before the first.
    #[error("the range of serials ends before it begins")]
    Reversed,
}

/// A set of serials: ascending ranges that neither overlap nor touch, so equal sets are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serials {
    ranges: Vec<SerialRange>,
}

impl SerialRange {
    /// From `first` to `last`, both included.
    ///
    /// # Errors
    ///
    /// [`SerialRangeError`] if the range holds 0 or nothing.
    pub const fn new(first: u64, last: u64) -> Result<Self, SerialRangeError> {
        if first == 0 {
            return Err(SerialRangeError::Zero);
        }
        if last < first {
            return Err(SerialRangeError::Reversed);
        }
        Ok(Self { first, last })
    }

    /// The smallest serial, at least 1.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The largest serial.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// How many serials, at least 1. Fits, as 0 is never among them.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Whether `serial` is one of them.
    #[must_use]
    pub const fn contains(&self, serial: u64) -> bool {
        self.first <= serial && serial <= self.last
    }

    /// Takes `other` in if no serial lies between the two; else leaves both as they are.
    pub(super) const fn absorb(&mut self, other: Self) -> bool {
        let apart =
            self.last.saturating_add(1) < other.first || other.last.saturating_add(1) < self.first;
        if apart {
            return false;
        }
        if other.first < self.first {
            self.first = other.first;
        }
        if other.last > self.last {
            self.last = other.last;
        }
        true
    }
}

impl Serials {
    /// Whether `serial` is in the set; 0 never is.
    #[must_use]
    pub fn contains(&self, serial: u64) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= serial);
        let candidate = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        candidate.is_some_and(|range| range.contains(serial))
    }

    /// The ranges, ascending, with at least one serial between each two.
    #[must_use]
    pub fn ranges(&self) -> &[SerialRange] {
        &self.ranges
    }

    /// How many serials there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.ranges.iter().map(SerialRange::count);
        counts.fold(0, u64::saturating_add)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl FromIterator<SerialRange> for Serials {
    /// In any order, overlapping or not.
    fn from_iter<I: IntoIterator<Item = SerialRange>>(ranges: I) -> Self {
        let mut sorted: Vec<SerialRange> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<SerialRange> = Vec::new();
        for range in sorted {
            if !merged.last_mut().is_some_and(|last| last.absorb(range)) {
                merged.push(range);
            }
        }
        Self { ranges: merged }
    }
}

impl FromIterator<Serial> for Serials {
    /// In any order.
    fn from_iter<I: IntoIterator<Item = Serial>>(serials: I) -> Self {
        let single = |serial: Serial| SerialRange {
            first: serial.get(),
            last: serial.get(),
        };
        serials.into_iter().map(single).collect()
    }
}

impl TryFrom<&BTreeSet<u64>> for Serials {
    type Error = SerialRangeError;

    /// # Errors
    ///
    /// [`SerialRangeError::Zero`] if 0 is among them.
    fn try_from(serials: &BTreeSet<u64>) -> Result<Self, SerialRangeError> {
        let single = |serial: &u64| SerialRange::new(*serial, *serial);
        serials.iter().map(single).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> SerialRange {
        SerialRange::new(first, last).unwrap()
    }

    #[test]
    fn ranges_that_overlap_touch_or_bridge_become_one() {
        let set: Serials = [range(9, 9), range(4, 5), range(1, 3), range(20, u64::MAX)]
            .into_iter()
            .collect();
        assert_eq!(
            set.ranges(),
            [range(1, 5), range(9, 9), range(20, u64::MAX)]
        );
        let bridged: Serials = set.ranges().iter().copied().chain([range(2, 19)]).collect();
        assert_eq!(bridged.ranges(), [range(1, u64::MAX)]);
        assert_eq!(bridged.count(), u64::MAX);
    }

    #[test]
    fn a_set_holds_both_ends_of_a_range_and_neither_neighbour() {
        let set: Serials = [range(5, 7), range(u64::MAX, u64::MAX)]
            .into_iter()
            .collect();
        let held: Vec<u64> = [0, 1, 4, 5, 6, 7, 8, u64::MAX - 1, u64::MAX]
            .into_iter()
            .filter(|serial| set.contains(*serial))
            .collect();
        assert_eq!(held, [5, 6, 7, u64::MAX]);
        assert!(!Serials::default().contains(0));
    }

    #[test]
    fn serial_zero_and_reversed_ranges_are_refused() {
        assert_eq!(SerialRange::new(0, 9), Err(SerialRangeError::Zero));
        assert_eq!(SerialRange::new(3, 2), Err(SerialRangeError::Reversed));
        let with_zero: BTreeSet<u64> = [0, 1].into();
        assert_eq!(Serials::try_from(&with_zero), Err(SerialRangeError::Zero));
    }
}
