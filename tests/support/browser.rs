//! A person with a browser who walks through the provider's login and consent pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::programs;
use super::run::{Finished, run};

/// A browser used by one person. Every visit starts without cookies.
pub struct Browser {
    person: String,
    refuses: bool,
    dir: TempDir,
}

impl Browser {
    /// The browser of `person`, who signs in and agrees.
    pub fn of(person: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-browser-")
            .tempdir()
            .expect("temp dir");
        Self {
            person: person.to_owned(),
            refuses: false,
            dir,
        }
    }

    /// The browser of `person`, who presses cancel.
    pub fn refusing(person: &str) -> Self {
        Self {
            refuses: true,
            ..Self::of(person)
        }
    }

    /// Opens `url` and goes on until a page asks for nothing more, loopback redirects included.
    ///
    /// Exit code 0 if the last page was a success; one line per request in the output.
    #[track_caller]
    pub fn visit(&self, url: &str) -> Finished {
        let mut command = Command::new(self.program());
        command.arg(url).envs(self.environment());
        run(command)
    }

    /// The variables with which a program under test opens this browser, `$BROWSER` among them.
    ///
    /// `$BROWSER` is one path without blanks; the URL is its only argument.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        vec![
            ("BROWSER".to_owned(), text(&self.program())),
            ("BROWSER_PERSON".to_owned(), self.person.clone()),
            (
                "BROWSER_REFUSE".to_owned(),
                String::from(if self.refuses { "1" } else { "0" }),
            ),
            ("BROWSER_LOG".to_owned(), text(&self.log_path())),
        ]
    }

    /// Every request made so far by any program with [`Browser::environment`], one a line.
    /// Empty if the browser was never opened.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The executable.
    pub fn program(&self) -> PathBuf {
        programs::tests_folder().join("oidc/browser.mjs")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("browser.log")
    }
}
