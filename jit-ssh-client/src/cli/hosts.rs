//! Arguments of the verbs about hosts.

use clap::Args;

use super::SignInArgs;

/// `hosts`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh hosts
  jit-ssh hosts prod --json")]
pub(crate) struct Hosts {
    /// Only this environment.
    #[arg(value_name = "ENV")]
    pub(crate) environment: Option<String>,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `host-token`.
#[derive(Debug, Args)]
#[command(after_help = "The token is shown once and good once.

Examples:
  jit-ssh host-token prod web1.prod.example.com
  jit-ssh host-token prod web1.prod.example.com web1 --json")]
pub(crate) struct HostToken {
    /// Environment.
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// Every name that people type for the host; its certificate names exactly these.
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}
