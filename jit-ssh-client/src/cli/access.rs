//! Arguments of the verbs about access requests.

use clap::Args;

use super::SignInArgs;

/// A verb that only shows: `reviews`, `freezes`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh reviews
  jit-ssh freezes --json")]
pub(crate) struct Look {
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `requests`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh requests
  jit-ssh requests --to-approve
  jit-ssh requests --mine --json")]
pub(crate) struct ListRequests {
    /// Only your own.
    #[arg(long, conflicts_with = "to_approve")]
    pub(crate) mine: bool,
    /// Only those that wait for your decision.
    #[arg(long)]
    pub(crate) to_approve: bool,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh show 17
  jit-ssh show 17 --json")]
pub(crate) struct ShowRequest {
    /// Number of the request.
    pub(crate) id: u64,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `approve`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is approved is exactly what was shown: a request that changed meanwhile is refused.

Examples:
  jit-ssh approve 17
  jit-ssh approve 17 --for 30m
  jit-ssh approve 17 --yes --json"
)]
pub(crate) struct Approve {
    /// Number of the request.
    pub(crate) id: u64,
    /// Allow a shorter window than asked for.
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) duration: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `deny`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh deny 17 --reason \"use the replica\"")]
pub(crate) struct Deny {
    /// Number of the request.
    pub(crate) id: u64,
    /// Why; the requester reads it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `withdraw`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh withdraw 17")]
pub(crate) struct Withdraw {
    /// Number of the request.
    pub(crate) id: u64,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `history`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh history 17
  jit-ssh history 17 --json")]
pub(crate) struct History {
    /// Number of the request, serial of the certificate, or log index of any of its records.
    #[arg(value_name = "ID")]
    pub(crate) number: u64,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// `why`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jit-ssh why LAST
  jit-ssh why 17 --json")]
pub(crate) struct Why {
    /// Your newest decision (LAST), or the number of a request, the serial of a certificate, or the
    /// log index of a decision about you.
    #[arg(value_name = "LAST|ID", default_value = "LAST")]
    pub(crate) which: Which,
    /// How to sign in.
    #[command(flatten)]
    pub(crate) sign_in: SignInArgs,
}

/// Which decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest one about the person who asks.
    Last,
    /// By a number that its records carry.
    Number(u64),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("last") {
            return Ok(Self::Last);
        }
        let number = text.parse();
        number
            .map(Self::Number)
            .map_err(|_| format!("{text:?} is neither LAST nor a number"))
    }
}
