//! `session`: called by PAM inside sshd's privileged process for every connection that got in.
//!
//! Must never fail or delay a login: whatever goes wrong, the login goes on and `check` says what is
//! wrong. The kernel ends this process after two seconds.

use std::path::Path;

use crate::failure::Failure;
use crate::place::{Place, user_authorities};
use crate::registration::{Login, Registration};
use crate::{clock, file, journal, process, register};

/// Longest time, seconds.
const LIMIT: u32 = 2;

/// Registers the session, if there is one to register.
pub(super) fn run(dir: &Path) {
    nix::unistd::alarm::set(LIMIT);
    if let Err(failure) = register_session(dir) {
        journal::warning(&failure.what);
    }
}

fn register_session(dir: &Path) -> Result<(), Failure> {
    if variable("PAM_TYPE").as_deref() != Some("open_session") {
        return Ok(());
    }
    let (Some(info), Some(account)) = (variable("SSH_AUTH_INFO_0"), variable("PAM_USER")) else {
        return Ok(());
    };
    let place = Place::open(dir)?;
    let authorities = user_authorities(&place.read_settings()?);
    let certificate = match register::certificate(&info, &authorities) {
        Ok(certificate) => certificate,
        Err(register::NotOurs::NoCertificate) => return Ok(()),
        Err(other) => return Err(Failure::local(other.to_string())),
    };
    let parent = nix::unistd::getppid().as_raw();
    let Some(connection) = process::look(parent) else {
        return Ok(());
    };
    if !process::program(parent).is_some_and(|program| process::is_sshd(&program)) {
        return Err(Failure::local("not called by sshd"));
    }
    let listener = process::look(connection.parent);
    let inherited = listener.and_then(|listener| listener.audit);
    let login = Login {
        connection: connection.id,
        audit: connection.audit.filter(|audit| Some(*audit) != inherited),
        account,
        from: variable("PAM_RHOST"),
        boot_id: process::boot_id(),
    };
    let sessions = place.sessions();
    file::private_directory(&sessions)?;
    Registration::new(login, certificate, clock::now()).write(&sessions)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
