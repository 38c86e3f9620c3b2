//! The verbs, one file each.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::access::{Caller, Plan};
use crate::api::Patience;
use crate::ca::Ca;
use crate::cli::{BreakGlassKey, Cli, Command, SignInArgs, Totp};
use crate::config::{self, Surroundings};
use crate::failure::Failure;
use crate::prompt;
use crate::second_factor::Source;
use crate::sign_in::SignInWish;
use crate::terminal::Voice;

mod approve;
mod break_glass;
mod break_glass_key;
mod deny;
mod doctor;
mod done;
mod ensure;
mod freeze;
mod history;
mod host_token;
mod hosts;
mod login;
mod logout;
mod requests;
mod review;
mod reviews;
mod revoke;
mod setup;
mod show;
mod status;
mod take_back;
mod totp;
mod why;
mod withdraw;

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
    let person = || ca(Patience::Person);
    match cli.command {
        Command::Setup(args) => setup::run(&place, &args, voice).await?,
        Command::Login(args) => return login::run(&person()?, &args).await,
        Command::Requests(args) => requests::run(&person()?, &args).await?,
        Command::Show(args) => show::run(&person()?, &args).await?,
        Command::Approve(args) => approve::run(&person()?, &args).await?,
        Command::Deny(args) => deny::run(&person()?, &args).await?,
        Command::Withdraw(args) => withdraw::run(&person()?, &args).await?,
        Command::BreakGlass(args) => break_glass::run(&person()?, &args).await?,
        Command::BreakGlassKey(BreakGlassKey::Add(args)) => {
            break_glass_key::add(&person()?, &args).await?;
        }
        Command::BreakGlassKey(BreakGlassKey::List(args)) => {
            break_glass_key::list(&person()?, &args).await?;
        }
        Command::BreakGlassKey(BreakGlassKey::Remove(args)) => {
            break_glass_key::remove(&person()?, &args).await?;
        }
        Command::Reviews(args) => reviews::run(&person()?, &args).await?,
        Command::Review(args) => review::run(&person()?, &args).await?,
        Command::Revoke(args) => revoke::run(&person()?, &args).await?,
        Command::Freeze(args) => freeze::freeze(&person()?, &args).await?,
        Command::Unfreeze(args) => freeze::unfreeze(&person()?, &args).await?,
        Command::Freezes(args) => freeze::list(&person()?, &args).await?,
        Command::History(args) => history::run(&person()?, &args).await?,
        Command::Why(args) => why::run(&person()?, &args).await?,
        Command::Hosts(args) => hosts::run(&person()?, &args).await?,
        Command::HostToken(args) => host_token::run(&person()?, &args).await?,
        // What the CA adds to it is not worth a long wait.
        Command::Status(args) => return status::run(&ca(Patience::Ssh)?, &args).await,
        Command::Done(args) => done::run(&person()?, &args).await?,
        Command::Logout => logout::run(&person()?).await?,
        Command::Totp(Totp::Enroll(args)) => totp::enroll(&person()?, &args).await?,
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

/// How the arguments want the person to sign in, where no session serves.
fn sign_in_plan(args: &SignInArgs) -> Plan {
    Plan {
        wish: sign_in_wish(args),
        factor: factor_source(args),
        fresh: false,
    }
}

/// A person at the CA, signed in when the first call needs it.
///
/// # Errors
///
/// A [`Failure`]: unreachable at first use, keys changed, file damaged.
async fn caller<'a>(ca: &'a Ca, args: &SignInArgs) -> Result<Caller<'a>, Failure> {
    Ok(Caller::new(ca, ca.pins().await?, sign_in_plan(args)))
}

/// A text that people will read: something, on one line.
///
/// # Errors
///
/// A [`Failure`] naming the option.
fn written<'a>(option: &str, text: &'a str) -> Result<&'a str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        let what = format!("{option}: say it in words, on one line");
        return Err(Failure::usage(what));
    }
    Ok(text)
}

/// Asks on the terminal, unless `--yes` answered already.
///
/// # Errors
///
/// A [`Failure`] (2): nobody to ask, or the answer is no.
fn consent(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let terminal = prompt::terminal().ok_or_else(|| {
        Failure::usage("there is no terminal to ask on, so nothing was done")
            .hint("to do it without being asked, add: --yes")
    })?;
    if prompt::confirmed(&terminal, question)? {
        return Ok(());
    }
    Err(Failure::usage("nothing was done"))
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
    use clap::Parser;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let command = Cli::command();
        for sub in command.get_subcommands().flat_map(leaves) {
            let help = sub.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|h| h.contains("Examples:")),
                "{}",
                sub.get_name()
            );
        }
    }

    /// The command, or those below it.
    fn leaves(command: &clap::Command) -> Vec<&clap::Command> {
        if command.has_subcommands() {
            return command.get_subcommands().flat_map(leaves).collect();
        }
        vec![command]
    }

    /// Whether the words after `jit-ssh` are a command line.
    fn reads(words: &str) -> bool {
        let words = ["jit-ssh"].into_iter().chain(words.split(' '));
        Cli::try_parse_from(words).is_ok()
    }

    #[test]
    fn what_is_revoked_or_frozen_is_exactly_one_thing() {
        assert!(reads("revoke --serial 4") && reads("revoke --person alice --yes"));
        assert!(!reads("revoke") && !reads("revoke --serial 4 --person alice"));
        assert!(reads("freeze --env prod --reason x"));
        assert!(!reads("freeze --reason x") && !reads("freeze --env prod"));
        assert!(!reads("freeze --env prod --person alice --reason x"));
    }

    #[test]
    fn a_login_waits_for_a_while_or_not_at_all() {
        assert!(reads("login prod --wait 10m") && reads("login prod --no-wait --new"));
        assert!(!reads("login prod --wait 10m --no-wait"));
        assert!(!reads("requests --mine --to-approve"));
        assert!(!reads("break-glass prod") && !reads("deny 17"));
    }

    #[test]
    fn a_reason_is_words_on_one_line() {
        assert_eq!(written("--reason", " disk full ").ok(), Some("disk full"));
        for text in ["", "  ", "a\nb", "a\u{1b}[2J"] {
            let failure = written("--reason", text).unwrap_err();
            assert!(failure.what.starts_with("--reason:"), "{text:?}");
        }
    }

    #[test]
    fn with_yes_nobody_is_asked() {
        assert!(consent(true, "really?").is_ok());
    }
}
