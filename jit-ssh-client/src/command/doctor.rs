//! `jit-ssh doctor`: each thing that has to be right, a line each, and what to do about it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use owo_colors::OwoColorize;

use super::setup::ssh_config_file;
use crate::agent::Agent;
use crate::api::Patience;
use crate::ca::{Ca, skew};
use crate::clock;
use crate::config::{self, Config, Surroundings};
use crate::failure::Failure;
use crate::file;
use crate::grant;
use crate::pins::Pins;
use crate::session::Session;
use crate::sign_in::reach_provider;
use crate::span;
use crate::ssh_config::{Included, include_line, included};
use crate::terminal::Voice;

/// Servers hang up after six offers (`MaxAuthTries`), so more foreign keys than this are a risk
/// without `IdentitiesOnly`.
const FOREIGN_IDENTITIES_MAX: usize = 5;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug)]
struct Finding {
    level: Level,
    about: &'static str,
    found: String,
    hint: Option<String>,
}

fn ok(about: &'static str, found: impl Into<String>) -> Finding {
    Finding {
        level: Level::Ok,
        about,
        found: found.into(),
        hint: None,
    }
}

fn bad(
    level: Level,
    about: &'static str,
    found: impl Into<String>,
    hint: impl Into<String>,
) -> Finding {
    Finding {
        level,
        about,
        found: found.into(),
        hint: Some(hint.into()),
    }
}

fn failed(about: &'static str, failure: &Failure) -> Finding {
    Finding {
        level: Level::Fail,
        about,
        found: once_joined(failure),
        // To run this very command is no advice here.
        hint: failure
            .hints
            .iter()
            .find(|hint| !hint.contains("jit-ssh doctor"))
            .cloned(),
    }
}

/// What happened and why, on one line.
fn once_joined(failure: &Failure) -> String {
    let lines = failure.lines.iter().flat_map(|line| line.lines());
    let lines: Vec<&str> = std::iter::once(failure.what.as_str())
        .chain(lines)
        .collect();
    lines.join(" | ")
}

/// Runs all checks; 1 when one failed.
///
/// # Errors
///
/// None: what fails is a finding.
pub(crate) async fn run(place: &Surroundings, voice: Voice) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    let config = match config::load(place) {
        Ok(config) => {
            findings.push(ok("config", config.path.display().to_string()));
            Some(config)
        }
        Err(failure) => {
            findings.push(failed("config", &failure));
            None
        }
    };
    if let Some(config) = &config {
        findings.extend(authority(config).await);
        findings.push(provider(config).await);
        findings.extend(files(config));
        findings.push(writable(config));
        findings.push(session(config).await);
        findings.push(ssh_config(place, config));
    }
    findings.extend(agent(config.as_ref()));
    findings.push(ssh_version().await);
    report(voice, &findings);
    let any_failed = findings.iter().any(|finding| finding.level == Level::Fail);
    Ok(if any_failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn report(voice: Voice, findings: &[Finding]) {
    for finding in findings {
        let mark = match finding.level {
            Level::Ok => "ok  ".green().to_string(),
            Level::Warn => "warn".yellow().to_string(),
            Level::Fail => "FAIL".red().to_string(),
        };
        voice.result(&format!("{mark}  {:<10}  {}", finding.about, finding.found));
        if let Some(hint) = &finding.hint {
            voice.result(&format!("      {:<10}  hint: {hint}", ""));
        }
    }
    let lines = findings.iter().map(|finding| {
        serde_json::json!({
            "check": finding.about,
            "result": match finding.level {
                Level::Ok => "ok",
                Level::Warn => "warn",
                Level::Fail => "fail",
            },
            "found": finding.found,
            "hint": finding.hint,
        })
    });
    voice.json(&lines.collect());
}

/// Reachability, TLS, keys and clock: one call answers all four.
async fn authority(config: &Config) -> Vec<Finding> {
    let ca = match Ca::new(config.clone(), Patience::Person, Voice::Silent) {
        Ok(ca) => ca,
        Err(failure) => return vec![failed("tls", &failure)],
    };
    let discovery = match ca.api.discovery().await {
        Ok(discovery) => discovery,
        Err(failure) => return vec![failed("ca", &failure)],
    };
    let trust = if config.tls_root.is_some() {
        "pinned certificate"
    } else {
        "system certificates"
    };
    let version = crate::terminal::plain(&discovery.version);
    let mut findings = vec![ok(
        "ca",
        format!("{} answers, version {version}, {trust}", config.ca_url),
    )];
    findings.push(match skew(discovery.server_time, clock::now()) {
        None => ok("clock", "agrees with the CA's"),
        Some(line) => bad(
            Level::Fail,
            "clock",
            line,
            "set the clock (timedatectl, chronyc)",
        ),
    });
    findings.push(match Pins::load(config) {
        Ok(Some(pins)) => match pins.refreshed(discovery, clock::now()) {
            Ok(_) => ok("keys", "the CA shows the keys that are trusted here"),
            Err(failure) => failed("keys", &failure),
        },
        Ok(None) => bad(
            Level::Warn,
            "keys",
            "none trusted yet",
            format!("jit-ssh setup {}", config.ca_url),
        ),
        Err(failure) => failed("keys", &failure),
    });
    findings
}

/// Whether the identity provider answers, which the next sign-in needs.
async fn provider(config: &Config) -> Finding {
    let issuers = Pins::load(config).ok().flatten();
    let issuers = issuers.map(|pins| pins.discovery.issuers);
    let Some(issuer) = issuers.as_ref().and_then(|issuers| issuers.first()) else {
        let hint = format!("jit-ssh setup {}", config.ca_url);
        return bad(Level::Warn, "provider", "not known yet", hint);
    };
    match reach_provider(config, issuer).await {
        Ok(()) => ok(
            "provider",
            format!("{} answers", crate::terminal::plain(&issuer.issuer)),
        ),
        Err(failure) => failed("provider", &failure),
    }
}

/// Whether something can be kept: tried, for neither mode bits nor free space tell.
fn writable(config: &Config) -> Finding {
    for folder in [&config.state, &config.runtime] {
        let path = folder.join("doctor");
        let tried =
            file::replace(&path, b"can this be written?").and_then(|()| file::remove(&path));
        if let Err(failure) = tried {
            return failed(
                "state",
                &failure.hint("is the disk full or mounted read-only?"),
            );
        }
    }
    ok(
        "state",
        format!("{} can be written", config.state.display()),
    )
}

fn agent(config: Option<&Config>) -> Vec<Finding> {
    let listed = Agent::connect().and_then(|mut agent| Ok((agent.list()?, agent)));
    let (identities, mut agent) = match listed {
        Ok(found) => found,
        Err(error) => return vec![failed("agent", &error.into())],
    };
    let pins = config.and_then(|config| Pins::load(config).ok().flatten());
    let own = pins.map_or(0, |pins| grant::ours(&identities, &pins).len());
    let foreign = identities.len().saturating_sub(own);
    let held = format!("answers; holds {own} of ours, {foreign} of others");
    let mut findings = vec![if foreign > FOREIGN_IDENTITIES_MAX {
        bad(
            Level::Warn,
            "agent",
            held,
            "servers hang up after six offers; use the ssh_config blocks (IdentitiesOnly)",
        )
    } else {
        ok("agent", held)
    }];
    findings.push(match agent.probe(false, clock::now()) {
        Ok(()) => ok(
            "lifetime",
            "the agent takes certificates that end by themselves",
        ),
        Err(error) => failed("lifetime", &error.into()),
    });
    findings
}

fn ssh_config(place: &Surroundings, config: &Config) -> Finding {
    let file = ssh_config_file(config);
    let again = format!("jit-ssh setup --write-ssh-config {}", config.ca_url);
    if !file.exists() {
        let found = "no blocks written yet; plain ssh does not log in by itself";
        return bad(Level::Warn, "ssh_config", found, again);
    }
    let line = match include_line(&file) {
        Ok(line) => line,
        Err(failure) => return failed("ssh_config", &failure),
    };
    let own = place.home.as_ref().map(|home| home.join(".ssh/config"));
    let text = own.and_then(|path| file::read(&path).ok().flatten());
    match included(&text.unwrap_or_default(), &line) {
        Included::AtTop => ok("ssh_config", "included at the top of ~/.ssh/config"),
        Included::Below => bad(
            Level::Warn,
            "ssh_config",
            "included below other settings, which may swallow it",
            again,
        ),
        Included::Nowhere => bad(Level::Warn, "ssh_config", "not included", again),
    }
}

/// The stored session, and whether the CA still knows it.
async fn session(config: &Config) -> Finding {
    let now = clock::now();
    let session = match Session::load(config) {
        Ok(Some(session)) if session.serves(None, now) => session,
        Ok(_) => return ok("session", "none; the next login signs in"),
        Err(failure) => return failed("session", &failure),
    };
    let left = span::show(session.expires_at.since(now));
    let shown = format!("{}, {left} left", session.user);
    let status = match Ca::new(config.clone(), Patience::Person, Voice::Silent) {
        Ok(ca) => ca.api.session(&session.token).await,
        Err(failure) => Err(failure),
    };
    match status {
        Ok(status) => {
            let count = status.certificates.len();
            ok("session", format!("{shown}; live certificates: {count}"))
        }
        Err(failure) => bad(
            Level::Warn,
            "session",
            format!("{shown} by its file, but the CA says: {}", failure.what),
            "the next login signs in again",
        ),
    }
}

/// Files that nobody else may read.
fn files(config: &Config) -> Vec<Finding> {
    let mut private = vec![Session::path(config)];
    let entries = std::fs::read_dir(config.state.join("certs"));
    private.extend(
        entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    let open: Vec<Finding> = private
        .iter()
        .filter_map(|path| open_to_others(path))
        .collect();
    if open.is_empty() {
        return vec![ok("files", "private")];
    }
    open
}

fn open_to_others(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        bad(
            Level::Fail,
            "files",
            format!("{shown} has mode {mode:03o}"),
            format!("chmod 600 {shown}"),
        )
    })
}

async fn ssh_version() -> Finding {
    let output = tokio::process::Command::new("ssh").arg("-V").output().await;
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            ok("ssh", crate::terminal::plain(text.trim()))
        }
        Err(error) => bad(
            Level::Fail,
            "ssh",
            format!("cannot run ssh: {error}"),
            "install OpenSSH's client",
        ),
    }
}
