//! `jit-ssh ensure ENV`, run by ssh itself (`Match exec`): a certificate ready, or out of the way.
//!
//! Deliberately asks nobody without a terminal, and waits for nothing longer than ssh would.

use std::time::Duration;

use super::login::parse_environment;
use crate::access::Plan;
use crate::agent::Agent;
use crate::ca::Ca;
use crate::cli::Ensure;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::file;
use crate::grant::{self, Place};
use crate::issue::{Keeper, Wish, issue, mend_certificate_file};
use crate::prompt;
use crate::second_factor::Source;
use crate::session::Session;
use crate::sign_in::SignInWish;
use crate::terminal::Voice;

/// How often and how long another run for the same environment is waited for.
const LOCK_ATTEMPTS_MAX: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] whose exit code makes ssh skip the block.
pub(crate) async fn run(mut ca: Ca, args: &Ensure) -> Result<(), Failure> {
    let name = parse_environment(&args.environment)?;
    let mut pins = ca.pins().await?;
    let environment = ca.environment(&mut pins, &name).await?;
    let mut agent = Agent::connect()?;
    // Several ssh at once (git, ansible) shall not all sign in.
    file::private_directory(&ca.config.state)?;
    let path = ca.config.state.join(format!("{name}.lock"));
    let mut lock = file::try_lock(&path)?;
    let session = Session::load(&ca.config)?.filter(|s| s.serves(None, clock::now()));
    for _ in 0..LOCK_ATTEMPTS_MAX {
        let live = grant::prune(&ca.config, &pins, Some(&mut agent), clock::now())?;
        // Any account will do: who logged in as another one did so on purpose.
        let held = live.iter().find(|held| {
            held.environment == name
                && held.place == Place::Agent
                && held.covers(&[], None, clock::now())
                && held.is_for(None, session.as_ref())
        });
        if let Some(held) = held {
            return mend_certificate_file(&ca, held);
        }
        if lock.is_some() {
            break;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
        lock = file::try_lock(&path)?;
    }
    let asks = !args.no_prompt && prompt::terminal().is_some();
    if asks {
        ca.voice = Voice::People;
    }
    agent.probe(false, clock::now())?;
    let plan = Plan {
        wish: SignInWish::default(),
        factor: if asks { Source::Prompt } else { Source::Nobody },
        fresh: false,
    };
    let wish = Wish {
        environment,
        principals: Vec::new(),
        duration: None,
        reason: None,
        ticket: None,
    };
    let mut keeper = Keeper::Agent {
        agent,
        confirm: false,
    };
    let issued = issue(&ca, &mut pins, &plan, &wish, &mut keeper).await;
    issued.map_err(|failure| {
        if asks || failure.exit != Exit::NotAuthenticated {
            return failure;
        }
        let what = format!("no certificate for {name}; run: jit-ssh login {name}");
        Failure::new(Exit::NotAuthenticated, what)
    })?;
    drop(lock);
    Ok(())
}
