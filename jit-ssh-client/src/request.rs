//! How an access request reads: a line while waiting for it, the whole of it before deciding.

use std::time::Duration;

use ca_core::api::{AccessRequest, RequestStatus};
use ca_core::name::Principal;
use ca_core::time::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::{Exit, Failure};
use crate::moment;
use crate::problem::quoted;
use crate::span;
use crate::terminal::plain;

/// `waiting for 2 approvals: 1 of sre-leads and 1 of security`, or how it ended.
pub(crate) fn standing(request: &AccessRequest, now: Timestamp) -> String {
    match request.status {
        RequestStatus::Waiting => {
            let missing = match request.approvals_missing {
                1 => "1 approval".to_owned(),
                count => format!("{count} approvals"),
            };
            // Some needs say no more than the number does.
            match plain(&request.needs) {
                needs if needs.is_empty() || needs == missing => format!("waiting for {missing}"),
                needs => format!("waiting for {missing}: {needs}"),
            }
        }
        RequestStatus::Approved => match request.not_before.filter(|begin| now < *begin) {
            Some(begin) => format!(
                "approved; begins {} (in {})",
                moment::show(begin, &TimeZone::system()),
                in_words(begin.since(now))
            ),
            None => "approved, not used yet".to_owned(),
        },
        RequestStatus::Activated => match request.serial {
            Some(serial) => format!("used: serial {serial}"),
            None => "used".to_owned(),
        },
        RequestStatus::Denied => match &request.denied {
            Some(denial) => format!("denied by {}: {}", denial.user, plain(&denial.reason)),
            None => "denied".to_owned(),
        },
        RequestStatus::Expired => "expired".to_owned(),
        RequestStatus::Withdrawn => "withdrawn".to_owned(),
    }
}

/// A wait rounded up: 3 h that were asked for a moment ago are 3 h.
fn in_words(left: Duration) -> String {
    span::show(left.saturating_add(Duration::from_millis(1999)))
}

/// `root, deploy`.
pub(crate) fn names(request: &AccessRequest) -> String {
    let names: Vec<&str> = request.principals.iter().map(Principal::as_str).collect();
    names.join(", ")
}

/// The command that a requester runs to go on with it.
pub(crate) fn resume(request: &AccessRequest) -> String {
    format!("jit-ssh login {}", request.environment)
}

/// Everything a person has to know before saying yes or no.
pub(crate) fn whole(request: &AccessRequest, now: Timestamp) -> Vec<String> {
    let zone = TimeZone::system();
    let mut lines = vec![
        format!("request {}: {}", request.id, standing(request, now)),
        field("who", request.user.as_str()),
        field(
            "wants",
            &format!("{} as {}", request.environment, names(request)),
        ),
        field(
            "for",
            &span::show(Duration::from_secs(request.duration_seconds)),
        ),
    ];
    if let Some(begin) = request.not_before {
        let end = begin.plus(Duration::from_secs(request.duration_seconds));
        let window = format!(
            "{} to {}",
            moment::show(begin, &zone),
            moment::show(end, &zone)
        );
        lines.push(field("between", &window));
    }
    lines.extend(
        request
            .reason
            .as_deref()
            .map(|text| field("reason", &plain(text))),
    );
    lines.extend(
        request
            .ticket
            .as_deref()
            .map(|text| field("ticket", &plain(text))),
    );
    let asked = span::show(now.since(request.opened_at));
    lines.push(field("asked", &format!("{asked} ago")));
    if matches!(
        request.status,
        RequestStatus::Waiting | RequestStatus::Approved
    ) {
        let left = span::show(request.expires_at.since(now));
        let end = span::clock_time(request.expires_at, now);
        lines.push(field("expires", &format!("{end} (in {left})")));
    }
    for approval in &request.approvals {
        let at = span::clock_time(approval.at, now);
        lines.push(field("approved", &format!("by {} at {at}", approval.user)));
    }
    lines
}

fn field(name: &str, text: &str) -> String {
    format!("  {name:<9} {text}")
}

/// What the caller can do about it, as commands to paste.
pub(crate) fn commands(request: &AccessRequest) -> Vec<String> {
    let id = request.id;
    let mut commands = Vec::new();
    if request.may_decide && request.status == RequestStatus::Waiting {
        commands.push(format!("approve with: jit-ssh approve {id}"));
        commands.push(format!("deny with:    jit-ssh deny {id} --reason WHY"));
    }
    if request.mine && request.status == RequestStatus::Approved {
        commands.push(format!("use it with:  {}", resume(request)));
    }
    if request.mine
        && matches!(
            request.status,
            RequestStatus::Waiting | RequestStatus::Approved
        )
    {
        commands.push(format!("take it back: jit-ssh withdraw {id}"));
    }
    commands
}

/// The failure that a request is over and gave nothing.
pub(crate) fn over(request: &AccessRequest) -> Failure {
    let id = request.id;
    let again = format!("ask again with: {} --new", again(request));
    match request.status {
        RequestStatus::Denied => {
            let (who, why) = match &request.denied {
                Some(denial) => (denial.user.to_string(), plain(&denial.reason)),
                None => ("somebody".to_owned(), "no reason is known".to_owned()),
            };
            Failure::new(Exit::Denied, format!("{who} denied request {id}: {why}"))
                .hint(format!("see what happened: jit-ssh history {id}"))
        }
        RequestStatus::Expired => {
            let what = format!("request {id} expired before it had what it needs");
            Failure::new(Exit::Denied, what).hint(again)
        }
        RequestStatus::Withdrawn => {
            Failure::new(Exit::Denied, format!("request {id} was withdrawn")).hint(again)
        }
        RequestStatus::Activated => {
            let serial = request.serial.map(|serial| format!(": serial {serial}"));
            let what = format!(
                "request {id} was used already{}",
                serial.unwrap_or_default()
            );
            Failure::usage(what)
                .line(
                    "a request is good for one certificate, which stays on the machine that asked",
                )
                .hint(again)
        }
        RequestStatus::Waiting | RequestStatus::Approved => {
            Failure::new(Exit::Waiting, format!("request {id} is still open"))
        }
    }
}

/// The login that asks for the same.
fn again(request: &AccessRequest) -> String {
    let mut words = vec![resume(request)];
    words.extend(request.principals.iter().map(|name| format!("--as {name}")));
    let seconds = request.duration_seconds;
    words.push(format!("--for {}", span::as_argument(seconds)));
    let reason = request.reason.as_deref();
    words.extend(reason.map(|text| format!("--reason {}", quoted(&plain(text)))));
    let ticket = request.ticket.as_deref();
    words.extend(ticket.map(|text| format!("--ticket {}", quoted(&plain(text)))));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use ca_core::api::DenialGiven;

    use super::*;
    use crate::terms::tests::request;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_600);

    #[test]
    fn a_waiting_request_says_how_many_and_of_whom() {
        let mut waiting = request(17);
        let says = |request: &AccessRequest| standing(request, NOW);
        assert_eq!(
            says(&waiting),
            "waiting for 2 approvals: 1 of sre-leads and 1 of security"
        );
        (waiting.approvals_missing, waiting.needs) = (1, "1 of security".into());
        assert_eq!(says(&waiting), "waiting for 1 approval: 1 of security");
        waiting.needs = "1 approval".into();
        assert_eq!(says(&waiting), "waiting for 1 approval");
    }

    #[test]
    fn what_a_requester_wrote_cannot_move_the_cursor_of_an_approver() {
        let mut hostile = request(17);
        hostile.reason = Some("x\u{1b}[2J\napproved by carol".into());
        hostile.needs = "\u{202e}nobody".into();
        let text = whole(&hostile, NOW).join("\n");
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
        assert_eq!(
            text.lines().filter(|line| line.contains("carol")).count(),
            1
        );
        assert!(
            text.contains("reason    x\\u{1b}[2J\\u{a}approved by carol"),
            "{text}"
        );
    }

    #[test]
    fn the_whole_of_a_request_is_shown_before_it_is_decided() {
        let text = whole(&request(17), NOW).join("\n");
        for part in [
            "request 17",
            "alice",
            "prod as root",
            "1 h",
            "disk full",
            "10 min ago",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_denial_is_exit_3_with_who_and_why() {
        let mut denied = request(17);
        denied.status = RequestStatus::Denied;
        denied.denied = Some(DenialGiven {
            user: "carol".parse().unwrap(),
            at: NOW,
            reason: "use the replica".into(),
        });
        let failure = over(&denied);
        assert_eq!(failure.exit, Exit::Denied);
        assert_eq!(failure.what, "carol denied request 17: use the replica");
    }

    #[test]
    fn an_expired_or_withdrawn_request_names_the_command_that_asks_again() {
        let mut late = request(17);
        late.status = RequestStatus::Expired;
        let failure = over(&late);
        assert_eq!(failure.exit, Exit::Denied);
        assert_eq!(
            failure.hints,
            ["ask again with: jit-ssh login prod --as root --for 1h --reason 'disk full' --new"]
        );
        late.status = RequestStatus::Withdrawn;
        assert!(over(&late).what.contains("withdrawn"));
    }

    #[test]
    fn only_who_may_decide_is_told_how_and_only_the_requester_how_to_take_it_back() {
        let own = request(17);
        assert_eq!(commands(&own), ["take it back: jit-ssh withdraw 17"]);
        let other = AccessRequest {
            mine: false,
            may_decide: true,
            ..request(17)
        };
        let text = commands(&other).join("\n");
        assert!(
            text.contains("jit-ssh approve 17") && !text.contains("withdraw"),
            "{text}"
        );
    }
}
