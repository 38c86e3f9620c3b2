//! `check`: whether this host does what its environment expects. Changes nothing.

use std::collections::BTreeMap;
use std::process::ExitCode;

use ca_core::api::HostReport;
use ca_core::time::Timestamp;

use super::print;
use crate::authority::Authority;
use crate::daemon::shared::Contact;
use crate::failure::{Exit, Failure};
use crate::list_store::{self, Freshness};
use crate::place::Place;
use crate::staleness::{Standing, standing};
use crate::{clock, file, host_certificate, sshd};

/// A difference between the clocks from which on grants end noticeably wrong, milliseconds.
const SKEW_MAX: u64 = 2000;
/// Without an answer for so long the daemon does not run or cannot reach the authority, seconds.
const SILENCE_MAX: u64 = 60;

/// What was found, in order.
#[derive(Default)]
struct Findings {
    broken: bool,
}

impl Findings {
    /// Says how one thing is.
    fn of(&mut self, what: &str, problem: Option<String>) {
        match problem {
            None => print(&format!("ok    {what}")),
            Some(problem) => {
                self.broken = true;
                print(&format!("FAIL  {what}: {problem}"));
            }
        }
    }
}

/// Checks and prints.
///
/// # Errors
///
/// A [`Failure`] when not even the checks can be made.
pub(super) fn run(place: &Place, now: Timestamp) -> Result<ExitCode, Failure> {
    let mut findings = Findings::default();
    files(place, &mut findings);
    list(place, &mut findings, now)?;
    settings_of_sshd(place, &mut findings);
    let pam = file::read_text(&place.config.pam).map(Option::unwrap_or_default);
    let complaint = match pam {
        Ok(text) => sshd::pam_complaint(&text).map(str::to_owned),
        Err(failure) => Some(failure.what),
    };
    findings.of("PAM calls jit-ssh-host", complaint);
    certificate(place, &mut findings, now);
    contact(place, &mut findings, now);
    Ok(if findings.broken {
        ExitCode::from(Exit::Broken.code())
    } else {
        ExitCode::SUCCESS
    })
}

fn files(place: &Place, findings: &mut Findings) {
    let private = [place.dir().to_owned(), place.credential(), place.sessions()];
    for path in private {
        let what = format!("{} is root's alone", path.display());
        findings.of(&what, file::complaint(&path, 0o077));
    }
    let public = [
        place.user_ca_keys(),
        place.revoked_keys(),
        place.sshd_snippet(),
    ];
    for path in public {
        let what = format!("{} is changed by root alone", path.display());
        findings.of(&what, file::complaint(&path, 0o022));
    }
}

fn list(place: &Place, findings: &mut Findings, now: Timestamp) -> Result<(), Failure> {
    let bytes = file::read(&place.revoked_keys())?;
    let problem = match bytes.as_deref() {
        None => Some("it is missing: sshd refuses everybody".to_owned()),
        Some([]) => Some("it has no bytes: sshd revokes NOTHING".to_owned()),
        Some(bytes) => ca_core::krl::Krl::read(bytes)
            .err()
            .map(|error| format!("{error}: sshd refuses everybody")),
    };
    findings.of("the revocation list is one", problem);
    let settings = place.read_settings()?;
    let fresh_at = list_store::load(place)?.freshness.map(Freshness::fresh_at);
    let age = fresh_at.map_or(u64::MAX, |fresh| now.since(fresh).as_secs());
    let stale = standing(&settings, fresh_at, now) == Standing::WithoutAuthority
        || age >= settings.stale_after_seconds;
    let problem = stale.then(|| match fresh_at {
        Some(_) => format!("{age} s old"),
        None => "none came yet".to_owned(),
    });
    findings.of("the revocation list is fresh", problem);
    Ok(())
}

fn settings_of_sshd(place: &Place, findings: &mut Findings) {
    let config = &place.config;
    let effective = match sshd::effective(&config.sshd, &config.sshd_dir) {
        Ok(effective) => effective,
        Err(failure) => return findings.of("sshd takes its settings", Some(failure.what)),
    };
    let path = |path: std::path::PathBuf| path.display().to_string();
    let mut wanted = vec![
        ("trustedusercakeys", path(place.user_ca_keys())),
        ("revokedkeys", path(place.revoked_keys())),
        ("authorizedkeysfile", "none".to_owned()),
        ("authorizedkeyscommand", "none".to_owned()),
        ("passwordauthentication", "no".to_owned()),
        ("kbdinteractiveauthentication", "no".to_owned()),
        ("usepam", "yes".to_owned()),
    ];
    if host_certificate::held(place).is_some() {
        wanted.push(("hostcertificate", path(place.host_certificate())));
    }
    for (keyword, value) in wanted {
        let problem = setting_complaint(&effective, keyword, &value);
        findings.of(&format!("sshd: {keyword} {value}"), problem);
    }
}

/// What is wrong with a setting, if anything. `none` may be printed as nothing at all.
fn setting_complaint(
    effective: &BTreeMap<String, Vec<String>>,
    keyword: &str,
    wanted: &str,
) -> Option<String> {
    match effective.get(keyword) {
        Some(values) if values.iter().any(|value| value == wanted) => None,
        Some(values) => Some(format!("it is {:?}", values.join(", "))),
        None if wanted == "none" => None,
        None => Some("it is not set (does sshd_config include sshd_config.d/*.conf?)".to_owned()),
    }
}

fn certificate(place: &Place, findings: &mut Findings, now: Timestamp) {
    let Some(held) = host_certificate::held(place) else {
        return;
    };
    let problem = (held.valid_before <= now).then(|| format!("it ended at {}", held.valid_before));
    findings.of("the host certificate is valid", problem);
}

fn contact(place: &Place, findings: &mut Findings, now: Timestamp) {
    let heard: Contact = file::read_json(&place.contact())
        .ok()
        .flatten()
        .unwrap_or_default();
    let silence = heard.last.map(|last| now.since(last).as_secs());
    let problem = match silence {
        Some(seconds) if seconds <= SILENCE_MAX => None,
        Some(seconds) => Some(format!("no answer for {seconds} s")),
        None => Some("it has not heard from the authority since the start".to_owned()),
    };
    findings.of(
        "the daemon hears from the authority",
        problem.or(heard.problem),
    );
    let asked = ask_time(place);
    let problem = match asked {
        Ok(server) => {
            let [server, here] = [server, clock::now()].map(Timestamp::unix_milliseconds);
            let apart = server.abs_diff(here);
            (apart > SKEW_MAX).then(|| format!("they are {apart} ms apart; grants end by this one"))
        }
        Err(failure) => Some(failure.what),
    };
    findings.of("this clock and the authority's agree", problem);
}

fn ask_time(place: &Place) -> Result<Timestamp, Failure> {
    let config = &place.config;
    let authority = Authority::new(&config.ca, config.ca_file.as_deref())?
        .with_credential(place.read_credential()?);
    Ok(authority.report(&HostReport::default())?.server_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_differs_or_is_missing_is_complained_about() {
        let effective = BTreeMap::from([
            ("usepam".to_owned(), vec!["yes".to_owned()]),
            (
                "authorizedkeysfile".to_owned(),
                vec![".ssh/authorized_keys".to_owned()],
            ),
        ]);
        let complaint = |keyword, wanted| setting_complaint(&effective, keyword, wanted);
        assert_eq!(complaint("usepam", "yes"), None);
        assert!(complaint("authorizedkeysfile", "none").is_some());
        assert!(complaint("revokedkeys", "/x").is_some());
        assert_eq!(complaint("authorizedkeyscommand", "none"), None);
    }
}
