//! Questions on the terminal itself, whatever stdin and stdout are: `ssh` runs us with both closed.
//!
//! Deliberately no line editor: a short secret, shown as dots, with backspace.

use std::fs::File;
use std::io::{self, Read, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// Longest answer, bytes.
const ANSWER_BYTES_MAX: usize = 256;

/// The controlling terminal, if there is one.
pub(crate) fn terminal() -> Option<File> {
    let open = File::options().read(true).write(true).open("/dev/tty");
    open.ok()
}

/// Puts the terminal back as it was, on every way out.
struct Restore<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        tcsetattr(self.terminal, SetArg::TCSANOW, &self.before).ok();
    }
}

/// What is seen of what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A dot for each character.
    Dots,
    /// The characters.
    Text,
}

/// Asks `question` and reads one line without echo; each character shows as `·`.
///
/// # Errors
///
/// A [`Failure`]: Ctrl-C ([`Exit::Interrupted`]), end of input, no terminal mode.
pub(crate) fn secret(terminal: &File, question: &str) -> Result<Zeroizing<String>, Failure> {
    ask(terminal, question, Seen::Dots)
}

/// Asks `question`; only `y` or `yes` is a yes.
///
/// # Errors
///
/// A [`Failure`]: Ctrl-C ([`Exit::Interrupted`]), no terminal mode.
pub(crate) fn confirmed(terminal: &File, question: &str) -> Result<bool, Failure> {
    match ask(terminal, &format!("{question} [y/N] "), Seen::Text) {
        Ok(answer) => Ok(is_yes(&answer)),
        Err(failure) if failure.exit == Exit::NotAuthenticated => Ok(false),
        Err(failure) => Err(failure),
    }
}

fn is_yes(answer: &str) -> bool {
    let answer = answer.trim();
    answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
}

fn ask(terminal: &File, question: &str, seen: Seen) -> Result<Zeroizing<String>, Failure> {
    let lost = |error: io::Error| Failure::local(format!("cannot use the terminal: {error}"));
    let before = tcgetattr(terminal).map_err(|error| lost(error.into()))?;
    let mut quiet = before.clone();
    // Signals off too: Ctrl-C arrives as a byte, so the terminal is restored before we end.
    quiet
        .local_flags
        .remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
    let mut screen = terminal;
    let restore = Restore { terminal, before };
    // NOW, not FLUSH: what was typed ahead of the question counts.
    tcsetattr(terminal, SetArg::TCSANOW, &quiet).map_err(|error| lost(error.into()))?;
    write!(screen, "{question}").map_err(lost)?;
    let answer = read_line(terminal, seen);
    writeln!(screen).map_err(lost)?;
    drop(restore);
    answer
}

fn read_line(terminal: &File, seen: Seen) -> Result<Zeroizing<String>, Failure> {
    let (mut input, mut screen) = (terminal, terminal);
    let mut answer = Zeroizing::new(String::with_capacity(ANSWER_BYTES_MAX));
    let mut byte = [0_u8; 1];
    loop {
        let read = input.read(&mut byte);
        let count = read.map_err(|e| Failure::local(format!("cannot use the terminal: {e}")))?;
        match byte {
            _ if count == 0 => return Err(given_up()),
            [b'\r' | b'\n'] => return Ok(answer),
            [3] => return Err(Failure::new(Exit::Interrupted, "interrupted")),
            [4] if answer.is_empty() => return Err(given_up()),
            [8 | 127] => {
                if answer.pop().is_some() {
                    write!(screen, "\u{8} \u{8}").ok();
                }
            }
            [c] if c.is_ascii_graphic() || c == b' ' => {
                if answer.len() < ANSWER_BYTES_MAX {
                    answer.push(char::from(c));
                    match seen {
                        Seen::Dots => write!(screen, "·").ok(),
                        Seen::Text => write!(screen, "{}", char::from(c)).ok(),
                    };
                }
            }
            // Anything else (arrows, full-width digits) cannot be part of a code; it counts as one
            // wrong character, so the code is refused instead of silently repaired.
            _ => answer.push('?'),
        }
    }
}

fn given_up() -> Failure {
    Failure::new(Exit::NotAuthenticated, "no code was given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_a_yes() {
        for yes in ["y", "Y", "yes", " Yes "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "n", "no", "yep", "j", "y y"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
