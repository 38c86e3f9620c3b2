//! What the CA's problems mean on the command line: exit code, words, and what to do.
//!
//! Deliberately acts on the stable type only; the CA's sentences are shown, never parsed.

use ca_core::api::{Hint, HintChange, Problem, ProblemType, RequestCertificate};

use crate::failure::{Exit, Failure};
use crate::span;
use crate::terminal::plain;

/// The exit code of a kind of problem.
pub(crate) const fn exit(kind: ProblemType) -> Exit {
    match kind {
        ProblemType::Denied | ProblemType::Frozen => Exit::Denied,
        ProblemType::InvalidRequest
        | ProblemType::NotFound
        | ProblemType::NotYet
        | ProblemType::RequestChanged
        | ProblemType::RequestClosed
        | ProblemType::TooLarge => Exit::Usage,
        ProblemType::LoginRefused
        | ProblemType::SessionRequired
        | ProblemType::TooManyAttempts
        | ProblemType::TotpNotEnrolled
        | ProblemType::TotpRequired => Exit::NotAuthenticated,
        ProblemType::Busy
        | ProblemType::CaKeyUnavailable
        | ProblemType::Internal
        | ProblemType::ProviderUnavailable
        | ProblemType::RequestTimeout => Exit::Unreachable,
        // Ours to get right: program and CA do not fit together.
        ProblemType::MethodNotAllowed
        | ProblemType::RequestIdReused
        | ProblemType::UnsupportedMediaType => Exit::Broken,
    }
}

/// The failure that shows `problem`.
pub(crate) fn failure(problem: Problem) -> Failure {
    let detail = problem.detail.as_deref().map(plain);
    let mut what = plain(&problem.title);
    if let Some(field) = &problem.field {
        what = format!("{}: {what}", plain(field));
    }
    let mut failure = Failure::new(exit(problem.kind), what);
    failure.lines.extend(detail);
    for reason in &problem.reasons {
        let sentence = plain(&reason.sentence);
        failure.lines.push(match &reason.policy {
            Some(policy) => format!("policy {}: {sentence}", plain(policy)),
            None => sentence,
        });
    }
    failure.hints.extend(advice(&problem));
    if problem.kind == ProblemType::LoginRefused {
        // The CA does not say which it was, so the commonest cause is named always.
        failure
            .hints
            .push("a code works once: wait for the next one".to_owned());
    }
    failure.problem = Some(Box::new(problem));
    failure
}

fn advice(problem: &Problem) -> Option<String> {
    let advice = match problem.kind {
        ProblemType::Busy | ProblemType::CaKeyUnavailable | ProblemType::Internal => {
            "nothing was issued; try again in a moment".to_owned()
        }
        ProblemType::LoginRefused => {
            "check the code and this machine's clock (jit-ssh doctor), then sign in again"
                .to_owned()
        }
        ProblemType::ProviderUnavailable => {
            "the CA cannot reach the identity provider; try again in a moment".to_owned()
        }
        ProblemType::SessionRequired => "sign in with: jit-ssh login ENV".to_owned(),
        ProblemType::TooManyAttempts => match problem.retry_after_seconds {
            Some(seconds) => format!(
                "wait {} before the next attempt",
                span::show(std::time::Duration::from_secs(seconds))
            ),
            None => "wait a while before the next attempt".to_owned(),
        },
        ProblemType::TotpNotEnrolled => {
            "set up a second factor with: jit-ssh totp enroll".to_owned()
        }
        ProblemType::TotpRequired => "show the second factor again: add --fresh".to_owned(),
        ProblemType::MethodNotAllowed | ProblemType::UnsupportedMediaType => {
            "is jit-ssh as new as the CA? jit-ssh --version".to_owned()
        }
        ProblemType::RequestTimeout => "try again in a moment".to_owned(),
        ProblemType::Frozen => "see what is frozen, by whom and why: jit-ssh freezes".to_owned(),
        ProblemType::NotYet | ProblemType::RequestChanged | ProblemType::RequestClosed => {
            "see where it stands: jit-ssh requests".to_owned()
        }
        ProblemType::Denied
        | ProblemType::InvalidRequest
        | ProblemType::NotFound
        | ProblemType::RequestIdReused
        | ProblemType::TooLarge => return None,
    };
    Some(advice)
}

/// Adds the nearest allowed things to a denial, each as a command that can be pasted.
#[must_use]
pub(crate) fn with_commands(mut failure: Failure, wish: &RequestCertificate) -> Failure {
    let hints = failure.problem.as_ref().map(|p| p.hints.clone());
    for hint in hints.unwrap_or_default() {
        let sentence = plain(&hint.sentence);
        let command = command(wish, &hint);
        failure.hints.push(format!("{sentence}: {command}"));
    }
    failure
}

/// The same for what is not asked for by a plain login: the nearest allowed things in words.
#[must_use]
pub(crate) fn with_sentences(mut failure: Failure) -> Failure {
    let hints = failure.problem.as_ref().map(|p| p.hints.clone());
    let sentences = hints.unwrap_or_default();
    let sentences = sentences.iter().map(|hint| plain(&hint.sentence));
    failure.hints.extend(sentences);
    failure
}

/// The kind of problem that the CA named, if it named one.
pub(crate) fn kind(failure: &Failure) -> Option<ProblemType> {
    failure.problem.as_ref().map(|problem| problem.kind)
}

/// The login command for `wish` as `hint` changes it.
pub(crate) fn command(wish: &RequestCertificate, hint: &Hint) -> String {
    let mut principals = wish.principals.clone();
    let mut seconds = wish.duration_seconds;
    let mut reason = wish.reason.as_deref().map(quoted);
    let mut ticket = wish.ticket.as_deref().map(quoted);
    let mut fresh = false;
    for change in &hint.changes {
        match change {
            // The command opens a request, which collects them.
            HintChange::Approvals { .. } | HintChange::Requirement { .. } => {}
            HintChange::BoundToken => {}
            HintChange::FreshSecondFactor => fresh = true,
            HintChange::OtherAccount { principal } => principals = vec![principal.to_string()],
            HintChange::Reason => reason = Some("\"WHY\"".to_owned()),
            HintChange::ShorterDuration { seconds_max } => seconds = Some(*seconds_max),
            HintChange::Ticket => ticket = Some("TICKET-ID".to_owned()),
        }
    }
    let mut words = vec!["jit-ssh login".to_owned(), wish.environment.clone()];
    words.extend(principals.iter().map(|name| format!("--as {name}")));
    words.extend(seconds.map(|s| format!("--for {}", span::as_argument(s))));
    words.extend(reason.map(|text| format!("--reason {text}")));
    words.extend(ticket.map(|text| format!("--ticket {text}")));
    if fresh {
        words.push("--fresh".to_owned());
    }
    words.join(" ")
}

/// `text` as one word of a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain_word = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !text.is_empty() && text.chars().all(plain_word) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    fn wish() -> RequestCertificate {
        RequestCertificate {
            environment: "prod".into(),
            principals: vec!["deploy".into()],
            duration_seconds: Some(36_000),
            reason: Some("it's broken".into()),
            ticket: None,
            not_before: None,
            access_request: None,
            public_key: String::new(),
            request_id: String::new(),
        }
    }

    #[test]
    fn a_denial_shows_the_policy_its_reason_and_commands_that_would_be_allowed() {
        let denied = problem(
            r#"{"type":"denied","status":403,"title":"not allowed",
            "reasons":[{"policy":"prod-short","sentence":"prod is for an hour at most"}],
            "hints":[{"changes":[{"change":"shorter-duration","seconds_max":3600},{"change":"fresh-second-factor"}],"sentence":"allowed for at most 1 h"},
                     {"changes":[{"change":"approvals","count":1,"groups":["sre"]}],"sentence":"needs 1 approval from group sre"}]}"#,
        );
        let failure = with_commands(failure(denied), &wish());
        assert_eq!(failure.exit, Exit::Denied);
        assert_eq!(
            failure.lines,
            ["policy prod-short: prod is for an hour at most"]
        );
        assert_eq!(
            failure.hints,
            [
                "allowed for at most 1 h: jit-ssh login prod --as deploy --for 1h --reason 'it'\\''s broken' --fresh",
                "needs 1 approval from group sre: jit-ssh login prod --as deploy --for 10h --reason 'it'\\''s broken'",
            ]
        );
    }

    #[test]
    fn each_kind_of_problem_has_the_exit_code_of_the_manual() {
        for (kind, code) in [
            ("denied", 3),
            ("invalid-request", 2),
            ("not-found", 2),
            ("not-yet", 2),
            ("request-changed", 2),
            ("request-closed", 2),
            ("frozen", 3),
            ("too-large", 2),
            ("login-refused", 4),
            ("session-required", 4),
            ("totp-required", 4),
            ("totp-not-enrolled", 4),
            ("too-many-attempts", 4),
            ("busy", 6),
            ("internal", 6),
            ("ca-key-unavailable", 6),
            ("provider-unavailable", 6),
            ("request-timeout", 6),
            ("method-not-allowed", 1),
            ("unsupported-media-type", 1),
            ("request-id-reused", 1),
        ] {
            let kind: ProblemType = serde_json::from_str(&format!("\"{kind}\"")).unwrap();
            assert_eq!(exit(kind).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn who_has_no_second_factor_is_told_how_to_get_one() {
        let failure = failure(problem(
            r#"{"type":"totp-not-enrolled","status":401,"title":"no second factor yet"}"#,
        ));
        assert_eq!(failure.exit, Exit::NotAuthenticated);
        assert!(failure.hints[0].contains("jit-ssh totp enroll"));
    }

    #[test]
    fn who_is_refused_is_reminded_that_a_code_works_once() {
        let refused = r#"{"type":"login-refused","status":401,"title":"sign-in refused"}"#;
        let failure = failure(problem(refused));
        assert!(failure.hints.iter().any(|hint| hint.contains("works once")));
    }

    #[test]
    fn a_wrong_field_is_named_and_control_characters_do_not_reach_the_terminal() {
        let failure = failure(problem(
            r#"{"type":"invalid-request","status":400,"title":"bad","field":"principals","detail":"x\u001b[2J"}"#,
        ));
        assert_eq!(failure.what, "principals: bad");
        assert_eq!(failure.lines, ["x\\u{1b}[2J"]);
    }
}
