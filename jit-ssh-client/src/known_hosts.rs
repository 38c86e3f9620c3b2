//! The file that tells ssh which authority vouches for the hosts of an environment, so that nobody
//! is asked to trust a host at first sight.
//!
//! Deliberately a file of our own beside the person's: theirs is never written.

use std::path::PathBuf;

use ca_core::api::DiscoveredEnvironment;
use ca_core::certificate::authority_key::AuthorityKey;

use crate::config::Config;
use crate::failure::Failure;
use crate::file;
use crate::pins::{Pins, key_part};
use crate::ssh_config::host_patterns;

/// Where it is.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.state.join("known_hosts")
}

/// Writes it if it is not as the pinned keys want it.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn write(config: &Config, pins: &Pins) -> Result<(), Failure> {
    let path = path(config);
    let text = text(config, &pins.discovery.environments);
    if file::read(&path)?.as_deref() == Some(text.as_str()) {
        return Ok(());
    }
    file::replace(&path, text.as_bytes())
}

fn text(config: &Config, environments: &[DiscoveredEnvironment]) -> String {
    let head = format!(
        "# Written by `jit-ssh setup` for {}; changes are lost.\n",
        config.ca_url
    );
    std::iter::once(head)
        .chain(lines(environments).map(|line| format!("{line}\n")))
        .collect()
}

/// A line for each environment whose hosts have certificates.
pub(crate) fn lines(environments: &[DiscoveredEnvironment]) -> impl Iterator<Item = String> {
    environments.iter().filter_map(|environment| {
        let key = key_part(environment.host_ca_public_key.as_deref()?);
        // What is no key, or could be more than a key, is not written.
        let key: AuthorityKey = key.parse().ok()?;
        let patterns = host_patterns(environment);
        if patterns.is_empty() {
            return None;
        }
        let name = &environment.name;
        Some(format!("@cert-authority {patterns} {key} jit-ssh:{name}"))
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::agent::public_line;
    use crate::pins::tests::discovery;
    use crate::verify::tests::key;

    fn prod() -> DiscoveredEnvironment {
        let mut environment = discovery().environments.remove(0);
        environment.host_ca_public_key = Some(format!("{} theirs", public_line(&key(9)).unwrap()));
        environment
    }

    #[test]
    fn ssh_keygen_finds_the_authority_of_a_host_of_the_environment_and_of_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let text: Vec<String> = lines(&[prod()]).collect();
        std::fs::write(&file, text.join("\n")).unwrap();
        let found = |host: &str| {
            let output = Command::new("ssh-keygen")
                .args(["-F", host, "-f"])
                .arg(&file)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let own = found("web1.prod.example.com");
        assert!(
            own.contains("@cert-authority *.prod.example.com ssh-ed25519 "),
            "{own}"
        );
        assert!(own.contains("CA key") || own.contains("CA"), "{own}");
        assert_eq!(found("web1.staging.example.com"), "");
    }

    #[test]
    fn nothing_that_a_server_sends_becomes_another_line_or_another_pattern() {
        let line = |key: &str, pattern: &str| {
            let environment = DiscoveredEnvironment {
                host_ca_public_key: Some(key.to_owned()),
                host_patterns: vec![pattern.to_owned()],
                ..prod()
            };
            lines(&[environment]).next()
        };
        let good = public_line(&key(9)).unwrap();
        assert!(line(&good, "*.prod.example.com").is_some());
        let comment = line(
            &format!("{good} x\n* ssh-ed25519 AAAA"),
            "*.prod.example.com",
        );
        assert!(comment.is_some_and(|line| line.ends_with(" jit-ssh:prod")));
        assert_eq!(line("ssh-ed25519 AAAA", "*.prod.example.com"), None);
        assert_eq!(line(&good, "a b"), None);
        assert_eq!(line(&good, "a\n*"), None);
    }

    #[test]
    fn an_environment_without_host_certificates_has_no_line() {
        assert_eq!(lines(&discovery().environments).count(), 0);
    }
}
