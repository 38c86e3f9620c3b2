//! At which hours, between which moments and from which addresses a way holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ca_core::time::Timestamp;

use super::addresses::Addresses;
use super::found::Seed;
use super::hours::{Hours, WEEK, minute_of_week};
use super::search::Search;
use super::situation::Era;
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
        let extent = |(hours, _, question): &(Hours, usize, Question)| {
            let covering = places.iter().filter(|(more, _, _)| more.covers(hours));
            let covering: BTreeSet<usize> = covering.map(|(_, place, _)| *place).collect();
            let addresses = Addresses::of(&self.ground.places, &covering);
            ((hours.clone(), addresses), question.clone())
        };
        // The last one of several wins, whichever: each is a question that is permitted.
        places.iter().map(extent).collect()
    }

    fn hours(&self, question: &Question, (place, era): (usize, &Era), holds: &[bool]) -> Hours {
        if holds.iter().all(|holds| *holds) {
            return Hours::always();
        }
        let held = |at: usize| holds.get(at) == Some(&true);
        let count = era.moments.len();
        let mut spans = Vec::new();
        for (at, &moment) in era.moments.iter().enumerate().filter(|(at, _)| held(*at)) {
            // A week is a ring.
            let before = at.checked_sub(1).unwrap_or(count.saturating_sub(1));
            let after = at.saturating_add(1) % count;
            let start = minute_of_week(moment);
            let (mut first, mut end) = (start, start.saturating_add(60));
            if self.ground.by_the_minute && !held(after) {
                let permits = |minutes| self.permits_at(question, place, later(moment, minutes));
                end = start.saturating_add(reach(permits).saturating_add(1));
            }
            if self.ground.by_the_minute && !held(before) {
                let permits = |minutes| self.permits_at(question, place, earlier(moment, minutes));
                let lead = reach(permits);
                // Monday may begin on Sunday.
                if lead > first {
                    (first, end) = (first.saturating_add(WEEK), end.saturating_add(WEEK));
                }
                first = first.saturating_sub(lead);
            }
            spans.push((first, end));
        }
        Hours::of(spans)
    }
}

/// How many minutes of the hour hold in a row from 0 on, where 0 does and 60 does not.
fn reach(holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0_u32, 60_u32);
    while low.saturating_add(1) < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn later(moment: Timestamp, minutes: u32) -> Timestamp {
    moment.plus(Duration::from_secs(u64::from(minutes) * 60))
}

fn earlier(moment: Timestamp, minutes: u32) -> Timestamp {
    moment.minus(Duration::from_secs(u64::from(minutes) * 60))
}
