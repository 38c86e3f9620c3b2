//! `jit-ssh login ENV`: a certificate in the agent, with as few questions as possible.

use std::process::ExitCode;
use std::time::Duration;

use ca_core::api::DiscoveredEnvironment;
use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;
use jiff::tz::TimeZone;

use super::sign_in_plan;
use crate::access::{Caller, Plan};
use crate::agent::Agent;
use crate::ca::Ca;
use crate::cli::Login;
use crate::clock;
use crate::failure::Failure;
use crate::grant::{self, Grant, Place};
use crate::issue::{Ground, Keeper, Wish, mend_certificate_file};
use crate::moment;
use crate::session::Session;
use crate::span;
use crate::terms;

use request::{Obtained, Wait, obtain, open_request};

pub(super) mod request;
pub(super) mod shown;

/// Shortest certificate that a CA gives, seconds.
const DURATION_SECONDS_MIN: u64 = 60;

/// Runs the command. 5 when the request is still open at the end.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Login) -> Result<ExitCode, Failure> {
    let wait = wait(args)?;
    let mut pins = ca.pins().await?;
    let wish = wish(ca, &mut pins, args).await?;
    let mut keeper = open_keeper(args.no_agent, args.confirm)?;
    let now = clock::now();
    let agent = match &mut keeper {
        Keeper::Agent { agent, .. } => Some(agent),
        Keeper::File => None,
    };
    let live = grant::prune(&ca.config, &pins, agent, now)?;
    let mut caller = Caller::new(
        ca,
        pins,
        Plan {
            fresh: args.fresh,
            ..sign_in_plan(&args.sign_in)
        },
    );
    if !args.fresh
        && wish.not_before.is_none()
        && let Some(held) = covering(ca, &live, &wish, args, now)?
        && !goes_on(&mut caller, &wish, &wait).await?
    {
        if held.place == Place::Agent {
            mend_certificate_file(ca, held)?;
        }
        shown::held(ca, held, now);
        return Ok(ExitCode::SUCCESS);
    }
    if let Keeper::Agent { agent, confirm } = &mut keeper {
        agent.probe(*confirm, now)?;
    }
    let issued = match obtain(&mut caller, &wish, &mut keeper, wait).await? {
        Obtained::Issued(issued) => issued,
        Obtained::Open(request, stop) => return Ok(shown::open(ca, &request, stop)),
    };
    shown::issued(ca, &issued, &wish.environment, &keeper);
    if let Keeper::Agent { agent, .. } = &mut keeper {
        // A sign-in may have ended the session of somebody else. The next command looks again.
        grant::prune(&ca.config, &caller.pins, Some(agent), clock::now()).ok();
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the login means an open request of the person's rather than what they hold already: the
/// request is what they were told to go on with in these words.
async fn goes_on(caller: &mut Caller<'_>, wish: &Wish, wait: &Wait) -> Result<bool, Failure> {
    if !wait.picks_up || !terms::any(&caller.ca.config, clock::now())? {
        return Ok(false);
    }
    // Whoever holds what they ask for must not need the CA for it.
    let open = open_request(caller, wish).await.unwrap_or_default();
    Ok(open.is_some())
}

/// What the arguments ask for.
async fn wish(ca: &Ca, pins: &mut crate::pins::Pins, args: &Login) -> Result<Wish, Failure> {
    let environment = parse_environment(&args.environment)?;
    let principals = parse_principals(&args.principals)?;
    let duration = parse_duration("--for", args.duration.as_deref())?;
    let zone = TimeZone::system();
    let not_before = args.not_before.as_deref();
    let not_before = not_before.map(|text| moment::parse(text, clock::now(), &zone));
    let not_before = not_before.transpose();
    let not_before = not_before.map_err(|error| Failure::usage(format!("--at: {error}")))?;
    let environment = known(ca, pins, &environment, duration).await?;
    Ok(Wish {
        environment,
        principals,
        duration,
        reason: args.reason.clone(),
        ticket: args.ticket.clone(),
        not_before,
        ground: Ground::Policy,
    })
}

/// The environment, which must be able to allow `duration`.
pub(super) async fn known(
    ca: &Ca,
    pins: &mut crate::pins::Pins,
    name: &Environment,
    duration: Option<Duration>,
) -> Result<DiscoveredEnvironment, Failure> {
    let mut known = ca.environment(pins, name).await?;
    if within_ceiling(&known, duration).is_err() {
        // The ceiling may have been raised since the document was fetched.
        *pins = ca.refresh(pins.clone()).await?;
        known = ca.environment(pins, name).await?;
    }
    within_ceiling(&known, duration)?;
    Ok(known)
}

fn wait(args: &Login) -> Result<Wait, Failure> {
    let longest = parse_duration("--wait", args.wait.as_deref())?;
    Ok(Wait {
        wanted: !args.no_wait,
        until: longest.map(|longest| clock::now().plus(longest)),
        picks_up: !args.new,
    })
}

/// A length of time as typed after `option`.
///
/// # Errors
///
/// A [`Failure`] saying what is understood.
pub(super) fn parse_duration(
    option: &str,
    text: Option<&str>,
) -> Result<Option<Duration>, Failure> {
    let duration = text.map(span::parse).transpose();
    duration.map_err(|error| Failure::usage(format!("{option}: {error}")))
}

/// The name of an environment as typed.
///
/// # Errors
///
/// A [`Failure`] saying what is allowed.
pub(super) fn parse_environment(text: &str) -> Result<Environment, Failure> {
    text.parse()
        .map_err(|error| Failure::usage(format!("ENV {text:?}: {error}")))
}

/// Login names as typed, each once.
///
/// # Errors
///
/// A [`Failure`] naming the one that is none.
pub(super) fn parse_principals(texts: &[String]) -> Result<Vec<Principal>, Failure> {
    let mut principals: Vec<Principal> = Vec::new();
    for text in texts {
        let parsed = text.parse();
        let name = parsed.map_err(|e| Failure::usage(format!("--as {text:?}: {e}")))?;
        if !principals.contains(&name) {
            principals.push(name);
        }
    }
    Ok(principals)
}

/// Whether the environment can allow `duration` to anybody; policy may still say no.
fn within_ceiling(
    environment: &DiscoveredEnvironment,
    duration: Option<Duration>,
) -> Result<(), Failure> {
    let most = environment.duration_seconds_max;
    let inside = |asked: Duration| (DURATION_SECONDS_MIN..=most).contains(&asked.as_secs());
    if duration.is_none_or(inside) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--for: {} allows {} to {}",
        environment.name,
        span::as_argument(DURATION_SECONDS_MIN),
        span::as_argument(most)
    )))
}

fn open_keeper(no_agent: bool, confirm: bool) -> Result<Keeper, Failure> {
    if no_agent {
        return Ok(Keeper::File);
    }
    Ok(Keeper::Agent {
        agent: Agent::connect()?,
        confirm,
    })
}

/// The live grant that serves the wish, if one does.
fn covering<'a>(
    ca: &Ca,
    live: &'a [Grant],
    wish: &Wish,
    args: &Login,
    now: Timestamp,
) -> Result<Option<&'a Grant>, Failure> {
    let place = if args.no_agent {
        Place::File
    } else {
        Place::Agent
    };
    let names = if wish.principals.is_empty() {
        &wish.environment.default_principals
    } else {
        &wish.principals
    };
    let session = Session::load(&ca.config)?;
    let session = session.filter(|session| session.serves(None, now));
    let hint = args.sign_in.login_hint.as_deref();
    Ok(live.iter().find(|held| {
        held.environment == wish.environment.name
            && held.place == place
            && held.covers(names, wish.duration, now)
            && held.is_for(hint, session.as_ref())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_outside_the_environments_bounds_is_refused_with_both() {
        let prod = crate::pins::tests::discovery().environments.remove(0);
        let of = |seconds| within_ceiling(&prod, Some(Duration::from_secs(seconds)));
        assert!(of(60).is_ok() && of(7200).is_ok());
        assert!(within_ceiling(&prod, None).is_ok());
        for seconds in [59, 7201] {
            let failure = of(seconds).unwrap_err();
            assert_eq!(failure.what, "--for: prod allows 1m to 2h");
        }
    }
}
