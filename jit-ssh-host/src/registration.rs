//! What is written down about an ssh session when it opens, and while it is being ended.
//!
//! One file each in a folder that only root can read, in memory: a session does not survive a
//! reboot either. The file goes when the session's last report is in the outbox, not before.

use std::path::{Path, PathBuf};

use ca_core::api::{SessionEvent, SessionReport};
use ca_core::certificate::presented::PresentedCertificate;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::due::Reason;
use crate::failure::Failure;
use crate::file::{self, Keep};
use crate::process::ProcessId;

/// Longest text of somebody else's that is kept: what sshd says about the other end.
const FROM_MAX: usize = 255;

/// An ssh session that a certificate opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// The connection's privileged sshd process.
    pub(crate) connection: ProcessId,
    /// The boot in which that means something.
    pub(crate) boot_id: String,
    /// Its audit session, if sshd itself has another or none.
    pub(crate) audit: Option<u32>,
    /// Serial of the certificate.
    pub(crate) serial: u64,
    /// Who signed it.
    pub(crate) authority: ca_core::certificate::authority_key::AuthorityKey,
    /// Its key id.
    pub(crate) key_id: String,
    /// The certified key.
    pub(crate) subject_key: SubjectKey,
    /// First second outside the grant, Unix time.
    pub(crate) valid_before: u64,
    /// The account.
    pub(crate) account: String,
    /// Where from.
    pub(crate) from: Option<String>,
    /// When it opened.
    pub(crate) at: Timestamp,
    /// Set before the first signal, so that a daemon that is killed in between goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ending: Option<Ending>,
    /// The connection is over; what it left in the background waits for the end of the grant.
    #[serde(default)]
    pub(crate) left_behind: bool,
}

/// A session that is being ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// Why.
    pub(crate) reason: Reason,
    /// Since when.
    pub(crate) since: Timestamp,
    /// What belonged to it then.
    pub(crate) members: Vec<ProcessId>,
}

/// Who logged in and how, beside the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// The connection's process.
    pub(crate) connection: ProcessId,
    /// Its audit session.
    pub(crate) audit: Option<u32>,
    /// The account.
    pub(crate) account: String,
    /// Where from, as sshd says it.
    pub(crate) from: Option<String>,
    /// The kernel's boot id.
    pub(crate) boot_id: String,
}

impl Registration {
    /// For a session that opens now.
    pub(crate) fn new(login: Login, certificate: PresentedCertificate, now: Timestamp) -> Self {
        let printable = |text: &String| {
            text.len() <= FROM_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        Self {
            connection: login.connection,
            boot_id: login.boot_id,
            audit: login.audit,
            serial: certificate.serial,
            authority: certificate.authority,
            key_id: certificate.key_id,
            subject_key: certificate.subject_key,
            valid_before: certificate.valid_before,
            account: login.account,
            from: login.from.filter(printable),
            at: now,
            ending: None,
            left_behind: false,
        }
    }

    /// Its name on this host for ever.
    pub(crate) fn ssh_session(&self) -> Digest {
        let ProcessId { pid, started } = self.connection;
        Digest::of(format!("{}\n{pid}\n{started}", self.boot_id).as_bytes())
    }

    /// A report about it; none when the account's name is not one that grants have.
    pub(crate) fn report(&self, happened: SessionEvent, at: Timestamp) -> Option<SessionReport> {
        Some(SessionReport {
            ssh_session: self.ssh_session(),
            happened,
            at,
            serial: self.serial,
            ca_fingerprint: self.authority.fingerprint(),
            key_id: self.key_id.clone(),
            account: self.account.parse().ok()?,
            from: self.from.clone(),
        })
    }

    /// Its file in the folder `sessions`.
    pub(crate) fn path(&self, sessions: &Path) -> PathBuf {
        let ProcessId { pid, started } = self.connection;
        sessions.join(format!("{pid}-{started}.json"))
    }

    /// Writes its file.
    ///
    /// # Errors
    ///
    /// A [`Failure`] naming the file.
    pub(crate) fn write(&self, sessions: &Path) -> Result<(), Failure> {
        file::replace_json(&self.path(sessions), self, Keep::UntilReboot)
    }
}

/// Every registration in the folder `sessions`; files that are none are named in the second list.
///
/// # Errors
///
/// A [`Failure`] naming the folder.
pub(crate) fn read_all(sessions: &Path) -> Result<(Vec<Registration>, Vec<PathBuf>), Failure> {
    let mut found = Vec::new();
    let mut broken = Vec::new();
    for path in file::names(sessions)? {
        match file::read_json::<Registration>(&path) {
            Ok(Some(registration)) if registration.path(sessions) == path => {
                found.push(registration);
            }
            // Removed meanwhile.
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => broken.push(path),
        }
    }
    Ok((found, broken))
}
