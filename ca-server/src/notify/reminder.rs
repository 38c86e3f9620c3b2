//! Which open reviews to remind about: each once a day, counted from the emergency.

use std::time::Duration;

use ca_core::time::Timestamp;

use super::message::{Data, Message, Topic, join};
use super::text::Line;
use crate::state::Review;

/// Time between two reminders of one review.
pub const REMIND_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A reminder that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// Log index of the emergency.
    pub index: u64,
    /// How many days the review has been open: the number of this reminder.
    pub days: u64,
    /// When it fell due.
    pub due: Timestamp,
    /// What to say.
    pub message: Message,
}

/// What fell due after `since` and until `now`: one reminder a review, the newest, so that a
/// server that was away does not make up for it. By the order of falling due.
pub fn due<'a>(
    reviews: impl Iterator<Item = &'a Review>,
    since: Timestamp,
    now: Timestamp,
) -> Vec<Reminder> {
    let mut reminders: Vec<Reminder> = reviews
        .filter_map(|review| {
            let days = now.since(review.opened).as_secs() / REMIND_EVERY.as_secs();
            let due = review.opened.plus(Duration::from_secs(
                days.saturating_mul(REMIND_EVERY.as_secs()),
            ));
            (days > 0 && due > since).then(|| Reminder {
                index: review.index,
                days,
                due,
                message: message(review, days),
            })
        })
        .collect();
    reminders.sort_by_key(|reminder| (reminder.due, reminder.index));
    reminders
}

fn message(review: &Review, days: u64) -> Message {
    let (number, accounts) = (review.index, join(&review.principals));
    let open = if days == 1 {
        "1 day".to_owned()
    } else {
        format!("{days} days")
    };
    let command = format!("jit-ssh review {number}");
    Message {
        topic: Topic::ReviewReminder,
        lines: vec![
            Line::new(format!("Review {number} has been open for {open}: "))
                .value(&review.user)
                .words(" broke glass in ")
                .value(&review.environment)
                .words(" as ")
                .value(accounts),
            Line::new("reason: ").value(&review.reason),
            Line::new("somebody else closes it: ").value(&command),
        ],
        data: Data {
            requester: Some(review.user.to_string()),
            environment: Some(review.environment.clone()),
            accounts: review.principals.clone(),
            reason: Some(review.reason.clone()),
            valid_before: Some(review.valid_before),
            command: Some(command),
            ..Data::at(number)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: u64 = 1_800_000_000;
    const DAY: u64 = 24 * 3600;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn review(index: u64, opened: u64) -> Review {
        Review {
            index,
            user: "alice".parse().unwrap(),
            subject: None,
            environment: "prod".parse().unwrap(),
            principals: vec!["root".parse().unwrap()],
            reason: "INC-42 <!here>".to_owned(),
            opened: at(opened),
            valid_before: at(opened + 3600),
        }
    }

    fn days(since: u64, now: u64) -> Vec<u64> {
        let reviews = [review(42, OPENED)];
        let due = due(reviews.iter(), at(since), at(now));
        due.iter().map(|reminder| reminder.days).collect()
    }

    #[test]
    fn the_first_reminder_is_due_one_day_after_the_emergency() {
        assert!(days(OPENED, OPENED + DAY - 1).is_empty());
        assert_eq!(days(OPENED, OPENED + DAY), [1]);
    }

    #[test]
    fn what_was_reminded_of_is_not_reminded_of_again_before_the_next_day() {
        assert!(days(OPENED + DAY, OPENED + 2 * DAY - 1).is_empty());
        assert_eq!(days(OPENED + DAY, OPENED + 2 * DAY), [2]);
    }

    #[test]
    fn after_days_away_there_is_one_reminder_and_not_one_for_each_day() {
        assert_eq!(days(OPENED, OPENED + 9 * DAY + 7), [9]);
    }

    #[test]
    fn no_two_moments_of_looking_lose_or_repeat_a_reminder() {
        let mut since = OPENED;
        let mut found = Vec::new();
        for now in (OPENED..OPENED + 5 * DAY).step_by(7 * 3600) {
            found.extend(days(since, now));
            since = now;
        }
        assert_eq!(found, [1, 2, 3, 4]);
    }

    #[test]
    fn reminders_come_in_the_order_of_falling_due_and_tell_what_to_do() {
        let reviews = [review(50, OPENED + 100), review(60, OPENED)];
        let reminders = due(reviews.iter(), at(OPENED), at(OPENED + DAY + 100));
        let indexes: Vec<u64> = reminders.iter().map(|reminder| reminder.index).collect();
        assert_eq!(indexes, [60, 50]);
        let text = reminders[0].message.text();
        assert_eq!(
            text,
            "Review 60 has been open for 1 day: `alice` broke glass in `prod` as `root`\n\
             reason: `INC-42 \u{2039}!here\u{203a}`\n\
             somebody else closes it: `jit-ssh review 60`"
        );
    }
}
