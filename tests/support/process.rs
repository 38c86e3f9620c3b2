//! A program that runs beside the test: its log is kept, and it is ended by its process id.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::wait;

/// How long a program has to end by itself after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A running program. Dropping it ends it: SIGTERM, then SIGKILL.
///
/// If the test is failing (its thread panics), the log is printed and kept.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    dir: TempDir,
}

impl Process {
    /// Starts `command`; both its outputs go to one log file, its input is empty.
    pub fn start(name: &str, mut command: Command) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("jit-ssh-test-")
            .tempdir()
            .expect("temp dir");
        let log = dir.path().join(format!("{name}.log"));
        let file = File::create(&log).expect("log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}: {command:?}"));
        Self {
            name: name.to_owned(),
            child,
            log,
            dir,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("log file")).into_owned()
    }

    /// The file its outputs go to.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Waits until the log contains `text` and returns the first line that does.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) -> String {
        let what = format!("{text:?} in the log of {}", self.name);
        wait::until(&what, wait::START_MAX, || {
            let ended = self.exit_status();
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return Some(line.to_owned());
            }
            assert!(
                ended.is_none(),
                "{} ended ({ended:?}) without {text:?}:\n{log}",
                self.name
            );
            None
        })
    }

    /// Waits until it accepts connections on 127.0.0.1:`port`.
    #[track_caller]
    pub fn wait_for_port(&mut self, port: u16) {
        let what = format!("{} on port {port}", self.name);
        wait::until(&what, wait::START_MAX, || {
            let ended = self.exit_status();
            assert!(
                ended.is_none(),
                "{} ended ({ended:?}):\n{}",
                self.name,
                self.log()
            );
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait::until(&what, limit, || self.exit_status())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // A process that has ended is not an error: the caller may look at its status next.
        let _ = kill(self.pid(), signal);
    }

    /// SIGTERM, and SIGKILL if it has not ended after 10 s. How it ended.
    pub fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.exit_status() {
            return status;
        }
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.exit_status() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("{} ignored SIGTERM for {STOP_MAX:?}", self.name);
        self.kill()
    }

    /// SIGKILL at once, as a crash would. How it ended.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("a child of ours")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            let path = self.log.display();
            eprintln!("--- log of {} ({path}):\n{}---", self.name, self.log());
        }
    }
}
