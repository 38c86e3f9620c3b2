//! What the program says while it runs: one line each on standard error, which systemd keeps.
//!
//! A line never holds a secret, and what somebody else wrote stands in it escaped.

use crate::failure::Failure;

/// A line with syslog's level `<6>`, worth knowing.
pub(crate) fn info(text: &str) {
    line(6, text);
}

/// A line with level `<4>`: something is not as it should be; the program goes on.
pub(crate) fn warning(text: &str) {
    line(4, text);
}

/// A failure that ends the command, with its hints.
pub(crate) fn failure(failure: &Failure) {
    say(&format!("jit-ssh-host: {}", failure.what));
    for hint in &failure.hints {
        say(&format!("hint: {hint}"));
    }
}

fn line(level: u8, text: &str) {
    // The prefix is read and taken off by journald only.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        say(&format!("<{level}>{text}"));
    } else {
        say(text);
    }
}

fn say(text: &str) {
    use std::io::Write as _;
    // A closed standard error is nobody's loss: there is nobody to tell.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
