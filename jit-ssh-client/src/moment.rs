//! Moments as people type them (`--at`): exact with a zone, counted from now, or by the clock on
//! the wall here.
//!
//! Deliberately strict: what could mean two moments, or one that is over, is refused with the form
//! that would be understood.

use ca_core::time::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::span;

/// Why a text is not a moment to come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MomentError {
    /// The clocks change: that time is there twice, or not at all.
    #[error(
        "{text:?} is there twice or not at all, because the clocks change; add the zone: 2026-11-22T02:00:00+01:00"
    )]
    Ambiguous {
        /// As typed.
        text: String,
    },
    /// It is over.
    #[error("{text:?} is over ({shown}); a time to come is needed")]
    Past {
        /// As typed.
        text: String,
        /// What it was understood as.
        shown: String,
    },
    /// None of the forms.
    #[error(
        "{text:?} is not a time (write it as \"in 3h\", 02:00, \"tomorrow 02:00\", \"2026-11-22 02:00\" or 2026-11-22T02:00:00+01:00)"
    )]
    Shape {
        /// As typed.
        text: String,
    },
}

/// Reads a moment after `now`. `HH:MM` is today; a day and a time without a zone are in `zone`.
///
/// # Errors
///
/// [`MomentError`] for any other form, for what is over, and where the clocks change.
pub(crate) fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, MomentError> {
    let moment = read(text.trim(), now, zone)?;
    if moment > now {
        return Ok(moment);
    }
    Err(MomentError::Past {
        text: text.to_owned(),
        shown: show(moment, zone),
    })
}

fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, MomentError> {
    let shape = || MomentError::Shape {
        text: text.to_owned(),
    };
    if let Some(later) = text.strip_prefix("in ") {
        let span = span::parse(later.trim()).map_err(|_| shape())?;
        return Ok(now.plus(span));
    }
    if let Ok(exact) = text.parse::<Timestamp>() {
        return Ok(exact);
    }
    let today = zoned(now, zone).ok_or_else(shape)?.date();
    let (day, time) = match text.rsplit_once(' ') {
        None => (today, text),
        Some(("today", time)) => (today, time),
        Some(("tomorrow", time)) => (today.tomorrow().map_err(|_| shape())?, time),
        Some((day, time)) => (
            civil::Date::strptime("%Y-%m-%d", day).map_err(|_| shape())?,
            time,
        ),
    };
    let time = civil::Time::strptime("%H:%M", time).map_err(|_| shape())?;
    let local = zone.to_ambiguous_zoned(day.to_datetime(time)).unambiguous();
    let local = local.map_err(|_| MomentError::Ambiguous {
        text: text.to_owned(),
    })?;
    u64::try_from(local.timestamp().as_millisecond())
        .map(Timestamp::from_unix_milliseconds)
        .map_err(|_| shape())
}

/// Day, time and distance from UTC, so that nobody has to guess the zone.
pub(crate) fn show(moment: Timestamp, zone: &TimeZone) -> String {
    formatted(moment, zone, "%Y-%m-%d %H:%M %:z")
}

/// The same to the second, for what happened.
pub(crate) fn show_seconds(moment: Timestamp, zone: &TimeZone) -> String {
    formatted(moment, zone, "%Y-%m-%d %H:%M:%S %:z")
}

fn formatted(moment: Timestamp, zone: &TimeZone, format: &str) -> String {
    zoned(moment, zone).map_or_else(
        || moment.to_string(),
        |time| time.strftime(format).to_string(),
    )
}

fn zoned(moment: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    let milliseconds = i64::try_from(moment.unix_milliseconds()).ok()?;
    let time = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
    Some(time.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        // Written out, so that the test needs no time zone database.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn read_at(text: &str, now: &str) -> Result<String, MomentError> {
        parse(text, now.parse().unwrap(), &berlin()).map(|moment| moment.to_string())
    }

    #[test]
    fn exact_relative_and_local_times_are_read() {
        let now = "2026-11-21T14:00:00Z"; // 15:00 in Berlin
        for (text, moment) in [
            ("2026-11-22T02:00:00+01:00", "2026-11-22T01:00:00Z"),
            ("2026-11-22T02:00:00Z", "2026-11-22T02:00:00Z"),
            ("in 3h", "2026-11-21T17:00:00Z"),
            ("in 1h30m", "2026-11-21T15:30:00Z"),
            ("16:30", "2026-11-21T15:30:00Z"),
            ("today 16:30", "2026-11-21T15:30:00Z"),
            ("tomorrow 02:00", "2026-11-22T01:00:00Z"),
            ("2026-12-01 00:05", "2026-11-30T23:05:00Z"),
        ] {
            assert_eq!(read_at(text, now).as_deref(), Ok(moment), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_the_ones_there_are() {
        for text in [
            "",
            "soon",
            "in",
            "in 3",
            "2h",
            "25:00",
            "monday 02:00",
            "02:00 tomorrow",
            "2026-11-22",
            "2026-11-22T02:00:00",
        ] {
            let error = read_at(text, "2026-11-21T14:00:00Z").unwrap_err();
            assert!(
                matches!(error, MomentError::Shape { .. }),
                "{text:?}: {error}"
            );
            assert!(error.to_string().contains("tomorrow 02:00"));
        }
    }

    #[test]
    fn what_is_over_is_refused_and_says_how_it_was_understood() {
        let error = read_at("02:00", "2026-11-21T14:00:00Z").unwrap_err();
        assert!(
            error.to_string().contains("2026-11-21 02:00 +01:00"),
            "{error}"
        );
        assert!(read_at("2020-01-01T00:00:00Z", "2026-11-21T14:00:00Z").is_err());
    }

    #[test]
    fn the_hour_that_is_there_twice_or_never_is_refused_unless_the_zone_is_said() {
        for (text, now) in [
            ("tomorrow 02:30", "2026-10-24T12:00:00Z"),
            ("2026-10-25 02:30", "2026-10-24T12:00:00Z"),
            ("2026-03-29 02:30", "2026-03-28T12:00:00Z"),
        ] {
            let error = read_at(text, now).unwrap_err();
            assert!(matches!(error, MomentError::Ambiguous { .. }), "{text}");
        }
        assert!(read_at("2026-10-25T02:30:00+01:00", "2026-10-24T12:00:00Z").is_ok());
    }
}
