//! Moments, places and texts to ask with: everything that is not one's own to bring along.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ca_core::time::Timestamp;

use super::addresses::{Candidate, candidates};
use super::outline::Mentions;

/// Times that policies mention and that are looked at: each begins an era.
const ERAS_MAX: usize = 8;
/// Pairs of a reason and a ticket that are tried.
const TEXTS_MAX: usize = 16;
/// Of an hour.
pub(super) const LAST_MINUTE: u64 = 59;
/// Hours of a week.
const HOURS: u64 = 168;

/// A time between two moments that policies mention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Era {
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
    /// One or two for each hour of the week, as far as the era reaches; one alone where no policy
    /// looks at the time.
    pub(super) moments: Vec<Timestamp>,
}

/// When, from where, and with which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Situation {
    pub(super) now: Timestamp,
    /// None only where there is no place at all, which never happens.
    pub(super) from: Option<IpAddr>,
    pub(super) texts: Texts,
}

/// What is written as reason and ticket, with the pattern that it is an example of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) reason: (Option<String>, String),
    pub(super) ticket: (Option<String>, String),
}

/// What is worth asking with.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) eras: Vec<Era>,
    pub(super) places: Vec<Candidate>,
    pub(super) texts: Vec<Texts>,
    /// Whether minutes may matter.
    pub(super) by_the_minute: bool,
}

/// A place and a moment of the ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) place: usize,
    pub(super) era: usize,
    pub(super) now: Timestamp,
}

impl Ground {
    pub(super) fn new(mentions: &Mentions, now: Timestamp) -> Self {
        Self {
            eras: eras(mentions, now),
            places: candidates(mentions),
            texts: texts(mentions),
            by_the_minute: by_the_minute(mentions),
        }
    }

    /// Every place at every moment: by place, then by era.
    pub(super) fn spots(&self) -> Vec<Spot> {
        let moments = |place| {
            let eras = self.eras.iter().enumerate();
            eras.flat_map(move |(era, times)| {
                let moments = times.moments.iter();
                moments.map(move |&now| Spot { place, era, now })
            })
        };
        let places = self.places.iter().enumerate();
        places.flat_map(|(place, _)| moments(place)).collect()
    }

    /// Whether there is only one place and moment, for all that the policies look at.
    pub(super) fn is_one(&self) -> bool {
        let moments = self.eras.iter().map(|era| era.moments.len());
        self.places.len() <= 1 && moments.sum::<usize>() <= 1
    }

    /// The situation at `spot` with these texts.
    pub(super) fn at(&self, spot: Spot, texts: &Texts) -> Situation {
        Situation {
            now: spot.now,
            from: self.places.get(spot.place).map(|place| place.address),
            texts: texts.clone(),
        }
    }
}

fn eras(mentions: &Mentions, now: Timestamp) -> Vec<Era> {
    if !mentions.any(&["now", "hour", "weekday"]) {
        return vec![Era {
            start: now,
            end: None,
            moments: vec![now],
        }];
    }
    let ahead = mentions.moments.iter().copied().filter(|time| now < *time);
    let ahead: BTreeSet<Timestamp> = ahead.take(ERAS_MAX).collect();
    let starts = std::iter::once(now).chain(ahead.iter().copied());
    let ends = ahead.iter().copied().map(Some).chain([None]);
    let era = |(start, end): (Timestamp, Option<Timestamp>)| Era {
        start,
        end,
        moments: moments(mentions, start, end),
    };
    starts.zip(ends).map(era).collect()
}

/// The full hours after `start`, one of each in the week; `start` itself where there is none before
/// `end`. With their last minutes, where minutes may matter.
fn moments(mentions: &Mentions, start: Timestamp, end: Option<Timestamp>) -> Vec<Timestamp> {
    let last: &[u64] = if by_the_minute(mentions) {
        &[LAST_MINUTE]
    } else {
        &[]
    };
    let hour = start.unix_seconds().div_ceil(3600);
    let hours = (hour..hour.saturating_add(HOURS)).map(|hour| hour.saturating_mul(3600));
    let moments = hours.flat_map(|hour| {
        let minutes = std::iter::once(0).chain(last.iter().copied());
        minutes.map(move |minute| Timestamp::from_unix_seconds(hour.saturating_add(minute * 60)))
    });
    let before = |moment: &Timestamp| end.is_none_or(|end| *moment < end);
    let mut found: Vec<Timestamp> = moments.take_while(before).collect();
    if found.is_empty() {
        found.push(start);
    }
    found
}

fn by_the_minute(mentions: &Mentions) -> bool {
    mentions.any(&["now"])
}

fn texts(mentions: &Mentions) -> Vec<Texts> {
    let choices = |name: &str| {
        let patterns = mentions.texts.get(name).into_iter().flatten();
        let patterns = patterns.map(|(pattern, text)| (Some(pattern.clone()), text.clone()));
        let any = std::iter::once((None, "supposed".to_owned()));
        any.chain(patterns).collect::<Vec<_>>()
    };
    let (reasons, tickets) = (choices("reason"), choices("ticket"));
    let pairs = reasons.iter().flat_map(|reason| {
        tickets.iter().map(|ticket| Texts {
            reason: reason.clone(),
            ticket: ticket.clone(),
        })
    });
    pairs.take(TEXTS_MAX).collect()
}
