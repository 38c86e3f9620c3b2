//! Throw-away accounts of this machine, for sshd to log in to.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use super::run::run;
use super::wait;

// Accounts of a run that was killed are known by it; the process id in the name tells whether it was.
const NAME_PREFIX: &str = "jitssh-";
const GECOS: &str = "jit-ssh end-to-end test";

/// An account without password and home; removed when dropped, with all its processes.
pub struct UnixAccount {
    name: String,
}

impl UnixAccount {
    /// Makes an account with a name that no other test has. Needs root.
    #[track_caller]
    pub fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        assert!(
            nix::unistd::geteuid().is_root(),
            "test accounts need root: sudo -E make test"
        );
        SWEEP.call_once(remove_left_over);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME_PREFIX}{}-{count}", std::process::id());
        let _lock = lock();
        let mut useradd = Command::new("useradd");
        // `*`: no password fits, but the account is not locked as `!` would make it.
        useradd.args(["--no-create-home", "--home-dir", "/", "--shell", "/bin/sh"]);
        useradd.args([
            "--no-log-init",
            "--comment",
            GECOS,
            "--password",
            "*",
            "--",
            &name,
        ]);
        run(useradd).succeeds();
        Self { name }
    }

    /// The login name, a valid principal.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for UnixAccount {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// One account database, several test threads and perhaps several runs: `useradd` gives up when
/// another one is at work.
fn lock() -> File {
    let path = Path::new("/run/lock/jit-ssh-test-accounts");
    std::fs::create_dir_all("/run/lock").expect("/run/lock");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("a lock file");
    file.lock().expect("a lock");
    file
}

fn remove(name: &str) {
    // userdel refuses while a process of the account runs.
    end_processes(name);
    let _lock = lock();
    let mut userdel = Command::new("userdel");
    userdel.args(["--", name]);
    let removed = run(userdel);
    // Never a panic: this runs in drop.
    if !removed.succeeded() {
        eprintln!("account {name} is not removed: {}", removed.stderr);
    }
}

fn end_processes(name: &str) {
    let Ok(Some(user)) = User::from_name(name) else {
        return;
    };
    wait::until(
        "the end of the account's processes",
        wait::START_MAX,
        || {
            let ids = processes_of(user.uid.as_raw());
            for id in &ids {
                // It may have ended by itself in between.
                let _ = kill(Pid::from_raw(*id), Signal::SIGKILL);
            }
            ids.is_empty().then_some(())
        },
    );
}

fn processes_of(uid: u32) -> Vec<i32> {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let of_account = entries.flatten().filter(|entry| {
        // A zombie is not running: only its parent can remove it, and userdel does not mind.
        entry.metadata().is_ok_and(|meta| meta.uid() == uid)
            && std::fs::read_to_string(entry.path().join("stat")).is_ok_and(|stat| {
                !stat
                    .rsplit(')')
                    .next()
                    .unwrap_or_default()
                    .starts_with(" Z")
            })
    });
    of_account
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn remove_left_over() {
    let accounts = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    for line in accounts.lines().filter(|line| line.contains(GECOS)) {
        let name = line.split(':').next().unwrap_or_default();
        let run = name
            .strip_prefix(NAME_PREFIX)
            .and_then(|rest| rest.split('-').next());
        if run.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            remove(name);
        }
    }
}
