//! `jit-ssh reviews`: emergencies that nobody has judged yet.

use ca_core::api::Review;
use ca_core::name::Principal;
use ca_core::time::Timestamp;
use secrecy::SecretString;

use super::caller;
use crate::ca::Ca;
use crate::cli::Look;
use crate::clock;
use crate::failure::Failure;
use crate::span;
use crate::table;
use crate::terminal::plain;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Look) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.reviews(token).await;
    let open = caller.call(call).await?;
    for line in listed(&open.reviews, clock::now()) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!(open));
    Ok(())
}

/// The table, and how to close a review.
pub(super) fn listed(reviews: &[Review], now: Timestamp) -> Vec<String> {
    if reviews.is_empty() {
        return vec!["no review is open".to_owned()];
    }
    let rows = reviews.iter().map(|review| {
        let names: Vec<&str> = review.principals.iter().map(Principal::as_str).collect();
        let how = if review.offline { " (offline)" } else { "" };
        let closer = if review.may_close {
            "you"
        } else {
            "somebody else"
        };
        [
            review.id.to_string(),
            review.user.to_string(),
            format!("{} as {}{how}", review.environment, names.join(", ")),
            format!("{} ago", span::show(now.since(review.opened_at))),
            review.serial.to_string(),
            closer.to_owned(),
            plain(&review.reason),
        ]
    });
    let heading = [
        "ID",
        "WHO",
        "BROKE GLASS FOR",
        "OPEN SINCE",
        "SERIAL",
        "TO BE CLOSED BY",
        "REASON",
    ];
    let mut lines = table::lines(heading, rows.collect());
    if let Some(own) = reviews.iter().find(|review| review.may_close) {
        let (id, serial) = (own.id, own.serial);
        lines.push(format!("see what was done: jit-ssh history {serial}"));
        lines.push(format!("close with: jit-ssh review {id} --finding TEXT"));
    }
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::command) fn review(id: u64, may_close: bool) -> Review {
        serde_json::from_value(serde_json::json!({
            "id": id, "user": "bob", "environment": "prod", "principals": ["root"],
            "reason": "INC-42\u{1b}[2J", "serial": 1042, "offline": false,
            "opened_at": "2027-01-15T07:00:00Z", "valid_before": "2027-01-15T07:30:00Z",
            "may_close": may_close,
        }))
        .unwrap()
    }

    #[test]
    fn a_review_says_since_when_it_is_open_and_who_can_close_it() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let text = listed(&[review(42, true)], now).join("\n");
        assert!(
            text.contains("1 h ago") && text.contains("prod as root"),
            "{text}"
        );
        assert!(text.contains("jit-ssh review 42 --finding TEXT"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        let own = listed(&[review(42, false)], now).join("\n");
        assert!(
            own.contains("somebody else") && !own.contains("--finding"),
            "{own}"
        );
    }
}
