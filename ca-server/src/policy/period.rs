//! Durations and moments as people write and read them: `1h 30m`, `1 h 30 min`, `tuesday 22:30`.

use std::fmt::Write as _;
use std::time::Duration;

use ca_core::time::Timestamp;

/// Monday, 2026-11-16, the week that `tuesday 22:30` is in.
const MONDAY: Timestamp = Timestamp::from_unix_seconds(1_794_787_200);

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A duration as people write it: `1h`, `30m`, `1h 30m`, `2 hours`.
///
/// # Errors
///
/// A sentence, for anything else, and for what is negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 2h, 30m or 1h30m");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

/// A duration for people, to the second: `1 h 30 min`.
#[must_use]
pub fn words(duration: Duration) -> String {
    spelt(duration, ["h", "min", "s"], " ")
}

/// A duration to be read back by `duration`, to the second: `1h 30m`.
#[must_use]
pub(super) fn written(duration: Duration) -> String {
    spelt(duration, ["h", "m", "s"], "")
}

fn spelt(duration: Duration, [hours, minutes, seconds]: [&str; 3], space: &str) -> String {
    let whole = duration.as_secs();
    let mut text = String::new();
    for (number, unit) in [
        (whole / 3600, hours),
        (whole / 60 % 60, minutes),
        (whole % 60, seconds),
    ] {
        if number > 0 {
            let between = if text.is_empty() { "" } else { " " };
            // Writing into a string does not fail.
            write!(text, "{between}{number}{space}{unit}").unwrap_or_default();
        }
    }
    if text.is_empty() {
        format!("0{space}{seconds}")
    } else {
        text
    }
}

/// A moment: RFC 3339, or `tuesday 22:30` (`tue`, too) for one in UTC in the same week always.
///
/// # Errors
///
/// A sentence, for anything else.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong =
        || format!("{text:?} is no time: write \"tuesday 22:30\" or \"2026-11-22T10:00:00Z\"");
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    let (day, time) = text.split_once(' ').ok_or_else(wrong)?;
    let day = day.to_ascii_lowercase();
    let called = |name: &&str| **name == *day || (day.len() == 3 && name.starts_with(&day));
    let days = WEEKDAYS.iter().position(called).ok_or_else(wrong)?;
    let days = u64::try_from(days).map_err(|_| wrong())?;
    let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, below: u64| match (text.len(), text.parse::<u64>()) {
        (2, Ok(number)) if number < below => Ok(number),
        _ => Err(wrong()),
    };
    let seconds = days * 86_400 + number(hour, 24)? * 3600 + number(minute, 60)? * 60;
    Ok(MONDAY.plus(Duration::from_secs(seconds)))
}

/// A moment for people: `tuesday, 2026-11-17T22:30:00Z`.
pub(super) fn weekday_time(moment: Timestamp) -> String {
    // 1970-01-01 was a Thursday.
    let days = (moment.unix_seconds() / 86_400).saturating_add(3) % 7;
    let day = usize::try_from(days).ok().and_then(|at| WEEKDAYS.get(at));
    let moment = Timestamp::from_unix_seconds(moment.unix_seconds());
    format!("{}, {moment}", day.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_for_people() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(words(Duration::from_secs(5400)), "1 h 30 min");
        assert_eq!(words(Duration::ZERO), "0 s");
        for text in ["", "soon", "-1h", "5", "1h,", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_written_duration_is_read_back() {
        for seconds in [0, 1, 59, 60, 3600, 3601, 5400, 90_061, 86_400_000] {
            let one = Duration::from_secs(seconds);
            assert_eq!(duration(&written(one)).unwrap(), one);
        }
    }

    #[test]
    fn a_weekday_and_time_is_a_moment_in_utc() {
        let read = |text: &str| moment(text).map(|moment| moment.to_string());
        assert_eq!(read("monday 00:00").unwrap(), "2026-11-16T00:00:00Z");
        assert_eq!(read("Tue 22:30").unwrap(), "2026-11-17T22:30:00Z");
        assert_eq!(read("sunday 23:59").unwrap(), "2026-11-22T23:59:00Z");
        assert_eq!(
            read("2026-11-22T10:00:00Z").unwrap(),
            "2026-11-22T10:00:00Z"
        );
        for text in [
            "",
            "tue",
            "tuesdays 10:00",
            "t 10:00",
            "tue 24:00",
            "tue 9:00",
            "tue 09:60",
        ] {
            assert!(moment(text).is_err(), "{text:?} was accepted");
        }
    }
}
