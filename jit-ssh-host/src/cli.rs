//! The command line. Names and exit codes are a promise: scripts rest on them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes:
  0 ok · 2 usage · 4 token or credential not accepted · 6 authority unreachable · 7 file problem
  1 something that cannot be trusted, or check found something broken

Examples:
  jit-ssh-host enroll --ca https://ca.example.com --token-file - < token
  jit-ssh-host status
  jit-ssh-host check";

/// What a host runs so that access ends when it should.
#[derive(Debug, Parser)]
#[command(name = "jit-ssh-host", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// State folder.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/lib/jit-ssh-host"
    )]
    pub(crate) dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join an environment with a token: write keys, revocation list, host certificate, sshd's lines.
    #[command(after_help = "Examples:
  jit-ssh-host enroll --ca https://ca.example.com --token-file - < token
  jit-ssh-host enroll --ca https://ca.example.com --token-file token --ca-file ca.pem --replace")]
    Enroll(Enroll),
    /// The daemon: keep the revocation list, end sessions, renew the host certificate.
    #[command(after_help = "Example:
  systemctl enable --now jit-ssh-host")]
    Run,
    /// For PAM: note which certificate opened this session. Always succeeds.
    #[command(after_help = "Example, in /etc/pam.d/sshd after pam_loginuid.so:
  session optional pam_exec.so quiet /usr/sbin/jit-ssh-host session")]
    Session,
    /// For a timer: make sshd's revocation list what it must be now, also while the daemon is dead.
    #[command(after_help = "Example:
  systemctl enable --now jit-ssh-host-enforce.timer")]
    Enforce,
    /// Show the revocation list's age, open sessions and the last contact.
    #[command(after_help = "Examples:
  jit-ssh-host status
  jit-ssh-host status --json")]
    Status(Status),
    /// Check sshd's settings, files, PAM, clock; say what is wrong.
    #[command(after_help = "Exit code: 0 nothing is broken, 1 something is.

Example:
  jit-ssh-host check")]
    Check,
}

/// `enroll`.
#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// Address of the authority.
    #[arg(long, value_name = "URL")]
    pub(crate) ca: String,
    /// File with the join token, - for standard input. Never on the command line: others see that.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// TLS certificates to trust instead of the system's (PEM).
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Folder of sshd_config.
    #[arg(long, value_name = "DIR", default_value = "/etc/ssh")]
    pub(crate) sshd_dir: PathBuf,
    /// Private host key that gets a certificate [default: SSHD_DIR/ssh_host_ed25519_key].
    #[arg(long, value_name = "FILE")]
    pub(crate) host_key: Option<PathBuf>,
    /// Folder of what does not survive a reboot.
    #[arg(long, value_name = "DIR", default_value = "/run/jit-ssh-host")]
    pub(crate) run_dir: PathBuf,
    /// Put this enrolment in the place of the one that is there.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// One JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}
