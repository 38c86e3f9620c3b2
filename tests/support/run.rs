//! Running a command to its end, with a deadline.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any command of the tests should take, also on a busy machine.
pub const RUN_MAX: Duration = Duration::from_secs(90);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Finished {
    /// Whether the exit code is 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Panics with both outputs unless the exit code is `code`.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Panics with both outputs unless the exit code is 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits_with(0)
    }
}

/// Runs `command` with an empty input to its end.
#[track_caller]
pub fn run(command: Command) -> Finished {
    run_with_input(command, b"")
}

/// Runs `command` with `input` as its standard input; ends it and panics after [`RUN_MAX`].
#[track_caller]
pub fn run_with_input(mut command: Command, input: &[u8]) -> Finished {
    // Files, not pipes: nothing can block, and a grandchild that keeps them open does no harm.
    let mut stdin = tempfile::tempfile().expect("temp file");
    stdin.write_all(input).expect("temp file");
    stdin.seek(SeekFrom::Start(0)).expect("temp file");
    let [mut stdout, mut stderr] = [0; 2].map(|_| tempfile::tempfile().expect("temp file"));
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::from(stdout.try_clone().expect("temp file")))
        .stderr(Stdio::from(stderr.try_clone().expect("temp file")))
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let deadline = Instant::now() + RUN_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let [stdout, stderr] = [text(&mut stdout), text(&mut stderr)];
    let Some(status) = status else {
        panic!("{command:?} did not end in {RUN_MAX:?}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    };
    Finished {
        code: status.code(),
        stdout,
        stderr,
    }
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // The child wrote through the same open file, so the position is at its end.
    file.seek(SeekFrom::Start(0)).expect("temp file");
    file.read_to_end(&mut bytes).expect("temp file");
    String::from_utf8_lossy(&bytes).into_owned()
}
