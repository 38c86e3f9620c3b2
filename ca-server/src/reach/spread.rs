//! At which hours, between which moments and from which addresses a way holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca_core::time::Timestamp;

use super::addresses::Addresses;
use super::found::Seed;
use super::hours::{Hours, minute_of_week};
use super::search::Search;
use super::situation::{Era, LAST_MINUTE, Spot};
use super::way::Way;
use crate::policy::Question;

/// When and from where.
type Extent = (Hours, Addresses);

impl Search<'_> {
    /// The seed's way for each time and set of addresses at which it holds.
    pub(super) fn spread(&self, seed: &Seed) -> Vec<Way> {
        let eras = &self.ground.eras;
        let begin = eras.first().map(|era| era.start);
        let mut found = Vec::new();
        let mut close = |(hours, addresses): Extent, (since, question): (Timestamp, _), until| {
            found.push(Way {
                hours,
                addresses,
                since: (Some(since) != begin).then_some(since),
                until,
                question,
                ..seed.way.clone()
            });
        };
        let mut open: BTreeMap<Extent, (Timestamp, Question)> = BTreeMap::new();
        for (at, era) in eras.iter().enumerate() {
            let here = self.here(seed, at, era);
            let (on, over): (BTreeMap<_, _>, BTreeMap<_, _>) = open
                .into_iter()
                .partition(|(key, _)| here.contains_key(key));
            open = on;
            for (key, begun) in over {
                close(key, begun, Some(era.start));
            }
            for (key, question) in here {
                open.entry(key).or_insert((era.start, question));
            }
        }
        for (key, begun) in open {
            close(key, begun, None);
        }
        found
    }

    /// Hours and addresses of one era at which the seed's way holds, each with its question asked
    /// there and then.
    fn here(&self, seed: &Seed, at: usize, era: &Era) -> BTreeMap<Extent, Question> {
        let question = &seed.way.question;
        let spots = self.ground.spots();
        let mut places: Vec<(Hours, usize, Question)> = Vec::new();
        for place in 0..self.ground.places.len() {
            let here = spots.iter().zip(&seed.holds);
            let here = here.filter(|(spot, _)| (spot.place, spot.era) == (place, at));
            let holds: Vec<bool> = here.map(|(_, holds)| *holds).collect();
            let mut permitted = era.moments.iter().zip(&holds).filter(|(_, holds)| **holds);
            if let Some((now, _)) = permitted.next() {
                let hours = self.hours(question, (place, era), &holds);
                places.push((hours, place, self.moved(question, place, *now)));
            }
        }
        let own = |spot: &(&Spot, &bool)| {
            let address = self
                .ground
                .places
                .get(spot.0.place)
                .map(|place| place.address);
            spot.0.era == at
                && spot.0.now == question.facts.now
                && address == Some(question.facts.source)
        };
        let own = spots
            .iter()
            .zip(&seed.holds)
            .find(own)
            .map(|(spot, _)| spot.place);
        let extent = |(hours, _, asked): &(Hours, usize, Question)| {
            let covering = places.iter().filter(|(more, _, _)| more.covers(hours));
            let covering: BTreeSet<usize> = covering.map(|(_, place, _)| *place).collect();
            // Where and when it was found, nothing longer is permitted like this.
            let mut found = places.iter().filter(|(_, place, _)| own == Some(*place));
            let asked = match found.next() {
                Some((same, _, _)) if same == hours => question,
                _ => asked,
            };
            let addresses = Addresses::of(&self.ground.places, &covering);
            ((hours.clone(), addresses), asked.clone())
        };
        places.iter().map(extent).collect()
    }

    fn hours(&self, question: &Question, (place, era): (usize, &Era), holds: &[bool]) -> Hours {
        if holds.iter().all(|holds| *holds) {
            return Hours::always();
        }
        let held = |at: usize| holds.get(at) == Some(&true);
        let moments = era.moments.iter().copied().enumerate();
        let full = moments.filter(|(_, moment)| moment.unix_seconds().is_multiple_of(3600));
        let spans = full.filter_map(|(at, moment)| {
            let start = minute_of_week(moment);
            if !self.ground.by_the_minute {
                return held(at).then_some((start, start.saturating_add(60)));
            }
            // A minute counts if it holds from its first second to its last.
            let whole = |minute: u32| {
                let first = moment.plus(Duration::from_secs(u64::from(minute) * 60));
                let last = first.plus(Duration::from_secs(59));
                self.permits_at(question, place, first) && self.permits_at(question, place, last)
            };
            let (from, before) = part_of_hour((held(at), held(at.saturating_add(1))), whole)?;
            Some((start.saturating_add(from), start.saturating_add(before)))
        });
        Hours::of(spans.collect::<Vec<_>>())
    }
}

/// The minutes of an hour that hold, from and before, where it is known whether its first and its last
/// one begin as ones that do.
fn part_of_hour(ends: (bool, bool), whole: impl Fn(u32) -> bool) -> Option<(u32, u32)> {
    let last = u32::try_from(LAST_MINUTE).unwrap_or_default();
    let (from, before) = match ends {
        (false, false) => return None,
        (true, true) if whole(last) => (0, last.saturating_add(1)),
        (true, true) => (0, last),
        (true, false) => (0, turn(last, &whole)),
        (false, true) => (turn(last, |minute| !whole(minute)), last.saturating_add(1)),
    };
    (from < before).then_some((from, before))
}

/// The first of `0..=last` for which it is no longer so, if it is not so for the last one.
fn turn(last: u32, so: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low.midpoint(high);
        if so(middle) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}
