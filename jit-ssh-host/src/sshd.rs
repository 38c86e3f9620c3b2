//! sshd as a program: the lines it is given, what it makes of them, which version it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Exit, Failure};
use crate::place::Place;

/// The snippet of `sshd_config`, each line explained.
pub(crate) fn snippet(place: &Place, has_host_certificate: bool) -> String {
    let [ca_keys, revoked, certificate] = [
        place.user_ca_keys(),
        place.revoked_keys(),
        place.host_certificate(),
    ]
    .map(|path| path.display().to_string());
    let host_certificate = if has_host_certificate {
        format!(
            "\n# Proves this host's name, so that nobody is asked to trust an unknown key.\n\
             HostCertificate {certificate}\n"
        )
    } else {
        String::new()
    };
    format!(
        "# Written by jit-ssh-host enroll; a later enrolment writes it again.
# From here on only certificates work: every authorized_keys and password login ends, root's
# included. Keep this session open until a new one was opened with a certificate.

# Certificates of these authorities open doors. Read at every login; jit-ssh-host keeps it.
TrustedUserCAKeys {ca_keys}
# Except those named here. Read at every login; jit-ssh-host keeps it.
RevokedKeys {revoked}
{host_certificate}
# Certificates only. A plain key would be asked for in authorized_keys, which users can write.
PubkeyAcceptedAlgorithms *-cert-v01@openssh.com
AuthorizedKeysFile none
AuthorizedKeysCommand none
PasswordAuthentication no
KbdInteractiveAuthentication no

# PAM's session modules run for every connection: one of them tells jit-ssh-host.
UsePAM yes

# A way in when the authority is gone: one account, one key in a safe, from one network.
#Match User rescue Address 192.0.2.0/28
#    PubkeyAcceptedAlgorithms ssh-ed25519
#    AuthorizedKeysFile /etc/ssh/rescue.pub
"
    )
}

/// The line for PAM. Before `pam_env`, which may read a file of the user's; after `pam_loginuid`,
/// which makes the audit session. `optional`: it never decides about a login.
pub(crate) fn pam_line(dir: &Path) -> String {
    let usual = Path::new("/var/lib/jit-ssh-host");
    let more = if dir == usual {
        String::new()
    } else {
        format!(" --dir {}", dir.display())
    };
    format!("session optional pam_exec.so quiet /usr/sbin/jit-ssh-host session{more}")
}

/// What is wrong with where PAM's file for sshd calls this program, if anything.
pub(crate) fn pam_complaint(text: &str) -> Option<&'static str> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .collect();
    let place = |test: &dyn Fn(&str) -> bool| lines.iter().position(|line| test(line));
    let ours = place(&|line| {
        line.starts_with("session") && line.contains("pam_exec.so") && line.contains("jit-ssh-host")
    });
    let Some(ours) = ours else {
        return Some("PAM does not call jit-ssh-host: sessions are not seen and never ended");
    };
    let environment = place(&|line| line.contains("pam_env.so") && line.contains("user_readenv"));
    if environment.is_some_and(|at| at < ours) {
        return Some("PAM reads a user's environment before it calls jit-ssh-host: users can hide");
    }
    let audit = place(&|line| line.starts_with("session") && line.contains("pam_loginuid.so"));
    match audit {
        Some(at) if at < ours => None,
        _ => Some("PAM calls jit-ssh-host before pam_loginuid: detached processes are not found"),
    }
}

/// Asks sshd whether it could start with its files.
///
/// # Errors
///
/// A [`Failure`] with sshd's words.
pub(crate) fn test(sshd: &Path, sshd_dir: &Path) -> Result<(), Failure> {
    run(sshd, &["-t", "-f", &main_file(sshd_dir)]).map(drop)
}

/// The settings in force for most logins, keyword in lower case to value.
///
/// # Errors
///
/// A [`Failure`] with sshd's words.
pub(crate) fn effective(
    sshd: &Path,
    sshd_dir: &Path,
) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let text = run(sshd, &["-T", "-f", &main_file(sshd_dir)])?;
    let mut settings = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines() {
        if let Some((keyword, value)) = line.split_once(' ') {
            let values = settings.entry(keyword.to_owned()).or_default();
            values.push(value.to_owned());
        }
    }
    Ok(settings)
}

fn main_file(sshd_dir: &Path) -> String {
    sshd_dir.join("sshd_config").display().to_string()
}

fn run(sshd: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(sshd)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::file("run", sshd, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(
        Exit::Broken,
        format!("sshd does not take its settings: {said}"),
    ))
}

/// Whether this sshd reads host certificates when it starts and on SIGHUP only (9.8 and later).
/// Also when its version cannot be told: a reload too many does no harm.
pub(crate) fn reads_host_certificates_at_start_only(sshd: &Path) -> bool {
    let output = Command::new(sshd).arg("-V").stdin(Stdio::null()).output();
    let said = output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    version(&said).is_none_or(|version| version >= (9, 8))
}

/// `OpenSSH_9.2p1 Debian…` → (9, 2).
fn version(said: &str) -> Option<(u32, u32)> {
    let (_, rest) = said.split_once("OpenSSH_")?;
    let (major, rest) = rest.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Runs the command that makes sshd read its files again.
///
/// # Errors
///
/// A [`Failure`] when there is none or it fails.
pub(crate) fn reload(command: &[String]) -> Result<(), Failure> {
    let Some((program, arguments)) = command.split_first() else {
        let what = "sshd must be reloaded for its new host certificate, and `reload` is not set";
        return Err(Failure::local(what));
    };
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::local(format!("{command:?} did not work"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str = "session required pam_env.so user_readenv=1";
    const LOGINUID: &str = "session required pam_loginuid.so";

    #[test]
    fn the_version_is_read_from_what_each_sshd_says() {
        let said = "OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026";
        assert_eq!(version(said), Some((9, 2)));
        let debian = "unknown option -- V\nOpenSSH_10.0p2 Debian-7, OpenSSL 3.5";
        assert_eq!(version(debian), Some((10, 0)));
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn pams_file_is_right_only_with_our_line_between_loginuid_and_the_users_environment() {
        let ours = pam_line(Path::new("/var/lib/jit-ssh-host"));
        let file = |lines: &[&str]| pam_complaint(&lines.join("\n"));
        assert_eq!(file(&[LOGINUID, &ours, ENVIRONMENT]), None);
        assert_eq!(file(&[LOGINUID, &ours]), None);
        for wrong in [
            vec![LOGINUID, ENVIRONMENT],
            vec![LOGINUID, ENVIRONMENT, &ours],
            vec![&*ours, LOGINUID, ENVIRONMENT],
        ] {
            assert!(file(&wrong).is_some(), "{wrong:?}");
        }
        let commented = format!("{LOGINUID}\n#{ours}");
        assert!(pam_complaint(&commented).is_some());
    }
}
