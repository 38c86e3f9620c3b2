//! Where each file is. The state folder is root's alone: sshd reads these files as root.

use std::path::{Path, PathBuf};

use ca_core::api::HostSettings;
use ca_core::certificate::authority_key::AuthorityKey;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::failure::Failure;
use crate::file;

/// The state folder and what `host.toml` in it says.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    /// `host.toml`.
    pub(crate) config: Config,
}

/// `host.toml` in the state folder `dir`.
pub(crate) fn config_file(dir: &Path) -> PathBuf {
    dir.join("host.toml")
}

impl Place {
    /// The enrolled host in `dir`.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when it is not enrolled.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let config = Config::read(&config_file(dir))?;
        Ok(Self::new(dir, config))
    }

    /// `dir` with this configuration.
    pub(crate) fn new(dir: &Path, config: Config) -> Self {
        Self {
            dir: dir.to_owned(),
            config,
        }
    }

    /// The state folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The bearer token. Mode 0600.
    pub(crate) fn credential(&self) -> PathBuf {
        self.dir.join("credential")
    }

    /// The environment's settings, as last heard.
    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.join("settings.json")
    }

    /// `TrustedUserCAKeys`.
    pub(crate) fn user_ca_keys(&self) -> PathBuf {
        self.dir.join("user_ca_keys")
    }

    /// `RevokedKeys`.
    pub(crate) fn revoked_keys(&self) -> PathBuf {
        self.dir.join("revoked_keys")
    }

    /// `HostCertificate`.
    pub(crate) fn host_certificate(&self) -> PathBuf {
        self.dir.join("host_key-cert.pub")
    }

    /// The window of the host certificate.
    pub(crate) fn host_certificate_window(&self) -> PathBuf {
        self.dir.join("host_certificate.json")
    }

    /// The signed revocation list as it came.
    pub(crate) fn signed_list(&self) -> PathBuf {
        self.dir.join("krl.json")
    }

    /// The newest statement on it, which may be newer than the list.
    pub(crate) fn freshness(&self) -> PathBuf {
        self.dir.join("krl_fresh.json")
    }

    /// Held while the revocation list is changed.
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// Reports not yet taken by the authority, one file each.
    pub(crate) fn outbox(&self) -> PathBuf {
        self.dir.join("outbox")
    }

    /// Open ssh sessions as last seen, for the start after a reboot.
    pub(crate) fn open_sessions(&self) -> PathBuf {
        self.dir.join("open_sessions.json")
    }

    /// Registered ssh sessions, one file each.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.config.run_dir.join("sessions")
    }

    /// What the daemon last heard, for `status`.
    pub(crate) fn contact(&self) -> PathBuf {
        self.config.run_dir.join("contact.json")
    }

    /// The snippet of `sshd_config`. The first value of a keyword wins in sshd, so its name comes
    /// before those that distributions and cloud images put there.
    pub(crate) fn sshd_snippet(&self) -> PathBuf {
        self.config.sshd_dir.join("sshd_config.d/10-jit-ssh.conf")
    }

    /// The bearer token.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when there is none.
    pub(crate) fn read_credential(&self) -> Result<Zeroizing<String>, Failure> {
        let path = self.credential();
        let text = file::read_text(&path)?.map(Zeroizing::new);
        let text = text.ok_or_else(|| Failure::file("read", &path, &"it is missing"))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    /// The environment's settings, as last heard.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when there are none.
    pub(crate) fn read_settings(&self) -> Result<HostSettings, Failure> {
        let path = self.settings();
        file::read_json(&path)?.ok_or_else(|| Failure::file("read", &path, &"it is missing"))
    }
}

/// The environment's own key among those of `settings`.
///
/// # Errors
///
/// A [`Failure`] when it is none.
pub(crate) fn environment_key(settings: &HostSettings) -> Result<AuthorityKey, Failure> {
    let key = settings.environment_ca_key.parse();
    key.map_err(|error| Failure::local(format!("the environment's CA key: {error}")))
}

/// The keys whose certificates are watched. What cannot be read is left out: sshd reads it as one.
pub(crate) fn user_authorities(settings: &HostSettings) -> Vec<AuthorityKey> {
    let lines = settings.user_ca_keys.iter();
    lines.filter_map(|line| line.parse().ok()).collect()
}
