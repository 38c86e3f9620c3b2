//! `ca-server sshd-config ENV`: what a host of an environment needs to trust its certificates.

use clap::Args;

use ca_core::name::Environment;

use super::place::Place;
use crate::config::{Config, KeyConfig};
use crate::key_file;

/// Print the sshd_config lines and the CA key for a host.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  ca-server sshd-config prod --dir /etc/jit-ssh")]
pub struct SshdConfig {
    /// Environment of the host.
    pub environment: Environment,
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl SshdConfig {
    /// Prints.
    ///
    /// # Errors
    ///
    /// When there is no such environment or its key cannot be read.
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.place.config()?;
        let name = &self.environment;
        let public_key = public_key(&config, name)?;
        if self.json {
            let document = serde_json::json!({
                "environment": name, "ca_public_key": public_key, "sshd_config": LINES,
            });
            println!("{document}");
            return Ok(());
        }
        println!("# /etc/ssh/jit-ssh-ca.pub (owner root, mode 0644):");
        println!("{public_key} jit-ssh CA {name}");
        println!();
        println!("# /etc/ssh/sshd_config.d/10-jit-ssh.conf, then: sshd -t && systemctl reload ssh");
        for line in LINES {
            println!("{line}");
        }
        Ok(())
    }
}

/// What sshd must be told. `AuthorizedKeysFile none`: a user-writable file would bypass the CA.
const LINES: [&str; 5] = [
    "TrustedUserCAKeys /etc/ssh/jit-ssh-ca.pub",
    "PubkeyAcceptedAlgorithms *-cert-v01@openssh.com",
    "AuthorizedKeysFile none",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
];

/// The CA key of an environment, without its comment.
///
/// # Errors
///
/// When there is no such environment or its key cannot be read.
pub fn public_key(config: &Config, name: &Environment) -> anyhow::Result<String> {
    let Some(environment) = config.environments.get(name) else {
        let known: Vec<&str> = config
            .environments
            .keys()
            .map(Environment::as_str)
            .collect();
        anyhow::bail!(
            "there is no environment {name:?} (there are: {})",
            known.join(", ")
        );
    };
    match &environment.key {
        KeyConfig::Agent { public_key, .. } => Ok(public_key.clone()),
        KeyConfig::File { file, .. } => {
            // The private file holds the public half in clear, also when it is encrypted.
            use secrecy::ExposeSecret as _;
            let text = key_file::read_private(file)?;
            let key = ssh_key::PrivateKey::from_openssh(text.expose_secret())?;
            let line = key.public_key().to_openssh()?;
            let fields: Vec<&str> = line.split_whitespace().take(2).collect();
            Ok(fields.join(" "))
        }
    }
}
