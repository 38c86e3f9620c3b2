//! `jit-ssh-host`: what a host runs so that access ends when it should.
//!
//! Keeps sshd's revocation list fresh, ends ssh sessions when their grant ends, renews the host
//! certificate. Decides nothing about who gets in: sshd does, with the files kept here.

mod authority;
mod backoff;
mod belonging;
mod cli;
mod clock;
mod command;
mod config;
mod daemon;
mod due;
mod failure;
mod file;
mod host_certificate;
mod journal;
mod list;
mod list_store;
mod outbox;
mod place;
mod process;
mod register;
mod registration;
mod signing;
mod sshd;
mod staleness;
mod supervisor;
mod terminals;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match command::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            journal::failure(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}
