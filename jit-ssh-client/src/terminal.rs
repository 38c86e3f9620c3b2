//! What people see: progress and errors on stderr, results on stdout, colour only on a terminal.
//!
//! Deliberately no decisions: what is said is decided where it is known.

use std::io::Write;

use owo_colors::OwoColorize;

use crate::failure::Failure;

/// Whether results are for people or for programs, and whether progress is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Sentences for people.
    People,
    /// One JSON document on stdout; progress and errors still on stderr.
    Json,
    /// Nothing but errors (`ensure` inside ssh).
    Silent,
}

impl Voice {
    /// Progress: something is being done.
    pub(crate) fn progress(self, line: &str) {
        if self != Self::Silent {
            to_stderr(line);
        }
    }

    /// Something the person should know even when all goes well.
    pub(crate) fn warn(self, line: &str) {
        if self != Self::Silent {
            to_stderr(&format!("{} {line}", "warning:".yellow().bold()));
        }
    }

    /// A result for people; nothing with `--json`.
    pub(crate) fn result(self, line: &str) {
        if self == Self::People {
            writeln!(anstream::stdout(), "{line}").ok();
        }
    }

    /// A result for programs; nothing without `--json`.
    pub(crate) fn json(self, value: &serde_json::Value) {
        if self == Self::Json {
            writeln!(anstream::stdout(), "{value}").ok();
        }
    }

    /// The failure: `error:`, explanation, `hint:`; with `--json` also as an object on stdout.
    pub(crate) fn failure(self, failure: &Failure) {
        // Here once more for all of them: an error may quote whoever caused it.
        let shown = |text: &str| text.lines().map(plain).collect::<Vec<_>>().join("\n");
        let what = shown(&failure.what);
        to_stderr(&format!("{} {what}", "error:".red().bold()));
        for line in &failure.lines {
            to_stderr(&format!("  {}", shown(line)));
        }
        for hint in &failure.hints {
            to_stderr(&format!("{} {}", "hint:".cyan().bold(), shown(hint)));
        }
        self.json(&serde_json::json!({
            "error": {
                "message": failure.what,
                "details": failure.lines,
                "hints": failure.hints,
                "exit": failure.exit.code(),
                "problem": failure.problem,
            }
        }));
    }
}

/// The mark before a line of success.
pub(crate) fn tick() -> String {
    "✓".green().to_string()
}

/// One line on stderr. That nobody reads it is no reason to fail.
pub(crate) fn to_stderr(line: &str) {
    writeln!(anstream::stderr(), "{line}").ok();
}

/// Text from outside made harmless for a terminal: what moves the cursor, turns the direction of
/// writing or cannot be seen becomes `\u{…}`.
pub(crate) fn plain(text: &str) -> String {
    let unseen = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars()
        .flat_map(|c| {
            if c.is_control() || unseen(c) {
                c.escape_unicode().collect::<Vec<char>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_server_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n"), "a\\u{1b}[2Jb\\u{d}\\u{a}");
        assert_eq!(plain("Grüße · 1 h"), "Grüße · 1 h");
        assert_eq!(plain("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
    }
}
