//! `break-glass open`: a holder's share, for the laptop that signs and for nobody else.
//!
//! The share is decrypted in memory and encrypted again at once; it is never shown. The same as
//! `age -d -i KEY SHARE | age -a -r RECIPIENT`, and it says what is being handed over.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::envelope::{self, ARMORED_BYTES_MAX, Identities};
use super::file;
use super::share::Share;

pub(super) const EXAMPLES: &str = "Example, with the age1… that `break-glass sign --gather` shows on the other laptop:\n  \
     ca-server break-glass open --share prod-bob.age --identity ~/.ssh/id_ed25519 --to age1…";

/// Hand a share to the laptop that signs.
#[derive(Clone, Debug, Args)]
pub struct Open {
    /// Your sealed share.
    #[arg(long, value_name = "FILE")]
    share: PathBuf,
    /// Your private key: OpenSSH or age.
    #[arg(long = "identity", value_name = "FILE", required = true)]
    identities: Vec<PathBuf>,
    /// What `break-glass sign --gather` shows. Compare it by voice.
    #[arg(long, value_name = "AGE1…")]
    to: String,
    /// Write it to a new file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Open {
    /// Opens and seals again.
    ///
    /// # Errors
    ///
    /// With what is wrong; then nothing was handed over.
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    pub fn run(&self) -> anyhow::Result<()> {
        let to: age::x25519::Recipient = self
            .to
            .parse()
            .map_err(|error| anyhow::anyhow!("--to {:?}: {error}", self.to))?;
        let identities = Identities::read(&self.identities)?;
        let armored = file::read_text(&self.share, ARMORED_BYTES_MAX)?;
        let plain = envelope::decrypt(&armored, &identities)
            .with_context(|| format!("{:?}", self.share))?;
        let share = Share::from_text(&plain).with_context(|| format!("{:?}", self.share))?;
        let sealed = envelope::encrypt(&plain, &to)?;
        eprintln!("BREAK-GLASS: this hands over {}.", share.described());
        eprintln!("Only the laptop that shows {to} can read what follows.");
        match &self.out {
            Some(path) => file::write_new(path, 0o600, sealed.as_bytes())?,
            None => print!("{sealed}"),
        }
        Ok(())
    }
}
