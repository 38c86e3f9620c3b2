//! Which CA a command is about: `--dir` or `--config`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, FILE_NAME};

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
