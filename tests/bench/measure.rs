//! The units that figures are told in, and reading what a process used.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ed25519_dalek::{Signer as _, SigningKey};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::report::round;

/// Clock ticks per second of `/proc`: 100 on every Linux we run on (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: usize = 4096;

/// What was measured of each unit, in the course of the run.
pub(crate) struct Units {
    folder: PathBuf,
    /// CPU seconds of one signature while nothing else runs.
    signature: Vec<f64>,
    /// The same while every CPU signs, as under load: threads of one core slow each other down.
    signature_busy: Vec<f64>,
    /// Seconds of one fdatasync of 4 KiB in a file that is already that long.
    fdatasync: Vec<f64>,
    /// The same when the file grows by them.
    fdatasync_growing: Vec<f64>,
    /// Certificates a second.
    keygen: Vec<f64>,
}

impl Units {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: crate::folder_in(folder, "units"),
            signature: Vec::new(),
            signature_busy: Vec::new(),
            fdatasync: Vec::new(),
            fdatasync_growing: Vec::new(),
            keygen: Vec::new(),
        }
    }

    /// Signs for about half a second, alone and then on all CPUs.
    pub(crate) fn measure_signature(&mut self) {
        self.signature.extend(sign());
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let all: Vec<_> = (0..cpus).map(|_| std::thread::spawn(sign)).collect();
        for one in all {
            self.signature_busy.extend(one.join().expect("signatures"));
        }
    }

    /// CPU seconds of one signature of ed25519-dalek.
    pub(crate) fn signature(&self) -> f64 {
        median(&self.signature)
    }

    /// The same while every CPU signs.
    pub(crate) fn signature_busy(&self) -> f64 {
        median(&self.signature_busy)
    }

    /// 40 times each.
    pub(crate) fn measure_fdatasync(&mut self) {
        let page = [0x5a; PAGE_BYTES];
        let page_bytes = u64::try_from(PAGE_BYTES).expect("4096");
        let path = self.folder.join("page");
        std::fs::write(&path, vec![0; PAGE_BYTES * 64]).expect("a file");
        let file = File::options().write(true).open(&path).expect("a file");
        file.sync_all().expect("sync");
        for at in 0..40 {
            let begun = Instant::now();
            file.write_all_at(&page, at * page_bytes).expect("write");
            file.sync_data().expect("sync");
            self.fdatasync.push(begun.elapsed().as_secs_f64());
        }
        for at in 64..104 {
            let begun = Instant::now();
            file.write_all_at(&page, at * page_bytes).expect("write");
            file.sync_data().expect("sync");
            self.fdatasync_growing.push(begun.elapsed().as_secs_f64());
        }
    }

    /// Median seconds of one fdatasync after 4 KiB were written over others.
    pub(crate) fn fdatasync(&self) -> f64 {
        median(&self.fdatasync)
    }

    /// Median seconds of one fdatasync after 4 KiB were appended, as a log does.
    pub(crate) fn fdatasync_growing(&self) -> f64 {
        median(&self.fdatasync_growing)
    }

    /// `ssh-keygen -s` one after the other, as scripts do it, for `span`.
    pub(crate) fn measure_keygen(&mut self, span: Duration) {
        let folder = &self.folder;
        for name in ["ca", "user"] {
            if !folder.join(name).exists() {
                keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-f", name]);
            }
        }
        let (begun, mut made) = (Instant::now(), 0_u32);
        while begun.elapsed() < span {
            let serial = (made + 1).to_string();
            keygen(
                folder,
                &[
                    "-q", "-s", "ca", "-I", "alice", "-n", "deploy", "-V", "+1h", "-z", &serial,
                    "user.pub",
                ],
            );
            made += 1;
        }
        self.keygen
            .push(f64::from(made) / begun.elapsed().as_secs_f64());
    }

    /// Certificates a second of `ssh-keygen -s`.
    pub(crate) fn keygen(&self) -> f64 {
        median(&self.keygen)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "ed25519_signature_microseconds": round(self.signature() * 1e6),
            "ed25519_signature_all_cpus_busy_microseconds": round(self.signature_busy() * 1e6),
            "fdatasync_4k_microseconds": round(self.fdatasync() * 1e6),
            "fdatasync_4k_growing_microseconds": round(median(&self.fdatasync_growing) * 1e6),
            "fdatasync_4k_p99_microseconds": round(quantile(&self.fdatasync, 0.99) * 1e6),
            "ssh_keygen_certificates_per_second": round(self.keygen()),
        })
    }
}

/// CPU seconds of one signature, five times.
fn sign() -> Vec<f64> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let message = [42; 450];
    let one = |_| {
        let (rounds, before) = (2000_u32, thread_cpu());
        for _ in 0..rounds {
            std::hint::black_box(key.sign(std::hint::black_box(&message)));
        }
        (thread_cpu() - before) / f64::from(rounds)
    };
    (0..5).map(one).collect()
}

fn keygen(folder: &Path, arguments: &[&str]) {
    let status = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("ssh-keygen");
    assert!(status.success(), "ssh-keygen {arguments:?}");
}

/// CPU seconds of this thread so far.
pub(crate) fn thread_cpu() -> f64 {
    cpu(UsageWho::RUSAGE_THREAD)
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu() -> f64 {
    cpu(UsageWho::RUSAGE_SELF)
}

/// CPU seconds of all programs that were run to their end so far.
pub(crate) fn children_cpu() -> f64 {
    cpu(UsageWho::RUSAGE_CHILDREN)
}

fn cpu(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("getrusage");
    let seconds = |time: nix::sys::time::TimeVal| {
        let part = |number: i64| f64::from(i32::try_from(number).unwrap_or(i32::MAX));
        part(time.tv_sec()) + part(time.tv_usec()) / 1e6
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// CPU seconds, user and system, of a process so far: whole ticks of 10 ms.
pub(crate) fn process_cpu(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("/proc");
    // The name in parentheses may hold anything; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("/proc/PID/stat");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> f64 {
        let field = fields.get(at).and_then(|field| field.parse::<u32>().ok());
        f64::from(field.expect("ticks"))
    };
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// A value of `/proc/PID/status` in MiB: `VmRSS`, `VmHWM`.
pub(crate) fn process_mebibytes(id: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    let kibibytes: u32 = number.and_then(|text| text.parse().ok()).expect("kB");
    f64::from(kibibytes) / 1024.0
}

/// The machine, and how busy others kept it.
pub(crate) fn machine() -> Value {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    json!({
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "model": model.map(|(_, model)| model.trim()),
        "load_average": std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
    })
}

/// The middle of `values`; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The smallest value that is not below `share` of all; 0 of none.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
    let wanted = f64::from(count) * share;
    let at = (1..=count).find(|at| f64::from(*at) >= wanted).unwrap_or(1);
    let at = usize::try_from(at.saturating_sub(1)).unwrap_or(0);
    sorted.get(at).copied().unwrap_or(0.0)
}
