//! `break-glass seal`: a new key for an environment, in no file, its shares sealed to holders.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ca_core::break_glass::LIFETIME_MAX_SECONDS;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::name::Environment;
use ca_core::time::Timestamp;
use clap::Args;

use super::authority::Authority;
use super::envelope;
use super::file;
use super::holder::{self, Holder, HolderArgument};
use super::share::{Gathered, Set, Share};
use crate::break_glass_keys;
use crate::clock::Clock;
use crate::command::place::{Place, UsageError};
use crate::config::Config;
use crate::policy::{duration, words};

pub(super) const EXAMPLES: &str = "Example:\n  ca-server break-glass seal prod --dir /etc/jit-ssh --needed 2 \\\n    \
     --holder alice=alice.pub --holder bob=bob.pub --holder carol=carol.pub";

/// Most shares of a key.
const SHARES_MAX: usize = 32;

/// Make a break-glass CA key and seal its shares.
#[derive(Clone, Debug, Args)]
pub struct Seal {
    /// Environment whose hosts will trust it.
    pub environment: Environment,
    #[command(flatten)]
    place: Place,
    /// Public key of a holder: ssh-ed25519, ssh-rsa or age1…. One for each share.
    #[arg(long = "holder", value_name = "[NAME=]KEYFILE", required = true)]
    holders: Vec<HolderArgument>,
    /// How many holders must come together to sign.
    #[arg(long, value_name = "M")]
    needed: u8,
    /// Longest life of a certificate, at most 8h.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
    longest: Duration,
    /// New folder for the share files; `break-glass-ENV` if not named.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Make a new key though there is one: hosts must be given the new one.
    #[arg(long)]
    replace: bool,
    /// Allow --needed 1, with which every holder alone is the authority.
    #[arg(long)]
    allow_single: bool,
}

impl Seal {
    /// Seals and says what to do next.
    ///
    /// # Errors
    ///
    /// With what is wrong; then no host is told to trust anything.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.place.config()?;
        let holders = self.check(&config)?;
        let keys = config.break_glass_key(&self.environment);
        let folder = self.out.clone();
        let folder = folder.unwrap_or_else(|| format!("break-glass-{}", self.environment).into());
        let authority = Authority::generate()?;
        let set = self.set(&config, &authority, holders.len(), Clock::System.now())?;
        let shares = shares(&authority, &set, &holders)?;
        prove(&shares)?;
        let sealed: Vec<String> = shares
            .iter()
            .zip(&holders)
            .map(|(share, holder)| envelope::encrypt(&share.to_text()?, holder.recipient.as_age()))
            .collect::<anyhow::Result<_>>()?;
        drop((shares, authority));
        file::make_empty(&folder)?;
        let written = write(&folder, &set, (&holders, &sealed), &keys);
        if let Err(error) = written {
            // It was empty or absent: these shares are all that is in it, and of no key.
            std::fs::remove_dir_all(&folder).ok();
            return Err(error.context("nothing was sealed"));
        }
        self.say_what_next(&folder, &set, (&holders, &keys));
        Ok(())
    }

    /// Everything that can be wrong, before a key is made.
    fn check(&self, config: &Config) -> anyhow::Result<Vec<Holder>> {
        let (needed, count) = (usize::from(self.needed), self.holders.len());
        if needed == 0 {
            return Err(UsageError("--needed must be at least 1").into());
        }
        if needed == 1 && !self.allow_single {
            return Err(UsageError(
                "--needed 1 makes every holder alone the authority: say --allow-single if that is meant",
            )
            .into());
        }
        if needed > count {
            return Err(UsageError("--needed is more than there are holders").into());
        }
        anyhow::ensure!(
            count <= SHARES_MAX,
            "{count} holders, at most {SHARES_MAX} are allowed"
        );
        let seconds = self.longest.as_secs();
        anyhow::ensure!(
            (60..=u64::from(LIFETIME_MAX_SECONDS)).contains(&seconds),
            "--longest {}: 1m to 8h are allowed",
            words(self.longest)
        );
        let known = config.environments.contains_key(&self.environment);
        anyhow::ensure!(known, "there is no environment {}", self.environment);
        let keys = config.break_glass_key(&self.environment);
        if let Some(key) = break_glass_keys::current(&keys)? {
            anyhow::ensure!(
                self.replace,
                "{} has the break-glass key {} already; --replace makes another, which its hosts \
                 must then be given",
                self.environment,
                key.fingerprint()
            );
        }
        holder::read_all(&self.holders)
    }

    fn set(
        &self,
        config: &Config,
        authority: &Authority,
        shares: usize,
        now: Timestamp,
    ) -> anyhow::Result<Set> {
        let environment = config.environments.get(&self.environment);
        let environment = environment.context("there is no such environment")?;
        Ok(Set {
            id: format!("{:016x}", getrandom::u64()?),
            environment: self.environment.clone(),
            needed: self.needed,
            shares: u8::try_from(shares)?,
            public_key: authority.public_key()?,
            max_seconds: u32::try_from(self.longest.as_secs())?,
            default_principals: environment.default_principals.clone(),
            sealed_at: now,
        })
    }

    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    fn say_what_next(&self, folder: &Path, set: &Set, (holders, keys): (&[Holder], &Path)) {
        let (environment, needed) = (&set.environment, set.needed);
        println!(
            "Sealed the break-glass key {} of {environment}: {needed} of {} shares sign, each \
             certificate for at most {}. The key itself is in no file.",
            set.public_key.fingerprint(),
            set.shares,
            words(self.longest)
        );
        println!("What next:");
        println!("  1. Give each holder their share, and nobody two of them:");
        for holder in holders {
            println!("       {}", folder.join(share_file(set, holder)).display());
        }
        println!(
            "  2. When all have theirs, delete them here: rm -r {}",
            folder.display()
        );
        println!("  3. On every host of {environment}, this line into /etc/ssh/jit-ssh-ca.pub:");
        println!("       {} {}", set.public_key, comment(environment));
        println!(
            "     (ca-server sshd-config {environment} has it; here it is in {})",
            keys.display()
        );
        println!(
            "  4. Rehearse it before it is needed: docs/break-glass.md, \"When the CA is down\""
        );
    }
}

fn comment(environment: &Environment) -> String {
    format!("jit-ssh break-glass CA {environment}")
}

fn share_file(set: &Set, holder: &Holder) -> String {
    format!("{}-{}.age", set.environment, holder.name)
}

fn shares(authority: &Authority, set: &Set, holders: &[Holder]) -> anyhow::Result<Vec<Share>> {
    let split = authority.split(set.needed, set.shares)?;
    split
        .into_iter()
        .zip(holders)
        .map(|(value, holder)| Share::new(set.clone(), holder.name.clone(), value))
        .collect()
}

/// Makes the key again, from the first and from the last shares as they will be read, and has it
/// sign: what cannot be opened later must not be sealed now.
fn prove(shares: &[Share]) -> anyhow::Result<()> {
    let again = |shares: &mut dyn Iterator<Item = &Share>| {
        let mut gathered = Gathered::default();
        for share in shares {
            if gathered.set().is_some() && gathered.missing() == 0 {
                break;
            }
            gathered.add(Share::from_text(&share.to_text()?)?, "a share")?;
        }
        let authority = gathered.join()?;
        let public: AuthorityKey = authority.public_key()?;
        Ok::<_, anyhow::Error>(public.verify(b"proof", &authority.sign(b"proof"))?)
    };
    again(&mut shares.iter()).context("the shares do not make the key again")?;
    again(&mut shares.iter().rev()).context("the shares do not make the key again")
}

/// Share files first, each durable; the public key last, so that nothing is trusted that cannot be
/// opened.
fn write(
    folder: &Path,
    set: &Set,
    (holders, sealed): (&[Holder], &[String]),
    keys: &Path,
) -> anyhow::Result<()> {
    for (holder, armored) in holders.iter().zip(sealed) {
        file::write_new(
            &folder.join(share_file(set, holder)),
            0o600,
            armored.as_bytes(),
        )?;
    }
    break_glass_keys::put_first(keys, &set.public_key, &comment(&set.environment))?;
    Ok(())
}
