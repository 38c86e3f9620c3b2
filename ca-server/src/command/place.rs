//! Which CA a command is about: `--dir` or `--config`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, FILE_NAME};

/// The arguments make no sense together: exit code 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub &'static str);

/// An error and its causes in one line, each said once: some errors quote their cause themselves.
#[must_use]
pub fn told_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// `--dir DIR` or `--config FILE`.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Place {
    /// Folder made by `init` or `dev`.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Place {
    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        match (&self.config, &self.dir) {
            (Some(file), _) => file.clone(),
            (None, Some(dir)) => dir.join(FILE_NAME),
            (None, None) => FILE_NAME.into(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// When it is missing or wrong.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::read(&self.file())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_configuration_is_told_in_one_line_that_gives_its_cause_once() {
        let place = Place {
            dir: Some("/nowhere".into()),
            config: None,
        };
        let text = told_once(&place.config().unwrap_err());
        assert_eq!(text.matches("No such file").count(), 1, "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_cause_that_is_not_quoted_is_kept() {
        let error = anyhow::anyhow!("disk on fire").context("policies");
        assert_eq!(told_once(&error), "policies: disk on fire");
    }
}
