//! `ca-server webhook test`: whether each webhook gets what is sent to it.

use std::io::Write;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::place::Place;
use crate::clock::Clock;
use crate::notify::{Outcome, Pace, Targets};

/// Exit code when a webhook did not take the message.
const EXIT_FAILED: u8 = 1;

/// Try the webhooks of the configuration.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  ca-server webhook test --dir /var/lib/jit-ssh")]
pub struct WebhookCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Send one test message to each and print how that ended.
    Test(Place),
}

impl WebhookCommand {
    /// Sends and prints. The exit code: 0 when all took it.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong or names no webhook.
    pub async fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let Verb::Test(place) = &self.verb;
        let config = place.config()?;
        anyhow::ensure!(
            !config.webhooks.is_empty(),
            "{:?} has no [[webhooks]]",
            place.file()
        );
        let targets = Targets::new(&config.webhooks, Pace::default())?;
        let mut code = 0;
        for (name, outcome) in targets.test(Clock::System.now()).await {
            writeln!(out, "{name}: {outcome}").context("standard output")?;
            if outcome != Outcome::Delivered {
                code = EXIT_FAILED;
            }
        }
        Ok(code)
    }
}
