//! `jit-ssh login ENV`: a certificate in the agent, with as few questions as possible.

use ca_core::api::IssuedCertificate;
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
    let own = |held: &Grant| {
        args.sign_in.login_hint.as_deref().is_none_or(|hint| {
            let same = |s: &Session| s.is_of(hint) && s.user.as_str() == held.user();
            held.user() == hint || session.as_ref().is_some_and(same)
        })
    };
    Ok(live.iter().find(|held| {
        held.environment == wish.environment.name
            && held.place == place
            && held.covers(names, wish.duration, now)
            && own(held)
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
        span::show(span.saturating_add(std::time::Duration::from_millis(1999))),
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
