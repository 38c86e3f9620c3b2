//! Who gets a share, and the key it is encrypted to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use ca_core::name::UserName;

use super::file;

/// Largest file with a public key, bytes.
const KEY_FILE_BYTES_MAX: usize = 16 * 1024;

/// `NAME=KEYFILE`, or `KEYFILE` whose name without its ending is the holder's.
#[derive(Clone, Debug)]
pub(super) struct HolderArgument {
    name: UserName,
    file: PathBuf,
}

impl FromStr for HolderArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name.to_owned(), PathBuf::from(file)),
            None => {
                let file = PathBuf::from(text);
                let stem = file.file_stem().and_then(|stem| stem.to_str());
                (stem.unwrap_or_default().to_owned(), file)
            }
        };
        let name = name
            .parse()
            .map_err(|error| format!("{error} (or say whose it is: NAME={text})"))?;
        Ok(Self { name, file })
    }
}

/// A holder whose key can be encrypted to.
pub(super) struct Holder {
    pub(super) name: UserName,
    pub(super) recipient: Recipient,
    /// The key in its one spelling, to notice that two holders have the same.
    key: String,
}

/// A key that age encrypts to.
pub(super) enum Recipient {
    Age(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl Recipient {
    pub(super) fn as_age(&self) -> &dyn age::Recipient {
        match self {
            Self::Age(recipient) => recipient,
            Self::Ssh(recipient) => recipient,
        }
    }
}

/// Reads all holders' keys.
///
/// # Errors
///
/// When a file holds no key that can decrypt, or a person or a key is there twice.
pub(super) fn read_all(arguments: &[HolderArgument]) -> anyhow::Result<Vec<Holder>> {
    let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let mut holders = Vec::new();
    for argument in arguments {
        let holder = read(argument)?;
        let name = &holder.name;
        anyhow::ensure!(
            names.insert(name.clone()),
            "holder {name} is named twice: one person holds one share"
        );
        anyhow::ensure!(
            keys.insert(holder.key.clone()),
            "{:?} holds a key that another holder has: one key holds one share",
            argument.file
        );
        holders.push(holder);
    }
    Ok(holders)
}

fn read(argument: &HolderArgument) -> anyhow::Result<Holder> {
    let text = file::read_text(&argument.file, KEY_FILE_BYTES_MAX)?;
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines
        .next()
        .with_context(|| format!("{:?} holds no key", argument.file))?;
    anyhow::ensure!(
        lines.next().is_none(),
        "{:?} holds more than one key: one share goes to one key",
        argument.file
    );
    let (recipient, key) = parse(line).with_context(|| format!("{:?}", argument.file))?;
    Ok(Holder {
        name: argument.name.clone(),
        recipient,
        key,
    })
}

fn parse(line: &str) -> anyhow::Result<(Recipient, String)> {
    use age::ssh::ParseRecipientKeyError as Wrong;
    if line.starts_with("age1") {
        let recipient = line.parse::<age::x25519::Recipient>();
        let recipient = recipient.map_err(|error| anyhow::anyhow!("{error}"))?;
        let key = recipient.to_string();
        return Ok((Recipient::Age(recipient), key));
    }
    anyhow::ensure!(
        !line.contains("PRIVATE KEY") && !line.starts_with("AGE-SECRET-KEY"),
        "this is a private key: only the holder has that, name the public one"
    );
    let recipient = line.parse::<age::ssh::Recipient>().map_err(|error| {
        let what = match error {
            Wrong::Ignore | Wrong::Invalid(_) => "this is no public key".to_owned(),
            Wrong::RsaModulusTooLarge => "this RSA key is too large".to_owned(),
            Wrong::RsaModulusTooSmall => "this RSA key is too small".to_owned(),
            Wrong::Unsupported(kind) => format!("a key of kind {kind} cannot decrypt"),
            _ => "this key is of no use here".to_owned(),
        };
        anyhow::anyhow!("{what}; a share is sealed to ssh-ed25519, ssh-rsa or age1…")
    })?;
    let key = recipient.to_string();
    Ok((Recipient::Ssh(recipient), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxwGDKHPDlVPr9UiYQyU47HsSTyYowW55+GBRGgUfIq a@b";

    fn arguments(keys: &[(&str, &str)]) -> (tempfile::TempDir, Vec<HolderArgument>) {
        let dir = tempfile::tempdir().unwrap();
        let write = |(number, (name, key)): (usize, &(&str, &str))| {
            let path = dir.path().join(format!("{number}.pub"));
            std::fs::write(&path, key).unwrap();
            format!("{name}={}", path.display()).parse().unwrap()
        };
        let arguments = keys.iter().enumerate().map(write).collect();
        (dir, arguments)
    }

    fn refused(keys: &[(&str, &str)]) -> String {
        let (_dir, arguments) = arguments(keys);
        format!("{:#}", read_all(&arguments).err().unwrap())
    }

    #[test]
    fn ssh_and_age_keys_hold_shares() {
        let (_dir, arguments) = arguments(&[("alice", SSH), ("bob", &format!("# bob\n{AGE}\n"))]);
        let holders = read_all(&arguments).unwrap();
        assert_eq!(holders.len(), 2);
        let named: HolderArgument = "/keys/carol.pub".parse().unwrap();
        assert_eq!(named.name.as_str(), "carol");
    }

    #[test]
    fn a_person_or_a_key_twice_is_refused() {
        assert!(refused(&[("alice", SSH), ("alice", AGE)]).contains("named twice"));
        let commented = SSH.replace("a@b", "other");
        assert!(refused(&[("alice", SSH), ("bob", &commented)]).contains("another holder has"));
    }

    #[test]
    fn what_cannot_decrypt_is_refused_with_what_can() {
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIELQ8n0gnzt3eL7JqTcSNGYUYsGNIqxKQyGeZDX6gSyPoy2pFxGqLBLEPN6nt9fWwoMxGNKuHzBCMxlZ0MoCkM=";
        assert!(refused(&[("alice", ecdsa)]).contains("age1…"));
        assert!(refused(&[("alice", "")]).contains("no key"));
        assert!(refused(&[("alice", &format!("{SSH}\n{AGE}"))]).contains("more than one key"));
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
        assert!(refused(&[("alice", private)]).contains("private key"));
        assert!("/keys/A B.pub".parse::<HolderArgument>().is_err());
    }
}
