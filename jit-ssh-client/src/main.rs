//! `jit-ssh`: sign in, get a certificate into the agent, give it back.

mod access;
mod agent;
mod api;
mod break_glass_key;
mod ca;
mod cli;
mod clock;
mod command;
mod config;
mod failure;
mod file;
mod grant;
mod issue;
mod known_hosts;
mod ledger;
mod moment;
mod pins;
mod problem;
mod prompt;
mod random;
mod request;
mod second_factor;
mod session;
mod sign_in;
mod span;
mod ssh_config;
mod table;
mod terminal;
mod terms;
mod verify;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let voice = command::voice(&cli);
    // One thread: everything here waits for one thing at a time, and starting more costs time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(until_interrupted(command::run(cli)));
            // A browser that does not come back must not hold the prompt.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::local(format!("cannot start: {error}"))),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            // Inside ssh without anybody watching one line is enough, for the log of whatever ran it.
            if voice != terminal::Voice::Silent || prompt::terminal().is_some() {
                voice.failure(&failure);
            } else {
                terminal::to_stderr(&format!("jit-ssh: {}", failure.what));
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

/// Runs `work` until it is done or Ctrl-C. Files are replaced whole, so nothing is left half done.
/// `work` is asked first: while it waits for approvals it has its own answer to Ctrl-C.
async fn until_interrupted(
    work: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    tokio::select! {
        biased;
        outcome = work => outcome,
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
    }
}
