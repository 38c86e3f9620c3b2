//! `jit-ssh login ENV`: a certificate in the agent, with as few questions as possible.

use std::time::Duration;

use ca_core::api::{DiscoveredEnvironment, IssuedCertificate};
use ca_core::name::{Environment, Principal};
use ca_core::time::Timestamp;

use super::{factor_source, sign_in_wish};
use crate::access::Plan;
use crate::agent::Agent;
use crate::ca::Ca;
use crate::cli::Login;
use crate::clock;
use crate::failure::Failure;
use crate::grant::{self, Grant, Place};
use crate::issue::{Keeper, Wish, issue, mend_certificate_file};
use crate::problem::quoted;
use crate::session::Session;
use crate::span;
use crate::terminal::tick;

/// Shortest certificate that a CA gives, seconds.
const DURATION_SECONDS_MIN: u64 = 60;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Login) -> Result<(), Failure> {
    let environment = parse_environment(&args.environment)?;
    let principals = parse_principals(&args.principals)?;
    let duration = args.duration.as_deref().map(span::parse).transpose();
    let duration = duration.map_err(|error| Failure::usage(format!("--for: {error}")))?;
    let mut pins = ca.pins().await?;
    let known = ca.environment(&mut pins, &environment).await?;
    let known = if within_ceiling(&known, duration).is_err() {
        // The ceiling may have been raised since the document was fetched.
        pins = ca.refresh(pins).await?;
        ca.environment(&mut pins, &environment).await?
    } else {
        known
    };
    within_ceiling(&known, duration)?;
    let mut keeper = open_keeper(args)?;
    let now = clock::now();
    let agent = match &mut keeper {
        Keeper::Agent { agent, .. } => Some(agent),
        Keeper::File => None,
    };
    let live = grant::prune(&ca.config, &pins, agent, now)?;
    let wish = Wish {
        environment: known,
        principals,
        duration,
        reason: args.reason.clone(),
        ticket: args.ticket.clone(),
    };
    if !args.fresh
        && let Some(held) = covering(ca, &live, &wish, args, now)?
    {
        if held.place == Place::Agent {
            mend_certificate_file(ca, held)?;
        }
        show_held(ca, held, now);
        return Ok(());
    }
    if let Keeper::Agent { agent, confirm } = &mut keeper {
        agent.probe(*confirm, now)?;
    }
    let plan = Plan {
        wish: sign_in_wish(&args.sign_in),
        factor: factor_source(&args.sign_in),
        fresh: args.fresh,
    };
    let issued = issue(ca, &mut pins, &plan, &wish, &mut keeper).await?;
    show_issued(ca, &issued, &wish, &keeper);
    if let Keeper::Agent { agent, .. } = &mut keeper {
        // A sign-in may have ended the session of somebody else. The next command looks again.
        grant::prune(&ca.config, &pins, Some(agent), clock::now()).ok();
    }
    Ok(())
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

fn parse_principals(texts: &[String]) -> Result<Vec<Principal>, Failure> {
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

fn open_keeper(args: &Login) -> Result<Keeper, Failure> {
    if args.no_agent {
        return Ok(Keeper::File);
    }
    Ok(Keeper::Agent {
        agent: Agent::connect()?,
        confirm: args.confirm,
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

fn show_held(ca: &Ca, held: &Grant, now: Timestamp) {
    let certificate = &held.certificate;
    ca.voice.result(&format!(
        "{} {} as {} until {} ({} left)   serial {}   give back: jit-ssh done {}",
        tick(),
        held.environment,
        certificate.principals.join(", "),
        span::clock_time(held.end(), now),
        span::show(held.left(now)),
        certificate.serial,
        held.environment
    ));
    ca.voice.json(&serde_json::json!({
        "serial": certificate.serial,
        "environment": held.environment,
        "principals": certificate.principals,
        "key_id": certificate.key_id,
        "valid_after": Timestamp::from_unix_seconds(certificate.valid_after),
        "valid_before": held.end(),
    }));
}

fn show_issued(ca: &Ca, issued: &IssuedCertificate, wish: &Wish, keeper: &Keeper) {
    let names: Vec<&str> = issued.principals.iter().map(Principal::as_str).collect();
    let span = issued.valid_before.since(issued.server_time);
    ca.voice.result(&format!(
        "{} {} as {} until {} ({})   serial {}   give back: jit-ssh done {}",
        tick(),
        issued.environment,
        names.join(", "),
        span::clock_time(issued.valid_before, clock::now()),
        // The answer took its time; a grant of one hour should not read as 59 min.
        span::show(span.saturating_add(Duration::from_millis(1999))),
        issued.serial,
        issued.environment
    ));
    let user = names.first().copied().unwrap_or("NAME");
    let host = wish.environment.host_patterns.first();
    let host = host.map_or("HOST".to_owned(), |pattern| {
        pattern.replace("**", "*").replace('*', "HOST")
    });
    let host = crate::terminal::plain(&host);
    match keeper {
        Keeper::Agent { confirm, .. } => {
            ca.voice.result(&format!("  ssh {user}@{host}"));
            if *confirm {
                ca.voice.progress(
                    "Each use asks first; that needs SSH_ASKPASS in the agent's environment.",
                );
            }
        }
        Keeper::File => {
            let path = grant::key_file(&ca.config, &issued.environment);
            let path = quoted(&path.display().to_string());
            ca.voice.result(&format!("  ssh -i {path} {user}@{host}"));
            ca.voice.progress(&format!(
                "The private key is in the file {path}; it is removed by: jit-ssh done {}",
                issued.environment
            ));
        }
    }
    ca.voice.json(&serde_json::json!({
        "serial": issued.serial,
        "environment": issued.environment,
        "principals": issued.principals,
        "key_id": issued.key_id,
        "valid_after": issued.valid_after,
        "valid_before": issued.valid_before,
    }));
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
