//! `ca-server break-glass seal | open | sign | import`: getting in while the authority is away.
//!
//! `seal` makes a CA key that exists in no file: it is split m of n and each share is encrypted to
//! its holder's key. `open` and `sign` need no authority, configuration or network. Nothing here
//! reaches the log but `import` (docs/break-glass.md; docs/adr/0013 says why it is built like this).

use clap::{Args, Subcommand};

mod authority;
mod envelope;
mod file;
mod gather;
mod holder;
mod import;
mod open;
mod passphrase;
mod seal;
mod share;
mod sign;

pub use import::Import;
pub use open::Open;
pub use seal::Seal;
pub use sign::Sign;

/// Emergency access while the CA is down: a CA key sealed to its holders.
#[derive(Clone, Debug, Args)]
pub struct BreakGlassCommand {
    /// What to do.
    #[command(subcommand)]
    pub verb: BreakGlassVerb,
}

/// The verbs of `ca-server break-glass`.
#[derive(Clone, Debug, Subcommand)]
pub enum BreakGlassVerb {
    /// Put the record of a certificate that was signed offline into the log.
    #[command(after_help = import::EXAMPLES)]
    Import(Import),
    /// Hand your share to the laptop that signs: encrypted again, for it alone.
    #[command(after_help = open::EXAMPLES)]
    Open(Open),
    /// Make a break-glass CA key for an environment and seal its shares to holders.
    #[command(after_help = seal::EXAMPLES)]
    Seal(Box<Seal>),
    /// Sign one short certificate with enough shares, on any laptop.
    #[command(after_help = sign::EXAMPLES)]
    Sign(Box<Sign>),
}

impl BreakGlassCommand {
    /// Runs it. Must not be called inside an async runtime.
    ///
    /// # Errors
    ///
    /// With what is wrong and what to do.
    pub fn run(&self) -> anyhow::Result<()> {
        // A crash must not leave the key on a disk.
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
        match &self.verb {
            BreakGlassVerb::Import(import) => import.run(),
            BreakGlassVerb::Open(open) => open.run(),
            BreakGlassVerb::Seal(seal) => seal.run(),
            BreakGlassVerb::Sign(sign) => sign.run(),
        }
    }
}
