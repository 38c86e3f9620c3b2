//! `jit-ssh status`: what is held here, until when. Asks nobody but the agent and the files.

use std::process::ExitCode;

use ca_core::time::Timestamp;

use super::login::parse_environment;
use crate::agent::Agent;
use crate::ca::Ca;
use crate::cli::Status;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::grant::{self, Grant, Place};
use crate::pins::Pins;
use crate::session::Session;
use crate::span;
use crate::terminal::{plain, to_stderr};

/// Runs the command. With `--check`: 0 when a certificate is live, 4 when none is.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Status) -> Result<ExitCode, Failure> {
    let wanted = args.environment.as_deref().map(parse_environment);
    let wanted = wanted.transpose()?;
    let now = clock::now();
    // Without pins nothing here can be ours, so nothing is asked of the network.
    let (mut agent, away) = match Agent::connect() {
        Ok(agent) => (Some(agent), None),
        Err(error) => (None, Some(error.to_string())),
    };
    if let Some(why) = &away {
        to_stderr(&format!("note: {why}; keys in an agent are not shown"));
    }
    let mut grants = match Pins::load(&ca.config)? {
        Some(pins) => {
            if let Some(name) = &wanted {
                ca.environment(&mut pins.clone(), name).await?;
            }
            grant::prune(&ca.config, &pins, agent.as_mut(), now)?
        }
        None => Vec::new(),
    };
    grants.retain(|held| wanted.as_ref().is_none_or(|name| *name == held.environment));
    grants.sort_by(|a, b| a.environment.cmp(&b.environment));
    let session = Session::load(&ca.config)?.filter(|session| session.serves(None, now));
    if args.check && ca.voice != crate::terminal::Voice::Json {
        return Ok(check(&grants));
    }
    for line in table(&grants, now) {
        ca.voice.result(&line);
    }
    ca.voice.result(&match &session {
        Some(session) => format!(
            "session: {} until {} ({} left)",
            session.user,
            span::clock_time(session.expires_at, now),
            span::show(session.expires_at.since(now))
        ),
        None => "session: none (jit-ssh login ENV opens one)".to_owned(),
    });
    ca.voice.json(&serde_json::json!({
        "certificates": grants.iter().map(|held| as_json(held, now)).collect::<Vec<_>>(),
        "agent_unreachable": away,
        "session": session.map(|s| serde_json::json!({"user": s.user, "expires_at": s.expires_at})),
    }));
    Ok(if args.check {
        check(&grants)
    } else {
        ExitCode::SUCCESS
    })
}

fn check(live: &[Grant]) -> ExitCode {
    if live.is_empty() {
        ExitCode::from(Exit::NotAuthenticated.code())
    } else {
        ExitCode::SUCCESS
    }
}

fn as_json(held: &Grant, now: Timestamp) -> serde_json::Value {
    serde_json::json!({
        "serial": held.certificate.serial,
        "environment": held.environment,
        "user": held.user(),
        "principals": held.certificate.principals,
        "key_id": held.certificate.key_id,
        "valid_after": Timestamp::from_unix_seconds(held.certificate.valid_after),
        "valid_before": held.end(),
        "seconds_left": held.left(now).as_secs(),
        "in_agent": held.place == Place::Agent,
    })
}

/// One line a certificate under a heading, columns aligned.
fn table(grants: &[Grant], now: Timestamp) -> Vec<String> {
    if grants.is_empty() {
        return vec!["no live certificate (get one: jit-ssh login ENV)".to_owned()];
    }
    let heading = [
        "ENVIRONMENT",
        "WHO",
        "AS",
        "UNTIL",
        "LEFT",
        "SERIAL",
        "KEY IN",
    ];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(grants.iter().map(|held| {
        let place = match held.place {
            Place::Agent => "agent",
            Place::File => "file",
        };
        [
            held.environment.to_string(),
            plain(held.user()),
            held.certificate.principals.join(","),
            span::clock_time(held.end(), now),
            span::show(held.left(now)),
            held.certificate.serial.to_string(),
            place.to_owned(),
        ]
    }));
    let mut widths = [0_usize; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
