//! `jit-ssh freeze`, `unfreeze` and `freezes`: nothing new for a person or an environment.

use ca_core::api::{Freeze as Body, Freezes};
use ca_core::time::Timestamp;
use secrecy::SecretString;

use super::login::parse_environment;
use super::{caller, written};
use crate::ca::Ca;
use crate::cli::{Freeze, Look, Target, Unfreeze};
use crate::clock;
use crate::failure::Failure;
use crate::span;
use crate::table;
use crate::terminal::{plain, tick};

/// Runs `freeze`.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn freeze(ca: &Ca, args: &Freeze) -> Result<(), Failure> {
    let body = body(&args.target, &args.reason)?;
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.freeze(token, &body).await;
    let frozen = caller.call(call).await?;
    let name = named(&args.target);
    let option = option(&args.target);
    ca.voice.result(&format!(
        "{} {name} is frozen: nothing new is issued   lift: jit-ssh unfreeze {option} --reason TEXT",
        tick()
    ));
    if args.target.person.is_some() {
        ca.voice.result(&format!(
            "What {name} holds stays; take it away with: jit-ssh revoke {option}"
        ));
    }
    ca.voice.json(&serde_json::json!(frozen));
    Ok(())
}

/// Runs `unfreeze`.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn unfreeze(ca: &Ca, args: &Unfreeze) -> Result<(), Failure> {
    let body = body(&args.target, &args.reason)?;
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.lift_freeze(token, &body).await;
    let left = caller.call(call).await?;
    let name = named(&args.target);
    ca.voice
        .result(&format!("{} {name} is not frozen any more", tick()));
    ca.voice.json(&serde_json::json!(left));
    Ok(())
}

/// Runs `freezes`.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn list(ca: &Ca, args: &Look) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.freezes(token).await;
    let frozen = caller.call(call).await?;
    for line in listed(&frozen, clock::now()) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!(frozen));
    Ok(())
}

fn body(target: &Target, reason: &str) -> Result<Body, Failure> {
    if let Some(environment) = &target.environment {
        parse_environment(environment)?;
    }
    Ok(Body {
        user: target.person.clone(),
        environment: target.environment.clone(),
        reason: written("--reason", reason)?.to_owned(),
    })
}

fn named(target: &Target) -> String {
    let name = target.person.as_deref().or(target.environment.as_deref());
    plain(name.unwrap_or_default())
}

fn option(target: &Target) -> String {
    let option = if target.person.is_some() {
        "--person"
    } else {
        "--env"
    };
    format!("{option} {}", crate::problem::quoted(&named(target)))
}

fn listed(frozen: &Freezes, now: Timestamp) -> Vec<String> {
    if frozen.freezes.is_empty() {
        return vec!["nothing is frozen".to_owned()];
    }
    let rows = frozen.freezes.iter().map(|freeze| {
        let person = freeze.user.as_ref().map(|user| format!("person {user}"));
        let environment = freeze.environment.as_ref();
        let environment = environment.map(|name| format!("environment {name}"));
        [
            person.or(environment).unwrap_or_default(),
            span::clock_time(freeze.since, now),
            freeze.by.to_string(),
            plain(&freeze.reason),
        ]
    });
    table::lines(["FROZEN", "SINCE", "BY", "REASON"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_says_whom_since_when_by_whom_and_why() {
        let frozen: Freezes = serde_json::from_value(serde_json::json!({"freezes": [
            {"user": "alice", "reason": "laptop stolen", "by": "carol", "since": "2027-01-15T07:00:00Z"},
            {"environment": "prod", "reason": "x\u{1b}[2J", "by": "carol", "since": "2027-01-15T07:00:00Z"},
        ]}))
        .unwrap();
        let text = listed(&frozen, Timestamp::from_unix_seconds(1_800_000_000)).join("\n");
        for part in [
            "person alice",
            "environment prod",
            "carol",
            "laptop stolen",
            "x\\u{1b}[2J",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let none = Freezes {
            freezes: Vec::new(),
        };
        assert_eq!(listed(&none, Timestamp::default()), ["nothing is frozen"]);
    }
}
