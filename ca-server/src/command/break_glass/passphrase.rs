//! Passphrases, asked on the terminal itself whatever stdin and stdout are, without echo.

use std::fs::File;
use std::io::{Read as _, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Longest passphrase, bytes.
const BYTES_MAX: usize = 1024;

/// Asks for the passphrases of encrypted ssh keys.
#[derive(Clone, Copy)]
pub(super) struct Asked;

impl age::Callbacks for Asked {
    fn display_message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        ask(&format!("{description}: ")).ok()
    }
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

fn ask(question: &str) -> std::io::Result<SecretString> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    let restore = Restore {
        terminal: &terminal,
        before,
    };
    tcsetattr(&terminal, SetArg::TCSANOW, &quiet)?;
    write!(&terminal, "{question}")?;
    let answer = read_line(&terminal);
    writeln!(&terminal)?;
    drop(restore);
    answer
}

fn read_line(mut terminal: &File) -> std::io::Result<SecretString> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX));
    let mut byte = Zeroizing::new([0_u8; 1]);
    while terminal.read(&mut *byte)? == 1 {
        match *byte {
            [b'\n' | b'\r'] => break,
            [other] if bytes.len() < BYTES_MAX => bytes.push(other),
            _ => return Err(std::io::ErrorKind::InvalidInput.into()),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| std::io::ErrorKind::InvalidData)?;
    Ok(SecretString::from(text))
}
