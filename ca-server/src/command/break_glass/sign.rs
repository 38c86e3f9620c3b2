//! `break-glass sign`: one short certificate, from enough shares, on any laptop: no authority, no
//! configuration, no network.
//!
//! The record is written and durable before the certificate is. Either file alone is enough to
//! import what happened.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use ca_core::break_glass::{Record, SignedRecord, is_reason, profile, window};
use ca_core::certificate::draft::{Draft, assemble, openssh_line};
use ca_core::certificate::key_id::Mark;
use ca_core::certificate::lint::{Expectations, ExpectedPrincipals, ExpectedWindow, lint};
use ca_core::certificate::principals::Principals;
use ca_core::certificate::profile::Restrictions;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::name::{Environment, Principal, UserName};
use ca_core::serial::Serial;
use ca_core::time::{Timestamp, Validity};
use clap::Args;

use super::authority::Authority;
use super::envelope::Identities;
use super::file;
use super::gather;
use super::share::{Gathered, Set, names};
use crate::clock::Clock;
use crate::command::init::random;
use crate::policy::{duration, words};

pub(super) const EXAMPLES: &str = "Example, with your own share here and another holder elsewhere:\n  \
     ca-server break-glass sign prod --share prod-alice.age --identity ~/.ssh/id_ed25519 --gather \\\n    \
     --user alice --reason \"INC-42 CA down\" --for 30m --public-key ~/.ssh/id_ed25519.pub --out ~/break-glass";

/// Largest public key file, bytes.
const KEY_FILE_BYTES_MAX: usize = 16 * 1024;

/// Sign one certificate.
#[derive(Clone, Debug, Args)]
pub struct Sign {
    /// Environment that the shares are for.
    pub environment: Environment,
    /// Sealed share that one of the identities opens; may be given several times.
    #[arg(long = "share", value_name = "FILE")]
    shares: Vec<PathBuf>,
    /// Private key of a holder who is here: OpenSSH or age.
    #[arg(long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
    /// Take the other shares from holders who are elsewhere, on standard input.
    #[arg(long)]
    gather: bool,
    /// Who will use the certificate.
    #[arg(long)]
    user: UserName,
    /// Login name on the hosts; the environment's default if none is named.
    #[arg(long = "as", value_name = "NAME")]
    principals: Vec<Principal>,
    /// Why, in one line.
    #[arg(long)]
    reason: String,
    /// How long it is good for.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    life: Duration,
    /// Public key that the user will log in with.
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// Folder for certificate and record; made if it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Sign {
    /// Gathers, signs, writes and says what to do next.
    ///
    /// # Errors
    ///
    /// With what is wrong. There is no certificate then, unless the error says where it is.
    pub fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            is_reason(&self.reason),
            "--reason must be one line of 1 to 512 bytes that begins and ends with no blank"
        );
        anyhow::ensure!(self.life.as_secs() > 0, "--for: at least 1s");
        let key = file::read_text(&self.public_key, KEY_FILE_BYTES_MAX)?;
        let key: SubjectKey = key
            .parse()
            .with_context(|| format!("{:?}", self.public_key))?;
        let gathered = self.gathered()?;
        let set = gathered
            .set()
            .context("no share is here: --share FILE, or --gather")?;
        self.check(set)?;
        // Missing shares are named before anything else is.
        let authority = gathered.join()?;
        let draft = self.draft(set, key, Clock::System.now())?;
        let signed = sign(&authority, &draft, (self, &gathered, set))?;
        drop(authority);
        self.write(&signed)?;
        self.say_what_next(&signed.record);
        Ok(())
    }

    fn gathered(&self) -> anyhow::Result<Gathered> {
        let mut identities = Identities::read(&self.identities)?;
        let mut gathered = Gathered::default();
        let ephemeral = self.gather.then(age::x25519::Identity::generate);
        if let Some(key) = &ephemeral {
            identities = identities.and(key);
        }
        gather::from_files(&self.shares, &identities, &mut gathered)?;
        let Some(key) = ephemeral.filter(|_| gathered.missing() > 0) else {
            return Ok(gathered);
        };
        if let Some(set) = gathered.set() {
            self.check(set)?;
        }
        eprintln!(
            "\nThe other holders run, each on their own machine, and send you what it prints:"
        );
        eprintln!(
            "  ca-server break-glass open --share {}-NAME.age --identity KEY --to {}",
            self.environment,
            key.to_public()
        );
        eprintln!("Read the end of that key to each other. It is gone when this command ends.\n");
        let only = Identities::only(&key);
        gather::from_input(&mut std::io::stdin().lock(), &only, &mut gathered)?;
        Ok(gathered)
    }

    fn check(&self, set: &Set) -> anyhow::Result<()> {
        anyhow::ensure!(
            set.environment == self.environment,
            "these shares are of {}'s key, not of {}'s",
            set.environment,
            self.environment
        );
        let longest = Duration::from_secs(set.max_seconds.into());
        anyhow::ensure!(
            self.life <= longest,
            "--for {}: this key was sealed for certificates of at most {}",
            words(self.life),
            words(longest)
        );
        Ok(())
    }

    fn draft(&self, set: &Set, subject_key: SubjectKey, now: Timestamp) -> anyhow::Result<Draft> {
        let principals = if self.principals.is_empty() {
            set.default_principals.clone()
        } else {
            Principals::new(self.principals.clone())?
        };
        let (after, before) = window(now, self.life);
        Ok(Draft {
            nonce: random()?,
            subject_key,
            serial: random_serial()?,
            mark: Mark::BreakGlass,
            user: self.user.clone(),
            environment: self.environment.clone(),
            principals,
            validity: Validity::new(after, before)?,
            options: profile(set.max_seconds).narrowed(&Restrictions::default())?,
            authority_key: set.public_key.clone(),
        })
    }

    fn paths(&self, record: &Record) -> (PathBuf, PathBuf) {
        let name = format!("{}-{}", record.environment, record.serial);
        let certificate = self.out.join(format!("{name}-cert.pub"));
        (self.out.join(format!("{name}-record.json")), certificate)
    }

    /// The record, durable; then the certificate.
    fn write(&self, signed: &SignedRecord) -> anyhow::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.mode(0o700).recursive(true).create(&self.out);
        made.with_context(|| format!("{:?}", self.out))?;
        let (record, certificate) = self.paths(&signed.record);
        file::write_new(&record, 0o600, &signed.to_bytes()?)
            .context("no certificate was made: its record cannot be kept")?;
        let line = format!("{}\n", signed.record.certificate);
        file::write_new(&certificate, 0o644, line.as_bytes())
            .with_context(|| format!("the certificate is only in the record {record:?}"))
    }

    fn say_what_next(&self, record: &Record) {
        let (record_file, certificate) = self.paths(record);
        let until = Timestamp::from_unix_seconds(record.valid_before);
        eprintln!("\n*** BREAK-GLASS: a certificate was signed past the authority ***");
        eprintln!(
            "  for     {} as {} in {}, until {until}",
            record.user,
            accounts(&record.principals),
            record.environment
        );
        eprintln!("  by      the shares of {}", names(&record.holders));
        eprintln!("  reason  {}", record.reason);
        eprintln!("  serial  {}", record.serial);
        eprintln!("Log in:");
        eprintln!(
            "  ssh -o IdentitiesOnly=yes -o CertificateFile={} -i PRIVATE_KEY HOST",
            certificate.display()
        );
        eprintln!("KEEP THE RECORD. When the CA is back, its operator imports it:");
        eprintln!(
            "  ca-server break-glass import --dir DIR {}",
            record_file.display()
        );
        eprintln!("Until then every host reports this serial as unknown.");
    }
}

fn accounts(principals: &Principals) -> String {
    let names: Vec<&str> = principals
        .as_slice()
        .iter()
        .map(Principal::as_str)
        .collect();
    names.join(", ")
}

/// Forty random bits of the epoch that no log hands out.
fn random_serial() -> anyhow::Result<Serial> {
    let index = (getrandom::u64()? >> 24).max(1);
    Ok(Serial::new(Serial::OFFLINE_EPOCH, index)?)
}

/// Signs certificate and record, and believes neither before both were verified.
fn sign(
    authority: &Authority,
    draft: &Draft,
    (asked, gathered, set): (&Sign, &Gathered, &Set),
) -> anyhow::Result<SignedRecord> {
    let signed_at = Timestamp::from_unix_seconds(
        draft
            .validity
            .valid_before()
            .saturating_sub(asked.life.as_secs()),
    );
    let tbs = draft.to_be_signed();
    let profile = profile(set.max_seconds);
    let expected = Expectations {
        authority_key: &set.public_key,
        environment: &draft.environment,
        subject_key: Some(&draft.subject_key),
        principals: ExpectedPrincipals::Exactly(&draft.principals),
        window: ExpectedWindow::JustIssued {
            lifetime_max: Duration::from_secs(set.max_seconds.into()),
            skew: Duration::ZERO,
        },
        serial: Some(draft.serial),
        user: Some(&draft.user),
        profile: Some(&profile),
        options: Some(&draft.options),
    };
    lint(&tbs, &expected, signed_at).map_err(|findings| {
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("what would be signed breaks a rule: {}", texts.join("; "))
    })?;
    let certificate = assemble(&tbs, &authority.sign(&tbs));
    let record = Record {
        version: Record::VERSION,
        environment: draft.environment.clone(),
        user: draft.user.clone(),
        principals: draft.principals.clone(),
        reason: asked.reason.clone(),
        holders: gathered.holders(),
        set: set.id.clone(),
        signed_at,
        serial: draft.serial,
        subject_key: draft.subject_key.fingerprint(),
        valid_after: draft.validity.valid_after(),
        valid_before: draft.validity.valid_before(),
        authority_key: set.public_key.clone(),
        certificate: openssh_line(&certificate, &draft.key_id().to_string())?,
    };
    let signature = authority.sign(&record.to_be_signed()?);
    let signed = SignedRecord::new(record, &signature);
    signed.verify(&set.public_key, signed_at)?;
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_of_the_epoch_that_no_log_has_and_differ() {
        let (one, other) = (random_serial().unwrap(), random_serial().unwrap());
        assert!(one.is_offline() && other.is_offline());
        assert_ne!(one, other);
    }
}
