//! The command line. Names and exit codes are a promise: scripts rest on them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use access::{
    Approve, Deny, History, ListRequests, Look, ShowRequest, Which, Why, Withdraw,
};
pub(crate) use emergency::{
    AddKey, BreakGlass, BreakGlassKey, CloseReview, Freeze, RemoveKey, Revoke, Target, Unfreeze,
};
pub(crate) use hosts::{HostToken, Hosts};

mod access;
mod emergency;
mod hosts;

const EXIT_CODES: &str = "\
Exit codes:
  0 ok · 2 usage · 3 denied · 4 not authenticated · 5 waiting for approval
  6 CA or identity provider unreachable · 7 agent or file problem
  1 an answer that cannot be trusted, or doctor found something broken

Examples:
  jit-ssh setup https://ca.example.com
  jit-ssh login prod
  ssh web1.prod.example.com
  jit-ssh done prod
  jit-ssh break-glass prod --reason \"INC-42 database down\"";

/// Short-lived SSH certificates: sign in, get one into your agent, give it back.
#[derive(Debug, Parser)]
#[command(name = "jit-ssh", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Configuration file [default: ~/.config/jit-ssh/config.toml].
    #[arg(long, global = true, env = "JIT_SSH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON document on stdout, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get to know a CA: pin its keys, write the configuration and ssh_config blocks.
    #[command(after_help = "Examples:
  jit-ssh setup https://ca.example.com
  jit-ssh setup --ca-certificate ca.pem --write-ssh-config https://ca.example.com")]
    Setup(Setup),
    /// Get a certificate for an environment into the agent.
    Login(Login),
    /// List access requests: yours, and those you may decide.
    Requests(ListRequests),
    /// Show one access request whole.
    Show(ShowRequest),
    /// Say yes to an access request, after seeing the whole of it.
    Approve(Approve),
    /// Say no to an access request, which ends it.
    Deny(Deny),
    /// Take your own access request back.
    Withdraw(Withdraw),
    /// In an emergency: access at once, without approvals, recorded and reviewed.
    BreakGlass(BreakGlass),
    /// Your keys for the day when the identity provider is down.
    #[command(subcommand)]
    BreakGlassKey(BreakGlassKey),
    /// List emergencies that nobody has judged yet.
    Reviews(Look),
    /// Close the review of somebody else's emergency with what you found.
    Review(CloseReview),
    /// Take certificates away from whoever holds them, now and everywhere.
    Revoke(Revoke),
    /// Stop everything new for a person or an environment until it is lifted.
    Freeze(Freeze),
    /// Lift a freeze.
    Unfreeze(Unfreeze),
    /// List what is frozen, by whom and why.
    Freezes(Look),
    /// Tell the story of one grant, from the request to the last ssh session.
    History(History),
    /// Say why you got something or not, and what is allowed instead.
    Why(Why),
    /// List the hosts and whether the newest revocations are in force there.
    Hosts(Hosts),
    /// Let one host join an environment: a token for `jit-ssh-host enroll`.
    HostToken(HostToken),
    /// Show what you hold, what waits for you, and your session at the CA.
    #[command(
        after_help = "Exit code with --check: 0 a certificate is live, 4 none is.

Examples:
  jit-ssh status
  jit-ssh status --check && ssh web1.prod.example.com"
    )]
    Status(Status),
    /// Give certificates back: out of the agent, revoked at the CA; running ssh sessions end.
    #[command(after_help = "Examples:
  jit-ssh done prod
  jit-ssh done")]
    Done(Done),
    /// Give everything back and end the session at the CA.
    #[command(after_help = "Examples:
  jit-ssh logout")]
    Logout,
    /// The second factor.
    #[command(subcommand)]
    Totp(Totp),
    /// Check configuration, CA, clock, agent and ssh_config; say what to do.
    #[command(after_help = "Exit code: 0 nothing failed, 1 something did.

Examples:
  jit-ssh doctor
  jit-ssh doctor --json")]
    Doctor,
    /// For ssh_config `Match exec`: have a certificate ready, quickly and quietly.
    #[command(after_help = "Exit code 0 lets ssh use the block; any other skips it.

Examples:
  Match originalhost *.prod.example.com exec \"jit-ssh ensure prod\"")]
    Ensure(Ensure),
    /// Print shell completions.
    #[command(after_help = "Examples:
  jit-ssh completions bash > ~/.local/share/bash-completion/completions/jit-ssh")]
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Print the manual page.
    #[command(after_help = "Examples:
  jit-ssh man | man -l -")]
    Man,
}

/// `setup`.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Address of the CA.
    pub(crate) url: String,
    /// TLS certificate to trust instead of the system's roots (PEM).
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_certificate: Option<PathBuf>,
    /// Trust the keys that the CA shows now, even if they changed.
    #[arg(long)]
    pub(crate) accept_new_keys: bool,
    /// Put the Include line at the top of ~/.ssh/config (keeps a backup). What it includes names the
    /// certificates to offer and the host authorities to trust.
    #[arg(long)]
    pub(crate) write_ssh_config: bool,
}

/// How to sign in; shared by all verbs that talk to the CA as a person.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Signing in, where no session is open")]
pub(crate) struct SignInArgs {
    /// Shell command that prints the TOTP code.
    #[arg(long, value_name = "CMD")]
    pub(crate) totp_command: Option<String>,
    /// Who signs in, for the identity provider.
    #[arg(long, value_name = "NAME")]
    pub(crate) login_hint: Option<String>,
    /// Sign in on another device instead of a browser here.
    #[arg(long)]
    pub(crate) device: bool,
    /// Show a recovery code instead of a TOTP code.
    #[arg(long, conflicts_with = "totp_command")]
    pub(crate) recovery_code: bool,
}

/// `login`.
#[derive(Debug, Args)]
#[command(
    after_help = "Where policy wants approvals, login asks for them and waits. Exit code 5: it still waits for
approvals or its time. 3: denied, expired or withdrawn. The same command goes on with the request.

Examples:
  jit-ssh login prod
  jit-ssh login prod --as root --for 30m --reason \"disk full\" --ticket OPS-7
  jit-ssh login prod --as root --reason \"migration\" --at \"tomorrow 02:00\" --for 2h --no-wait
  jit-ssh login prod --as root --reason \"disk full\" --wait 10m || echo \"nobody answered\"
  jit-ssh login staging --json --totp-command 'oathtool -b --totp $SEED'"
)]
pub(crate) struct Login {
    /// Environment.
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// Login name on the hosts; may be given several times [default: the environment's].
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) principals: Vec<String>,
    /// For how long: 45m, 2h, 1h30m [default: the environment's].
    #[arg(long = "for", value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) duration: Option<String>,
    /// Why; policy may ask for it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Ticket of another system.
    #[arg(long, value_name = "ID")]
    pub(crate) ticket: Option<String>,
    /// Not earlier than: "in 3h", 02:00, "tomorrow 02:00", "2026-11-22 02:00" (local time), or
    /// with a zone: 2026-11-22T02:00:00+01:00.
    #[arg(long = "at", value_name = "TIME")]
    pub(crate) not_before: Option<String>,
    /// Sign in again and get a new certificate, whatever is there.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Do not go on with an open request; ask anew.
    #[arg(long)]
    pub(crate) new: bool,
    /// Do not wait for approvals or the time: print the request, exit code 5.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Wait for so long at most, then exit code 5 [default: until it is decided].
    #[arg(long, value_name = "TIME", conflicts_with = "no_wait")]
    pub(crate) wait: Option<String>,
    /// Have the agent ask before each use.
    #[arg(long, conflicts_with = "no_agent")]
    pub(crate) confirm: bool,
    /// Write the private key to a file instead of giving it to the agent.
    #[arg(long)]
    pub(crate) no_agent: bool,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this environment.
    #[arg(value_name = "ENV")]
    pub(crate) environment: Option<String>,
    /// Say it by the exit code: 0 a certificate is live, 4 none is.
    #[arg(long)]
    pub(crate) check: bool,
}

/// `done`.
#[derive(Debug, Args)]
pub(crate) struct Done {
    /// Environment [default: all].
    #[arg(value_name = "ENV")]
    pub(crate) environment: Option<String>,
}

/// `totp …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Totp {
    /// Set up a second factor, or replace it.
    #[command(
        after_help = "The --totp-command finds the new secret in $JIT_SSH_OTPAUTH_URI.

Examples:
  jit-ssh totp enroll
  jit-ssh totp enroll --ticket TICKET"
    )]
    Enroll(Enroll),
}

/// `totp enroll`.
#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// Ticket from an administrator; may be given several times.
    #[arg(long, value_name = "TICKET")]
    pub(crate) ticket: Vec<String>,
    /// Show the present factor, to replace it.
    #[arg(long)]
    pub(crate) replace: bool,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `ensure`.
#[derive(Debug, Args)]
pub(crate) struct Ensure {
    /// Environment.
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// Never ask, even on a terminal.
    #[arg(long)]
    pub(crate) no_prompt: bool,
}
