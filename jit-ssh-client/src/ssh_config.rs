//! The blocks for ssh_config: which hosts belong to an environment, what makes a certificate ready,
//! and which identity to offer.
//!
//! Deliberately refuses what would need quoting that OpenSSH versions read differently: nothing
//! that a server sent may ever become another line of somebody's configuration.

use std::path::Path;

use ca_core::api::DiscoveredEnvironment;

use crate::config::Config;
use crate::failure::Failure;
use crate::grant::certificate_file;
use crate::known_hosts;
use crate::problem::quoted;

/// Longest host pattern, bytes.
const PATTERN_BYTES_MAX: usize = 253;

/// The file with a block for each environment.
///
/// Order matters: `originalhost` is before `exec`, so the command runs for these hosts only, and
/// `IdentityFile` is the *certificate*, the one recipe that works with a certificate-only agent.
///
/// # Errors
///
/// A [`Failure`] when the program's or a file's path cannot be written in ssh_config.
pub(crate) fn blocks(
    config: &Config,
    program: &Path,
    environments: &[DiscoveredEnvironment],
) -> Result<String, Failure> {
    let mut text = format!(
        "# Written by `jit-ssh setup` for {}; changes are lost.\n",
        config.ca_url
    );
    for environment in environments {
        let patterns = host_patterns(environment);
        if patterns.is_empty() {
            text.push_str(&format!(
                "\n# {}: the CA names no hosts\n",
                environment.name
            ));
            continue;
        }
        text.push_str(&block(config, program, environment, &patterns)?);
    }
    Ok(text)
}

/// The host patterns of `environment`, with commas between, without what is none.
pub(crate) fn host_patterns(environment: &DiscoveredEnvironment) -> String {
    let all = environment.host_patterns.iter().map(String::as_str);
    let patterns: Vec<&str> = all.filter(|pattern| is_pattern(pattern)).collect();
    patterns.join(",")
}

/// The first block holds even while nobody is logged in: a host that shows a certificate of the
/// pinned authority is never asked about. Beside the files that ssh reads for everybody, because
/// people more often name files of their own for themselves.
fn block(
    config: &Config,
    program: &Path,
    environment: &DiscoveredEnvironment,
    patterns: &str,
) -> Result<String, Failure> {
    let mut command = quoted(&writable(program)?);
    if config.named {
        command.push_str(" --config ");
        command.push_str(&quoted(&writable(&config.path)?));
    }
    let name = &environment.name;
    let identity = writable(&certificate_file(config, name))?;
    let user = environment.default_principals.first();
    let user = user.map_or(String::new(), |user| format!("    User {user}\n"));
    let hosts = match environment.host_ca_public_key {
        None => String::new(),
        Some(_) => format!(
            "\nMatch originalhost {patterns}\n    GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 \"{}\"\n",
            writable(&known_hosts::path(config))?
        ),
    };
    Ok(format!(
        "{hosts}\nMatch originalhost {patterns} exec \"{command} ensure {name}\"\n{user}    IdentityFile \"{identity}\"\n    IdentitiesOnly yes\n"
    ))
}

/// `path` for ssh_config inside double quotes: `%` doubled, anything else special refused.
fn writable(path: &Path) -> Result<String, Failure> {
    let special = |c: char| c.is_control() || "\"'\\$`*?[]{}".contains(c);
    match path.to_str() {
        Some(text) if !text.chars().any(special) => Ok(text.replace('%', "%%")),
        _ => Err(Failure::local(format!(
            "the path {path:?} has characters that ssh_config cannot hold"
        ))
        .hint("set state_dir in the configuration to a plain path")),
    }
}

/// A host pattern of ssh_config(5) that is nothing else.
fn is_pattern(text: &str) -> bool {
    let name = text.strip_prefix('!').unwrap_or(text);
    !name.is_empty()
        && !name.starts_with('-')
        && text.len() <= PATTERN_BYTES_MAX
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "*?._:-".contains(c))
}

/// The line that has to be first in the person's own file.
///
/// # Errors
///
/// As [`blocks`].
pub(crate) fn include_line(file: &Path) -> Result<String, Failure> {
    // Include knows no %-tokens on older versions, so the path goes in as it is.
    let text = writable(file)?.replace("%%", "%");
    if text.contains('%') {
        return Err(
            Failure::local(format!("the path {text:?} holds a percent sign"))
                .hint("set state_dir in the configuration to a plain path"),
        );
    }
    Ok(format!("Include \"{text}\""))
}

/// Where the line stands in the person's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Included {
    /// Before any other setting.
    AtTop,
    /// Somewhere below, where another block may swallow it.
    Below,
    /// Nowhere.
    Nowhere,
}

/// Where `line` stands in `text`.
pub(crate) fn included(text: &str, line: &str) -> Included {
    let mut settings = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    // Several CAs each want to be first; Includes among themselves do no harm.
    let above = settings
        .by_ref()
        .take_while(|l| l.to_ascii_lowercase().starts_with("include"))
        .any(|l| l == line);
    if above {
        return Included::AtTop;
    }
    if text.lines().any(|l| l.trim() == line) {
        return Included::Below;
    }
    Included::Nowhere
}

/// `text` with `line` first, or none when it is already.
pub(crate) fn with_include(text: &str, line: &str) -> Option<String> {
    if included(text, line) == Included::AtTop {
        return None;
    }
    let kept = text.lines().filter(|l| l.trim() != line);
    let lines = [line].into_iter().chain(kept).collect::<Vec<_>>();
    Some(format!("{}\n", lines.join("\n")))
}

#[cfg(test)]
mod tests;
