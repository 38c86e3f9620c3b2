//! `host.toml`: who this host is and where its things are. Written by `enroll`.

use std::path::{Path, PathBuf};

use ca_core::name::{Environment, HostName};
use ca_core::tlog::note::VerifierKey;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::file;

/// The file's content. Every path may be changed, then restart the daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Address of the authority, https, without a slash at the end.
    pub(crate) ca: String,
    /// TLS certificates to trust instead of the system's (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// This host's number.
    pub(crate) host: u64,
    /// Its environment.
    pub(crate) environment: Environment,
    /// The names in its host certificate.
    pub(crate) names: Vec<HostName>,
    /// The key that signs revocation lists. Pinned at enrolment: only `enroll --replace` changes it.
    pub(crate) log_verifier_key: VerifierKey,
    /// Private host key whose certificate is renewed.
    pub(crate) host_key: PathBuf,
    /// Folder of `sshd_config`.
    pub(crate) sshd_dir: PathBuf,
    /// Folder of what does not survive a reboot.
    #[serde(default = "run_dir")]
    pub(crate) run_dir: PathBuf,
    /// The sshd program.
    #[serde(default = "sshd")]
    pub(crate) sshd: PathBuf,
    /// PAM's file for sshd, which `check` reads.
    #[serde(default = "pam")]
    pub(crate) pam: PathBuf,
    /// Command that makes sshd read its files again; run where a renewed host certificate needs it.
    #[serde(default)]
    pub(crate) reload: Vec<String>,
    /// Whether the end of a grant also ends what its ssh sessions left behind in the background
    /// with a session of its own (`setsid`, `tmux`), known by the kernel's audit session.
    #[serde(default = "yes")]
    pub(crate) end_detached: bool,
}

fn run_dir() -> PathBuf {
    PathBuf::from("/run/jit-ssh-host")
}

fn sshd() -> PathBuf {
    PathBuf::from("/usr/sbin/sshd")
}

fn pam() -> PathBuf {
    PathBuf::from("/etc/pam.d/sshd")
}

const fn yes() -> bool {
    true
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when there is none (the host is not enrolled) or it is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let Some(text) = file::read_text(path)? else {
            let what = format!("this host is not enrolled: there is no {}", path.display());
            return Err(Failure::local(what).hint("jit-ssh-host enroll --ca URL --token-file FILE"));
        };
        toml::from_str(&text).map_err(|error| Failure::file("read", path, &error))
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when a path is not UTF-8.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(|error| Failure::local(format!("host.toml: {error}")))
    }
}
