//! `enroll`: joins an environment and writes everything that sshd and the daemon need.
//!
//! The order matters. The token is good once, so what can be refused is refused before it is spent;
//! `host.toml`, which makes the host an enrolled one, comes after what it rests on; the snippet for
//! sshd comes last, so that no reload meets a file that is not there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_core::api::{EnrolHost, HostEnrolled};
use ca_core::time::Timestamp;
use zeroize::Zeroizing;

use super::print;
use crate::authority::{Authority, CallError};
use crate::cli::Enroll;
use crate::config::Config;
use crate::daemon::write_user_ca_keys;
use crate::failure::{Exit, Failure};
use crate::file::{self, Keep};
use crate::place::{Place, config_file};
use crate::signing::prove;
use crate::{clock, host_certificate, list_store, sshd};

/// Longest token, bytes.
const TOKEN_MAX: u64 = 4096;
/// A difference between the clocks from which on the person is told, milliseconds.
const SKEW_MAX: u64 = 5000;

/// Enrols.
///
/// # Errors
///
/// A [`Failure`] that says how far it came.
pub(super) fn run(dir: &Path, wanted: &Enroll, now: Timestamp) -> Result<(), Failure> {
    let token = read_token(&wanted.token_file)?;
    refuse_early(dir, wanted)?;
    let host_key = wanted
        .host_key
        .clone()
        .unwrap_or_else(|| wanted.sshd_dir.join("ssh_host_ed25519_key"));
    let proof = prove(&host_key, &token)?;
    file::private_directory(dir)?;
    // Also shows that the folder can be written before the token is spent.
    let ca_file = keep_ca_file(dir, wanted.ca_file.as_deref())?;
    let authority = Authority::new(&wanted.ca, ca_file.as_deref())?;
    let body = EnrolHost {
        token: token.to_string(),
        host_public_key: proof.public_key,
        signature: proof.signature,
    };
    let enrolled = authority.enrol(&body).map_err(refused)?;
    let config = config(wanted, ca_file, host_key, &enrolled)?;
    let place = Place::new(dir, config);
    write_state(&place, &enrolled, now)?;
    first_list(&place, authority, &enrolled)?;
    let backup = write_snippet(&place, enrolled.certificate.is_some())?;
    if let Err(failure) = sshd::test(&place.config.sshd, &place.config.sshd_dir) {
        put_back(&place, backup)?;
        return Err(failure.hint("the snippet was taken back; the host is enrolled otherwise"));
    }
    say_what_is_next(&place, &enrolled, now);
    Ok(())
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::file("read", path, error);
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().take(TOKEN_MAX).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(TOKEN_MAX).read_to_string(&mut text)
    };
    read.map_err(|error| failed(&error))?;
    if text.trim().is_empty() {
        return Err(failed(&"it holds no token"));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn refuse_early(dir: &Path, wanted: &Enroll) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::local("only root can enrol a host"));
    }
    let config = config_file(dir);
    if config.exists() && !wanted.replace {
        let what = format!("this host is enrolled already: {}", config.display());
        return Err(Failure::local(what).hint("--replace puts a new enrolment in its place"));
    }
    let main = wanted.sshd_dir.join("sshd_config");
    if !main.exists() {
        let what = format!("there is no {}", main.display());
        return Err(Failure::local(what).hint("--sshd-dir says where sshd_config is"));
    }
    Ok(())
}

fn keep_ca_file(dir: &Path, given: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let kept = dir.join("ca.pem");
    let bytes = match given {
        Some(path) => file::read(path)?
            .ok_or_else(|| Failure::file("read", path, &"there is no such file"))?,
        None => return Ok(None),
    };
    file::replace(&kept, &bytes, 0o644, Keep::Durably)?;
    Ok(Some(kept))
}

fn refused(error: CallError) -> Failure {
    let failure = Failure::from(error.clone());
    match error {
        CallError::Refused {
            status: 401 | 403, ..
        } => failure
            .hint("a token is good once and for a short time: ask an administrator for another"),
        CallError::Tls(_) => failure.hint(
            "if the authority has a TLS certificate of its own CA: --ca-file PEM; \
             if this machine's clock is wrong, set it",
        ),
        CallError::Unreachable(_) => failure.hint("is the address right, is a firewall between?"),
        CallError::Refused { .. } | CallError::Answer(_) => failure,
    }
}

fn config(
    wanted: &Enroll,
    ca_file: Option<PathBuf>,
    host_key: PathBuf,
    enrolled: &HostEnrolled,
) -> Result<Config, Failure> {
    let key = enrolled
        .settings
        .log_verifier_key
        .parse()
        .map_err(|error| Failure::new(Exit::Broken, format!("the authority's log key: {error}")))?;
    let unit = ["ssh", "sshd"]
        .into_iter()
        .find(|unit| Path::new(&format!("/usr/lib/systemd/system/{unit}.service")).exists());
    let reload = ["systemctl", "reload", unit.unwrap_or("ssh")];
    Ok(Config {
        ca: wanted.ca.trim_end_matches('/').to_owned(),
        ca_file,
        host: enrolled.host,
        environment: enrolled.environment.clone(),
        names: enrolled.names.clone(),
        log_verifier_key: key,
        host_key,
        sshd_dir: wanted.sshd_dir.clone(),
        run_dir: wanted.run_dir.clone(),
        sshd: PathBuf::from("/usr/sbin/sshd"),
        pam: PathBuf::from("/etc/pam.d/sshd"),
        reload: reload.map(str::to_owned).to_vec(),
        end_detached: true,
    })
}

/// A crash in between leaves a host that is not enrolled, or for `--replace` one whose daemon has
/// the new credential; the same command with a new token puts it right.
fn write_state(place: &Place, enrolled: &HostEnrolled, now: Timestamp) -> Result<(), Failure> {
    let credential = Zeroizing::new(format!("{}\n", enrolled.credential));
    let path = place.credential();
    file::replace(&path, credential.as_bytes(), 0o600, Keep::Durably)?;
    file::replace_json(&place.settings(), &enrolled.settings, Keep::Durably)?;
    write_user_ca_keys(place, &enrolled.settings)?;
    // Those of an earlier enrolment may be of another environment or log.
    file::remove(&place.freshness())?;
    file::remove(&place.signed_list())?;
    list_store::enforce(place, &enrolled.settings, now)?;
    match &enrolled.certificate {
        Some(certificate) => host_certificate::install(place, certificate)?,
        None => file::remove(&place.host_certificate_window())?,
    }
    file::private_directory(&place.outbox())?;
    let text = place.config.text()?;
    let path = config_file(place.dir());
    file::replace(&path, text.as_bytes(), 0o600, Keep::Durably)
}

/// Without it everything is in place and nobody gets in until the daemon has fetched it.
fn first_list(place: &Place, authority: Authority, enrolled: &HostEnrolled) -> Result<(), Failure> {
    let authority = authority.with_credential(place.read_credential()?);
    let signed = authority.list(&place.config.environment, None, Duration::ZERO)?;
    list_store::install(place, &enrolled.settings, &signed, clock::now())
        .map(drop)
        .map_err(|error| Failure::new(Exit::Broken, error.to_string()))
}

fn write_snippet(place: &Place, has_certificate: bool) -> Result<Option<Vec<u8>>, Failure> {
    let path = place.sshd_snippet();
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("made", folder, &error))?;
    let before = file::read(&path)?;
    let text = sshd::snippet(place, has_certificate);
    file::replace(&path, text.as_bytes(), 0o644, Keep::Durably)?;
    Ok(before)
}

fn put_back(place: &Place, before: Option<Vec<u8>>) -> Result<(), Failure> {
    let path = place.sshd_snippet();
    match before {
        Some(bytes) => file::replace(&path, &bytes, 0o644, Keep::Durably),
        None => file::remove(&path),
    }
}

fn say_what_is_next(place: &Place, enrolled: &HostEnrolled, now: Timestamp) {
    let names: Vec<&str> = enrolled.names.iter().map(|name| name.as_str()).collect();
    print(&format!(
        "Enrolled as host {} of {}: {}",
        enrolled.host,
        enrolled.environment,
        names.join(", ")
    ));
    let [server, here] = [enrolled.server_time, now].map(Timestamp::unix_milliseconds);
    if server.abs_diff(here) > SKEW_MAX {
        print(&format!(
            "! The authority's clock says {}, this host's {now}: grants end by this host's. Set it.",
            enrolled.server_time
        ));
    }
    let steps = [
        format!(
            "1. In {}, right after pam_loginuid.so:",
            place.config.pam.display()
        ),
        format!("     {}", sshd::pam_line(place.dir())),
        "2. systemctl enable --now jit-ssh-host jit-ssh-host-enforce.timer".to_owned(),
        format!(
            "3. Read {}, then keep this session open and:",
            place.sshd_snippet().display()
        ),
        format!("     sshd -t && {}", place.config.reload.join(" ")),
        "4. From elsewhere, with a certificate: ssh in. Only then close this session.".to_owned(),
        "5. jit-ssh-host check".to_owned(),
    ];
    print("Now:");
    for step in &steps {
        print(&format!("  {step}"));
    }
}
