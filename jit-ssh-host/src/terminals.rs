//! Writes a warning on a terminal without ever waiting for it.

use std::collections::BTreeSet;

use rustix::fs::{Mode, OFlags, fstat, open};

/// Writes `text` on these terminals. A terminal that is stopped or full does not get it: the
/// session's program must not be able to hold up this one.
pub(crate) fn write(terminals: &BTreeSet<u64>, text: &str) {
    for number in terminals {
        let flags =
            OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(terminal) = open(format!("/dev/pts/{number}"), flags, Mode::empty()) else {
            continue;
        };
        let expected = rustix::fs::makedev(136, u32::try_from(*number).unwrap_or(u32::MAX));
        if fstat(&terminal).is_ok_and(|found| found.st_rdev == expected) {
            rustix::io::write(&terminal, text.as_bytes()).ok();
        }
    }
}

/// What is said `left` seconds before the end.
pub(crate) fn warning(left: u64) -> String {
    let time = if left >= 120 {
        format!("{} minutes", left / 60)
    } else {
        format!("{left} seconds")
    };
    format!("\r\n\x07jit-ssh: this session ends in {time}, when its grant does.\r\n")
}

/// What is said at the end.
pub(crate) fn farewell(reason: crate::due::Reason) -> String {
    let why = match reason {
        crate::due::Reason::Expiry => "its grant is over",
        crate::due::Reason::Revocation => "its certificate was revoked or given back",
    };
    format!("\r\njit-ssh: this session ends now: {why}.\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_minutes_while_there_are_some() {
        assert!(warning(600).contains("10 minutes"));
        assert!(warning(60).contains("60 seconds"));
    }

    #[test]
    fn a_terminal_that_is_not_there_is_passed_over() {
        write(&BTreeSet::from([4_000_000_000]), "x");
    }
}
