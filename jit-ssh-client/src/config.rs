//! Which CA this program talks to, and where its files are.
//!
//! One configuration file is one CA. Deliberately no keys of the CA in here: those are pinned in
//! the state folder (`pins.rs`), so a file written by hand needs nothing but an address.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use crate::failure::{Exit, Failure};
use crate::file;

/// The configuration file (TOML).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// Address of the CA, `https://…`; `http://` on loopback only.
    pub(crate) ca_url: String,
    /// PEM certificate that TLS of the CA and the identity provider may rest on instead of the
    /// system's roots: a path (relative to this file), or the PEM text itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ca_certificate: Option<String>,
    /// Where keys pinned, certificates and the session live. Default: below `$XDG_STATE_HOME`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Command that opens an address when `$BROWSER` is not set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) browser: Option<String>,
}

/// The configuration as used: everything resolved.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) path: PathBuf,
    /// Whether that is not the default place, so commands in ssh_config must name it.
    pub(crate) named: bool,
    /// As written.
    pub(crate) file: ConfigFile,
    /// The address, checked.
    pub(crate) ca_url: Url,
    /// Pinned TLS root, PEM.
    pub(crate) tls_root: Option<String>,
    /// Where long-lived files of this CA are.
    pub(crate) state: PathBuf,
    /// Where the session token is.
    pub(crate) runtime: PathBuf,
}

/// The parts of the environment that decide where files are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// `--config` or `$JIT_SSH_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `$HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub(crate) config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub(crate) state_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<PathBuf>,
}

impl Surroundings {
    /// Reads the process environment; empty and relative paths count as absent (XDG Base
    /// Directory specification).
    pub(crate) fn of_process(config: Option<PathBuf>) -> Self {
        let absolute = |name: &str| {
            let path = std::env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        Self {
            config: config.filter(|path| !path.as_os_str().is_empty()),
            home: absolute("HOME"),
            config_home: absolute("XDG_CONFIG_HOME"),
            state_home: absolute("XDG_STATE_HOME"),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
        }
    }

    /// The configuration file to use.
    pub(crate) fn config_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.config {
            return std::path::absolute(path)
                .map_err(|error| Failure::local(format!("no current folder: {error}")));
        }
        let base = self.config_home.clone();
        let base = base.or_else(|| self.home.as_ref().map(|home| home.join(".config")));
        Ok(base.ok_or_else(no_home)?.join("jit-ssh/config.toml"))
    }

    fn state_base(&self) -> Result<PathBuf, Failure> {
        let base = self.state_home.clone();
        let base = base.or_else(|| self.home.as_ref().map(|home| home.join(".local/state")));
        Ok(base.ok_or_else(no_home)?.join("jit-ssh"))
    }
}

fn no_home() -> Failure {
    Failure::local("$HOME is not set, so there is no place for files")
        .hint("set HOME, or name a configuration file with --config or $JIT_SSH_CONFIG")
}

/// Reads the configuration.
///
/// # Errors
///
/// A [`Failure`]: no file yet, not readable, not TOML of the known fields, a bad address.
pub(crate) fn load(surroundings: &Surroundings) -> Result<Config, Failure> {
    let path = surroundings.config_path()?;
    let text = file::read(&path)?.ok_or_else(|| {
        Failure::usage(format!("there is no configuration at {}", path.display()))
            .hint("begin with: jit-ssh setup https://YOUR-CA")
    })?;
    let file: ConfigFile = toml::from_str(&text).map_err(|error| {
        let what = format!("{} is not a configuration of jit-ssh", path.display());
        Failure::local(what)
            .line(error.to_string().trim().to_owned())
            .hint("mend that file, or remove it and run: jit-ssh setup https://YOUR-CA")
    })?;
    resolve(surroundings, path, file)
}

/// Fills in what the file leaves open.
///
/// # Errors
///
/// A [`Failure`] for a bad address, an unreadable certificate or no home folder.
pub(crate) fn resolve(
    surroundings: &Surroundings,
    path: PathBuf,
    file: ConfigFile,
) -> Result<Config, Failure> {
    let ca_url = parse_url(&file.ca_url)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let tls_root = file
        .ca_certificate
        .as_deref()
        .map(|text| read_certificate(&folder, text))
        .transpose()?;
    let name = folder_name(&ca_url);
    let (state, runtime) = match &file.state_dir {
        Some(own) => (folder.join(own), folder.join(own)),
        None => {
            let state = surroundings.state_base()?.join(&name);
            let runtime = surroundings.runtime_dir.as_ref();
            let runtime = runtime.map(|base| base.join("jit-ssh").join(&name));
            (state.clone(), runtime.unwrap_or(state))
        }
    };
    Ok(Config {
        named: surroundings.config.is_some(),
        path,
        file,
        ca_url,
        tls_root,
        state,
        runtime,
    })
}

fn read_certificate(folder: &Path, text: &str) -> Result<String, Failure> {
    if text.contains("-----BEGIN") {
        return Ok(text.to_owned());
    }
    let path = folder.join(text);
    file::read(&path)?.ok_or_else(|| {
        Failure::local(format!(
            "there is no certificate at {} (ca_certificate)",
            path.display()
        ))
    })
}

/// An address that secrets may be sent to: `https`, or `http` to this machine.
///
/// # Errors
///
/// A [`Failure`] saying what is accepted.
pub(crate) fn parse_url(text: &str) -> Result<Url, Failure> {
    let refused = |why: &str| {
        Failure::usage(format!("{text:?} cannot be used as an address: {why}"))
            .hint("write it as https://ca.example.com")
    };
    let mut url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(refused("it names no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(refused("http is accepted for this machine only")),
        other => return Err(refused(&format!("scheme {other:?} is not https"))),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it carries a user name or password"));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// A folder name for a CA: readable, and different for different addresses.
fn folder_name(url: &Url) -> String {
    let host: String = url
        .host_str()
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .take(48)
        .collect();
    let digest = Sha256::digest(url.as_str().as_bytes());
    let short: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{host}-{short}")
}

/// Refuses with the exit code of a local problem.
pub(crate) fn to_toml(file: &ConfigFile) -> Result<String, Failure> {
    toml::to_string(file)
        .map_err(|error| Failure::new(Exit::Local, format!("cannot write settings: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(folder: &Path) -> Surroundings {
        Surroundings {
            home: Some(folder.to_path_buf()),
            ..Surroundings::default()
        }
    }

    #[test]
    fn a_file_with_address_and_certificate_path_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        std::fs::write(folder.path().join("tls.pem"), "-----BEGIN X").unwrap();
        std::fs::write(
            &path,
            "ca_url = \"https://127.0.0.1:8443\"\nca_certificate = \"tls.pem\"\n",
        )
        .unwrap();
        let config = load(&Surroundings {
            config: Some(path),
            ..surroundings(folder.path())
        })
        .unwrap();
        assert_eq!(config.ca_url.as_str(), "https://127.0.0.1:8443/");
        assert_eq!(config.tls_root.as_deref(), Some("-----BEGIN X"));
        assert!(config.named);
        assert!(
            config
                .state
                .starts_with(folder.path().join(".local/state/jit-ssh"))
        );
    }

    #[test]
    fn without_a_file_the_hint_is_setup_and_a_misspelt_field_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = surroundings(folder.path());
        let failure = load(&place).unwrap_err();
        assert!(failure.hints.iter().any(|hint| hint.contains("setup")));
        let path = place.config_path().unwrap();
        file::replace(&path, b"ca_url = \"https://a\"\nca_certficate = \"x\"\n").unwrap();
        let failure = load(&place).unwrap_err();
        assert!(failure.lines.concat().contains("ca_certficate"));
    }

    #[test]
    fn only_https_or_this_machine_is_an_address() {
        for text in [
            "https://ca.example.com",
            "http://127.0.0.1:1",
            "http://[::1]:1",
        ] {
            assert!(parse_url(text).is_ok(), "{text}");
        }
        for text in [
            "http://ca.example.com",
            "ca.example.com",
            "ftp://a",
            "https://u:p@a",
            "",
        ] {
            let failure = parse_url(text).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn two_authorities_never_share_a_folder() {
        let name = |text: &str| folder_name(&parse_url(text).unwrap());
        assert_ne!(name("https://a:1"), name("https://a:2"));
        assert_eq!(name("https://a"), name("https://a/"));
    }
}
