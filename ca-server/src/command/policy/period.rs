//! Which part of the log: `--since` and `--until`, as a time or as so long ago.

use std::io::IsTerminal as _;
use std::time::Duration;

use ca_core::time::Timestamp;
use clap::Args;

use crate::policy::duration;
use crate::replay::Window;

/// A day, seconds.
const DAY: u64 = 86_400;

/// A moment, or so long before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    Ago(Duration),
}

impl When {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => now.minus(span),
        }
    }
}

/// `90d`, `12h`, or RFC 3339.
fn when(text: &str) -> Result<When, String> {
    let wrong = || format!("{text:?} is no time: write 90d, 12h or 2026-11-22T00:00:00Z");
    if let Ok(time) = text.parse() {
        return Ok(When::At(time));
    }
    let days = text.strip_suffix('d').map(str::parse::<u32>);
    let span = match days {
        Some(Ok(days)) => days_long(days),
        _ => duration(text).map_err(|_| wrong())?,
    };
    Ok(When::Ago(span))
}

/// So many days.
pub(super) fn days_long(days: u32) -> Duration {
    Duration::from_secs(u64::from(days).saturating_mul(DAY))
}

/// The part of the log that is looked at.
#[derive(Clone, Debug, Args)]
pub(super) struct Period {
    /// Not before: so long ago (90d, 12h) or a time (RFC 3339).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Before: so long ago, or a time.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
}

impl Period {
    pub(super) fn window(&self, now: Timestamp) -> Window {
        Window {
            since: self.since.map(|when| when.at(now)),
            until: self.until.map(|when| when.at(now)),
        }
    }
}

/// A line that says how far it is, on a terminal and not beside JSON.
pub(super) struct ProgressLine {
    doing: &'static str,
    shown: bool,
    percent: u64,
}

impl ProgressLine {
    pub(super) fn new(doing: &'static str, json: bool) -> Self {
        Self {
            doing,
            shown: std::io::stderr().is_terminal() && !json,
            percent: u64::MAX,
        }
    }

    pub(super) fn tell(&mut self, done: u64, all: u64) {
        let now = done.saturating_mul(100).checked_div(all).unwrap_or(100);
        if self.shown && now != self.percent {
            self.percent = now;
            eprint!("\r{} {done} of {all} records ({now} %)", self.doing);
        }
    }

    pub(super) fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_so_long_ago() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let at = |text: &str| when(text).unwrap().at(now);
        assert_eq!(at("90d"), now.minus(Duration::from_secs(90 * 86_400)));
        assert_eq!(at("12h 30m"), now.minus(Duration::from_secs(45_000)));
        assert_eq!(at("2027-01-15T08:00:00Z"), now);
        for wrong in ["", "90", "d", "-1d", "99999999999d", "yesterday"] {
            let said = when(wrong).unwrap_err();
            assert!(said.contains("90d"), "{wrong}: {said}");
        }
    }
}
