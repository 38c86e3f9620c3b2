//! The verbs, one file each where there is more to them than a call.

mod check;
mod enroll;
mod session;
mod status;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::place::Place;
use crate::staleness::Standing;
use crate::{clock, daemon, journal, list_store};

/// Does what the command line says.
///
/// # Errors
///
/// A [`Failure`] for the person.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Enroll(wanted) => enroll::run(&cli.dir, &wanted, clock::now())?,
        Command::Run => daemon::run(Place::open(&cli.dir)?)?,
        Command::Session => session::run(&cli.dir),
        Command::Enforce => enforce(&cli.dir)?,
        Command::Status(how) => status::run(&Place::open(&cli.dir)?, &how, clock::now())?,
        Command::Check => return check::run(&Place::open(&cli.dir)?, clock::now()),
    }
    Ok(ExitCode::SUCCESS)
}

/// `enforce`.
fn enforce(dir: &std::path::Path) -> Result<(), Failure> {
    let place = Place::open(dir)?;
    let settings = place.read_settings()?;
    if list_store::enforce(&place, &settings, clock::now())? == Standing::WithoutAuthority {
        journal::warning("the revocation list is stale: sshd refuses the environment's CA");
    }
    Ok(())
}

/// Prints one line on standard output.
fn print(line: &str) {
    use std::io::Write as _;
    // Whoever closed it does not want to know.
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}
