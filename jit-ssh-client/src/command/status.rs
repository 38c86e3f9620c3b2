//! `jit-ssh status`: what is held here, until when, and what waits at the CA. The CA is asked
//! briefly, and not at all with `--check`: scripts ask that before each ssh.

use std::process::ExitCode;

use ca_core::api::{RequestStatus, SessionStatus};
use ca_core::time::Timestamp;

use super::login::parse_environment;
use crate::agent::Agent;
use crate::ca::Ca;
use crate::cli::Status;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::grant::{self, Grant, Place};
use crate::pins::Pins;
use crate::request::{names, resume, standing};
use crate::session::Session;
use crate::span;
use crate::table;
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
    let known = match (&session, args.check) {
        (Some(session), false) => at_the_ca(ca, session).await,
        _ => None,
    };
    let waiting = known.as_ref().map(|status| waiting(status, now));
    for line in waiting.unwrap_or_default() {
        ca.voice.result(&line);
    }
    ca.voice.result(&session_line(session.as_ref(), now));
    ca.voice.json(&serde_json::json!({
        "certificates": grants.iter().map(|held| as_json(held, now)).collect::<Vec<_>>(),
        "agent_unreachable": away,
        "session": session.map(|s| serde_json::json!({
            "user": s.user,
            "expires_at": s.expires_at,
            "break_glass": s.break_glass,
        })),
        "requests": known.as_ref().map(|status| &status.requests),
        "to_approve": known.as_ref().map(|status| status.to_approve),
        "reviews": known.as_ref().map(|status| &status.reviews),
    }));
    Ok(if args.check {
        check(&grants)
    } else {
        ExitCode::SUCCESS
    })
}

fn session_line(session: Option<&Session>, now: Timestamp) -> String {
    match session {
        Some(session) => format!(
            "session: {} until {} ({} left){}",
            session.user,
            span::clock_time(session.expires_at, now),
            span::show(session.expires_at.since(now)),
            if session.break_glass {
                "   BREAK-GLASS: for emergencies and giving back only"
            } else {
                ""
            }
        ),
        None => "session: none (jit-ssh login ENV opens one)".to_owned(),
    }
}

/// What the CA knows of the person; none, with a note, when it does not say.
async fn at_the_ca(ca: &Ca, session: &Session) -> Option<SessionStatus> {
    match ca.api.session(&session.token).await {
        Ok(status) => Some(status),
        Err(failure) => {
            let what = plain(&failure.what);
            to_stderr(&format!("note: {what}; requests and reviews are not shown"));
            None
        }
    }
}

/// What waits: own requests, requests of others, emergencies without a judgement.
fn waiting(status: &SessionStatus, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for request in &status.requests {
        let go_on = match request.status {
            RequestStatus::Approved => format!("   use it: {}", resume(request)),
            _ => format!("   look: jit-ssh show {}", request.id),
        };
        lines.push(format!(
            "request {} ({} as {}): {}{go_on}",
            request.id,
            request.environment,
            names(request),
            standing(request, now)
        ));
    }
    lines.extend(match status.to_approve {
        0 => None,
        1 => Some("1 request waits for your decision: jit-ssh requests --to-approve".to_owned()),
        count => Some(format!(
            "{count} requests wait for your decision: jit-ssh requests --to-approve"
        )),
    });
    for review in &status.reviews {
        let closer = if review.may_close {
            format!("close it: jit-ssh review {} --finding TEXT", review.id)
        } else {
            "somebody else has to close it".to_owned()
        };
        lines.push(format!(
            "BREAK-GLASS by {} in {} (serial {}): review {} is open; {closer}",
            review.user, review.environment, review.serial, review.id
        ));
    }
    lines
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
        "break_glass": held.is_break_glass(),
    })
}

/// One line a certificate under a heading, columns aligned.
fn table(grants: &[Grant], now: Timestamp) -> Vec<String> {
    if grants.is_empty() {
        return vec!["no live certificate (get one: jit-ssh login ENV)".to_owned()];
    }
    let rows = grants.iter().map(|held| {
        let place = match held.place {
            Place::Agent => "agent",
            Place::File => "file",
        };
        [
            held.environment.to_string(),
            if held.is_break_glass() {
                format!("{} (BREAK-GLASS)", plain(held.user()))
            } else {
                plain(held.user())
            },
            held.certificate.principals.join(","),
            span::clock_time(held.end(), now),
            span::show(held.left(now)),
            held.certificate.serial.to_string(),
            place.to_owned(),
        ]
    });
    let heading = [
        "ENVIRONMENT",
        "WHO",
        "AS",
        "UNTIL",
        "LEFT",
        "SERIAL",
        "KEY IN",
    ];
    table::lines(heading, rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::reviews::tests::review;
    use crate::terms::tests::request;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn status() -> SessionStatus {
        serde_json::from_value(serde_json::json!({
            "user": "alice", "expires_at": NOW, "second_factor_at": NOW, "certificates": [],
            "server_time": NOW,
        }))
        .unwrap()
    }

    #[test]
    fn what_waits_is_a_line_each_with_what_to_do_about_it() {
        assert_eq!(waiting(&status(), NOW), Vec::<String>::new());
        let mut approved = request(18);
        approved.status = RequestStatus::Approved;
        let busy = SessionStatus {
            requests: vec![request(17), approved],
            to_approve: 2,
            reviews: vec![review(42, true), review(43, false)],
            ..status()
        };
        let lines = waiting(&busy, NOW);
        for (line, part) in [
            (0, "jit-ssh show 17"),
            (1, "use it: jit-ssh login prod"),
            (
                2,
                "2 requests wait for your decision: jit-ssh requests --to-approve",
            ),
            (3, "close it: jit-ssh review 42 --finding TEXT"),
            (4, "review 43 is open; somebody else has to close it"),
        ] {
            assert!(lines[line].contains(part), "{part}: {}", lines[line]);
        }
    }
}
