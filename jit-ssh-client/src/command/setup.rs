//! `jit-ssh setup URL`: get to know a CA once.

use std::path::{Path, PathBuf};

use ca_core::time::Timestamp;

use crate::api::Patience;
use crate::ca::{Ca, fingerprints};
use crate::cli::Setup;
use crate::clock;
use crate::config::{self, Config, ConfigFile, Surroundings, to_toml};
use crate::failure::{Exit, Failure};
use crate::file;
use crate::known_hosts;
use crate::pins::Pins;
use crate::ssh_config::{blocks, include_line, with_include};
use crate::terminal::{Voice, plain, tick};

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show; nothing is written unless the CA answered and its keys are acceptable.
pub(crate) async fn run(place: &Surroundings, args: &Setup, voice: Voice) -> Result<(), Failure> {
    let path = place.config_path()?;
    let config = config::resolve(place, path.clone(), wanted(&path, args)?)?;
    let ca = Ca::new(config, Patience::Person, voice)?;
    let seen = ca.discovery().await?;
    let now = clock::now();
    let stored = if args.accept_new_keys {
        None
    } else {
        Pins::load(&ca.config)?
    };
    let known = stored.is_some();
    let pins = match stored {
        Some(pins) => pins.refreshed(seen, now)?,
        None => Pins {
            fetched_at: now,
            discovery: seen,
        },
    };
    file::replace(&path, to_toml(&ca.config.file)?.as_bytes())?;
    pins.save(&ca.config)?;
    let blocks_file = ssh_config_file(&ca.config);
    let text = blocks(&ca.config, &program(), &pins.discovery.environments)?;
    file::replace(&blocks_file, text.as_bytes())?;
    known_hosts::write(&ca.config, &pins)?;
    let include = include_line(&blocks_file)?;
    tell(&ca, &pins, known);
    let written = args.write_ssh_config && insert(place, &include)?;
    advise(&ca, args, &include, written);
    trust(&ca, &pins, written);
    ca.voice.json(&serde_json::json!({
        "ca_url": ca.config.ca_url.as_str(),
        "config": path,
        "ssh_config": blocks_file,
        "include": include,
        "known_hosts": known_hosts::path(&ca.config),
        "environments": pins.discovery.environments.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(),
    }));
    Ok(())
}

/// The settings to write: those of an earlier setup of the same CA, with what is given now.
fn wanted(path: &Path, args: &Setup) -> Result<ConfigFile, Failure> {
    let url = config::parse_url(&args.url)?;
    let mut settings = ConfigFile {
        ca_url: url.as_str().to_owned(),
        ca_certificate: None,
        state_dir: None,
        browser: None,
    };
    if let Some(text) = file::read(path)? {
        let earlier: ConfigFile = toml::from_str(&text).map_err(|error| {
            Failure::local(format!("{} does not parse: {error}", path.display()))
                .hint("mend or remove that file")
        })?;
        if config::parse_url(&earlier.ca_url)? != url {
            return Err(Failure::usage(format!(
                "{} is for another CA, {}",
                path.display(),
                earlier.ca_url
            ))
            .hint(format!(
                "keep both: jit-ssh --config FILE setup {}",
                args.url
            )));
        }
        settings = earlier;
    }
    if let Some(certificate) = &args.ca_certificate {
        // Kept as text: the file may go, the trust stays.
        let text = file::read(certificate)?
            .ok_or_else(|| Failure::local(format!("there is no file {}", certificate.display())))?;
        let roots = reqwest::Certificate::from_pem_bundle(text.as_bytes());
        if !roots.is_ok_and(|roots| !roots.is_empty()) {
            let what = format!("{} is not a PEM certificate", certificate.display());
            return Err(Failure::usage(what).hint("it begins with -----BEGIN CERTIFICATE-----"));
        }
        settings.ca_certificate = Some(text);
    }
    Ok(settings)
}

/// Where the blocks of a CA are.
pub(super) fn ssh_config_file(config: &Config) -> PathBuf {
    config.state.join("ssh_config")
}

/// How ssh should call this program: by name where `$PATH` leads here, by path otherwise.
fn program() -> PathBuf {
    let short = PathBuf::from("jit-ssh");
    let Ok(own) = std::env::current_exe().and_then(|path| path.canonicalize()) else {
        return short;
    };
    let search = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&search)
        .map(|folder| folder.join(&short))
        .find(|candidate| candidate.is_file());
    match first.and_then(|found| found.canonicalize().ok()) {
        Some(found) if found == own => short,
        _ => own,
    }
}

fn tell(ca: &Ca, pins: &Pins, known: bool) {
    let what = if known {
        "its keys are the ones already trusted here"
    } else {
        "its keys are trusted from now on; compare them with your administrator's"
    };
    ca.voice
        .result(&format!("{} {}: {what}", tick(), ca.config.ca_url));
    for line in fingerprints(pins) {
        ca.voice.result(&format!("  {line}"));
    }
}

/// Puts the line on top of `~/.ssh/config`; whether it is there now.
fn insert(place: &Surroundings, include: &str) -> Result<bool, Failure> {
    let home = place.home.as_ref();
    let home = home.ok_or_else(|| Failure::local("$HOME is not set; where is ~/.ssh/config?"))?;
    let path = home.join(".ssh/config");
    // People link their dotfiles: the file is replaced, not the link.
    let path = path.canonicalize().unwrap_or(path);
    let text = file::read(&path)?.unwrap_or_default();
    if let Some(changed) = with_include(&text, include) {
        if !text.is_empty() {
            file::replace(&backup(&path, clock::now())?, text.as_bytes())?;
        }
        file::replace(&path, changed.as_bytes())?;
    }
    Ok(true)
}

fn backup(path: &Path, now: Timestamp) -> Result<PathBuf, Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        Failure::new(
            Exit::Local,
            format!("{} is not a file name", path.display()),
        )
    })?;
    Ok(path.with_file_name(format!("{name}.before-jit-ssh.{}", now.unix_seconds())))
}

/// Says who vouches for hosts, and how ssh gets to know it.
fn trust(ca: &Ca, pins: &Pins, written: bool) {
    let lines: Vec<String> = known_hosts::lines(&pins.discovery.environments).collect();
    if lines.is_empty() {
        return;
    }
    let path = known_hosts::path(&ca.config);
    if written {
        ca.voice.result(&format!(
            "Hosts are recognized by their certificates: {}",
            path.display()
        ));
        return;
    }
    ca.voice.result(
        "The same line makes ssh recognize hosts; without it, put these into ~/.ssh/known_hosts:",
    );
    for line in &lines {
        ca.voice.result(&format!("  {line}"));
    }
}

fn advise(ca: &Ca, args: &Setup, include: &str, written: bool) {
    if written {
        ca.voice
            .result("~/.ssh/config begins with the Include line");
    } else if !args.write_ssh_config {
        ca.voice.result("Put this line at the very top of ~/.ssh/config (or run setup with --write-ssh-config):");
        ca.voice.result(&format!("  {include}"));
    }
    ca.voice.result(&format!(
        "Next: jit-ssh login ENV   ({})",
        plain("first time: jit-ssh totp enroll")
    ));
}
