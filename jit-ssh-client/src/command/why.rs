//! `jit-ssh why LAST|ID`: what was decided about one's own wish, by which policies, and what is
//! allowed instead.

use std::time::Duration;

use ca_core::api::{Answer, RequestCertificate, WhyDecided};
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::caller;
use crate::ca::Ca;
use crate::cli::Why;
use crate::failure::Failure;
use crate::moment;
use crate::problem;
use crate::span;
use crate::terminal::plain;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Why) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let which = args.which;
    let call = async |token: &SecretString| ca.api.why(token, which).await;
    let why = caller.call(call).await?;
    for line in told(&why, &TimeZone::system()) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!(why));
    Ok(())
}

fn told(why: &WhyDecided, zone: &TimeZone) -> Vec<String> {
    let mut lines = vec![headline(why, zone)];
    for reason in &why.reasons {
        let sentence = plain(&reason.sentence);
        lines.push(match &reason.policy {
            Some(policy) => format!("  policy {}: {sentence}", plain(policy)),
            None => format!("  {sentence}"),
        });
    }
    lines.extend(
        why.needs
            .as_ref()
            .map(|who| format!("  needs {}", plain(who))),
    );
    if !why.approvers.is_empty() {
        let names: Vec<String> = why.approvers.iter().map(ToString::to_string).collect();
        lines.push(format!("  approved by {}", names.join(", ")));
    }
    if let Some(now) = why.now.filter(|now| *now != why.answer) {
        let now = words(now);
        lines.push(format!(
            "the policies have changed: now the answer is {now}"
        ));
    }
    let wish = wish(why);
    for hint in &why.hints {
        let sentence = plain(&hint.sentence);
        lines.push(if why.break_glass {
            format!("hint: {sentence}")
        } else {
            format!("hint: {sentence}: {}", problem::command(&wish, hint))
        });
    }
    lines
}

fn headline(why: &WhyDecided, zone: &TimeZone) -> String {
    let accounts: Vec<String> = why.principals.iter().map(ToString::to_string).collect();
    let length = span::show(Duration::from_secs(why.duration_seconds));
    let glass = if why.break_glass { "break-glass, " } else { "" };
    let serial = why.serial.map(|serial| format!(", serial {serial}"));
    format!(
        "{}: {glass}{} as {} for {length}, {} (record {}{})",
        words(why.answer),
        why.environment,
        accounts.join(", "),
        moment::show_seconds(why.time, zone),
        why.index,
        serial.unwrap_or_default()
    )
}

const fn words(answer: Answer) -> &'static str {
    match answer {
        Answer::Approval => "needs approval",
        Answer::Deny => "denied",
        Answer::Permit => "permitted",
    }
}

/// The wish as it was, for commands that change it.
fn wish(why: &WhyDecided) -> RequestCertificate {
    RequestCertificate {
        environment: why.environment.to_string(),
        principals: why.principals.iter().map(ToString::to_string).collect(),
        duration_seconds: Some(why.duration_seconds),
        reason: None,
        ticket: None,
        not_before: None,
        access_request: None,
        public_key: String::new(),
        request_id: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(changes: serde_json::Value) -> Vec<String> {
        let mut document = serde_json::json!({
            "index": 17, "time": "2027-01-15T07:00:00Z", "user": "alice", "answer": "deny",
            "break_glass": false, "environment": "prod", "principals": ["root"],
            "duration_seconds": 7200, "policy_digest": "WzoC5Xr5tVquVFtZm6pqZ5ijZNjSeYo4U2JJ934w/l8=",
            "reasons": [{"policy": "root-short", "sentence": "root is for an hour\u{1b}[2J"}],
            "hints": [{"changes": [{"change": "shorter-duration", "seconds_max": 3600}],
                       "sentence": "allowed for at most 1 h"}]
        });
        let fields = document.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        told(&serde_json::from_value(document).unwrap(), &TimeZone::UTC)
    }

    #[test]
    fn a_denial_names_policy_and_reason_and_a_command_that_would_be_allowed() {
        assert_eq!(
            why(serde_json::json!({})),
            [
                "denied: prod as root for 2 h, 2027-01-15 07:00:00 +00:00 (record 17)",
                "  policy root-short: root is for an hour\\u{1b}[2J",
                "hint: allowed for at most 1 h: jit-ssh login prod --as root --for 1h",
            ]
        );
    }

    #[test]
    fn a_certificate_names_its_serial_its_approvers_and_that_it_would_be_refused_now() {
        let lines = why(serde_json::json!({
            "answer": "permit", "serial": 19, "approvers": ["carol"], "hints": [], "now": "deny",
            "other_policies": true
        }));
        assert!(lines[0].starts_with("permitted: prod as root"), "{lines:?}");
        assert!(lines[0].ends_with("(record 17, serial 19)"), "{lines:?}");
        assert_eq!(lines[2], "  approved by carol");
        assert_eq!(
            lines[3],
            "the policies have changed: now the answer is denied"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn what_is_decided_the_same_way_now_is_not_told_twice() {
        let lines = why(serde_json::json!({"now": "deny"}));
        assert_eq!(lines.len(), 3);
    }
}
