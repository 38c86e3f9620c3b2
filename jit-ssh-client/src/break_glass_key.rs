//! Keys for the day when the identity provider is down: which were enrolled from this machine, and
//! a signature by one of them.
//!
//! Deliberately leaves signing to `ssh-keygen`: it reads every kind of key, asks for passphrases,
//! talks to the agent and waits for a touch. No private key passes through this program.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::BREAK_GLASS_NAMESPACE;
use ca_core::certificate::subject_key::SubjectKey;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::agent::Agent;
use crate::config::Config;
use crate::failure::Failure;
use crate::file;
use crate::terminal::plain;

/// A signature and the key that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// OpenSSH one-line text without comment.
    pub(crate) public_key: String,
    /// Armored SSHSIG.
    pub(crate) signature: String,
}

/// A key that was enrolled from this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// `SHA256:…`
    pub(crate) fingerprint: String,
    /// The file that `ssh-keygen` is given.
    pub(crate) path: PathBuf,
}

/// All of them, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembering {
    keys: Vec<Remembered>,
}

impl Remembering {
    fn path(config: &Config) -> PathBuf {
        config.state.join("break-glass-keys.json")
    }

    /// The stored ones. A damaged file counts as empty: the key can still be named.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the file cannot be read.
    pub(crate) fn load(config: &Config) -> Result<Self, Failure> {
        let text = file::read(&Self::path(config))?;
        let stored = text.and_then(|text| serde_json::from_str(&text).ok());
        Ok(stored.unwrap_or_default())
    }

    /// Stores them; none leave no file.
    ///
    /// # Errors
    ///
    /// A [`Failure`] naming the file.
    pub(crate) fn save(&self, config: &Config) -> Result<(), Failure> {
        if self.keys.is_empty() {
            return file::remove(&Self::path(config));
        }
        let text = serde_json::to_vec(self);
        let text = text.map_err(|e| Failure::local(format!("cannot write the keys: {e}")))?;
        file::replace(&Self::path(config), &text)
    }

    /// Adds one, or changes where it is.
    pub(crate) fn add(&mut self, key: Remembered) {
        self.remove(&key.fingerprint);
        self.keys.push(key);
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, fingerprint: &str) {
        self.keys.retain(|known| known.fingerprint != fingerprint);
    }

    /// The file of the key with this fingerprint.
    pub(crate) fn file_of(&self, fingerprint: &str) -> Option<&Path> {
        let mut all = self.keys.iter();
        let known = all.find(|known| known.fingerprint == fingerprint)?;
        Some(&known.path)
    }

    /// The key to use when none is named: the newest one whose file is there.
    fn usual(&self) -> Option<&Remembered> {
        let there = self.keys.iter().rev().find(|known| known.path.exists());
        there.or(self.keys.last())
    }
}

/// The file of the key that `named` means: a path, a fingerprint, or the one enrolled here.
///
/// # Errors
///
/// A [`Failure`] saying how to name one.
pub(crate) fn find(config: &Config, named: Option<&str>) -> Result<PathBuf, Failure> {
    let known = Remembering::load(config)?;
    let named = match (named, known.usual()) {
        (Some(named), _) => named,
        (None, Some(usual)) => usual.fingerprint.as_str(),
        (None, None) => {
            let what = "no break-glass key was enrolled from this machine";
            return Err(Failure::usage(what)
                .hint("name one that was enrolled elsewhere: --key PATH, or --key SHA256:… of a key in the agent")
                .hint("for the next time, while the provider works: jit-ssh break-glass-key add PATH"));
        }
    };
    if !named.starts_with("SHA256:") {
        return there(PathBuf::from(named));
    }
    match known.file_of(named) {
        Some(path) if path.exists() => Ok(path.to_path_buf()),
        _ => from_agent(config, named),
    }
}

/// `path`, if something is there: said before anybody is asked for a code or a touch.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn there(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.exists() {
        return Ok(path);
    }
    let what = format!("there is no key at {}", path.display());
    Err(Failure::local(what).hint("name another one, or mount what it is on"))
}

/// A file with the public half of the agent's key `fingerprint`; `ssh-keygen` asks the agent then.
fn from_agent(config: &Config, fingerprint: &str) -> Result<PathBuf, Failure> {
    let mut agent = Agent::connect()?;
    for identity in agent.list().map_err(Failure::from)? {
        let Some(key) = key_of_blob(&identity.blob) else {
            continue;
        };
        if key.fingerprint() == fingerprint {
            let path = config.state.join("break-glass-key.pub");
            file::replace(&path, format!("{key}\n").as_bytes())?;
            return Ok(path);
        }
    }
    Err(Failure::usage(format!(
        "no key {} is known here or in the agent",
        plain(fingerprint)
    ))
    .hint("see what the agent holds: ssh-add -l")
    .hint("or name its file: --key PATH"))
}

fn key_of_blob(blob: &[u8]) -> Option<SubjectKey> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let kind = std::str::from_utf8(rest.get(..length)?).ok()?;
    format!("{kind} {}", STANDARD.encode(blob)).parse().ok()
}

/// Has `ssh-keygen` sign `text` with the key in `path`: a private file, or a public one whose
/// private half the agent or a token holds.
///
/// # Errors
///
/// A [`Failure`] (7): no such file, not signed, no `ssh-keygen`.
pub(crate) async fn sign(path: &Path, text: &str) -> Result<Signed, Failure> {
    let failed = |why: String| {
        Failure::local(format!(
            "ssh-keygen did not sign with {}: {why}",
            path.display()
        ))
        .hint("try it by hand: echo test | ssh-keygen -Y sign -n test -f KEY")
    };
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-Y", "sign", "-n", BREAK_GLASS_NAMESPACE, "-f"]);
    keygen
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    keygen.kill_on_drop(true);
    let mut child = keygen.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        let written = input.write_all(text.as_bytes()).await;
        written.map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let signature = String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))?;
    let public_key = signer(&signature).ok_or_else(|| failed("no signature came out".into()))?;
    Ok(Signed {
        public_key,
        signature,
    })
}

/// The key that an armored SSHSIG names, as one-line text: nobody has to say it a second time.
fn signer(armored: &str) -> Option<String> {
    let inside = armored
        .trim()
        .strip_prefix("-----BEGIN SSH SIGNATURE-----")?;
    let inside = inside.strip_suffix("-----END SSH SIGNATURE-----")?;
    let text: String = inside.split_whitespace().collect();
    let bytes = STANDARD.decode(text).ok()?;
    // SSHSIG: magic, version, then the public key as a string.
    let rest = bytes.strip_prefix(b"SSHSIG\0\0\0\x01")?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    key_of_blob(rest.get(..length)?).map(|key| key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigFile, Surroundings, resolve};

    fn config(folder: &Path) -> Config {
        let file = ConfigFile {
            ca_url: "https://ca.example.com".into(),
            ca_certificate: None,
            state_dir: Some(folder.join("state")),
            browser: None,
        };
        resolve(&Surroundings::default(), folder.join("c.toml"), file).unwrap()
    }

    fn generate(folder: &Path, kind: &str) -> (PathBuf, String) {
        let path = folder.join(kind);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", "mine", "-t", kind, "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let line = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let words: Vec<&str> = line.split(' ').take(2).collect();
        (path, words.join(" "))
    }

    #[tokio::test]
    async fn keys_of_each_kind_sign_and_the_signature_says_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let (path, public) = generate(folder.path(), kind);
            let signed = sign(&path, "challenge").await.unwrap();
            assert_eq!(signed.public_key, public, "{kind}");
            assert!(verified(folder.path(), &signed, "challenge"), "{kind}");
            assert!(!verified(folder.path(), &signed, "another"), "{kind}");
        }
    }

    /// Whether `ssh-keygen` accepts it in our namespace.
    fn verified(folder: &Path, signed: &Signed, text: &str) -> bool {
        let (allowed, signature) = (folder.join("allowed"), folder.join("signature"));
        let input = folder.join("input");
        std::fs::write(&allowed, format!("me {}\n", signed.public_key)).unwrap();
        std::fs::write(&signature, &signed.signature).unwrap();
        std::fs::write(&input, text).unwrap();
        std::process::Command::new("ssh-keygen")
            .args([
                "-Y",
                "verify",
                "-I",
                "me",
                "-n",
                BREAK_GLASS_NAMESPACE,
                "-f",
            ])
            .arg(&allowed)
            .arg("-s")
            .arg(&signature)
            .stdin(std::fs::File::open(&input).unwrap())
            .output()
            .unwrap()
            .status
            .success()
    }

    #[tokio::test]
    async fn what_is_no_key_is_named_with_exit_7() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        std::fs::write(&path, "dear CA").unwrap();
        let failure = sign(&path, "x").await.unwrap_err();
        assert_eq!(failure.exit.code(), 7);
    }

    #[test]
    fn the_key_that_was_enrolled_here_needs_no_name_at_3_in_the_morning() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let none = find(&config, None).unwrap_err();
        assert!(
            none.hints
                .iter()
                .any(|hint| hint.contains("break-glass-key add"))
        );
        let there = folder.path().join("there");
        std::fs::write(&there, "").unwrap();
        let mut known = Remembering::default();
        let key = |fingerprint: &str, path: &Path| Remembered {
            fingerprint: fingerprint.into(),
            path: path.into(),
        };
        known.add(key("SHA256:a", &there));
        known.add(key("SHA256:b", &folder.path().join("gone")));
        known.save(&config).unwrap();
        assert_eq!(find(&config, None).unwrap(), there);
        assert_eq!(find(&config, Some("SHA256:a")).unwrap(), there);
        assert_eq!(find(&config, there.to_str()).unwrap(), there);
        for gone in ["SHA256:b", "SHA256:c", "/no/such/key"] {
            assert!(find(&config, Some(gone)).is_err(), "{gone}");
        }
        known.remove("SHA256:a");
        known.remove("SHA256:b");
        known.save(&config).unwrap();
        assert!(!Remembering::path(&config).exists());
    }

    #[test]
    fn what_is_no_signature_has_no_signer() {
        for text in [
            "",
            "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----",
            "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAf////8=\n-----END SSH SIGNATURE-----",
        ] {
            assert_eq!(signer(text), None, "{text}");
        }
    }
}
