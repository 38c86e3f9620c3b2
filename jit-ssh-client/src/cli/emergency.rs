//! Arguments of the verbs for bad days: break-glass, reviews, revoking, freezing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SignInArgs;

/// `break-glass`.
#[derive(Debug, Args)]
#[command(
    after_help = "Signs in as always. While the identity provider is down, a key that was enrolled before does,
with a TOTP code: `jit-ssh break-glass-key add PATH` enrols one, and must be run on a good day.
While the CA itself is down, the holders of the sealed key help: ca-server break-glass sign.

Examples:
  jit-ssh break-glass prod --reason \"INC-42 database down\"
  jit-ssh break-glass prod --as root --for 15m --reason \"INC-42 disk full\"
  jit-ssh break-glass prod --reason \"INC-42\" --key ~/.ssh/emergency
  jit-ssh break-glass-key list"
)]
pub(crate) struct BreakGlass {
    /// Environment.
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// What happened; it is reviewed afterwards.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Login name on the hosts; may be given several times [default: the environment's].
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) principals: Vec<String>,
    /// For how long [default: the CA's, 30m].
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) duration: Option<String>,
    /// Ticket of another system.
    #[arg(long, value_name = "ID")]
    pub(crate) ticket: Option<String>,
    /// Sign in with this break-glass key at once: a private file, a public one whose key is in the
    /// agent, or SHA256:… of one that was enrolled here or is in the agent.
    #[arg(long, value_name = "PATH|FINGERPRINT")]
    pub(crate) key: Option<String>,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `break-glass-key …`.
#[derive(Debug, Subcommand)]
pub(crate) enum BreakGlassKey {
    /// Enrol a key: any SSH key, FIDO2 ones included.
    Add(AddKey),
    /// List your enrolled keys.
    #[command(after_help = "Examples:
  jit-ssh break-glass-key list")]
    List(super::Look),
    /// Remove one of your keys.
    Remove(RemoveKey),
}

/// `break-glass-key add`.
#[derive(Debug, Args)]
#[command(
    after_help = "It asks for the second factor again when that is a while ago. This machine remembers the key.

Examples:
  ssh-keygen -t ed25519-sk -f ~/.ssh/emergency && jit-ssh break-glass-key add ~/.ssh/emergency
  jit-ssh break-glass-key add ~/.ssh/id_ed25519.pub"
)]
pub(crate) struct AddKey {
    /// A private key file, or a public one whose private half is in the agent.
    pub(crate) path: PathBuf,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `break-glass-key remove`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh break-glass-key list
  jit-ssh break-glass-key remove SHA256:…")]
pub(crate) struct RemoveKey {
    /// `SHA256:…` of the key.
    pub(crate) fingerprint: String,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `review`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh reviews
  jit-ssh review 42 --finding \"justified: replica was down, see INC-42\"")]
pub(crate) struct CloseReview {
    /// Number of the review.
    pub(crate) id: u64,
    /// What you found.
    #[arg(long, value_name = "TEXT")]
    pub(crate) finding: String,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `revoke`.
#[derive(Debug, Args)]
#[command(
    after_help = "Running ssh sessions of what is revoked end, on hosts where jit-ssh-host runs.

Examples:
  jit-ssh revoke --serial 42 --reason \"laptop stolen\"
  jit-ssh revoke --person alice --reason \"left the company\" --yes
  jit-ssh revoke --request 17
  jit-ssh revoke --session-of 42
  jit-ssh revoke --key SHA256:…"
)]
pub(crate) struct Revoke {
    /// What.
    #[command(flatten)]
    pub(crate) what: What,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// Exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// One certificate.
    #[arg(long, value_name = "N")]
    pub(crate) serial: Option<u64>,
    /// What was issued for this access request.
    #[arg(long, value_name = "N")]
    pub(crate) request: Option<u64>,
    /// Everything this person has, sessions at the CA included.
    #[arg(long, value_name = "NAME")]
    pub(crate) person: Option<String>,
    /// The session at the CA that this certificate came through, with all that came through it.
    #[arg(long, value_name = "SERIAL")]
    pub(crate) session_of: Option<u64>,
    /// Every certificate of this key: SHA256:…
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) key: Option<String>,
}

/// Whom or what a freeze is about: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// A person.
    #[arg(long, value_name = "NAME")]
    pub(crate) person: Option<String>,
    /// An environment.
    #[arg(long = "env", value_name = "ENV")]
    pub(crate) environment: Option<String>,
}

/// `freeze`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is issued already stays: take it away with jit-ssh revoke.

Examples:
  jit-ssh freeze --person alice --reason \"laptop stolen\"
  jit-ssh freeze --env prod --reason \"forensics\""
)]
pub(crate) struct Freeze {
    /// Whom or what.
    #[command(flatten)]
    pub(crate) target: Target,
    /// Why; whoever is refused reads it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `unfreeze`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh unfreeze --person alice --reason \"new laptop\"")]
pub(crate) struct Unfreeze {
    /// Whom or what.
    #[command(flatten)]
    pub(crate) target: Target,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}
