//! A person at a terminal: runs a command on a pty, waits for prompts and types answers.

use std::process::Command;
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect};

/// How long a prompt may take to appear.
const PROMPT_MAX: Duration = Duration::from_secs(60);

/// A command on a terminal of its own, 120 columns wide. Ended when dropped.
pub struct Terminal {
    session: OsSession,
    screen: String,
}

impl Terminal {
    /// Starts `command` on a new pty.
    pub fn start(command: Command) -> Self {
        let mut session = OsSession::spawn(command).expect("a pty");
        session.set_expect_timeout(Some(PROMPT_MAX));
        session
            .get_process_mut()
            .set_window_size(120, 40)
            .expect("a pty");
        Self {
            session,
            screen: String::new(),
        }
    }

    /// Waits until `text` appears and returns what came before it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        match self.session.expect(text) {
            Ok(found) => {
                let before = String::from_utf8_lossy(found.before()).into_owned();
                self.screen.push_str(&before);
                self.screen.push_str(text);
                before
            }
            Err(error) => {
                let unread = self.unread();
                let seen = &self.screen;
                panic!("{text:?} did not appear ({error}); on screen:\n{seen}{unread}")
            }
        }
    }

    /// Types `text` and presses return.
    pub fn type_line(&mut self, text: &str) {
        // A terminal's return key sends CR; the line discipline or the program makes it a line.
        self.session.send(format!("{text}\r")).expect("a pty");
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.session.send([3_u8]).expect("a pty");
    }

    /// Whether what is typed is shown now; false while a program asks for a secret.
    pub fn echoes(&self) -> bool {
        self.session.get_process().get_echo().expect("a pty")
    }

    /// Waits for the end: the exit code (`None` if a signal ended it) and everything on screen.
    #[track_caller]
    pub fn finish(mut self) -> (Option<i32>, String) {
        let rest = self.session.expect(Eof).unwrap_or_else(|error| {
            panic!(
                "the command does not end ({error}); on screen:\n{}",
                self.screen
            )
        });
        self.screen
            .push_str(&String::from_utf8_lossy(rest.as_bytes()));
        let code = match self.session.get_process().wait().expect("a child of ours") {
            WaitStatus::Exited(_, code) => Some(code),
            WaitStatus::Signaled(..) => None,
            other => panic!("unexpected end: {other:?}"),
        };
        (code, std::mem::take(&mut self.screen))
    }

    fn unread(&mut self) -> String {
        let mut bytes = vec![0; 65_536];
        let count = self.session.try_read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }
}
