//! The verbs, one file each.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::api::Patience;
use crate::ca::Ca;
use crate::cli::{Cli, Command, SignInArgs, Totp};
use crate::config::{self, Surroundings};
use crate::failure::Failure;
use crate::second_factor::Source;
use crate::sign_in::SignInWish;
use crate::terminal::Voice;

mod doctor;
mod done;
mod ensure;
mod login;
mod logout;
mod setup;
mod status;
mod take_back;
mod totp;

/// How the command of `cli` speaks.
pub(crate) fn voice(cli: &Cli) -> Voice {
    match &cli.command {
        Command::Ensure(_) => Voice::Silent,
        _ if cli.json => Voice::Json,
        _ => Voice::People,
    }
}

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let voice = voice(&cli);
    let place = Surroundings::of_process(cli.config);
    let ca = |patience| Ca::new(config::load(&place)?, patience, voice);
    match cli.command {
        Command::Setup(args) => setup::run(&place, &args, voice).await?,
        Command::Login(args) => login::run(&ca(Patience::Person)?, &args).await?,
        Command::Status(args) => return status::run(&ca(Patience::Person)?, &args).await,
        Command::Done(args) => done::run(&ca(Patience::Person)?, &args).await?,
        Command::Logout => logout::run(&ca(Patience::Person)?).await?,
        Command::Totp(Totp::Enroll(args)) => totp::enroll(&ca(Patience::Person)?, &args).await?,
        Command::Doctor => return doctor::run(&place, voice).await,
        Command::Ensure(args) => ensure::run(ca(Patience::Ssh)?, &args).await?,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "jit-ssh", &mut text);
            print(&text);
        }
        Command::Man => {
            let mut text = Vec::new();
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut text)
                .map_err(|error| Failure::local(format!("cannot write: {error}")))?;
            print(&text);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts `text` on stdout. A reader that goes away early (`| head`) is no failure.
fn print(text: &[u8]) {
    std::io::stdout().write_all(text).ok();
}

/// How the arguments want the person to sign in.
fn sign_in_wish(args: &SignInArgs) -> SignInWish {
    SignInWish {
        login_hint: args.login_hint.clone(),
        device: args.device,
    }
}

/// Where the arguments want the second factor from.
fn factor_source(args: &SignInArgs) -> Source {
    match &args.totp_command {
        Some(command) => Source::Command(command.clone()),
        None if args.recovery_code => Source::RecoveryPrompt,
        None => Source::Prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let command = Cli::command();
        for sub in command.get_subcommands().filter(|s| s.get_name() != "totp") {
            let help = sub.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|h| h.contains("Examples:")),
                "{}",
                sub.get_name()
            );
        }
    }
}
