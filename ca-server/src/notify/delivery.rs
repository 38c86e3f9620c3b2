//! One try to deliver one message: what is sent, and what the answer means. Remembers nothing.

use std::time::Duration;

use ca_core::time::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use url::Url;

use super::signature::Secrets;

/// Longest wait that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How one try ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outcome {
    /// The receiver has it.
    #[error("delivered")]
    Delivered,
    /// The receiver does not want this message: a status that trying again rarely changes.
    #[error("refused with status {0}")]
    Refused(u16),
    /// To be tried again, not before the wait if the receiver asked for one.
    #[error("{what}")]
    Later {
        /// What happened.
        what: String,
        /// See [`Outcome::Later`].
        wait: Option<Duration>,
    },
}

/// Whom to send to.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) secrets: Option<Secrets>,
}

impl Receiver {
    /// Sends `body` under `id`, signed as of `now`. The address is in no error: those of chats
    /// are secrets.
    pub(super) async fn send(&self, id: &str, body: Vec<u8>, now: Timestamp) -> Outcome {
        let mut post = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.unix_seconds());
        if let Some(secrets) = &self.secrets {
            post = post.header("webhook-signature", secrets.sign(id, now, &body));
        }
        match post.body(body).send().await {
            Ok(answer) => judge(answer.status(), answer.headers(), now),
            Err(error) => Outcome::Later {
                what: causes(&error.without_url()),
                wait: None,
            },
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    let passes = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if status.is_success() {
        Outcome::Delivered
    } else if status.is_server_error() || passes.contains(&status) {
        Outcome::Later {
            what: format!("status {}", status.as_u16()),
            wait: retry_after(headers, now),
        }
    } else {
        Outcome::Refused(status.as_u16())
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            let milliseconds = u64::try_from(date.timestamp().as_millisecond()).ok()?;
            Timestamp::from_unix_milliseconds(milliseconds).since(now)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// How long to wait after so many failures in a row: doubled each time up to a bound, of which a
/// random part between half and all is taken, so that targets do not try in step.
pub(super) fn backoff(first: Duration, longest: Duration, failures: u32, random: u32) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let half = doubled.min(longest) / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn judged(status: u16, retry: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        judge(status, &headers, Timestamp::from_unix_seconds(NOW))
    }

    fn wait(outcome: Outcome) -> Option<u64> {
        match outcome {
            Outcome::Later { wait, .. } => wait.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn statuses_that_pass_are_tried_again_and_others_refuse_the_message() {
        for status in [200, 202, 204] {
            assert_eq!(judged(status, None), Outcome::Delivered);
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(wait(judged(status, None)), None, "{status}");
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 410, 413] {
            assert_eq!(judged(status, None), Outcome::Refused(status));
        }
    }

    #[test]
    fn the_wait_that_a_receiver_asks_for_is_honoured_up_to_an_hour() {
        assert_eq!(wait(judged(429, Some("7"))), Some(7));
        assert_eq!(wait(judged(503, Some(" 86400 "))), Some(3600));
        let date = "Fri, 15 Jan 2027 08:00:30 GMT";
        assert_eq!(wait(judged(429, Some(date))), Some(30));
        let past = "Fri, 15 Jan 2027 07:00:00 GMT";
        assert_eq!(wait(judged(429, Some(past))), Some(0));
        assert_eq!(wait(judged(429, Some("soon"))), None);
        assert_eq!(wait(judged(429, Some("-1"))), None);
    }

    #[test]
    fn the_pause_doubles_up_to_its_bound_and_never_ends_early_by_more_than_half() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        for (failures, whole) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let whole = Duration::from_secs(whole);
            assert_eq!(backoff(first, longest, failures, 0), whole / 2);
            assert_eq!(backoff(first, longest, failures, u32::MAX), whole);
        }
    }
}
