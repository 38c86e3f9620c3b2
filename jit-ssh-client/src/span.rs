//! Lengths of time and moments as people type and read them.
//!
//! Deliberately strict when reading: `--for 90` could mean seconds, minutes or hours, so a number
//! without a unit is refused rather than guessed.

use std::time::Duration;

use ca_core::time::Timestamp;

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpanError {
    /// Longer than any certificate may live.
    #[error("{text:?} is longer than a year")]
    TooLong {
        /// As typed.
        text: String,
    },
    /// Not `NUMBER UNIT` repeated.
    #[error("{text:?} is not a length of time (write it as 45m, 2h, 1h30m or 1d)")]
    Shape {
        /// As typed.
        text: String,
    },
    /// Nothing, which no certificate can last.
    #[error("{text:?} is no time at all (the shortest is 1s)")]
    Zero {
        /// As typed.
        text: String,
    },
}

const SECONDS_MAX: u64 = 366 * 24 * 3600;

/// Reads `45m`, `2h`, `1h30m`, `1d`: numbers with a unit of `s`, `m`, `h` or `d`, added up.
///
/// # Errors
///
/// [`SpanError`] for anything else, for zero and for more than a year.
pub(crate) fn parse(text: &str) -> Result<Duration, SpanError> {
    let shape = || SpanError::Shape {
        text: text.to_owned(),
    };
    let too_long = || SpanError::TooLong {
        text: text.to_owned(),
    };
    let mut total: u64 = 0;
    let mut number: Option<u64> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let grown = number.unwrap_or(0).checked_mul(10);
            let grown = grown.and_then(|n| n.checked_add(u64::from(digit)));
            number = Some(grown.ok_or_else(too_long)?);
            continue;
        }
        let unit: u64 = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(shape()),
        };
        let part = number.take().ok_or_else(shape)?.checked_mul(unit);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(too_long)?;
    }
    if number.is_some() || text.is_empty() {
        return Err(shape());
    }
    if total == 0 {
        return Err(SpanError::Zero {
            text: text.to_owned(),
        });
    }
    if total > SECONDS_MAX {
        return Err(too_long());
    }
    Ok(Duration::from_secs(total))
}

/// `1 h`, `1 h 30 min`, `12 min`, `40 s`, `2 d 3 h`: at most two units, rounded down.
pub(crate) fn show(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let shown: Vec<String> = units
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        // Seconds beside minutes are noise: a grant of 59 min 58 s reads better as 59 min.
        .filter(|(_, unit)| *unit != "s" || seconds < 60)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if shown.is_empty() {
        return "0 s".to_owned();
    }
    shown.join(" ")
}

/// The form that `--for` reads: `1h30m`.
pub(crate) fn as_argument(seconds: u64) -> String {
    let units = [
        (seconds / 3600, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    units
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect()
}

/// The moment in local time: `14:32` on the day of `now`, with the date otherwise.
pub(crate) fn clock_time(moment: Timestamp, now: Timestamp) -> String {
    let zoned = |time: Timestamp| {
        let milliseconds = i64::try_from(time.unix_milliseconds()).ok()?;
        let time = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::system()))
    };
    match (zoned(moment), zoned(now)) {
        (Some(moment), Some(now)) if moment.date() == now.date() => {
            moment.strftime("%H:%M").to_string()
        }
        (Some(moment), _) => moment.strftime("%Y-%m-%d %H:%M").to_string(),
        (None, _) => moment.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_units() {
        for (text, seconds) in [
            ("2h", 7200),
            ("90m", 5400),
            ("1h30m", 5400),
            ("45s", 45),
            ("1d", 86_400),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn words_bare_numbers_and_negative_lengths_are_refused_with_the_accepted_form() {
        for text in ["soon", "", "90", "-5m", "h", "1.5h", "2 h", "２h", "1h30"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, SpanError::Shape { .. }), "{text:?}");
            assert!(error.to_string().contains("45m, 2h, 1h30m"));
        }
    }

    #[test]
    fn zero_and_overflow_are_refused_and_a_year_is_the_bound() {
        assert!(matches!(parse("0h"), Err(SpanError::Zero { .. })));
        assert!(parse("366d").is_ok());
        for text in ["367d", "99999999999999999999h", "18446744073709551615d"] {
            assert!(matches!(parse(text), Err(SpanError::TooLong { .. })));
        }
    }

    #[test]
    fn what_is_shown_as_an_argument_reads_back_as_the_same_length() {
        for seconds in [1, 59, 60, 3600, 5400, 3661, 90_000] {
            let text = as_argument(seconds);
            assert_eq!(parse(&text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn lengths_are_shown_in_at_most_two_units() {
        for (seconds, text) in [
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (3599, "59 min"),
            (40, "40 s"),
            (0, "0 s"),
            (97_200, "1 d 3 h"),
        ] {
            assert_eq!(show(Duration::from_secs(seconds)), text);
        }
    }
}
