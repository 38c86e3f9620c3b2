//! Hours of the week, found one by one and told in few words.

use ca_core::time::Timestamp;
use serde::{Serialize, Serializer};

/// Minutes of a day.
const DAY: u32 = 24 * 60;
/// Minutes of a week.
const WEEK: u32 = 7 * DAY;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// First minute, and the one after the last.
type Span = (u32, u32);

/// Parts of the week, in UTC: minutes since Monday 00:00, from and before; ascending and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours {
    spans: Vec<Span>,
}

impl Hours {
    /// The whole week.
    #[must_use]
    pub fn always() -> Self {
        Self {
            spans: vec![(0, WEEK)],
        }
    }

    /// These spans, in any order; each begins within the week, and ends in the next one at most.
    pub(super) fn of(spans: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut cut: Vec<Span> = Vec::new();
        for (from, before) in spans {
            cut.push((from, before.min(WEEK)));
            cut.push((0, before.saturating_sub(WEEK).min(WEEK)));
        }
        cut.retain(|(from, before)| from < before);
        cut.sort_unstable();
        let mut joined: Vec<Span> = Vec::new();
        for (from, before) in cut {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(before),
                _ => joined.push((from, before)),
            }
        }
        Self { spans: joined }
    }

    /// Whether it is the whole week.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.spans == [(0, WEEK)]
    }

    /// Whether `time` is within.
    #[must_use]
    pub fn holds_at(&self, time: Timestamp) -> bool {
        let minute = minute_of_week(time);
        let mut spans = self.spans.iter();
        spans.any(|(from, before)| (*from..*before).contains(&minute))
    }

    /// Whether all of `other` is within.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let within = |&(from, before): &Span| {
            let mut all = self.spans.iter();
            all.any(|&(start, end)| start <= from && before <= end)
        };
        other.spans.iter().all(within)
    }

    /// `Mon-Fri 08:00-18:00 UTC`; nothing for the whole week.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        if self.is_always() {
            return None;
        }
        let mut groups: Vec<(Vec<Span>, Vec<usize>)> = Vec::new();
        for (day, start) in (0..WEEK).step_by(60 * 24).enumerate() {
            let parts = self.within(start);
            match groups.iter_mut().find(|(known, _)| *known == parts) {
                Some((_, days)) => days.push(day),
                None if parts.is_empty() => {}
                None => groups.push((parts, vec![day])),
            }
        }
        let groups = groups.iter().map(|(parts, days)| {
            let parts: Vec<String> = parts.iter().map(clock).collect();
            let parts = parts.join(" and ");
            let days = days_words(days);
            if parts == "00:00-24:00" {
                days
            } else {
                format!("{days} {parts}")
            }
        });
        let words = groups.collect::<Vec<String>>().join(", ");
        Some(if words.is_empty() {
            "never".to_owned()
        } else {
            format!("{words} UTC")
        })
    }

    /// The parts of the day that begins at `start`, in minutes of that day.
    fn within(&self, start: u32) -> Vec<Span> {
        let end = start.saturating_add(DAY);
        let spans = self.spans.iter();
        let parts = spans.map(|&(from, before)| (from.max(start), before.min(end)));
        let parts = parts.filter(|(from, before)| from < before);
        parts
            .map(|(from, before)| (from.saturating_sub(start), before.saturating_sub(start)))
            .collect()
    }
}

/// Minutes since Monday 00:00 UTC. 1970-01-01 was a Thursday.
pub(super) fn minute_of_week(time: Timestamp) -> u32 {
    let minutes = time.unix_seconds() / 60 + 3 * u64::from(DAY);
    u32::try_from(minutes % u64::from(WEEK)).unwrap_or(0)
}

fn clock(&(from, before): &Span) -> String {
    let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    format!("{}-{}", time(from), time(before))
}

/// `Mon-Fri`, `Mon, Wed`, `daily`.
fn days_words(days: &[usize]) -> String {
    let name = |day: usize| DAYS.get(day).copied().unwrap_or_default();
    if days.len() == DAYS.len() {
        return "daily".to_owned();
    }
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &day in days {
        match runs.last_mut() {
            Some((_, last)) if last.saturating_add(1) == day => *last = day,
            _ => runs.push((day, day)),
        }
    }
    let runs = runs.into_iter().map(|(first, last)| {
        if first == last {
            name(first).to_owned()
        } else {
            format!("{}-{}", name(first), name(last))
        }
    });
    runs.collect::<Vec<String>>().join(", ")
}

impl Serialize for Hours {
    /// As in words, or `always`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = self.words();
        serializer.serialize_str(words.as_deref().unwrap_or("always"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 60;

    #[test]
    fn working_hours_are_told_in_one_phrase() {
        let days = (0..5).map(|day| (day * DAY + 8 * HOUR, day * DAY + 18 * HOUR + 30));
        let hours = Hours::of(days);
        assert_eq!(hours.words().unwrap(), "Mon-Fri 08:00-18:30 UTC");
    }

    #[test]
    fn touching_hours_become_one_and_the_whole_week_is_not_worth_a_word() {
        let hours = Hours::of((0..168).rev().map(|hour| (hour * HOUR, (hour + 1) * HOUR)));
        assert!(hours.is_always());
        assert_eq!(hours.words(), None);
    }

    #[test]
    fn days_apart_nights_and_whole_days_are_told_apart() {
        let spans = [
            (0, 6 * HOUR),
            (2 * DAY, 2 * DAY + 6 * HOUR),
            (5 * DAY, 7 * DAY),
        ];
        let words = "Mon, Wed 00:00-06:00, Sat-Sun UTC";
        assert_eq!(Hours::of(spans).words().unwrap(), words);
        let nightly = (0..7).map(|day| (day * DAY + 22 * HOUR, day * DAY + 30 * HOUR));
        let words = "daily 00:00-06:00 and 22:00-24:00 UTC";
        assert_eq!(Hours::of(nightly).words().unwrap(), words);
    }

    #[test]
    fn a_longer_time_covers_a_shorter_one_and_not_the_other_way_round() {
        let (long, short) = (Hours::of([(60, 600)]), Hours::of([(120, 180), (300, 400)]));
        assert!(long.covers(&short) && !short.covers(&long));
        assert!(Hours::always().covers(&long) && long.covers(&Hours::default()));
        assert_eq!(Hours::default().words().unwrap(), "never");
    }
}
