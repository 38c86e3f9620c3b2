//! Waiting for an access request: what other people decide, and the time that has to come.
//!
//! Deliberately outlives the CA and the network: the request is kept there, so silence is no
//! answer. Only the request itself, the person or the deadline ends the wait.

use std::time::Duration;

use ca_core::api::{AccessRequest, ProblemType, RequestStatus, WAIT_SECONDS_MAX};
use ca_core::time::Timestamp;
use secrecy::SecretString;

use crate::access::Caller;
use crate::api::News;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::problem::kind;
use crate::request::{over, resume, standing};
use crate::span;
use crate::terms::is_usable;

/// First pause after a failed call; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause between calls.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// No two answers without news are taken faster than this.
const BREATH: Duration = Duration::from_millis(500);

/// How a wait ended without a failure.
#[derive(Clone, Debug)]
pub(crate) enum Waited {
    /// The request can be used now.
    Ready(Box<AccessRequest>),
    /// It is still open, and nobody waits any more.
    Open(Box<AccessRequest>, Stop),
}

/// Why nobody waits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// `--no-wait`.
    NotWanted,
    /// `--wait` is over.
    TimeOver,
}

/// Waits until `request` can be used, `deadline` passes or the person presses Ctrl-C.
///
/// # Errors
///
/// A [`Failure`]: denied, expired or withdrawn (3), used elsewhere (2), the session is over (4).
pub(crate) async fn until_usable(
    caller: &mut Caller<'_>,
    request: AccessRequest,
    deadline: Option<Timestamp>,
) -> Result<Waited, Failure> {
    let mut latest = request;
    let ended = tokio::select! {
        biased;
        Ok(()) = tokio::signal::ctrl_c() => None,
        ended = follow(caller, &mut latest, deadline) => Some(ended),
    };
    match ended {
        None => Ok(Waited::Open(Box::new(latest), Stop::Interrupted)),
        Some(Ok(Followed::Usable)) => Ok(Waited::Ready(Box::new(latest))),
        Some(Ok(Followed::TimeOver)) => Ok(Waited::Open(Box::new(latest), Stop::TimeOver)),
        Some(Err(failure)) => Err(failure),
    }
}

enum Followed {
    Usable,
    TimeOver,
}

/// Keeps `latest` up to date until it can be used or the deadline passes.
async fn follow(
    caller: &mut Caller<'_>,
    latest: &mut AccessRequest,
    deadline: Option<Timestamp>,
) -> Result<Followed, Failure> {
    let voice = caller.ca.voice;
    let mut trouble = Trouble::default();
    voice.progress(&progress(latest, clock::now()));
    loop {
        let now = clock::now();
        if is_usable(latest, now) {
            return Ok(Followed::Usable);
        }
        if !matches!(
            latest.status,
            RequestStatus::Waiting | RequestStatus::Approved
        ) {
            return Err(over(latest));
        }
        if deadline.is_some_and(|end| end <= now) {
            return Ok(Followed::TimeOver);
        }
        let limit = limit(latest, deadline, now);
        let Ok(answer) = tokio::time::timeout(limit, news(caller, latest, now)).await else {
            continue;
        };
        match answer {
            Ok(seen) => {
                for line in trouble
                    .over()
                    .into_iter()
                    .chain(changes(latest, &seen, now))
                {
                    voice.progress(&line);
                }
                *latest = seen;
            }
            Err(failure) if is_temporary(&failure) => {
                let (line, pause) = trouble.again(&failure, latest);
                if let Some(line) = line {
                    voice.progress(&line);
                }
                tokio::time::sleep(pause.min(limit)).await;
            }
            Err(failure) => return Err(kept(failure, latest)),
        }
    }
}

/// The next answer about `latest`. One without news is not taken as fast as it comes.
async fn news(
    caller: &mut Caller<'_>,
    latest: &AccessRequest,
    asked_at: Timestamp,
) -> Result<AccessRequest, Failure> {
    let ca = caller.ca;
    let wanted = News {
        after: latest.revision,
        seconds: WAIT_SECONDS_MAX,
    };
    let id = latest.id;
    let call = async |token: &SecretString| ca.api.access_request(token, id, Some(wanted)).await;
    let seen = caller.call_as_is(call).await?;
    let took = clock::now().since(asked_at);
    if seen.revision == latest.revision && took < BREATH {
        tokio::time::sleep(BREATH).await;
    }
    Ok(seen)
}

/// How long one call may take: until there is something to do without an answer.
fn limit(request: &AccessRequest, deadline: Option<Timestamp>, now: Timestamp) -> Duration {
    let begin = request.not_before.filter(|begin| now < *begin);
    let begin = begin.filter(|_| request.status == RequestStatus::Approved);
    let ends = [begin, deadline].into_iter().flatten();
    let longest = Duration::from_secs(2 * WAIT_SECONDS_MAX);
    ends.map(|end| end.since(now))
        .min()
        .map_or(longest, |first| first.min(longest))
}

/// Calls that fail while the CA or the network is away.
#[derive(Debug, Default)]
struct Trouble {
    pause: Option<Duration>,
}

impl Trouble {
    /// What to say and how long to pause after one more failed call.
    fn again(&mut self, failure: &Failure, request: &AccessRequest) -> (Option<String>, Duration) {
        let first = self.pause.is_none();
        let pause = self
            .pause
            .map_or(PAUSE_MIN, |pause| (pause * 2).min(PAUSE_MAX));
        self.pause = Some(pause);
        let asked = failure.problem.as_ref();
        let asked = asked.and_then(|problem| problem.retry_after_seconds);
        let line = format!(
            "{}; still trying, and request {} is kept at the CA",
            failure.what, request.id
        );
        (
            first.then_some(line),
            asked.map_or(pause, |seconds| Duration::from_secs(seconds).max(pause)),
        )
    }

    /// What to say now that a call succeeded.
    fn over(&mut self) -> Option<String> {
        self.pause.take().map(|_| "the CA answers again".to_owned())
    }
}

fn is_temporary(failure: &Failure) -> bool {
    failure.exit == Exit::Unreachable || kind(failure) == Some(ProblemType::TooManyAttempts)
}

/// `failure` with what happens to the request.
fn kept(failure: Failure, request: &AccessRequest) -> Failure {
    let mut failure = failure.line(format!("request {} is not touched by this", request.id));
    if failure.exit == Exit::NotAuthenticated {
        failure.hints = vec![format!(
            "sign in again to go on with it: {}",
            resume(request)
        )];
    }
    failure
}

/// The line that a waiting person looks at.
fn progress(request: &AccessRequest, now: Timestamp) -> String {
    let mut line = format!("request {}: {}", request.id, standing(request, now));
    if request.status == RequestStatus::Waiting {
        line.push_str(&format!("; approve with: jit-ssh approve {}", request.id));
    }
    line.push_str(&format!(
        "   (Ctrl-C keeps the request; `{}` picks it up)",
        resume(request)
    ));
    line
}

/// What is new in `seen`, a line each.
fn changes(before: &AccessRequest, seen: &AccessRequest, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let said_yes = |request: &AccessRequest, user: &str| {
        let mut all = request.approvals.iter();
        all.any(|approval| approval.user.as_str() == user)
    };
    for approval in &seen.approvals {
        if !said_yes(before, approval.user.as_str()) {
            lines.push(format!("{} approved request {}", approval.user, seen.id));
        }
    }
    for approval in &before.approvals {
        if !said_yes(seen, approval.user.as_str()) {
            lines.push(format!(
                "{}'s approval does not count any more",
                approval.user
            ));
        }
    }
    if seen.duration_seconds < before.duration_seconds {
        let span = span::show(Duration::from_secs(seen.duration_seconds));
        lines.push(format!("the window is {span} at most"));
    }
    let stands = |request: &AccessRequest| (request.status, request.needs.clone());
    let later = seen.status == RequestStatus::Approved && !is_usable(seen, now);
    if stands(before) != stands(seen) && (seen.status == RequestStatus::Waiting || later) {
        lines.push(progress(seen, now));
    }
    lines
}

#[cfg(test)]
mod tests;
