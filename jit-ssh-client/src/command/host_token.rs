//! `jit-ssh host-token ENV NAME…`: what lets one host join.

use ca_core::api::IssueJoinToken;
use ca_core::name::HostName;
use secrecy::SecretString;

use super::caller;
use super::login::parse_environment;
use crate::ca::Ca;
use crate::cli::HostToken;
use crate::clock;
use crate::failure::Failure;
use crate::span;
use crate::terminal::plain;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &HostToken) -> Result<(), Failure> {
    let environment = parse_environment(&args.environment)?;
    for text in &args.names {
        let name = text.parse::<HostName>();
        name.map_err(|error| Failure::usage(format!("NAME {text:?}: {error}")))?;
    }
    let mut caller = caller(ca, &args.sign_in).await?;
    ca.environment(&mut caller.pins, &environment).await?;
    let body = IssueJoinToken {
        environment: environment.to_string(),
        names: args.names.clone(),
    };
    let call = async |token: &SecretString| ca.api.join_token(token, &body).await;
    let issued = caller.call(call).await?;
    let end = span::clock_time(issued.expires_at, clock::now());
    ca.voice.progress(&format!(
        "A token for {} in {environment}, good once and until {end}; it is not shown again:",
        args.names.join(", ")
    ));
    ca.voice.result(&plain(&issued.token));
    // Not as an argument: every user of the host could read it there.
    ca.voice.progress(&format!(
        "Put it into a file on the host, then as root: jit-ssh-host enroll --ca {} --token-file FILE",
        ca.config.ca_url
    ));
    ca.voice.json(&serde_json::json!({
        "environment": environment,
        "names": args.names,
        "token": issued.token,
        "expires_at": issued.expires_at,
    }));
    Ok(())
}
