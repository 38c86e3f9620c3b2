//! Processes of this machine: what `/proc` says about them, and signals that cannot hit another.
//!
//! A process id alone names nobody: it is used again. A process is its id and its start time, and
//! a signal goes through a pidfd that was checked against both after it was opened.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// The kernel's word for "no audit session".
const AUDIT_UNSET: u32 = u32::MAX;

/// Major number of the terminals of ssh sessions (Linux, `/dev/pts`).
const PTS_MAJOR: u64 = 136;

/// A process of this boot, for ever: its id and its start time in clock ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// The process id.
    pub(crate) pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    pub(crate) started: u64,
}

/// What `/proc` says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Who it is.
    pub(crate) id: ProcessId,
    /// Its parent's process id.
    pub(crate) parent: i32,
    /// Its POSIX session: the process id of whoever made it, alive or not.
    pub(crate) session: i32,
    /// Number of its controlling terminal in `/dev/pts`.
    pub(crate) terminal: Option<u64>,
    /// Whether it has ended and only its parent has not noticed.
    pub(crate) ended: bool,
    /// The kernel's audit session: set at login by `pam_loginuid`, inherited by every child, not
    /// changeable without `CAP_AUDIT_CONTROL`.
    pub(crate) audit: Option<u32>,
}

/// The process with this id, if there is one.
pub(crate) fn look(pid: i32) -> Option<Process> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let mut process = parse_stat(&fs::read(folder.join("stat")).ok()?)?;
    process.audit = audit_session(&folder);
    (process.id.pid == pid).then_some(process)
}

/// Every process. One that comes or goes meanwhile may be missing.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let ids = names.filter_map(|name| name.to_str()?.parse().ok());
    ids.filter_map(look).collect()
}

fn audit_session(folder: &Path) -> Option<u32> {
    let text = fs::read_to_string(folder.join("sessionid")).ok()?;
    let id = text.trim().parse().ok()?;
    (id != AUDIT_UNSET).then_some(id)
}

/// Reads proc(5) `stat`. The name in it is the process's own choice, parentheses included, so the
/// fields are counted from the last one.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(stat);
    let (pid, _) = text.split_once(' ')?;
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number.checked_sub(3)?).copied();
    let device: u64 = field(7)?.parse().ok()?;
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    Some(Process {
        id: ProcessId {
            pid: pid.parse().ok()?,
            started: field(22)?.parse().ok()?,
        },
        parent: field(4)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        terminal: (major == PTS_MAJOR).then_some(minor),
        ended: matches!(field(3)?, "Z" | "X"),
        audit: None,
    })
}

/// The program that `pid` runs, as long as the caller may know it (root may, with CAP_SYS_PTRACE).
/// A program that was replaced on disk since keeps its name.
pub(crate) fn program(pid: i32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.to_str()?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).into())
}

/// Whether root's rights are what `pid` runs with.
pub(crate) fn is_root(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|ids| ids.split_ascii_whitespace().nth(1)) == Some("0")
}

/// Whether `program` is sshd's: `sshd`, since 9.8 `sshd-session` for a connection.
pub(crate) fn is_sshd(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    matches!(name, Some("sshd" | "sshd-session" | "sshd-auth"))
}

/// The kernel's id of this boot.
pub(crate) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// A hold on a process: signals reach it or nobody.
#[derive(Debug)]
pub(crate) struct Hold(OwnedFd);

impl Hold {
    /// Holds `id`. None if it has ended: the start time is compared after the pidfd is open, and
    /// from then on the pidfd means that process whatever becomes of the number.
    pub(crate) fn on(id: ProcessId) -> Option<Self> {
        let pid = Pid::from_raw(id.pid)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let found = look(id.pid)?;
        (found.id == id).then_some(Self(pidfd))
    }

    /// Sends a signal. That it has ended meanwhile is fine.
    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.0, signal).ok();
    }

    /// Readable once the process has ended.
    pub(crate) const fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "971 (a) b ) c) S 1 966 966 34819 -1 4194304 57 0 0 0 0 0 0 0 20 0 1 0 \
                        226249 2703360 312 184467\n";

    #[test]
    fn a_stat_line_is_read_whatever_the_process_calls_itself() {
        let found = parse_stat(STAT.as_bytes()).unwrap();
        let id = ProcessId {
            pid: 971,
            started: 226_249,
        };
        assert_eq!(found.id, id);
        assert_eq!((found.parent, found.session), (1, 966));
        assert_eq!(found.terminal, Some(3));
        assert!(!found.ended);
        for bad in ["", "971", "971 (x", "971 (x) S 1"] {
            assert_eq!(parse_stat(bad.as_bytes()), None);
        }
    }

    #[test]
    fn a_hold_is_refused_when_the_number_belongs_to_a_later_process() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = look(pid).unwrap();
        let earlier = ProcessId {
            started: found.id.started - 1,
            ..found.id
        };
        assert!(Hold::on(earlier).is_none());
        let hold = Hold::on(found.id).unwrap();
        hold.signal(Signal::KILL);
        child.wait().unwrap();
        assert!(Hold::on(found.id).is_none());
    }

    #[test]
    fn a_program_is_sshd_by_its_file_name() {
        assert!(is_sshd(Path::new("/usr/sbin/sshd")));
        assert!(is_sshd(Path::new("/usr/lib/openssh/sshd-session")));
        assert!(!is_sshd(Path::new("/tmp/sshd2")));
    }
}
