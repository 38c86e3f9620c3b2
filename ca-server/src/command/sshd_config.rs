//! `ca-server sshd-config ENV`: what a host of an environment needs to trust its certificates.

use clap::Args;

use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::name::Environment;

use super::place::Place;
use crate::config::{Config, KeyConfig};
use crate::{break_glass_keys, key_file};

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
        let offline = break_glass_keys::current(&config.break_glass_key(name))?;
        if self.json {
            let mut document = serde_json::json!({
                "environment": name, "ca_public_key": public_key, "sshd_config": LINES,
                "warning": WARNING.join(" "),
            });
            if let (Some(key), Some(fields)) = (offline, document.as_object_mut()) {
                let name = "break_glass_public_key".to_owned();
                fields.insert(name, key.to_string().into());
            }
            println!("{document}");
            return Ok(());
        }
        print!("{}", text(name, &public_key, offline.as_ref()));
        Ok(())
    }
}

/// What these lines end, said where nobody can miss it.
const WARNING: [&str; 3] = [
    "From here on only certificates work: every authorized_keys and password login ends, root's",
    "included. Keep this session open until a new one was opened with a certificate. To keep a way",
    "in for the day when the CA is gone, use the rescue account below.",
];

/// A way in when the CA is gone, to be uncommented. A `Match` block ends the file.
const RESCUE: [&str; 3] = [
    "Match User rescue Address 192.0.2.0/28",
    "    PubkeyAcceptedAlgorithms ssh-ed25519",
    "    AuthorizedKeysFile /etc/ssh/rescue.pub",
];

/// Both files for people, each line of explanation a comment.
fn text(name: &Environment, public_key: &str, offline: Option<&AuthorityKey>) -> String {
    let mut lines = vec![
        "# /etc/ssh/jit-ssh-ca.pub (owner root, mode 0644):".to_owned(),
        format!("{public_key} jit-ssh CA {name}"),
    ];
    lines.extend(offline.map(|key| format!("{key} jit-ssh break-glass CA {name}")));
    lines.extend([
        String::new(),
        "# /etc/ssh/sshd_config.d/10-jit-ssh.conf, then: sshd -t && systemctl reload ssh"
            .to_owned(),
    ]);
    lines.extend(WARNING.map(|line| format!("# {line}")));
    lines.extend(LINES.map(str::to_owned));
    lines
        .push("# The rescue account: one account, one key in a safe, from one network.".to_owned());
    lines.extend(RESCUE.map(|line| format!("#{line}")));
    lines.join("\n") + "\n"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_lock_everybody_out_come_after_a_warning_and_with_a_way_back_in() {
        let text = text(&"prod".parse().unwrap(), "ssh-ed25519 AAAA", None);
        let warning = text.find("# From here on only certificates work").unwrap();
        assert!(warning < text.find("\nTrustedUserCAKeys").unwrap());
        assert!(text.contains("\n#Match User rescue"), "{text}");
        let plain = text.lines().filter(|line| !line.starts_with('#'));
        let plain: Vec<&str> = plain.filter(|line| !line.is_empty()).skip(1).collect();
        assert_eq!(plain, LINES);
    }
}
