//! `jit-ssh ensure ENV`, run by ssh itself (`Match exec`): a certificate ready, or out of the way.
//!
//! Deliberately asks nobody without a terminal, and waits for nothing longer than ssh would.

use std::time::Duration;

use ca_core::api::DiscoveredEnvironment;

use super::login::parse_environment;
use super::login::request::{open_request, use_it};
use crate::access::{Caller, Plan};
use crate::agent::Agent;
use crate::ca::Ca;
use crate::cli::Ensure;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::file;
use crate::grant::{self, Place};
use crate::issue::{Ground, Keeper, Outcome, Wish, issue, mend_certificate_file};
use crate::prompt;
use crate::request::{resume, standing};
use crate::second_factor::Source;
use crate::session::Session;
use crate::sign_in::SignInWish;
use crate::terminal::Voice;
use crate::terms::{self, is_usable};

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
    let wish = plain_wish(environment);
    let mut keeper = Keeper::Agent {
        agent,
        confirm: false,
    };
    let mut caller = Caller::new(&ca, pins, plan);
    let obtained = obtain(&mut caller, &wish, &mut keeper).await;
    obtained.map_err(|failure| {
        if asks || failure.exit != Exit::NotAuthenticated {
            return failure;
        }
        let what = format!("no certificate for {name}; run: jit-ssh login {name}");
        Failure::new(Exit::NotAuthenticated, what)
    })?;
    drop(lock);
    Ok(())
}

/// What ssh needs: the defaults.
const fn plain_wish(environment: DiscoveredEnvironment) -> Wish {
    Wish {
        environment,
        principals: Vec::new(),
        duration: None,
        reason: None,
        ticket: None,
        not_before: None,
        ground: Ground::Policy,
    }
}

/// A certificate, perhaps of a request that was approved meanwhile. Nothing is waited for, and no
/// second request is opened beside an open one: ssh may be run many times a minute.
async fn obtain(caller: &mut Caller<'_>, wish: &Wish, keeper: &mut Keeper) -> Result<(), Failure> {
    let open = open_request(caller, wish).await?;
    let defaults = &wish.environment.default_principals;
    // A request for another account was made on purpose, and is used on purpose.
    let open = open.filter(|request| {
        let same = |name| request.principals.contains(name);
        request.principals.len() == defaults.len() && defaults.iter().all(same)
    });
    let request = match open {
        Some(request) if is_usable(&request, clock::now()) => {
            let used = use_it(caller, &request, &wish.environment, keeper).await;
            return used.map(|_| ());
        }
        Some(request) => request,
        None => match issue(caller, wish, keeper).await? {
            Outcome::Issued(_) => return Ok(()),
            Outcome::Waits(request) => {
                terms::remember(&caller.ca.config, &request, wish, clock::now())?;
                *request
            }
        },
    };
    let standing = standing(&request, clock::now());
    let what = format!(
        "request {}: {standing}; see: {}",
        request.id,
        resume(&request)
    );
    Err(Failure::new(Exit::Waiting, what))
}
